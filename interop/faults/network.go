package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Addresses, see doc.go.
const (
	clientAddr  = "10.77.0.254"
	watcherAddr = "10.77.0.253"
	bridge      = "br0"
)

// host is a machine: a network namespace with one address on the bridge. One goroutine uses it.
type host struct {
	name string
	addr string
}

// network is the bridge and its hosts. This process stands on the bridge itself.
type network struct{}

// newNetwork makes the bridge, in the namespace that this process was started in.
func newNetwork() (*network, error) {
	n := &network{}
	// A private place for the namespaces' names: nothing of it is seen, or left, outside.
	return n, run(
		"mount -t tmpfs tmpfs /run",
		"ip link set lo up",
		"ip link add "+bridge+" type bridge",
		"ip addr add "+clientAddr+"/24 dev "+bridge,
		"ip addr add "+watcherAddr+"/24 dev "+bridge,
		"ip link set "+bridge+" up",
	)
}

// add makes a host. What it drops it drops as it comes in, by sender (set from) and as it goes out, by receiver (set to).
func (n *network) add(name, addr string) (*host, error) {
	h := &host{name: name, addr: addr}
	err := run(
		"ip netns add "+name,
		"ip link add v"+name+" type veth peer name eth0 netns "+name,
		"ip link set v"+name+" master "+bridge+" up",
		h.inside("ip link set lo up"),
		h.inside("ip addr add "+addr+"/24 dev eth0"),
		h.inside("ip link set eth0 up"),
		h.inside("nft add table ip f"),
		h.inside("nft add set ip f from { type ipv4_addr; }"),
		h.inside("nft add set ip f lossy { type ipv4_addr; }"),
		h.inside("nft add chain ip f in { type filter hook input priority 0; }"),
		h.inside("nft add rule ip f in ip saddr @from drop"),
		h.inside("nft add rule ip f in ip saddr @lossy numgen random mod 100 < 5 drop"),
	)
	return h, err
}

// inside is the command that runs another one on the host.
func (h *host) inside(command string) string {
	return "nsenter --net=/run/netns/" + h.name + " " + command
}

// deaf makes the host lose all packets of senders, without a word to anybody.
func (h *host) deaf(senders ...string) error { return h.set("add", "from", senders) }

// hear ends deaf.
func (h *host) hear(senders ...string) error { return h.set("delete", "from", senders) }

// lose makes the host lose every twentieth packet of senders.
func (h *host) lose(senders ...string) error { return h.set("add", "lossy", senders) }

// mend ends all that deaf and lose did.
func (h *host) mend() error {
	return run(h.inside("nft flush set ip f from"), h.inside("nft flush set ip f lossy"))
}

func (h *host) set(verb, set string, addrs []string) error {
	return run(h.inside(fmt.Sprintf("nft %s element ip f %s { %s }", verb, set, strings.Join(addrs, ", "))))
}

// cut parts two hosts, both ways.
func cut(a, b *host) error {
	if err := a.deaf(b.addr); err != nil {
		return err
	}
	return b.deaf(a.addr)
}

// run runs commands, words parted by spaces, until one fails.
func run(commands ...string) error {
	for _, c := range commands {
		words := strings.Fields(c)
		cmd := exec.Command(words[0], words[1:]...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", c, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// writeFile writes a configuration.
func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }

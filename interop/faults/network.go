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

// network is the bridge and its hosts. This process, the clients' machine, stands on the bridge itself.
type network struct {
	clients *host
}

// newNetwork makes the bridge, in the namespace that this process was started in.
func newNetwork() (*network, error) {
	n := &network{clients: &host{addr: clientAddr}}
	// A private place for the namespaces' names: nothing of it is seen, or left, outside.
	err := run(
		"mount -t tmpfs tmpfs /run",
		"ip link set lo up",
		"ip link add "+bridge+" type bridge",
		"ip addr add "+clientAddr+"/24 dev "+bridge,
		"ip addr add "+watcherAddr+"/24 dev "+bridge,
		"ip link set "+bridge+" up",
	)
	if err != nil {
		return n, err
	}
	return n, n.clients.rules()
}

// add makes a host.
func (n *network) add(name, addr string) (*host, error) {
	h := &host{name: name, addr: addr}
	err := run(
		"ip netns add "+name,
		"ip link add v"+name+" type veth peer name eth0 netns "+name,
		"ip link set v"+name+" master "+bridge+" up",
		h.inside("ip link set lo up"),
		h.inside("ip addr add "+addr+"/24 dev eth0"),
		h.inside("ip link set eth0 up"),
	)
	if err != nil {
		return h, err
	}
	return h, h.rules()
}

// rules prepares what the host drops, by sender, as it comes in. The watcher's address is nobody's to drop.
func (h *host) rules() error {
	return run(
		h.inside("nft add table ip f"),
		h.inside("nft add set ip f from { type ipv4_addr; }"),
		h.inside("nft add set ip f lossy { type ipv4_addr; }"),
		h.inside("nft add chain ip f in { type filter hook input priority 0; }"),
		h.inside("nft add rule ip f in ip daddr "+watcherAddr+" accept"),
		h.inside("nft add rule ip f in ip saddr @from drop"),
		h.inside("nft add rule ip f in ip saddr @lossy numgen random mod 100 < 5 drop"),
	)
}

// inside is the command that runs another one on the host.
func (h *host) inside(command string) string {
	if h.name == "" {
		return command // this process's own
	}
	return "nsenter --net=/run/netns/" + h.name + " " + command
}

// deaf makes the host lose all packets of senders, without a word to anybody.
func (h *host) deaf(senders ...string) error {
	return run(h.inside("nft add element ip f from { " + strings.Join(senders, ", ") + " }"))
}

// lossy makes the host lose 5% of the packets of senders.
func (h *host) lossy(senders ...string) error {
	return run(h.inside("nft add element ip f lossy { " + strings.Join(senders, ", ") + " }"))
}

// mend ends all that deaf and lossy did.
func (h *host) mend() error {
	return run(h.inside("nft flush set ip f from"), h.inside("nft flush set ip f lossy"))
}

// slow bounds what the host is sent to 10 MB/s; fast ends that.
func (h *host) slow() error {
	return run("tc qdisc add dev v" + h.name + " root tbf rate 80mbit burst 256kb latency 100ms")
}

func (h *host) fast() error { return run("tc qdisc del dev v" + h.name + " root") }

// cut parts a host from others, both ways.
func cut(a *host, others ...*host) error {
	for _, b := range others {
		if err := a.deaf(b.addr); err != nil {
			return err
		}
		if err := b.deaf(a.addr); err != nil {
			return err
		}
	}
	return nil
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

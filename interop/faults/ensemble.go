package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const zookeeperJar = "/usr/share/java/zookeeper.jar"

// ensemble is three ZooKeeper servers.
type ensemble struct {
	servers []*process
	hosts   []*host
	dirs    []string
}

// newEnsemble makes three hosts with a server each and waits until they have a leader.
func newEnsemble(n *network, dir string) (*ensemble, error) {
	e := &ensemble{}
	for i := 1; i <= 3; i++ {
		h, err := n.add(fmt.Sprintf("z%d", i), fmt.Sprintf("10.77.0.%d", 10+i))
		if err != nil {
			return nil, err
		}
		e.hosts = append(e.hosts, h)
	}
	for i, h := range e.hosts {
		d := filepath.Join(dir, h.name)
		e.dirs = append(e.dirs, d)
		if err := os.MkdirAll(filepath.Join(d, "data"), 0o755); err != nil {
			return nil, err
		}
		if err := writeFile(filepath.Join(d, "data", "myid"), fmt.Sprint(i+1)); err != nil {
			return nil, err
		}
		if err := writeFile(filepath.Join(d, "zoo.cfg"), e.config(d)); err != nil {
			return nil, err
		}
		e.servers = append(e.servers, &process{log: filepath.Join(d, "zookeeper.log"), args: []string{
			"nsenter", "--net=/run/netns/" + h.name, "java", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.4lw.commands.whitelist=*",
			"-cp", "/etc/zookeeper/conf:" + zookeeperJar, "org.apache.zookeeper.server.quorum.QuorumPeerMain", filepath.Join(d, "zoo.cfg")}})
	}
	return e, e.start()
}

func (e *ensemble) config(dir string) string {
	text := "tickTime=500\ninitLimit=10\nsyncLimit=4\nadmin.enableServer=false\nclientPort=2181\ndataDir=" + filepath.Join(dir, "data") + "\n"
	for i, h := range e.hosts {
		text += fmt.Sprintf("server.%d=%s:2888:3888\n", i+1, h.addr)
	}
	return text
}

// addresses is zkAddress.
func (e *ensemble) addresses() string {
	var all []string
	for _, h := range e.hosts {
		all = append(all, h.addr+":2181")
	}
	return strings.Join(all, ",")
}

// start starts the servers that do not run, and waits for a leader.
func (e *ensemble) start() error {
	for _, s := range e.servers {
		if !s.running() {
			if err := s.start(); err != nil {
				return err
			}
		}
	}
	return until(30*time.Second, "ZooKeeper has a leader and two followers", func() bool {
		modes := map[string]int{}
		for i := range e.hosts {
			modes[e.mode(i)]++
		}
		return modes["leader"] == 1 && modes["follower"] == 2
	})
}

func (e *ensemble) kill() {
	for _, s := range e.servers {
		s.kill()
	}
}

// leader is the index of the leading server, -1 without one.
func (e *ensemble) leader() int {
	for i := range e.hosts {
		if e.mode(i) == "leader" {
			return i
		}
	}
	return -1
}

// mode is "leader", "follower", or "" of a server that serves nobody.
func (e *ensemble) mode(i int) string {
	d := net.Dialer{Timeout: 500 * time.Millisecond, LocalAddr: &net.TCPAddr{IP: net.ParseIP(watcherAddr)}}
	c, err := d.Dial("tcp", e.hosts[i].addr+":2181")
	if err != nil {
		return ""
	}
	defer func() { _ = c.Close() }() // read only
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return ""
	}
	if _, err := c.Write([]byte("srvr")); err != nil {
		return ""
	}
	var text strings.Builder
	buf := make([]byte, 4096)
	for {
		k, err := c.Read(buf)
		text.Write(buf[:k])
		if err != nil {
			break
		}
	}
	_, after, _ := strings.Cut(text.String(), "Mode: ")
	mode, _, _ := strings.Cut(after, "\n")
	return mode
}

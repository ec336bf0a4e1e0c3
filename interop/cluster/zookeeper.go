package cluster

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const zookeeperJar = "/usr/share/java/zookeeper.jar"

// Server is a ZooKeeper of one server. One goroutine uses it.
type Server struct {
	process
	Addr   string // host:port of its clients
	dir    string
	config string
}

// newServer writes the configuration of a server and does not start it.
func newServer(dir, host string, tick time.Duration) (*Server, error) {
	if _, err := os.Stat(zookeeperJar); err != nil {
		return nil, fmt.Errorf("%w: run .ci/setup, it installs Debian's zookeeper", err)
	}
	s := &Server{process: process{log: filepath.Join(dir, "zookeeper.log")}, Addr: host + ":2181", dir: dir, config: filepath.Join(dir, "zoo.cfg")}
	if err := os.MkdirAll(filepath.Join(dir, "zookeeper"), 0o755); err != nil {
		return nil, err
	}
	return s, os.WriteFile(s.config, fmt.Appendf(nil, "tickTime=%d\ndataDir=%s\nclientPort=2181\nclientPortAddress=%s\nadmin.enableServer=false\n"+
		"4lw.commands.whitelist=srvr\n", tick.Milliseconds(), filepath.Join(dir, "zookeeper"), host), 0o644)
}

// Start starts the server and waits until it answers.
func (s *Server) Start() error {
	if err := s.start("java", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", "/etc/zookeeper/conf:"+zookeeperJar,
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", s.config); err != nil {
		return err
	}
	err := Until(30*time.Second, "ZooKeeper answers", func() bool { return s.answers() || !s.Running() })
	if err == nil && s.Running() {
		return nil
	}
	text, _ := os.ReadFile(s.log) // for the message alone
	return fmt.Errorf("ZooKeeper at %s did not start (%w); it printed:\n%s", s.Addr, err, text[max(0, len(text)-2000):])
}

func (s *Server) answers() bool {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }() // read only
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := c.Write([]byte("srvr")); err != nil {
		return false
	}
	text, err := io.ReadAll(c)
	return err == nil && strings.Contains(string(text), "Mode: ")
}

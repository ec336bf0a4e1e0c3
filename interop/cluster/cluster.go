package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
)

// Options say what cluster to run. Zero values are for the defaults.
type Options struct {
	Dir     string        // for all that is written; must exist
	Binary  string        // the program; "" is bin/havenmq at the root of the project
	Tick    time.Duration // ZooKeeper's tickTime; 0 is 2 s, as in ActiveMQ's papers
	Sync    string        // the nodes' sync; "" is quorum_disk
	LogSize string        // of a segment; "" is 100mb
	Config  string        // YAML that is added to each node's configuration
}

// Cluster is a ZooKeeper and three nodes. One goroutine uses it.
type Cluster struct {
	ZooKeeper *Server
	Nodes     []*Node

	o Options
}

// Bounds of waiting, far above what is waited for.
const (
	wholeTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
)

// New picks a network of the loopback for a cluster and does not start it.
func New(o Options) (_ *Cluster, err error) {
	if o.Binary == "" {
		if o.Binary, err = broker.Binary(); err != nil {
			return nil, err
		}
	}
	if o.Tick == 0 {
		o.Tick = 2 * time.Second
	}
	if o.Sync == "" {
		o.Sync = "quorum_disk"
	}
	if o.LogSize == "" {
		o.LogSize = "100mb"
	}
	network, err := freeNetwork()
	if err != nil {
		return nil, err
	}
	c := &Cluster{o: o}
	if c.ZooKeeper, err = newServer(o.Dir, network+".9", o.Tick); err != nil {
		return nil, err
	}
	for i := 1; i <= 3; i++ {
		dir := filepath.Join(o.Dir, fmt.Sprintf("node%d", i))
		n := &Node{process: process{log: filepath.Join(dir, "havenmq.log")}, Host: fmt.Sprintf("%s.%d", network, i), Dir: dir,
			Config: filepath.Join(dir, "havenmq.yaml"), c: c}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if err := n.configure(o); err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, n)
	}
	return c, nil
}

// freeNetwork finds 127.x.y where nobody listens at ZooKeeper's place.
func freeNetwork() (string, error) {
	for range 100 {
		network := fmt.Sprintf("127.%d.%d", 10+rand.IntN(200), rand.IntN(256))
		l, err := net.Listen("tcp", network+".9:2181")
		if err != nil {
			continue
		}
		return network, l.Close()
	}
	return "", fmt.Errorf("no network of the loopback is free")
}

// Start starts ZooKeeper and the nodes and waits until the cluster is whole.
func (c *Cluster) Start() (master *Node, err error) {
	if err := c.ZooKeeper.Start(); err != nil {
		return nil, err
	}
	return c.StartNodes()
}

// StartNodes starts the nodes that do not run and waits until the cluster is whole.
func (c *Cluster) StartNodes() (master *Node, err error) {
	for _, n := range c.Nodes {
		if !n.Running() {
			if err := n.Start(); err != nil {
				return nil, err
			}
		}
	}
	return c.Whole()
}

// Whole waits until one node serves and both others follow it and lack nothing.
func (c *Cluster) Whole() (master *Node, err error) {
	var why string
	if err := Until(wholeTimeout, "one master and two replicas that lack nothing", func() bool {
		master, why = c.look()
		return master != nil
	}); err != nil {
		return nil, fmt.Errorf("%w: %s", err, why)
	}
	return master, nil
}

// look returns the master of a whole cluster, or says what it lacks.
func (c *Cluster) look() (*Node, string) {
	var master *Node
	var s Status
	for _, n := range c.Nodes {
		if at, ok := n.Status(); ok && at.Role == "master" && at.Ready && !at.Cluster.Paused {
			if master != nil {
				return nil, fmt.Sprintf("%s and %s serve", master.Host, n.Host)
			}
			master, s = n, at
		}
	}
	if master == nil {
		return nil, "nobody serves"
	}
	attached := 0
	for _, p := range s.Cluster.Peers {
		if p.Attached && p.Voter && p.LagBytes == 0 {
			attached++
		}
	}
	if attached != len(c.Nodes)-1 {
		return nil, fmt.Sprintf("%s has %d replicas: %+v", master.Host, attached, s.Cluster.Peers)
	}
	return master, ""
}

// Serving waits for a node that serves.
func (c *Cluster) Serving(limit time.Duration) (master *Node, err error) {
	err = Until(limit, "a node serves", func() bool {
		for _, n := range c.Nodes {
			if s, ok := n.Status(); ok && s.Role == "master" && s.Ready && !s.Cluster.Paused {
				master = n
				return true
			}
		}
		return false
	})
	return master, err
}

// Others are all nodes but one.
func (c *Cluster) Others(than *Node) (all []*Node) {
	for _, n := range c.Nodes {
		if n != than {
			all = append(all, n)
		}
	}
	return all
}

// Hosts is the failover list of the clients here.
func (c *Cluster) Hosts() (all []string) {
	for _, n := range c.Nodes {
		all = append(all, n.Host)
	}
	return all
}

// Failover is the failover URL of a transport, for `havenmq send` and other clients that take one.
func (c *Cluster) Failover(scheme string) string {
	var all []string
	for _, n := range c.Nodes {
		all = append(all, n.URL(scheme))
	}
	return "failover:(" + strings.Join(all, ",") + ")"
}

// SameLogs waits until the cluster is whole and the three logs are the same, byte for byte, over what all of them must have:
// from the highest log_start to the lowest commit position, which it returns as a number of bytes.
func (c *Cluster) SameLogs() (compared uint64, err error) {
	if _, err := c.Whole(); err != nil {
		return 0, err
	}
	asked := Until(10*time.Second, "the three logs are the same", func() bool { // a trim meanwhile moves the start
		compared, err = c.compare()
		return err == nil
	})
	if asked != nil {
		return 0, fmt.Errorf("%w: %w", asked, err)
	}
	return compared, nil
}

func (c *Cluster) compare() (uint64, error) {
	var dirs []string
	var from, to uint64
	for i, n := range c.Nodes {
		s, ok := n.Status()
		if !ok {
			return 0, fmt.Errorf("%s does not answer", n.Host)
		}
		dirs = append(dirs, n.Store())
		from = max(from, s.Store.LogStart)
		if i == 0 || s.Store.Committed < to {
			to = s.Store.Committed
		}
	}
	if to <= from {
		return 0, fmt.Errorf("committed to %d, of a log that begins at %d: there is nothing to compare", to, from)
	}
	return to - from, CompareLogs(dirs, from, to)
}

// Problems are panics and data races that the nodes have printed.
func (c *Cluster) Problems() (all []string) {
	for _, n := range c.Nodes {
		text := n.Printed()
		for _, word := range []string{"panic: ", "DATA RACE", "fatal error: "} {
			if at := strings.Index(text, word); at >= 0 {
				all = append(all, fmt.Sprintf("%s printed:\n%s", n.Host, text[at:min(len(text), at+4000)]))
			}
		}
	}
	return all
}

// End kills all that runs.
func (c *Cluster) End() {
	for _, n := range c.Nodes {
		n.Kill()
	}
	c.ZooKeeper.Kill()
}

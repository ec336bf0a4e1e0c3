package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// cluster is three nodes with one zkPath. One goroutine uses it.
type cluster struct {
	nodes   []*node
	options nodeOptions
	zkPath  string
	offsets map[*node]int64 // where each log stood when the scenario began
}

// settings are its nodes' options.
func (c *cluster) settings() nodeOptions {
	o := c.options
	o.zkPath = c.zkPath
	return o
}

// bound of waiting for a cluster to be whole, far above what it takes.
const wholeTimeout = 60 * time.Second

// whole waits until one node serves and both others follow it and lack nothing.
func (c *cluster) whole() (master *node, err error) {
	var why string
	if err = until(wholeTimeout, "one master, two attached replicas that lack nothing", func() bool {
		master, why = c.look()
		return master != nil
	}); err != nil {
		return nil, fmt.Errorf("%w: %s", err, why)
	}
	return master, nil
}

// look returns the master of a whole cluster, or says what it lacks.
func (c *cluster) look() (*node, string) {
	m := c.masters()
	if len(m) != 1 {
		return nil, fmt.Sprintf("%d nodes serve", len(m))
	}
	s, ok := m[0].status()
	if !ok || s.Cluster.Paused || !s.Ready {
		return nil, "the master does not answer, or pauses"
	}
	attached := 0
	for _, p := range s.Cluster.Peers {
		if p.Attached && p.Voter && p.LagBytes == 0 {
			attached++
		}
	}
	if attached != len(c.nodes)-1 {
		return nil, fmt.Sprintf("%s has %d replicas attached: %+v", m[0].host.name, attached, s.Cluster.Peers)
	}
	return m[0], ""
}

// masters are the nodes that say that they serve.
func (c *cluster) masters() (all []*node) {
	for _, n := range c.nodes {
		if s, ok := n.status(); ok && s.Role == "master" && s.Cluster.State == "master" {
			all = append(all, n)
		}
	}
	return all
}

// serving waits for a node that serves and does not pause.
func (c *cluster) serving(limit time.Duration) (m *node, err error) {
	err = until(limit, "a node serves", func() bool {
		for _, n := range c.masters() {
			if s, ok := n.status(); ok && s.Ready && !s.Cluster.Paused {
				m = n
				return true
			}
		}
		return false
	})
	return m, err
}

// others are all nodes but one.
func (c *cluster) others(than *node) (all []*node) {
	for _, n := range c.nodes {
		if n != than {
			all = append(all, n)
		}
	}
	return all
}

// mend ends all faults: cuts, stopped and dead processes.
func (c *cluster) mend() error {
	for _, n := range c.nodes {
		if err := n.mend(); err != nil {
			return err
		}
		if n.running() {
			n.thaw()
		} else if err := n.boot(); err != nil {
			return err
		}
	}
	return nil
}

// end kills the nodes and removes what they wrote, except their logs.
func (c *cluster) end() error {
	for _, n := range c.nodes {
		if err := n.mend(); err != nil {
			return err
		}
		n.kill()
	}
	for _, n := range c.nodes { // once all are dead: each may see what the others' data lies on
		if err := n.volume.end(); err != nil {
			return err
		}
	}
	return nil
}

// mark remembers where the logs stand.
func (c *cluster) mark() {
	c.offsets = map[*node]int64{}
	for _, n := range c.nodes {
		c.offsets[n] = n.logOffset()
	}
}

// since is what a node has logged since mark.
func (c *cluster) since(n *node) string { return n.printed(c.offsets[n]) }

// logged says whether a node has logged a text since mark.
func (c *cluster) logged(n *node, text string) bool { return strings.Contains(c.since(n), text) }

var electedLine = regexp.MustCompile(`Elected as the master of epoch (\d+)`)

// elected returns who was elected for which epoch since mark, and what is wrong with that: an epoch has one master.
func (c *cluster) elected() (byEpoch map[uint64]*node, problems []string) {
	byEpoch = map[uint64]*node{}
	for _, n := range c.nodes {
		for _, m := range electedLine.FindAllStringSubmatch(c.since(n), -1) {
			epoch, err := strconv.ParseUint(m[1], 10, 64)
			if err != nil {
				problems = append(problems, err.Error())
			}
			if other := byEpoch[epoch]; other != nil {
				problems = append(problems, fmt.Sprintf("%s and %s were both elected for epoch %d", other.host.name, n.host.name, epoch))
			}
			byEpoch[epoch] = n
		}
	}
	return byEpoch, problems
}

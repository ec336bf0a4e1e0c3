package main

import (
	"slices"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
	"github.com/havenmq/havenmq/interop/cluster"
)

// subject is what is measured: one node, or a cluster of three.
type subject interface {
	// Addr is host:port of a transport.
	Addr(scheme string) string
	costs() (costs, error)
}

// costs are what the nodes have used, since their start or between two looks.
type costs struct {
	nodes                   []time.Duration // user and system time by node, the master first
	allocs, syncs, logBytes float64         // of all nodes
}

// cpu is the time of all nodes.
func (c costs) cpu() (sum time.Duration) {
	for _, d := range c.nodes {
		sum += d
	}
	return sum
}

func (c costs) since(before costs) costs {
	nodes := slices.Clone(c.nodes)
	for i := range nodes {
		nodes[i] -= before.nodes[i]
	}
	return costs{nodes, c.allocs - before.allocs, c.syncs - before.syncs, c.logBytes - before.logBytes}
}

// add looks at one more node, by its admin URL and process id.
func (c *costs) add(admin string, pid int) error {
	m, err := broker.Scrape(admin)
	if err != nil {
		return err
	}
	cpu, err := broker.ProcessCPU(pid)
	c.nodes = append(c.nodes, cpu)
	c.allocs += m["go_memstats_mallocs_total"]
	c.syncs += m["havenmq_store_syncs_total"]
	c.logBytes += m["havenmq_log_end_position"]
	return err
}

// alone is one node without a cluster.
type alone struct{ *broker.Broker }

func (a alone) costs() (c costs, err error) {
	return c, c.add("http://"+a.Broker.Addr("admin"), a.PID())
}

// trio is a cluster of three nodes whose master stays the same.
type trio struct {
	c      *cluster.Cluster
	master *cluster.Node
}

func (t trio) Addr(scheme string) string { return t.master.Addr(scheme) }

func (t trio) costs() (c costs, err error) {
	for _, n := range append([]*cluster.Node{t.master}, t.c.Others(t.master)...) {
		if err := c.add(n.Admin(), n.PID()); err != nil {
			return c, err
		}
	}
	return c, nil
}

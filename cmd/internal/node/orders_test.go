package node

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/havenmq/havenmq/cmd/internal/courier"
	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/ha/memory"
	"github.com/havenmq/havenmq/protocols/admin"
)

// crew is a cluster whose nodes can be started again.
type crew struct {
	t       *testing.T
	tree    *memory.Tree
	clients string
	binds   []string
	dirs    []string
	nodes   []*Node // nil: stopped
}

func newCrew(t *testing.T) *crew {
	c := &crew{t: t, tree: memory.New(), clients: free(t)}
	for range 3 {
		c.add()
	}
	t.Cleanup(func() {
		for i, n := range c.nodes {
			if n != nil {
				n.Hurry()
				c.stop(i)
			}
		}
	})
	return c
}

// add starts another node, on an empty directory.
func (c *crew) add() int {
	c.binds, c.dirs, c.nodes = append(c.binds, free(c.t)), append(c.dirs, c.t.TempDir()), append(c.nodes, nil)
	c.start(len(c.nodes) - 1)
	return len(c.nodes) - 1
}

func (c *crew) start(i int) { c.nodes[i], _ = joinAt(c.t, c.tree, c.clients, c.binds[i], c.dirs[i]) }

func (c *crew) stop(i int) {
	c.t.Helper()
	if err := stop(c.t, c.nodes[i]); err != nil {
		c.t.Error(err)
	}
	c.nodes[i] = nil
}

// settled waits until all nodes that run follow one of them.
func (c *crew) settled() (master int) {
	c.t.Helper()
	var up []*Node
	for _, n := range c.nodes {
		if n != nil {
			up = append(up, n)
		}
	}
	m, _ := settled(c.t, up)
	for i, n := range c.nodes {
		if n == m {
			master = i
		}
	}
	return master
}

// send puts a message into a queue, and returns when it is confirmed.
func (c *crew) send(queue string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	conn, err := courier.Open(ctx, &url.URL{Scheme: "amqp", Host: c.clients})
	if err == nil {
		err = conn.Send(ctx, core.Destination{Kind: core.Queue, Name: queue}, &courier.Message{Body: []byte(queue), Durable: true})
	}
	if err == nil {
		err = conn.Close(ctx)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// holds says whether a node, the master, has the message of a queue.
func (c *crew) holds(i int, queue string) {
	c.t.Helper()
	q, err := c.nodes[i].desk.Queue(core.Destination{Kind: core.Queue, Name: queue})
	if err != nil || q.Depth != 1 {
		c.t.Errorf("the queue %s: %+v, %v", queue, q, err)
	}
}

// A cluster whose nodes are started when ZooKeeper has forgotten it waits for an operator's word, and holds what it held.
func TestAdopt(t *testing.T) {
	c := newCrew(t)
	c.settled()
	c.send("kept")
	if err := c.nodes[0].Adopt(); err == nil || !strings.Contains(err.Error(), "nothing to adopt") {
		t.Error(err)
	}
	for i := range 3 {
		c.nodes[i].Hurry()
		c.stop(i)
	}
	c.tree.Lose()
	c.start(0)
	until(t, "a node alone says how many it needs", func() bool { return strings.Contains(c.nodes[0].Emergency().Adopt, "1 of 3 members run") })
	c.start(1)
	until(t, "it may be adopted", func() bool { return c.nodes[1].Emergency().Adopt == "" })
	if i := c.nodes[1].Info(); i.Role != admin.RoleElecting {
		t.Errorf("before that: %+v", i)
	}
	if err := c.nodes[1].Adopt(); err != nil {
		t.Fatal(err)
	}
	m := c.settled()
	c.start(2)
	if n := c.settled(); n != m {
		t.Errorf("master %d after %d", n, m)
	}
	if e := c.nodes[m].Info().Epoch; e != 1_000_001 {
		t.Errorf("epoch %d", e)
	}
	c.holds(m, "kept")
}

// A running cluster serves on while ZooKeeper has forgotten it, and is adopted as it runs.
func TestAdoptRunning(t *testing.T) {
	c := newCrew(t)
	m := c.settled()
	c.send("before")
	c.tree.Lose()
	until(t, "the loss is noticed", func() bool { return c.nodes[m].Emergency().Adopt == "" })
	c.send("meanwhile")
	if err := c.nodes[m].Adopt(); err != nil {
		t.Fatal(err)
	}
	until(t, "there is a master of a new epoch", func() bool {
		m = c.settled()
		return c.nodes[m].Info().Epoch > 1_000_000
	})
	c.holds(m, "before")
	c.holds(m, "meanwhile")
}

// One node of three is left: it leads by an operator's word, as soon as a new one has its log.
func TestRecover(t *testing.T) {
	c := newCrew(t)
	m := c.settled()
	c.send("kept")
	if why := c.nodes[m].Emergency().Recover; !strings.Contains(why, "there is a master") {
		t.Error(why)
	}
	for i := range 3 {
		if i != m {
			c.nodes[i].Hurry()
			c.stop(i)
		}
	}
	until(t, "it may be recovered", func() bool { return c.nodes[m].Emergency().Recover == "" })
	if e := c.nodes[m].Emergency(); !strings.Contains(e.Loss, c.binds[(m+1)%3]) {
		t.Error(e.Loss)
	}
	if err := c.nodes[m].Recover(); err != nil {
		t.Fatal(err)
	}
	until(t, "it leads", func() bool { return c.nodes[m].Info().Cluster.State == "recovering" })
	time.Sleep(10 * time.Millisecond) // nobody can serve: it must not in this time either
	if c.nodes[m].Info().Role == admin.RoleMaster {
		t.Error("it serves alone")
	}
	c.add() // on another address than those that are gone
	if n := c.settled(); n != m {
		t.Errorf("%d is master, not %d", n, m)
	}
	c.holds(m, "kept")
	gone := (m + 1) % 3
	c.start(gone)
	select {
	case err := <-c.nodes[gone].Failed():
		if !strings.Contains(err.Error(), "no seat in the cluster any more") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("who was given up takes part again")
	}
}

// A drained node does not lead, after a restart either, until it is undrained.
func TestDrain(t *testing.T) {
	c := newCrew(t)
	m := c.settled()
	if err := c.nodes[m].Drain(true); err != nil {
		t.Fatal(err)
	}
	until(t, "another is master", func() bool { i := c.nodes[m].Info(); return i.Role == admin.RoleReplica && i.Ready })
	c.stop(m)
	c.start(m)
	second := c.settled()
	if i := c.nodes[m].Info(); !i.Cluster.Drained {
		t.Errorf("after a restart: %+v", i.Cluster)
	}
	c.stop(second) // hands over: not to the drained one
	if third := c.settled(); third == m {
		t.Error("a drained node leads, and another could")
	}
	if err := c.nodes[m].Drain(false); err != nil {
		t.Fatal(err)
	}
	if c.nodes[m].Info().Cluster.Drained {
		t.Error("it is still drained")
	}
	c.start(second)
	c.settled()
}

// A master that is not to wait for replicas goes at once where they are too few, and hands over to those that are enough.
func TestStopInAHurry(t *testing.T) {
	tree, clients := memory.New(), free(t)
	var nodes []*Node
	for range 3 {
		n, _ := join(t, tree, clients)
		nodes = append(nodes, n)
	}
	first, replicas := settled(t, nodes)
	first.Hurry()
	if err := stop(t, first); err != nil {
		t.Error(err)
	}
	second, last := settled(t, replicas)
	if i := second.Info(); i.Epoch != 2 {
		t.Errorf("after handing over: %+v", i)
	}
	second.Hurry() // the other one is no quorum
	began := time.Now()
	if err := stop(t, second); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if err := stop(t, last[0]); err != nil {
		t.Error(err)
	}
}

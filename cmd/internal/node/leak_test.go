package node

import (
	"bytes"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/havenmq/havenmq/ha/memory"
	"github.com/havenmq/havenmq/protocols/admin"
)

// held is what this process holds.
type held struct{ goroutines, descriptors int }

// tables is how many files three indexes may open and close as they like.
const tables = 8

func (h held) more(than held) bool {
	return h.goroutines > than.goroutines || h.descriptors > than.descriptors+tables
}

func holds(t *testing.T) held {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return held{runtime.NumGoroutine(), len(list)}
}

// Masters come and go, with clients on them, some handing over and some stopped and started again, and nothing of them is
// left: no goroutine, no descriptor.
func TestRoleChangesLeakNothing(t *testing.T) {
	changes := 50
	if s := os.Getenv("HAVENMQ_ROLE_CHANGES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("HAVENMQ_ROLE_CHANGES: %v", err)
		}
		changes = n
	}
	tree, clients := memory.New(), free(t)
	nodes := make([]*Node, 3)
	logs := make([]*lines, 3)
	for i := range nodes {
		nodes[i], logs[i] = join(t, tree, clients)
	}
	t.Cleanup(func() {
		for i, log := range logs {
			if text := log.b.Bytes(); t.Failed() {
				t.Logf("node %d, at %s: %+v\n%s", i, nodes[i].addr, nodes[i].Info().Cluster, text[max(0, len(text)-5000):])
			}
		}
	})
	for range 6 { // until all of them have been master, and what is made once is made
		nodes = changeRoles(t, nodes, clients, nil)
	}
	settled(t, nodes)
	before := holds(t)
	for i := range changes {
		rejoin := tree
		if i%10 != 9 {
			rejoin = nil
		}
		nodes = changeRoles(t, nodes, clients, rejoin)
	}
	settled(t, nodes)
	var after held
	for range 500 { // what is about to end takes a moment
		if after = holds(t); !after.more(before) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d role changes: %+v before, %+v after", changes, before, after)
	if after.more(before) {
		var stacks bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 1); err != nil {
			t.Fatal(err)
		}
		t.Errorf("it holds %+v, and held %+v; goroutines:\n%s", after, before, stacks.Bytes())
	}
	master, _ := settled(t, nodes)
	stopAll(t, clients, master, nodes)
}

// changeRoles has another node become master while a client is connected, and returns the nodes that run then. With a tree,
// the old master stops and starts again; without, it hands over and stays.
func changeRoles(t *testing.T, nodes []*Node, clients string, rejoin *memory.Tree) []*Node {
	t.Helper()
	master, _ := settled(t, nodes)
	c, err := net.Dial("tcp", clients)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("AMQP\x03\x01\x00\x00")); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, c) // until it is told goodbye
		_ = c.Close()
	}()
	if rejoin == nil {
		next := nodes[(slices.Index(nodes, master)+1)%len(nodes)]
		if err := master.Promote(next.addr); err != nil {
			t.Fatal(err)
		}
	} else {
		if err := stop(t, master); err != nil {
			t.Fatal(err)
		}
		nodes[slices.Index(nodes, master)] = again(t, master, rejoin)
	}
	<-ended
	until(t, "another is master", func() bool {
		for _, n := range nodes {
			if i := n.Info(); n != master && i.Role == admin.RoleMaster && i.Ready {
				return true
			}
		}
		return false
	})
	return nodes
}

// again starts a node that was stopped, on its directory.
func again(t *testing.T, n *Node, tree *memory.Tree) *Node {
	t.Helper()
	o := n.o
	o.elector = tree.Join()
	return start(t, o)
}

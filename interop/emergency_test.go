package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/havenmq/havenmq/interop/cluster"
)

// hosts is a cluster of processes to which an operator's worst days come, one after the other.
type hosts struct {
	*testing.T
	*cluster.Cluster
}

// run runs a command to its end; it must succeed and say these words.
func (h *hosts) run(words string, args ...string) {
	h.Helper()
	out, err := h.Command(args...)
	if err != nil || !strings.Contains(out, words) {
		h.Fatalf("havenmq %v: %v\n%s\nwithout %q", args, err, out, words)
	}
}

// refused runs a command, or a node, that must fail and say these words.
func (h *hosts) refused(words string, args ...string) {
	h.Helper()
	if out, err := h.Command(args...); err == nil || !strings.Contains(out, words) {
		h.Errorf("havenmq %v: %v\n%s\nwithout %q", args, err, out, words)
	}
}

func (h *hosts) whole() *cluster.Node {
	h.Helper()
	m, err := h.Whole()
	if err != nil {
		h.Fatal(err)
	}
	return m
}

func (h *hosts) starts(nodes ...*cluster.Node) {
	h.Helper()
	for _, n := range nodes {
		if err := n.Start(); err != nil {
			h.Fatal(err)
		}
	}
}

func (h *hosts) until(what string, holds func() bool) {
	h.Helper()
	if err := cluster.Until(30*time.Second, what, holds); err != nil {
		h.Fatal(err)
	}
}

// wiped kills a node and takes its disk away.
func (h *hosts) wiped(n *cluster.Node) {
	h.Helper()
	n.Kill()
	if err := os.RemoveAll(filepath.Join(n.Dir, "data")); err != nil {
		h.Fatal(err)
	}
}

// holds says how many messages wait in a queue of the master.
func (h *hosts) holds(m *cluster.Node, queue string, n int) {
	h.Helper()
	var q struct {
		Depth int `json:"depth"`
	}
	if err := m.API("/api/v1/queues/"+queue, &q); err != nil || q.Depth != n {
		h.Errorf("the queue %s holds %d, want %d (%v)", queue, q.Depth, n, err)
	}
}

// TestOperators is what docs/cluster.md says of drained, replaced, lost and forgotten members, on processes.
func TestOperators(t *testing.T) {
	t.Setenv("HAVENMQ_PERSISTENCEADAPTER_REPLICATEDLEVELDB_ZKSESSIONTIMEOUT", "1s")
	c, err := cluster.New(cluster.Options{Dir: t.TempDir(), Tick: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.End()
	m, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	h := &hosts{t, c}
	h.run("Sent 3", "send", "kept", "x", "-n", "3", "--url", c.Failover("amqp"))
	m = h.drains(m)
	h.refusesStrangers()
	m = h.replaces(m)
	m = h.adopts(m)
	h.holds(m, "kept", 3)
	h.recovers(m)
}

func (h *hosts) drains(m *cluster.Node) *cluster.Node {
	h.run("is master of epoch", "cluster", "drain", "--node", m.Admin())
	next := h.whole()
	if next == m {
		h.Error("a drained node leads")
	}
	h.run("drained", "cluster", "ls", "--node", next.Admin())
	h.run("may lead again", "cluster", "undrain", "--node", m.Admin())
	return next
}

// refusesStrangers starts nodes that are no members. Each ends, and says why.
func (h *hosts) refusesStrangers() {
	first := h.Nodes[0]
	text, err := os.ReadFile(first.Config)
	if err != nil {
		h.Fatal(err)
	}
	dir := h.TempDir()
	stranger := strings.ReplaceAll(strings.ReplaceAll(string(text), first.Host, strings.TrimSuffix(first.Host, "1")+"4"), first.Dir, dir)
	config := filepath.Join(dir, "havenmq.yaml")
	for _, c := range []struct{ from, to, words string }{
		{"", "", "all 3 seats of the cluster are taken"},
		{"replicas: 3", "replicas: 5", "the cluster has replicas: 3, this node's configuration says replicas: 5"},
	} {
		if err := os.WriteFile(config, []byte(strings.ReplaceAll(stranger, c.from, c.to)), 0o600); err != nil {
			h.Fatal(err)
		}
		h.refused(c.words, "serve", "--config", config)
	}
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil { // a copied directory, and its owner lives
		h.Fatal(err)
	}
	if out, err := exec.Command("cp", "-r", filepath.Join(first.Dir, "data"), dir).CombinedOutput(); err != nil {
		h.Fatalf("%v: %s", err, out)
	}
	_ = os.Remove(filepath.Join(dir, "data", "havenmq.pid")) // there may be none
	if err := os.WriteFile(config, []byte(stranger), 0o600); err != nil {
		h.Fatal(err)
	}
	h.refused("belongs to the node at "+first.Host, "serve", "--config", config)
}

// replaces a dead member by a machine of its name with an empty disk.
func (h *hosts) replaces(m *cluster.Node) *cluster.Node {
	dead := h.Others(m)[0]
	h.wiped(dead)
	h.until("the dead one is away", func() bool {
		out, err := h.Command("cluster", "replace", "--node", m.Admin())
		return err == nil && strings.Contains(out, dead.Host+":61619 is away")
	})
	h.starts(dead)
	m = h.whole()
	h.until("it votes", func() bool { s, ok := dead.Status(); return ok && s.Cluster.Voter })
	return m
}

// adopts a cluster that ZooKeeper has forgotten, and that was stopped since.
func (h *hosts) adopts(m *cluster.Node) *cluster.Node {
	h.refused("nothing to adopt", "cluster", "adopt", "--node", m.Admin())
	if out, err := exec.Command("java", "-cp", "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar", "org.apache.zookeeper.ZooKeeperMain",
		"-server", h.ZooKeeper.Addr, "deleteall", "/havenmq").CombinedOutput(); err != nil {
		h.Fatalf("%v\n%s", err, out)
	}
	h.until("the master says so, and serves on", func() bool {
		out, err := h.Command("status", "--node", m.Admin())
		return err == nil && strings.Contains(out, "deleted or set back")
	})
	h.run("Sent 1", "send", "meanwhile", "x", "--url", h.Failover("amqp"))
	for _, n := range h.Nodes {
		n.Kill()
	}
	h.starts(h.Nodes[0])
	h.until("it says whom it needs", func() bool {
		out, err := h.Command("cluster", "adopt", "--node", h.Nodes[0].Admin())
		return err != nil && strings.Contains(out, "1 of 3 members run, and 2 are needed")
	})
	h.starts(h.Nodes[1:]...)
	h.until("it can be adopted", func() bool {
		out, err := h.Command("cluster", "adopt", "--yes", "--node", h.Nodes[0].Admin())
		return err == nil && strings.Contains(out, "is master of epoch 1000001")
	})
	m = h.whole()
	h.holds(m, "meanwhile", 1)
	return m
}

// recovers what one node of three holds.
func (h *hosts) recovers(m *cluster.Node) {
	h.refused("there is a master", "cluster", "recover", "--accept-loss", "--yes", "--node", m.Admin())
	gone := h.Others(m)
	h.wiped(gone[0])
	h.wiped(gone[1])
	h.until("it says what may be lost", func() bool {
		out, err := h.Command("cluster", "recover", "--node", m.Admin())
		_, lost, found := strings.Cut(out, "is lost with ") // in the order of their seats, which is not that of their numbers
		return err != nil && found && strings.Contains(lost, gone[0].Host+":61619") && strings.Contains(lost, gone[1].Host+":61619") && strings.Contains(out, "--accept-loss")
	})
	h.run("as soon as 2 of 3 members hold its log", "cluster", "recover", "--accept-loss", "--yes", "--node", m.Admin())
	h.starts(gone...)
	if n := h.whole(); n != m {
		h.Errorf("%s is master, and %s holds the log", n.Host, m.Host)
	}
	h.holds(m, "kept", 3)
}

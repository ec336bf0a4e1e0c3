package interop

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/havenmq/havenmq/interop/cluster"
)

// story is three hosts and somebody who types commands on them, as our user did by hand with ActiveMQ. It prints what they
// typed and what came.
type story struct {
	*testing.T
	*cluster.Cluster
	names map[*cluster.Node]string
	read  map[*cluster.Node]int // of each log: what was looked at already
}

// types runs a command on a host and prints it and its answer; grep, unless "", keeps the lines with that word.
func (s *story) types(n *cluster.Node, grep string, args ...string) string {
	s.Helper()
	out, err := s.Command(args...)
	if err != nil && !(args[0] == "status" && out != "") { // status tells the role by its exit code too
		s.Fatal(err)
	}
	typed := "havenmq " + strings.Join(args, " ")
	if grep != "" {
		var kept []string
		for _, line := range strings.Split(out, "\n") {
			if strings.Contains(line, grep) {
				kept = append(kept, strings.TrimSpace(line))
			}
		}
		out = strings.Join(kept, "\n")
		typed += " | grep " + grep
	}
	s.Logf("[%s]# %s\n%s", s.names[n], s.short(typed), s.short(out))
	return out
}

// short leaves out where this machine has it.
func (s *story) short(text string) string {
	for n, name := range s.names {
		text = strings.ReplaceAll(strings.ReplaceAll(text, n.Dir+"/", ""), n.Host, name)
	}
	return strings.TrimSpace(text)
}

func daemonLog(n *cluster.Node) string { return filepath.Join(n.Dir, "data", "havenmq.log") }

// logs waits for a line of a host's log, and prints what is new up to it.
func (s *story) logs(n *cluster.Node, text string) {
	s.Helper()
	var fresh string
	if err := cluster.Until(20*time.Second, s.names[n]+" logs "+text, func() bool {
		all, err := os.ReadFile(daemonLog(n))
		if err != nil {
			return false
		}
		before, after, found := strings.Cut(string(all[min(s.read[n], len(all)):]), text)
		if found {
			rest, _, _ := strings.Cut(after, "\n")
			fresh = before + text + rest
			s.read[n] += len(fresh)
		}
		return found
	}); err != nil {
		all, _ := os.ReadFile(daemonLog(n)) // for the message alone
		s.Fatalf("%v; its log:\n%s", err, all)
	}
	s.Logf("[%s]# tail havenmq.log\n%s", s.names[n], s.short(fresh))
}

func (s *story) tells(what, got, want string) {
	s.Helper()
	if got != want {
		s.Errorf("%s: %q, want %q", what, got, want)
	}
}

// starts starts a host's node, as a user does, and sees to its end.
func (s *story) starts(n *cluster.Node) {
	s.Helper()
	s.types(n, "", "start", "--config", n.Config)
	s.Cleanup(func() {
		text, err := os.ReadFile(filepath.Join(n.Dir, "data", "havenmq.pid"))
		if err != nil {
			return // it was stopped
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may just have ended
		}
	})
}

// status returns a node's role as `havenmq status` shows it.
func (s *story) status(n *cluster.Node) string {
	s.Helper()
	return role(s.types(n, "", "status", "--node", n.Admin()))
}

func role(status string) string {
	for _, line := range strings.Split(status, "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Role" {
			return f[1]
		}
	}
	return ""
}

// Our user's own test of a cluster, step by step: three hosts, a message on the first, which is stopped; the message is on
// the next; the first comes back and follows.
func TestWalkThrough(t *testing.T) {
	c, err := cluster.New(cluster.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.End()
	if err := c.ZooKeeper.Start(); err != nil {
		t.Fatal(err)
	}
	s := &story{T: t, Cluster: c, names: map[*cluster.Node]string{}, read: map[*cluster.Node]int{}}
	for i, name := range []string{"zabbix", "agent133", "agent138"} {
		s.names[c.Nodes[i]] = name
	}
	for _, n := range c.Nodes {
		s.starts(n)
	}
	first, err := c.Whole()
	if err != nil {
		t.Fatal(err)
	}
	s.logs(first, "Master started")
	for _, n := range c.Others(first) {
		s.logs(n, "Attached")
	}
	s.tells("role of the first", s.status(first), "master")

	s.types(first, "", "send", "testQueue", "test Mater and slave", "--url", first.URL("amqp"))
	s.tells("what came in", s.types(first, "EnqueueCount", "query", "-QQueue=testQueue", "--node", first.Admin()), "EnqueueCount = 1")
	s.types(first, "", "stop", "--config", first.Config)

	next, err := c.Serving(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	last := c.Others(first)[0]
	if last == next {
		last = c.Others(first)[1]
	}
	s.logs(next, "Master started")
	s.tells("what waits on the next", s.types(next, "QueueSize", "query", "-QQueue=testQueue", "--node", next.Admin()), "QueueSize = 1")
	s.types(next, "EnqueueCount", "query", "-QQueue=testQueue", "--node", next.Admin())
	s.logs(last, "Attached")

	s.starts(first)
	s.logs(first, "Attached")
	if m, err := c.Whole(); err != nil || m != next {
		t.Fatalf("after the first is back: %v, %v", m, err)
	}
	s.tells("role of the first, back", s.status(first), "replica")
	s.tells("the message", strings.TrimSpace(s.types(last, "", "receive", "testQueue", "--timeout", "10s", "--url", c.Failover("amqp"))), "test Mater and slave")
	if _, err := c.SameLogs(); err != nil {
		t.Error(err)
	}
	for _, n := range []*cluster.Node{first, last, next} {
		s.types(n, "", "stop", "--force", "--config", n.Config)
	}
	for _, n := range c.Nodes {
		text, err := os.ReadFile(daemonLog(n))
		if err != nil || strings.Contains(string(text), "panic: ") {
			t.Errorf("%s: %v\n%s", s.names[n], err, text)
		}
	}
}

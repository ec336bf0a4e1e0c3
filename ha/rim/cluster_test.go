package rim

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/memory"
	"github.com/havenmq/havenmq/persist"
)

// cluster is nodes of one process: real stores, real sockets, an arbiter in memory.
type cluster struct {
	t     testing.TB
	tree  *memory.Tree
	nodes []*member
	level persist.Sync
}

// member is one node of a cluster, which may be started and ended many times.
type member struct {
	*Rim
	c       *cluster
	no      int
	addr    string
	dir     string
	fs      persist.FS // nil: the machine's
	reserve int64      // 0: none
	e       *memory.Elector
	mu      sync.Mutex
	store   *persist.Store // while it serves
	epochs  []uint64       // that it served
}

func (m *member) Serve(s *persist.Store, epoch uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.store, m.epochs = s, append(m.epochs, epoch)
	return nil
}

func (m *member) Pause(bool) {}

func (m *member) StopServing(string, *ha.Announcement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.store = nil
}

func (m *member) serving() *persist.Store {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.store
}

func newCluster(t testing.TB, n int) *cluster {
	c := &cluster{t: t, tree: memory.New(), level: persist.QuorumDisk}
	for i := range n {
		c.nodes = append(c.nodes, &member{c: c, no: i, addr: freeAddr(t), dir: filepath.Join(t.TempDir(), fmt.Sprint(i))})
	}
	t.Cleanup(func() {
		for _, m := range c.nodes {
			m.abandon()
		}
	})
	return c
}

func randomNumber() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

func randomID() persist.ID {
	id, _ := persist.NewID(rand.Reader) // never fails
	return id
}

func (m *member) start() {
	m.c.t.Helper()
	m.e = m.c.tree.Join()
	r, err := Start(m.c.t.Context(), Options{
		Store: persist.Options{Dir: m.dir, FS: m.fs, Sync: m.c.level, LogSize: 1 << 20, ReserveBytes: cmp.Or(m.reserve, -1), MemoryBytes: 16 << 20},
		Node: ha.Options{Replicas: len(m.c.nodes), Addr: m.addr, Weight: 1, Sync: m.c.level, Incarnation: randomNumber(), NewID: randomID,
			NewNonce: randomNumber, Timing: ha.DefaultTiming()},
		Elector: m.e, Roles: m, Bind: m.addr, Token: "secret",
		Tell: func(l ha.Level, s string) { m.c.t.Logf("%s node %d: %s", time.Now().Format("05.000"), m.no, s) },
	})
	if err != nil {
		m.c.t.Fatal(err)
	}
	m.Rim = r
}

func (c *cluster) start() {
	for _, m := range c.nodes {
		m.start()
	}
}

// abandon ends a node as if its process had been killed, as far as the others can see: sockets and session just go.
func (m *member) abandon() {
	if m.Rim == nil {
		return
	}
	m.mu.Lock()
	m.store = nil
	m.mu.Unlock()
	m.e.Kill()
	m.end(Exit{Code: 9, Reason: "killed"})
	m.Rim = nil
}

// until waits for something to become so.
func (c *cluster) until(what string, so func() bool) {
	c.t.Helper()
	for start := time.Now(); !so(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 2*patience {
			for _, m := range c.nodes {
				if m.Rim != nil {
					c.t.Logf("node %d: %s", m.no, m.describe())
				}
			}
			c.t.Fatal("never came: " + what)
		}
	}
}

// allVote waits until every node has caught up once: before that it is no part of a quorum.
func (c *cluster) allVote() {
	c.t.Helper()
	c.until("all to vote", func() bool {
		for _, m := range c.nodes {
			if !m.Status().Voter {
				return false
			}
		}
		return true
	})
}

func (m *member) describe() string {
	text := fmt.Sprintf("%+v, ended: %+v,", m.Status(), m.Exit())
	if s := m.Store(); s != nil {
		text += fmt.Sprintf(" start %d, committed %d, synced %d, received %d, confirmed %d", s.Start(), s.Committed(), s.Synced(), s.Received(), s.Confirmed())
	}
	return text
}

// master waits until a node serves.
func (c *cluster) master() (m *member) {
	c.t.Helper()
	c.until("a master", func() bool {
		for _, x := range c.nodes {
			if x.Rim != nil && x.serving() != nil {
				m = x
			}
		}
		return m != nil
	})
	return m
}

// send appends and waits for confirmations.
func (m *member) send(from, to int) {
	m.c.t.Helper()
	s := m.serving()
	var u persist.Unit
	var end persist.Pos
	for i := from; i < to; i++ {
		u.Reset()
		u.Enqueue(u.Message([]byte(fmt.Sprint(i)), nil, bytes.Repeat([]byte{'x'}, 100)), []persist.Target{{Queue: 1, Seq: persist.MakeSeq(4, uint64(i+1))}}, 0, 0)
		var err error
		if _, end, err = s.Append(&u); err != nil {
			m.c.t.Fatal(err)
		}
	}
	await(s, end)
}

// holds says that a store has these messages, committed.
func (c *cluster) holds(s *persist.Store, n int) {
	c.t.Helper()
	if d := s.Queue(1).Depth; d != uint64(n) {
		c.t.Fatalf("%d messages, want %d", d, n)
	}
}

// same waits until all nodes that run hold the same log, applied, and compares files and indexes.
func (c *cluster) same() {
	c.t.Helper()
	m := c.master()
	end := m.Store().Received()
	for _, x := range c.nodes {
		if x.Rim != nil {
			c.until("equal logs", func() bool { s := x.Store(); return s != nil && s.Committed() >= end && s.Synced() >= end })
			c.sameFiles(m, x)
		}
	}
}

func (c *cluster) sameFiles(a, b *member) {
	c.t.Helper()
	names, err := filepath.Glob(filepath.Join(a.dir, "*.log"))
	if err != nil || len(names) == 0 {
		c.t.Fatal(names, err)
	}
	for _, name := range names {
		x, errX := os.ReadFile(name)
		y, errY := os.ReadFile(filepath.Join(b.dir, filepath.Base(name)))
		if errX != nil || errY != nil || !bytes.Equal(bytes.TrimRight(x, "\x00"), bytes.TrimRight(y, "\x00")) {
			c.t.Fatalf("%s of nodes %d and %d differ: %v %v", filepath.Base(name), a.no, b.no, errX, errY)
		}
	}
}

func TestThreeNodes(t *testing.T) {
	c := newCluster(t, 3)
	c.start()
	first := c.master()
	first.send(0, 1000)
	c.same()
	first.abandon()
	start := time.Now()
	second := c.master()
	t.Logf("a new master serves after %v", time.Since(start))
	if second == first {
		t.Fatal("the dead lead")
	}
	c.holds(second.serving(), 1000)
	second.send(1000, 2000)
	first.start()
	c.until("the first to follow again", func() bool { return first.Status().Role == ha.RoleReplica })
	second.send(2000, 2100)
	c.same()
}

func TestABlankReplicaCatchesUp(t *testing.T) {
	c := newCluster(t, 3)
	c.nodes[0].start()
	c.nodes[1].start()
	m := c.master()
	for i := range 20 {
		m.send(i*1000, (i+1)*1000) // several segments
	}
	c.nodes[2].start()
	c.until("the third to vote", func() bool { return c.nodes[2].Status().Voter })
	c.same()
	m.abandon()
	c.holds(c.master().serving(), 20000)
}

func TestAllAreKilledAndComeBack(t *testing.T) {
	c := newCluster(t, 3)
	c.start()
	c.master().send(0, 500)
	c.allVote()
	for _, m := range c.nodes {
		m.abandon()
	}
	c.nodes[1].start()
	c.nodes[2].start()
	c.holds(c.master().serving(), 500)
}

func TestHandingOver(t *testing.T) {
	c := newCluster(t, 3)
	c.start()
	first := c.master()
	first.send(0, 100)
	c.same()
	var to *member
	for _, m := range c.nodes {
		if m != first {
			to = m
		}
	}
	c.until("both replicas to follow", func() bool {
		n := 0
		for _, p := range first.Status().Peers {
			if p.Attached {
				n++
			}
		}
		return n == 2
	})
	first.Promote(to.Status().NodeID)
	c.until("the other to serve", func() bool { return to.serving() != nil })
	c.holds(to.serving(), 100)
	c.until("the first to follow", func() bool { return first.Status().Role == ha.RoleReplica })
	to.send(100, 200)
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- stopGently(to.Rim) }()
	var next *member
	c.until("a third master", func() bool {
		for _, m := range c.nodes {
			if m != to && m.serving() != nil {
				next = m
			}
		}
		return next != nil
	})
	t.Logf("after a stop another serves in %v", time.Since(start))
	if err := <-done; err != nil {
		t.Error(err)
	}
	to.Rim = nil
	c.holds(next.serving(), 200)
}

// TestTheLogSaysWhatOperatorsKnow: the lines that an operator of ActiveMQ's replicated store looks for.
func TestTheLogSaysWhatOperatorsKnow(t *testing.T) {
	var mu sync.Mutex
	var all strings.Builder
	c := newCluster(t, 3)
	c.t = teeing{t, func(s string) { mu.Lock(); defer mu.Unlock(); all.WriteString(s + "\n") }}
	c.start()
	c.master().send(0, 10)
	c.same()
	for _, line := range []string{"Master started", "Attaching to master", "Attached", "Replica started", "Replica has connected",
		" files", "Not enough cluster members connected to elect a master"} {
		c.until(line, func() bool { mu.Lock(); defer mu.Unlock(); return strings.Contains(all.String(), line) })
	}
}

type teeing struct {
	testing.TB
	also func(string)
}

func (t teeing) Logf(format string, args ...any) {
	t.TB.Logf(format, args...)
	t.also(fmt.Sprintf(format, args...))
}

// purge empties the queue.
func (m *member) purge() {
	m.c.t.Helper()
	s := m.serving()
	var u persist.Unit
	u.Purge(1, s.Queue(1).Tails, false)
	_, end, err := s.Append(&u)
	if err != nil {
		m.c.t.Fatal(err)
	}
	await(s, end)
}

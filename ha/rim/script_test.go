package rim

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/memory"
	"github.com/havenmq/havenmq/ha/wire"
	"github.com/havenmq/havenmq/persist"
)

func TestMain(m *testing.M) {
	// LevelDB's pool lives for a second after its Close.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"))
}

// patience bounds what a test waits for; nothing waits so long unless the test fails.
const patience = 10 * time.Second

// script is a machine that does what a test says and keeps what it is told.
type script struct {
	events chan ha.Event // all but Tick, Seen and Applied
	next   []ha.Action   // guarded by Rim.mu
	answer func(e ha.Event) []ha.Action
	wake   time.Duration
}

func (s *script) Wake() time.Duration            { return s.wake }
func (s *script) Emergency() ha.Emergency        { return ha.Emergency{Recover: "it leads"} }
func (s *script) Status(time.Duration) ha.Status { return ha.Status{} }

func (s *script) Step(_ time.Duration, e ha.Event) []ha.Action {
	out := s.next
	s.next = nil
	switch e.(type) {
	case ha.Tick, ha.Seen, ha.Applied:
		return out
	}
	s.events <- e
	if s.answer != nil {
		out = append(out, s.answer(e)...)
	}
	return out
}

// node is a rim with a script.
type node struct {
	*Rim
	t     *testing.T
	s     *script
	roles *calls
	bind  string
}

// calls notes what Roles was asked.
type calls struct {
	mu   sync.Mutex
	list []string
	fail error
}

func (c *calls) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, fmt.Sprintf(format, args...))
}

func (c *calls) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.list...)
}

func (c *calls) Serve(_ *persist.Store, epoch uint64) error {
	c.note("serve %d", epoch)
	return c.fail
}
func (c *calls) Pause(on bool) { c.note("pause %v", on) }
func (c *calls) StopServing(reason string, _ *ha.Announcement) {
	c.note("stop: %s", reason)
}

// begin starts a node; it has ended, with everything it opened, when the test is over.
func begin(t *testing.T, change func(*Options)) *node {
	t.Helper()
	n := &node{t: t, s: &script{events: make(chan ha.Event, 1000), wake: never}, roles: &calls{}, bind: freeAddr(t)}
	o := Options{Store: persist.Options{Dir: filepath.Join(t.TempDir(), "store"), LogSize: 1 << 20, ReserveBytes: -1}, Node: ha.Options{Replicas: 3, Sync: persist.QuorumDisk},
		Elector: memory.New().Join(), Roles: n.roles, Bind: n.bind, Tell: func(_ ha.Level, s string) { t.Log(s) },
		machine: func(ha.Options, ha.Boot) machine { return n.s }}
	if change != nil {
		change(&o)
	}
	r, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	n.Rim = r
	t.Cleanup(func() { r.end(Exit{Reason: "the test is over"}) })
	return n
}

// do has the machine ask for actions.
func (n *node) do(a ...ha.Action) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.s.next = a
	n.stepLocked(ha.Tick{})
}

// answer has the machine answer events.
func (n *node) answer(f func(e ha.Event) []ha.Action) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.s.answer = f
}

// want waits for an event of type E.
func want[E ha.Event](n *node) E {
	n.t.Helper()
	select {
	case e := <-n.s.events:
		w, ok := e.(E)
		if !ok {
			n.t.Fatalf("got %#v, want a %T", e, w)
		}
		return w
	case <-time.After(patience):
		var w E
		n.t.Fatalf("no %T came", w)
		return w
	}
}

// next is want for those before whom the store may speak once more of what it holds.
func next[E ha.Event](n *node) E {
	n.t.Helper()
	for {
		select {
		case e := <-n.s.events:
			switch e := e.(type) {
			case E:
				return e
			case ha.Advanced:
			default:
				var w E
				n.t.Fatalf("got %#v, want a %T", e, w)
			}
		case <-time.After(patience):
			var w E
			n.t.Fatalf("no %T came", w)
		}
	}
}

// quiet says that no event has come.
func (n *node) quiet() {
	n.t.Helper()
	select {
	case e := <-n.s.events:
		n.t.Fatalf("got %#v", e)
	default:
	}
}

// call connects to a node's replication port as a peer, once it listens.
func (n *node) call() *wire.Conn {
	n.t.Helper()
	for start := time.Now(); ; {
		c, err := wire.Dial(n.t.Context(), n.bind, wire.Options{})
		if err == nil {
			n.t.Cleanup(func() { _ = c.Close() })
			return c
		}
		if time.Since(start) > patience {
			n.t.Fatal(err)
		}
	}
}

func say(t *testing.T, c *wire.Conn, f ha.Frame) {
	t.Helper()
	if err := c.Write(wire.Put(nil, f)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c *wire.Conn) ha.Frame {
	t.Helper()
	var m wire.Message
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if err := c.Read(&m, func(n int) []byte { return make([]byte, n) }); err != nil {
		t.Fatal(err)
	}
	return m.Frame()
}

// closed waits until the other end has closed c.
func closed(t *testing.T, c *wire.Conn) {
	t.Helper()
	var m wire.Message
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for {
		err := c.Read(&m, func(n int) []byte { return make([]byte, n) })
		if err == nil {
			continue
		}
		if time.Until(time.Now().Add(patience)) <= 0 {
			t.Fatal(err)
		}
		return
	}
}

func stopNode(t *testing.T, r *Rim, force bool) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.Stop(ctx, force)
}

func stopGently(r *Rim) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.Stop(ctx, false)
}

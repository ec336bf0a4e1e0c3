package persist

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// gateFS lets a sync of a log's file pass only when the test says so. closed gates hold everything.
type gateFS struct {
	FS
	gate    chan struct{} // one value lets one sync pass; closing it lets all pass
	waiting chan struct{} // a value a sync that waits
	armed   chan struct{} // closed: syncs ask at the gate
}

func newGateFS() *gateFS {
	return &gateFS{FS: NewMemFS(), gate: make(chan struct{}), waiting: make(chan struct{}, 1000), armed: make(chan struct{})}
}

func (g *gateFS) Create(name string) (File, error) {
	f, err := g.FS.Create(name)
	if err == nil && strings.Contains(name, "next") {
		f = &gateFile{f, g}
	}
	return f, err
}

type gateFile struct {
	File
	g *gateFS
}

func (f *gateFile) Sync() error {
	select {
	case <-f.g.armed:
		f.g.waiting <- struct{}{}
		<-f.g.gate
	default:
	}
	return f.File.Sync()
}

// While one sync is under way everything else gathers for the next.
func TestGroupCommit(t *testing.T) {
	g, disk := newGateFS(), &fakeDisk{}
	o := testOptions(g, disk)
	o.LogSize = 1 << 20
	s := openTest(t, o, disk).lead()
	close(g.armed)
	_, first := s.send("first", 10)
	<-g.waiting
	before := s.Stats()
	var wg sync.WaitGroup
	const appenders, each = 50, 20
	for i := range appenders {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for k := range each {
				s.send(fmt.Sprint(i, "-", k), 10)
			}
		}()
	}
	wg.Wait()
	if s.Confirmed() >= first {
		t.Error("confirmed before it was synced")
	}
	close(g.gate)
	s.confirm(s.end())
	after := s.Stats()
	if n := after.Syncs - before.Syncs; n != 2 {
		t.Errorf("%d syncs for %d messages", n, 1+appenders*each)
	}
	if n := after.Units - before.Units; n != appenders*each {
		t.Errorf("%d units", n)
	}
	s.close()
}

// Messages are read from memory while they are not written, and from the file later.
func TestReadsOfTheTail(t *testing.T) {
	g, disk := newGateFS(), &fakeDisk{}
	s := openTest(t, testOptions(g, disk), disk).lead()
	close(g.armed)
	s.send("first", 10)
	<-g.waiting
	p, end := s.send("second", 300)
	check := func() {
		t.Helper()
		if id, header, body, err := s.Message(p); err != nil || string(id) != "second" || string(header) != "h" || len(body) != 300 {
			t.Errorf("%q %q %d bytes, %v", id, header, len(body), err)
		}
	}
	if Pos(s.received.Load()) > p {
		t.Fatal("it was written")
	}
	check()
	for _, p := range []Pos{end + 100, end - 1} {
		if _, _, _, err := s.Message(p); err == nil {
			t.Errorf("a message where none is, at %d", p)
		}
	}
	close(g.gate)
	s.confirm(end)
	check()
	s.close()
}

// orderWaiter notes when it was called and what counted then.
type orderWaiter struct {
	s    *Store
	n    int
	log  *[]string // the store's goroutine alone writes it
	done chan struct{}
}

func (w *orderWaiter) Advanced() {
	*w.log = append(*w.log, fmt.Sprintf("%d at %d", w.n, w.s.Confirmed()))
	if w.done != nil {
		close(w.done)
	}
}

func TestWaitersAreToldInOrder(t *testing.T) {
	g, disk := newGateFS(), &fakeDisk{}
	s := openTest(t, testOptions(g, disk), disk).lead()
	close(g.armed)
	s.send("first", 10)
	<-g.waiting
	_, a := s.send("a", 10)
	_, b := s.send("b", 10)
	var log []string
	done := make(chan struct{})
	for i, p := range []Pos{b, a, a, b} {
		w := &orderWaiter{s: s.Store, n: i, log: &log}
		if i == 3 {
			w.done = done
		}
		s.Await(p, w)
	}
	s.Await(b+1000, &orderWaiter{s: s.Store, n: 4, log: &log})
	if len(log) != 0 {
		t.Errorf("told from within Await: %v", log)
	}
	close(g.gate)
	<-done
	want := []string{}
	for i := range 4 {
		want = append(want, fmt.Sprintf("%d at %d", i, b))
	}
	if !slices.Equal(log, want) {
		t.Errorf("%v, want %v", log, want)
	}
	again := make(chan struct{})
	var late []string
	s.Await(a, &orderWaiter{s: s.Store, n: 9, log: &late, done: again})
	<-again // what is reached already is told too
	s.close()
	if len(log) != 4 {
		t.Errorf("told of a position that was not reached, or twice: %v", log)
	}
}

// What counts is applied by the time that it shows, and a waiter may append.
func TestAdvancedSeesWhatIsApplied(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	s := openTest(t, testOptions(fs, disk), disk).lead()
	w := &chainWaiter{s: s, left: 300, done: make(chan error, 1)}
	w.next()
	if err := <-w.done; err != nil {
		t.Error(err)
	}
	s.close()
}

// chainWaiter sends a message each time that the one before is confirmed.
type chainWaiter struct {
	s    *testStore
	left int
	sent int
	end  Pos
	done chan error
}

func (w *chainWaiter) next() {
	_, w.end = w.s.send(fmt.Sprint("c", w.sent), 500)
	w.sent++
	w.s.Await(w.end, w)
}

func (w *chainWaiter) Advanced() {
	if got := len(w.s.fake().messages()); got != w.sent || w.s.Committed() < w.end || w.s.Confirmed() < w.end {
		w.done <- fmt.Errorf("%d of %d applied, committed %d, confirmed %d of %d", got, w.sent, w.s.Committed(), w.s.Confirmed(), w.end)
		return
	}
	if w.sent == w.left {
		w.done <- nil
		return
	}
	w.next()
}

// What was accepted before Close is in the log, and nothing else is.
func TestCloseWhileAppending(t *testing.T) {
	for round := range 20 {
		fs, disk := NewMemFS(), &fakeDisk{}
		o := testOptions(fs, disk)
		o.Sync = []Sync{QuorumDisk, LocalMem}[round%2]
		s := openTest(t, o, disk).lead()
		var mu sync.Mutex
		accepted := map[string]bool{}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for k := 0; ; k++ {
					id := fmt.Sprint(i, "-", k)
					if _, err := s.try(id, 100); err != nil {
						if !errors.Is(err, ErrClosed) {
							t.Error(err)
						}
						return
					}
					mu.Lock()
					accepted[id] = true
					mu.Unlock()
				}
			}()
		}
		for range round {
			s.confirm(s.end())
		}
		s.close()
		wg.Wait()
		if err := s.Close(); !errors.Is(err, ErrClosed) {
			t.Errorf("closed twice: %v", err)
		}
		s = openTest(t, o, disk)
		if r := s.Recovery(); r.Committed != r.End || r.CutBytes != 0 {
			t.Errorf("%+v", r)
		}
		for _, id := range s.fake().messages() {
			if !accepted[id] {
				t.Errorf("%s is in the log and was refused, or is there twice", id)
			}
			delete(accepted, id)
		}
		if len(accepted) != 0 {
			t.Errorf("%d accepted messages are gone", len(accepted))
		}
		s.close()
	}
}

// A unit larger than a segment has a segment of its own.
func TestLargeUnits(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	o := testOptions(fs, disk)
	s := openTest(t, o, disk).lead()
	sizes := []int{10, 5 * MinLogSize, 10, 3 * MinLogSize, 2 * MinLogSize, 10}
	var at []Pos
	for i, n := range sizes {
		p, end := s.send(fmt.Sprint("m", i), n)
		at = append(at, p)
		if i%2 == 0 {
			s.confirm(end)
		}
	}
	s.confirm(s.end())
	check := func() {
		t.Helper()
		for i, p := range at {
			if id, _, body, err := s.Message(p); err != nil || string(id) != fmt.Sprint("m", i) || len(body) != sizes[i] {
				t.Errorf("message %d: %q, %d bytes, %v", i, id, len(body), err)
			}
		}
	}
	check()
	for _, g := range s.segs.list {
		if inside := g.end != maxPos && int64(g.end-g.first) > MinLogSize-segmentHeaderBytes; inside {
			n := 0
			for _, p := range at {
				if p >= g.first && p < g.end {
					n++
				}
			}
			if n != 1 {
				t.Errorf("the segment at %d is larger than logSize and holds %d messages", g.first, n)
			}
		}
	}
	s.close()
	s = openTest(t, o, &fakeDisk{})
	check()
	s.close()
	var u Unit
	u.Put(TableSettings, make([]byte, MaxKeyBytes+1), nil)
	if _, _, err := s.Append(&u); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	s := openTest(t, testOptions(fs, disk), disk)
	if _, err := s.Lead(0); err == nil {
		t.Error("epoch 0 was led")
	}
	if err := s.UpdateMeta(func(m *Meta) { m.Promised, m.CommitHint, m.Voter, m.MasterAddr = 5, 99, true, "tcp://a:1" }); err != nil {
		t.Fatal(err)
	}
	if m := s.Meta(); m.CommitHint == 99 || m.Promised != 5 || !m.Voter || m.MasterAddr != "tcp://a:1" {
		t.Errorf("%+v", m)
	}
	if err := s.UpdateMeta(func(m *Meta) { m.Config = make([]byte, MaxMetaConfig+1) }); err == nil {
		t.Error("a config that is too large was taken")
	}
	if _, err := s.Lead(4); err == nil {
		t.Error("an epoch below the promise was led")
	}
	if _, err := s.Lead(5); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lead(6); err == nil {
		t.Error("led twice")
	}
	var u Unit
	if base, end, err := s.Append(&u); err != nil || base != end || end != s.end() {
		t.Errorf("an empty unit: %d %d %v", base, end, err)
	}
	u.Settle(0, nil)
	if _, _, err := s.Append(&u); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	u.Reset()
	u.Put(TableSettings, make([]byte, MaxKeyBytes+1), nil)
	if _, _, err := s.Append(&u); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := Open(s.o); err == nil {
		t.Error("opened twice")
	}
	if _, err := Open(Options{}); err == nil {
		t.Error("opened without a directory")
	}
	s.close()
	if _, err := s.Lead(7); !errors.Is(err, ErrClosed) {
		t.Errorf("led after Close: %v", err)
	}
}

package persist

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func opNames(seen *[]string) func(op *Op) {
	return func(op *Op) {
		if op.Code == CodeMessage {
			*seen = append(*seen, string(op.ID))
		}
	}
}

func trimUnit() *Unit {
	u := &Unit{}
	u.Trim(0)
	return u
}

// The relocator sees what was appended since it began to look at the index, applied meanwhile or not.
func TestAppendAgainst(t *testing.T) {
	g, disk := newGateFS(), &fakeDisk{}
	o := testOptions(g, disk)
	s := openTest(t, o, disk)
	if _, _, err := s.appendAgainst(nil, trimUnit); !errors.Is(err, ErrClosed) {
		t.Errorf("before Lead: %v", err)
	}
	s.lead()
	_, end := s.send("before", 10)
	s.confirm(end)
	if from := s.holdTail(); from > end {
		t.Errorf("held from %d, appended to %d", from, end)
	}
	_, end = s.send("applied meanwhile", 10)
	s.confirm(end)
	close(g.armed)
	s.send("being written", 10)
	<-g.waiting
	_, end = s.send("waiting", 10)
	var seen []string
	base, after, err := s.appendAgainst(opNames(&seen), trimUnit)
	if err != nil || base <= end || after <= base || after != s.end() {
		t.Errorf("appended at %d to %d behind %d: %v", base, after, end, err)
	}
	if want := []string{"applied meanwhile", "being written", "waiting"}; !slices.Equal(seen, want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
	seen = nil
	if base, after, err := s.appendAgainst(opNames(&seen), func() *Unit { return &Unit{} }); err != nil || base != after || len(seen) != 3 {
		t.Errorf("nothing appended: %d %d %v, saw %v", base, after, err, seen)
	}
	s.releaseTail()
	close(g.gate)
	s.confirm(s.end())
	s.mu.Lock()
	kept := len(s.tail)
	s.mu.Unlock()
	if kept != 0 {
		t.Errorf("%d batches are kept for nobody", kept)
	}
	s.close()
}

// What was recovered and is not applied yet was never in memory: there is nothing to decide against.
func TestAppendAgainstARecoveredTail(t *testing.T) {
	w := writeLog(t, 5, 100, func(o *Options) { o.Progress = stuck{200} })
	w.forget(t)
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	ts := (&testStore{s, t, w.o, w.disk}).lead()
	s.holdTail()
	if _, _, err := s.appendAgainst(func(*Op) {}, trimUnit); !errors.Is(err, errTailMoved) || !passing(err) {
		t.Errorf("%v", err)
	}
	s.releaseTail()
	s.Advance(ts.end(), ts.end()) // another node has it all
	ts.await(ts.end())
	if n := len(ts.fake().messages()); n != 5 {
		t.Errorf("%d applied", n)
	}
	s.holdTail()
	if _, _, err := s.appendAgainst(func(*Op) {}, trimUnit); err != nil {
		t.Errorf("%v", err)
	}
	s.releaseTail()
	s.Close()
}

// Confirmations may run ahead of the commit at local and remote levels; what shows is what is committed.
func TestConfirmAheadOfCommit(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	o := testOptions(fs, disk)
	o.Progress = stuck{0}
	s := openTest(t, o, disk).lead()
	_, end := s.send("m", 10)
	s.confirm(end)
	if s.Committed() != 0 || len(s.fake().messages()) != 0 || s.Usage().UncommittedSize != uint64(end) {
		t.Errorf("committed %d: %+v", s.Committed(), s.Usage())
	}
	s.Advance(end, 0)
	s.await(end)
	s.Advance(1, 1)
	if s.Committed() != end || s.Confirmed() != end {
		t.Errorf("went back to %d, %d", s.Committed(), s.Confirmed())
	}
	s.close()
}

func TestScanSegment(t *testing.T) {
	w := writeLog(t, 40, 600)
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first, end, sealed := s.head()
	if first != 0 || !sealed || end == 0 {
		t.Errorf("head %d to %d, sealed %v", first, end, sealed)
	}
	var seen []string
	n := 0
	for _, g := range s.segs.list {
		if _, err := s.scanSegment(g.first, g.first, func(op *Op) bool { opNames(&seen)(op); n++; return true }); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 40 || seen[39] != "m39" || n != 81 {
		t.Errorf("%d operations, messages %v", n, seen)
	}
	n = 0
	if _, err := s.scanSegment(0, 0, func(*Op) bool { n++; return n < 3 }); err != nil || n != 3 {
		t.Errorf("stopped after %d: %v", n, err)
	}
	if _, err := s.scanSegment(w.end+1<<30, 0, nil); err == nil {
		t.Error("a segment that is none")
	}
	w.patchAt(t, w.base[2]+70, flip)
	var damage *DamageError
	_, err = s.scanSegment(0, 0, func(*Op) bool { return true })
	if !errors.As(err, &damage) || damage.Pos != w.base[2] || damage.File != "d/"+segmentName(0) {
		t.Errorf("%v", err)
	}
}

func TestDropSegments(t *testing.T) {
	w := writeLog(t, 60, 600)
	segs := w.segments(t)
	o := w.o
	o.FS = w.fs.Kill()
	s := openTest(t, o, w.disk).lead()
	second, _ := parseSegmentName(segs[1][2:])
	g, f, err := s.segs.pin(0) // somebody reads in the first one all the while
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Pos{second + 1, s.end(), 1 << 40} {
		if err := s.dropSegmentsBelow(p); err == nil {
			t.Errorf("dropped below %d, where no synced segment starts", p)
		}
	}
	if err := errors.Join(s.dropSegmentsBelow(0), s.dropSegmentsBelow(second), s.dropSegmentsBelow(second)); err != nil {
		t.Fatal(err)
	}
	if s.logStart() != second || s.Meta().LogStart != second || s.Usage().LogStart != second {
		t.Errorf("log_start %d", s.logStart())
	}
	if _, err := f.ReadAt(make([]byte, 10), 0); err != nil {
		t.Errorf("a reader lost its file: %v", err)
	}
	s.segs.unpin(g)
	if _, err := f.ReadAt(make([]byte, 10), 0); err == nil {
		t.Error("the file was left open")
	}
	if _, _, _, err := s.Message(w.base[1] + 58); !errors.Is(err, ErrNotFound) {
		t.Errorf("a message that was trimmed away: %v", err)
	}
	if names, _ := s.fs.List("d"); slices.Contains(names, segs[0][2:]) {
		t.Error("the file is still there")
	}
	s.close()
	s = openTest(t, o, w.disk)
	if s.logStart() != second || s.Recovery().Blank {
		t.Errorf("reopened at %d", s.logStart())
	}
	s.close()
}

// However many segments there are, few are open.
func TestFewFilesAreOpen(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	o := testOptions(fs, disk)
	s := openTest(t, o, disk).lead()
	var at []Pos
	for i := range 3 * maxOpenSegments {
		p, end := s.send(fmt.Sprint("m", i), MinLogSize)
		s.confirm(end)
		at = append(at, p)
	}
	check := func() {
		t.Helper()
		for i, p := range at {
			if id, _, _, err := s.Message(p); err != nil || string(id) != fmt.Sprint("m", i) {
				t.Fatal(id, err)
			}
		}
		s.segs.mu.Lock()
		defer s.segs.mu.Unlock()
		open := 0
		for _, g := range s.segs.list {
			if g.file != nil {
				open++
			}
		}
		if open != s.segs.open || open > maxOpenSegments {
			t.Errorf("%d files open, %d counted, of %d segments", open, s.segs.open, len(s.segs.list))
		}
	}
	check()
	s.close()
	s = openTest(t, o, disk)
	check()
	s.close()
}

// At *_mem levels bytes count unsynced, and are synced soon.
func TestBackgroundSync(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	o := testOptions(fs, disk)
	o.Sync = QuorumMem
	s := openTest(t, o, disk).lead()
	before := s.Stats().Syncs
	_, end := s.send("m", 10)
	s.confirm(end)
	if !s.Meta().MemAcked {
		t.Error("meta does not say that unsynced bytes count")
	}
	for deadline := time.Now().Add(20 * time.Second); s.syncedEnd() < end; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never synced")
		}
	}
	if s.Stats().Syncs == before {
		t.Error("not counted")
	}
	s.close()
	if s.meta.get().MemAcked {
		t.Error("a clean stop left mem_acked")
	}
}

func TestQueriesReachTheIndex(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	s := openTest(t, testOptions(fs, disk), disk)
	defer s.close()
	entries, err := s.Entries(1, 0, 10, nil)
	entry, ok, err2 := s.Entry(1, 1)
	value, ok2, err3 := s.Get(TableSettings, []byte("k"))
	rows := 0
	err4 := s.Scan(TableSettings, []byte("p"), func(key, _ []byte) bool { rows += len(key); return true })
	if err := errors.Join(err, err2, err3, err4); err != nil || !ok || !ok2 || rows != 1 || len(entries) != 1 || entry.Attempts != 2 ||
		string(value) != "k" || s.Queue(1).Depth != 7 {
		t.Errorf("%v %v %v %v %d %v", entries, entry, value, s.Queue(1), rows, err)
	}
	if u := s.Usage(); u.LiveBytes != 1 || u.DiskBytes < 2 {
		t.Errorf("%+v", u)
	}
}

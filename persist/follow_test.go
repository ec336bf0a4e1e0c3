package persist

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// ship sends follower what it lacks of master's log, in frames of most bytes, and syncs.
func ship(t interface{ Fatal(...any) }, master, follower *Store, most int) {
	for follower.Received() < master.Received() {
		b, err := master.ReadBatches(follower.Received(), most, []byte("head"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := follower.Write(follower.Received(), b[4:]); err != nil {
			t.Fatal(err)
		}
	}
	if err := follower.Sync(); err != nil {
		t.Fatal(err)
	}
}

// sameFiles says whether two stores' segments are the same, but for the zeros behind their ends.
func sameFiles(t interface{ Fatal(...any) }, a, b *Store) {
	for _, s := range []*Store{a, b} {
		for _, g := range s.segs.list {
			x, y := fileOf(t, a, g.first), fileOf(t, b, g.first)
			if !bytes.Equal(bytes.TrimRight(x, "\x00"), bytes.TrimRight(y, "\x00")) {
				t.Fatal("segments differ: ", segmentName(g.first))
			}
		}
	}
}

func fileOf(t interface{ Fatal(...any) }, s *Store, first Pos) []byte {
	f, err := s.fs.Open(s.segs.name(first))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err = ignoreEOF(err); err != nil { // it may be cut to size meanwhile
		t.Fatal(err)
	}
	return b[:n]
}

// grow appends n messages, each a batch.
func grow(s *testStore, n, size int) {
	for range n {
		_, end := s.send("m", size)
		s.await(end)
	}
}

func TestAFollowersFilesAreItsMasters(t *testing.T) {
	master := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{}).lead()
	o := testOptions(NewMemFS(), nil)
	o.LogSize = 4 * MinLogSize // its own choice does not matter
	follower := openTest(t, o, &fakeDisk{})
	grow(master, 40, 1500)
	ship(t, master.Store, follower.Store, 4000)
	grow(master, 3, 3*MinLogSize) // batches larger than a segment
	ship(t, master.Store, follower.Store, 1)
	sameFiles(t, master.Store, follower.Store)
	if follower.Synced() != master.Received() || !slices.Equal(follower.History(), master.History()) {
		t.Errorf("synced %d of %d, history %v of %v", follower.Synced(), master.Received(), follower.History(), master.History())
	}
	if follower.Committed() != 0 {
		t.Error("a follower commits nothing by itself")
	}
	follower.Advance(master.Committed(), master.Committed())
	follower.await(master.Received())
	if err := follower.Close(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, o, follower.disk)
	if again.Received() != master.Received() || again.Committed() != master.Received() {
		t.Errorf("after a restart it ends at %d, committed %d", again.Received(), again.Committed())
	}
	again.lead()
	grow(again, 20, 1500) // and leads from there on
	ship(t, again.Store, openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{}).Store, 1<<20)
}

// TestWhoLeadsLetsGoOfWhatItFollowed: a segment that the applier read before is trimmed later, and its room must be free then.
func TestWhoLeadsLetsGoOfWhatItFollowed(t *testing.T) {
	master := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{}).lead()
	grow(master, 5, 100)
	follower := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{})
	ship(t, master.Store, follower.Store, 1<<20)
	follower.Advance(master.Committed(), master.Committed())
	follower.await(master.Received())
	if _, err := follower.Lead(follower.NextEpoch()); err != nil {
		t.Fatal(err)
	}
	grow(follower, 1, 100)
	follower.apply.turn.Lock()
	defer follower.apply.turn.Unlock()
	if g := follower.apply.pinned; g != nil {
		t.Errorf("the segment at %d is still open, and its file would stay when it is trimmed", g.first)
	}
}

// TestACommitThatCameFirst: a master may say what is committed long before a follower holds it.
func TestACommitThatCameFirst(t *testing.T) {
	master := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{}).lead()
	grow(master, 5, 100)
	follower := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{})
	follower.Advance(master.Committed(), master.Committed())
	ship(t, master.Store, follower.Store, 1)
	follower.await(master.Received())
}

func TestWhatDoesNotContinueTheLog(t *testing.T) {
	master := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{}).lead()
	grow(master, 3, 100)
	all, err := master.ReadBatches(0, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{})
	if _, err := stranger.Lead(7); err != nil {
		t.Fatal(err)
	}
	grow(stranger, 1, 101)
	other, err := stranger.ReadBatches(0, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := int(master.History()[0].Start) + batchBytes(all)
	changed := slices.Clone(all)
	changed[len(changed)-1] ^= 1
	f := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{})
	for name, c := range map[string]struct {
		base    Pos
		batches []byte
	}{
		"a hole": {5, all}, "half a header": {0, all[:20]}, "half a batch": {0, all[:first-1]}, "not the first": {0, all[first:]},
	} {
		if _, err := f.Write(c.base, c.batches); !errors.Is(err, ErrMisfit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if end, err := f.Write(0, changed); !errors.Is(err, ErrMisfit) || end == 0 || end >= Pos(len(all)) {
		t.Errorf("what is whole is taken, what is changed is not: %d, %v", end, err)
	}
	g := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{})
	if _, err := g.Write(0, all[:first]); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Write(Pos(first), other[batchBytes(other):]); !errors.Is(err, ErrMisfit) {
		t.Errorf("another log's: %v", err)
	}
	if _, err := g.Write(Pos(first), all[first:]); err != nil {
		t.Errorf("after all that the right ones: %v", err)
	}
	if _, err := master.Write(master.Received(), all); err == nil {
		t.Error("a master took another's batches")
	}
}

// batchBytes is the length of the batch that b begins with.
func batchBytes(b []byte) int {
	h, _ := parseBatchHeader(b, 0)
	return int(h.length)
}

// TestTruncateAnywhere: whatever two masters wrote behind a common beginning, a follower of the one can become one of
// the other, restarts and power losses in between.
func TestTruncateAnywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{}).lead()
		b := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{})
		fs := NewMemFS()
		f := openTest(t, testOptions(fs, nil), &fakeDisk{})
		size := rapid.SampledFrom([]int{10, 3000, 20000})
		grow(a, rapid.IntRange(0, 12).Draw(rt, "common"), size.Draw(rt, "size"))
		ship(rt, a.Store, b.Store, 10000)
		cut := b.Received()
		grow(a, rapid.IntRange(0, 12).Draw(rt, "lost"), size.Draw(rt, "size"))
		ship(rt, a.Store, f.Store, 10000)
		if rapid.Bool().Draw(rt, "hint") {
			f.Advance(cut, cut)
			f.await(cut)
		}
		b.lead()
		grow(b, rapid.IntRange(0, 12).Draw(rt, "kept"), size.Draw(rt, "size"))
		if err := f.Truncate(cut); err != nil {
			rt.Fatal(err)
		}
		if !slices.Equal(f.History(), a.History()) || f.Received() != cut || f.Synced() != cut {
			rt.Fatalf("history %v, ends at %d, synced %d", f.History(), f.Received(), f.Synced())
		}
		if rapid.Bool().Draw(rt, "power loss") {
			fs = fs.Crash(rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)))
			f = openTest(t, testOptions(fs, nil), &fakeDisk{})
			if f.Received() != cut {
				rt.Fatalf("after the power loss the log ends at %d, not %d", f.Received(), cut)
			}
		}
		ship(rt, b.Store, f.Store, 10000)
		sameFiles(rt, b.Store, f.Store)
		if err := f.Close(); err != nil {
			rt.Fatal(err)
		}
		if f = openTest(t, testOptions(fs, nil), f.disk); f.Received() != b.Received() {
			rt.Fatalf("after a restart it ends at %d, not %d", f.Received(), b.Received())
		}
		a.close()
		b.close()
		f.close()
	})
}

func TestWhatIsCommittedIsNotCut(t *testing.T) {
	a := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{}).lead()
	f := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{})
	grow(a, 3, 100)
	ship(t, a.Store, f.Store, 10000)
	f.Advance(f.Received(), f.Received())
	if err := f.Truncate(a.History()[0].Start); err == nil {
		t.Error("what was committed was cut")
	}
	if _, err := f.Write(f.Received(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("the store goes on: %v", err)
	}
}

func TestAFullDiskRefusesTheMastersBatches(t *testing.T) {
	a := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{}).lead()
	grow(a, 30, 1500)
	fs := NewFaultFS(NewMemFS())
	f := openTest(t, testOptions(fs, nil), &fakeDisk{})
	fs.Break(Fault{Op: FaultPreallocate, Pattern: "next.*", Skip: 1, Err: syscall.ENOSPC})
	var full error
	for full == nil && f.Received() < a.Received() {
		b, err := a.ReadBatches(f.Received(), 1<<20, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, full = f.Write(f.Received(), b)
	}
	if !errors.Is(full, ErrFull) {
		t.Fatal(full)
	}
	fs.Heal()
	ship(t, a.Store, f.Store, 1<<20)
	sameFiles(t, a.Store, f.Store)
}

func TestAPinHoldsTheLog(t *testing.T) {
	s := openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{}).lead()
	grow(s, 40, 1500)
	_, second, _ := s.segs.around(0)
	pin, err := s.Pin(10)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.dropSegmentsBelow(second); err != nil || s.Start() != 0 {
		t.Fatalf("the log starts at %d: %v", s.Start(), err)
	}
	pin.Move(second)
	pin.Move(10) // never back
	if err := s.dropSegmentsBelow(second); err != nil || s.Start() != second {
		t.Fatalf("the log starts at %d: %v", s.Start(), err)
	}
	if _, err := s.Pin(second - 1); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.ReadBatches(10, 100, nil); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if h, err := s.SegmentHeader(second); err != nil || len(h) != segmentHeaderBytes {
		t.Error(err)
	}
	if _, err := s.SegmentHeader(second + 1); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	pin.Release()
	pin.Release()
	pin.Move(1)
	if len(s.pins.pins) != 0 {
		t.Error("a pin is left")
	}
}

func TestDamageIsNotShipped(t *testing.T) {
	fs := NewMemFS()
	s := openTest(t, testOptions(fs, nil), &fakeDisk{}).lead()
	grow(s, 3, 100)
	f, err := fs.OpenReadWrite(s.segs.name(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{'x'}, segmentHeaderBytes+int64(s.Received())-3); err != nil {
		t.Fatal(err)
	}
	var damage *DamageError
	if _, err := s.ReadBatches(0, 1<<20, nil); !errors.As(err, &damage) {
		t.Error(err)
	}
}

func TestWrittenIsToldBeforeTheSync(t *testing.T) {
	o := testOptions(NewMemFS(), nil)
	told := make(chan struct{}, 100)
	o.Written = func() { told <- struct{}{} }
	s := openTest(t, o, &fakeDisk{}).lead()
	grow(s, 1, 10)
	<-told // of the epoch's beginning
	<-told
}

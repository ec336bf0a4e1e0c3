package persist

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// steppedLife drives a stepped store through a seed's worth of appends, steps, power losses and restarts.
type steppedLife struct {
	t     *testing.T
	rng   *rand.Rand
	fs    *MemFS
	s     *Store
	no    uint64 // messages sent
	sure  uint64 // of these, so many are synced
	ends  map[uint64]Pos
	trims int
	lost  int
}

func steppedOptions(fs *MemFS, rng *rand.Rand) Options {
	return Options{Dir: "d", FS: fs, LogSize: MinLogSize, ReserveBytes: 8 << 10, BootID: "boot", Stepped: true,
		Now: func() time.Time { return time.UnixMilli(1) }, Random: rngReader{rng}}
}

type rngReader struct{ rng *rand.Rand }

func (r rngReader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.rng.Uint32())
	}
	return len(b), nil
}

var _ io.Reader = rngReader{}

func newSteppedLife(t *testing.T, seed uint64) *steppedLife {
	l := &steppedLife{t: t, rng: rand.New(rand.NewPCG(seed, 7)), fs: NewMemFS(), ends: map[uint64]Pos{}}
	l.open()
	return l
}

func (l *steppedLife) open() {
	l.t.Helper()
	s, err := Open(steppedOptions(l.fs, l.rng))
	if err != nil {
		l.t.Fatal(err)
	}
	if end := l.ends[l.sure]; s.Received() < end {
		l.t.Fatalf("message %d ended at %d and was synced; the log ends at %d", l.sure, end, s.Received())
	}
	if _, err := s.Lead(s.NextEpoch()); err != nil {
		l.t.Fatal(err)
	}
	l.s, l.sure = s, l.no
	l.ends[l.sure] = s.Synced()
}

// step does one thing. A full disk and a tail that moved are answers like others; the power's going is seen to.
func (l *steppedLife) step() {
	var err error
	switch l.rng.IntN(12) {
	case 0, 1, 2, 3:
		var u Unit
		l.no++
		enqueueUnit(&u, 1, l.no, make([]byte, l.rng.IntN(2000)))
		if l.rng.IntN(20) > 0 {
			u.Settle(1, []Range{{MakeSeq(4, l.no), MakeSeq(4, l.no)}})
		}
		var end Pos
		if _, end, err = l.s.Append(&u); err != nil {
			l.no--
			break
		}
		l.ends[l.no] = end
	case 4, 5:
		err = l.s.StepWrite()
	case 6, 7:
		no, all := l.no, !l.s.Unwritten()
		if err = l.s.StepSync(); err == nil && all {
			l.sure = no
		}
	case 8:
		l.s.StepApply()
	case 9:
		err = l.s.StepHint()
	case 10:
		start := l.s.Start()
		if err = l.s.Keep(); l.s.Start() > start {
			l.trims++
		}
	case 11:
		if l.rng.IntN(8) == 0 {
			l.fs.Fuse(1 + l.rng.IntN(6))
		}
	}
	if l.fs.Dead() {
		l.lost++
		l.fs = l.fs.Crash(l.rng)
		l.open()
	} else if err != nil && !passing(err) {
		l.t.Fatal(err)
	}
}

// A stepped store keeps what is synced through power losses in the middle of anything, trims, and starts no goroutine.
func TestSteppedStore(t *testing.T) {
	for seed := range uint64(20) {
		before := runtime.NumGoroutine()
		l := newSteppedLife(t, seed)
		for range 2000 {
			l.step()
		}
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("seed %d: %d goroutines, %d before", seed, n, before)
		}
		if l.trims == 0 || l.lost == 0 {
			t.Errorf("seed %d: %d trims, %d power losses", seed, l.trims, l.lost)
		}
		l.drain()
		sameAsReplay(t, l.s)
		if err := l.s.Close(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// drain writes, syncs and applies all.
func (l *steppedLife) drain() {
	l.t.Helper()
	l.fs.Fuse(0)
	if err := errors.Join(l.s.StepWrite(), l.s.StepSync()); err != nil {
		l.t.Fatal(err)
	}
	l.s.StepApply()
	if l.s.Unwritten() || l.s.Unapplied() || l.s.Committed() != l.s.end() {
		l.t.Fatalf("it is applied up to %d of %d", l.s.Committed(), l.s.end())
	}
}

// The same seed makes the same files, byte for byte.
func TestSteppedStoreIsDeterministic(t *testing.T) {
	var files [2]string
	for i := range files {
		l := newSteppedLife(t, 3)
		for range 3000 {
			l.step()
		}
		names, err := l.fs.List("d")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range append(names, "index/"+tableName) {
			if n := l.fs.names["d/"+name]; n != nil {
				files[i] += fmt.Sprintf("%s %x\n", name, n.data)
			}
		}
	}
	if files[0] != files[1] {
		t.Error("two runs of a seed left different files")
	}
}

// A store with goroutines, and LevelDB, finds in a stepped store's log what that one found.
func TestSteppedLogIsEverybodysLog(t *testing.T) {
	l := newSteppedLife(t, 5)
	for range 3000 {
		l.step()
	}
	l.drain()
	want, err := l.s.IndexHash()
	if err := errors.Join(err, l.s.Close()); err != nil {
		t.Fatal(err)
	}
	o := steppedOptions(l.fs, l.rng)
	o.Stepped = false
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if got, err := s.IndexHash(); err != nil || got != want || !s.Recovery().IndexRebuilt {
		t.Errorf("it says %s, %v; the stepped store said %s", got, err, want)
	}
}

// On a full disk a stepped store says so, and goes on when there is room.
func TestSteppedStoreOnAFullDisk(t *testing.T) {
	l := newSteppedLife(t, 1)
	l.fs.SetRoom(1)
	full := 0
	for range 200 {
		var u Unit
		enqueueUnit(&u, 1, l.no+1, make([]byte, 1000))
		if _, _, err := l.s.Append(&u); errors.Is(err, ErrFull) {
			full++
		} else if err != nil {
			t.Fatal(err)
		} else {
			l.no++
		}
		if err := l.s.StepWrite(); errors.Is(err, ErrFull) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if full == 0 {
		t.Error("200 kB went into a disk without room")
	}
	l.fs.SetRoom(0)
	l.s.StepRoom()
	l.drain()
	if err := l.s.Close(); err != nil {
		t.Error(err)
	}
}

// A full disk is no reason to end a stepped store that begins an epoch: it goes on when there is room.
func TestSteppedLeadOnAFullDisk(t *testing.T) {
	fsys := NewMemFS()
	o := steppedOptions(fsys, rand.New(rand.NewPCG(1, 1)))
	o.ReserveBytes = -1
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	fsys.SetRoom(1)
	if _, err := s.Lead(1); !errors.Is(err, ErrFull) {
		t.Fatalf("Lead says %v", err)
	}
	fsys.SetRoom(0)
	if end, err := s.StepLead(); err != nil || end == 0 {
		t.Fatalf("StepLead says %d, %v", end, err)
	}
	if _, err := s.StepLead(); err == nil {
		t.Error("StepLead begins an epoch twice")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A flipped bit is noticed where it is read, and a copy is not touched by it.
func TestFlipAndCopy(t *testing.T) {
	l := newSteppedLife(t, 2)
	for range 300 {
		l.step()
	}
	l.drain()
	start, end := l.s.Start(), l.s.Received()
	other := l.fs.Copy()
	if !l.fs.Flip(l.s.segs.name(start), segmentHeaderBytes+60, 3) || l.fs.Flip("d/none", 0, 0) {
		t.Fatal("Flip says that it flipped nothing, or what is not there")
	}
	var damage *DamageError
	if _, err := l.s.ReadBatches(start, 1<<20, nil); !errors.As(err, &damage) {
		t.Errorf("reading says %v", err)
	}
	s, err := Open(steppedOptions(other, l.rng))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadBatches(start, 1<<20, nil); err != nil || s.Received() != end {
		t.Errorf("the copy ends at %d, %v", s.Received(), err)
	}
}

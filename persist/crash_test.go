package persist

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// life is one store through many crashes. Messages are numbered; what the log has lost is numbered anew.
type life struct {
	t         *testing.T
	rng       *rand.Rand
	o         Options
	disk      *fakeDisk
	boot      int
	at        []Pos // of each message
	ends      []Pos // of its unit
	confirmed int   // so many are promised
	logStart  Pos
	unclean   bool // a power loss since it was open last may have taken what a *_mem level promised
}

func newLife(t *testing.T, seed uint64, level Sync) *life {
	l := &life{t: t, rng: rand.New(rand.NewPCG(seed, 1)), disk: &fakeDisk{}}
	l.o = testOptions(NewMemFS(), l.disk)
	l.o.Sync = level
	return l
}

// run opens the store, loads it and crashes it, at a random call. false: the crash came before the store was open.
func (l *life) run(powerLoss bool) {
	fs := &tripFS{MemFS: l.o.FS.(*MemFS), kill: !powerLoss, rng: rand.New(rand.NewPCG(l.rng.Uint64(), 2)), left: 1 + l.rng.IntN(120)}
	o := l.o
	o.FS, o.BootID = fs, fmt.Sprint("boot", l.boot)
	o.Fatal = func(error) {}
	s, err := Open(o)
	if err == nil {
		l.verifyOpen(s)
		l.load(&testStore{s, l.t, o, l.disk})
	} else if !fs.tripped() {

		l.t.Fatalf("open: %v", err)
	}
	l.o.FS = fs.next()
	if err == nil {
		s.Close() // reports the crash; what matters is that its goroutines end
		l.note(s)
	}
	if powerLoss {
		l.boot++
		l.unclean = l.unclean || !l.o.Sync.Disk()
	}
}

func (l *life) verifyOpen(s *Store) {
	r := s.Recovery()
	if l.confirmed > 0 && r.End < l.ends[l.confirmed-1] && !l.unclean {
		l.t.Fatalf("the log ends at %d; message %d, which was confirmed, at %d", r.End, l.confirmed-1, l.ends[l.confirmed-1])
	}
	keep := 0
	for keep < len(l.ends) && l.ends[keep] <= r.End {
		keep++
	}
	l.at, l.ends = l.at[:keep], l.ends[:keep]
	l.confirmed, l.unclean = min(l.confirmed, keep), false
}

// load appends until it is done or the power goes, and notes what was confirmed.
func (l *life) load(s *testStore) {
	if _, err := s.Lead(s.NextEpoch()); err != nil {
		return
	}
	l.verifyIndex(s)
	for range l.rng.IntN(60) {
		var u Unit
		size := []int{1, 50, 700, 5000}[l.rng.IntN(4)]
		if l.rng.IntN(40) == 0 {
			size = 3 * MinLogSize
		}
		ref := u.Message([]byte(strconv.Itoa(len(l.at))), nil, make([]byte, size))
		base, end, err := s.Append(&u)
		if err != nil {
			return
		}
		l.at, l.ends = append(l.at, base+Pos(ref)), append(l.ends, end)
		if l.rng.IntN(4) == 0 && !l.wait(s, end) {
			return
		}
		if !l.mix(s) {
			return
		}
	}
}

// mix does what goes on beside appends.
func (l *life) mix(s *testStore) bool {
	switch l.rng.IntN(12) {
	case 0:
		return s.writeHint() == nil
	case 1:
		return s.index.flush() == nil
	case 2:
		return l.trim(s) == nil
	case 3:
		return s.writeHint() == nil && s.index.flush() == nil && l.trim(s) == nil
	}
	return true
}

func (l *life) trim(s *testStore) error {
	l.disk.mu.Lock()
	p := min(l.disk.pos, s.syncedEnd())
	l.disk.mu.Unlock()
	if first, _, ok := s.segs.around(p); ok && first > 0 && first < p {
		return s.dropSegmentsBelow(first)
	}
	return nil
}

// wait until end is confirmed, or the store has failed.
func (l *life) wait(s *testStore, end Pos) bool {
	c := make(chanWaiter, 1)
	for s.Confirmed() < end {
		s.Await(end, c)
		select {
		case <-c:
		case <-s.failed:
			return false
		case <-time.After(20 * time.Second):
			l.t.Fatalf("position %d is never confirmed", end)
		}
	}
	return true
}

// note remembers what the store had promised when it went.
func (l *life) note(s *Store) {
	for l.confirmed < len(l.ends) && l.ends[l.confirmed] <= s.Confirmed() {
		l.confirmed++
	}
	l.logStart = max(l.logStart, s.logStart())
}

// verifyIndex waits until all that the log holds is applied, and looks for what is missing or there twice.
func (l *life) verifyIndex(s *testStore) {
	if !l.wait(s, s.Recovery().End+1) {
		return
	}
	seen := s.fake().messages()
	first := len(l.at) - len(seen)
	for i, id := range seen {
		if id != strconv.Itoa(first+i) {
			l.t.Fatalf("applied message %s where %d belongs; %d are in the log", id, first+i, len(l.at))
		}
	}
	start := s.logStart()
	for i := range max(first, 0) {
		if l.at[i] >= start {
			l.t.Fatalf("message %d at %d was not applied; the log starts at %d", i, l.at[i], start)
		}
	}
	for range min(3, len(l.at)) {
		i := l.rng.IntN(len(l.at))
		id, _, _, err := s.Message(l.at[i])
		switch {
		case l.at[i] < start:
		case err != nil && s.hasFailed():
		case err != nil || string(id) != strconv.Itoa(i):
			if errors.Is(err, errPowerOff) {
				continue
			}
			l.t.Fatalf("message %d at %d: %q, %v", i, l.at[i], id, err)
		}
	}
}

func crashRounds(t *testing.T) int {
	if testing.Short() {
		return 300
	}
	return 2000
}

func TestPowerLossAtDiskLevels(t *testing.T) {
	t.Parallel()
	for seed := range crashRounds(t) / 20 {
		l := newLife(t, uint64(seed), []Sync{QuorumDisk, LocalDisk, LocalMem | QuorumDisk}[seed%3])
		for range 20 {
			l.run(l.rng.IntN(4) != 0)
			if l.rng.IntN(8) == 0 { // the index may be deleted
				*l.disk = fakeDisk{}
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// At *_mem levels a killed process loses nothing; after a power loss the store starts with what is left.
func TestCrashesAtMemLevels(t *testing.T) {
	t.Parallel()
	for seed := range crashRounds(t) / 20 {
		l := newLife(t, uint64(seed), []Sync{QuorumMem, LocalMem}[seed%2])
		for range 20 {
			l.run(l.rng.IntN(3) == 0)
		}
	}
}

package persist

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// modelLife is a store with its model through many crashes.
type modelLife struct {
	t        *testing.T
	m        *model
	o        Options
	boot     int
	promised Pos
	trimmed  bool
	rebuilt  int
}

// run opens the store, works with it, and lets the power go, or the process be killed, at a random call.
func (l *modelLife) run() {
	r := l.m.r
	powerLoss := r.IntN(4) != 0
	fs := &tripFS{MemFS: l.o.FS.(*MemFS), kill: !powerLoss, rng: rand.New(rand.NewPCG(r.Uint64(), 2))}
	early := r.IntN(3) == 0 // perhaps while it opens
	if early {
		fs.arm(1 + r.IntN(60))
	}
	o := l.o
	o.FS, o.BootID = fs, fmt.Sprint("boot", l.boot)
	s, err := Open(o)
	if err != nil && !fs.tripped() {
		l.t.Fatalf("open: %v", err)
	}
	if err == nil {
		l.recovered(s)
		l.work(s, fs, early)
	}
	l.o.FS = fs.next()
	if err == nil {
		_ = s.Close()
		l.promised = max(l.promised, s.Confirmed())
		l.trimmed = l.trimmed || s.logStart() > 0
	}
	if powerLoss {
		l.boot++
	}
	if r.IntN(12) == 0 {
		deleteIndex(l.t, l.o)
	}
}

func (l *modelLife) recovered(s *Store) {
	end := s.Recovery().End
	if end < l.promised {
		l.t.Fatalf("the log ends at %d, and what ended at %d was confirmed", end, l.promised)
	}
	if s.Recovery().IndexRebuilt {
		l.rebuilt++
	}
	l.m.lose(end)
}

// wait is false if the store fails before end is committed.
func (l *modelLife) wait(s *Store, end Pos) bool {
	c := make(chanWaiter, 1)
	for s.Committed() < end {
		s.Await(end, c)
		select {
		case <-c:
		case <-s.failed:
			return false
		case <-time.After(20 * time.Second):
			l.t.Fatalf("position %d is never committed", end)
		}
	}
	return true
}

func (l *modelLife) work(s *Store, fs *tripFS, early bool) {
	barrier, err := s.Lead(s.NextEpoch())
	if err != nil || !l.wait(s, barrier) {
		return
	}
	r := l.m.r
	if !early {
		l.m.check(l.t, s)
		sameAsReplay(l.t, s)
		audit(l.t, s.index.(*Index))
		fs.arm(1 + r.IntN(400))
	}
	for range r.IntN(150) {
		end, err := l.m.unit(s)
		if err != nil || r.IntN(6) == 0 && !l.wait(s, end) {
			return
		}
		switch r.IntN(20) {
		case 0:
			for range idleTicks + 2 {
				if err = s.Keep(); err != nil && !passing(err) || !l.wait(s, s.end()) {
					return
				}
			}
		case 1:
			err = s.index.flush()
		case 2:
			err = s.writeHint()
		case 3:
			err = s.Keep()
		}
		if err != nil && !passing(err) {
			return
		}
	}
}

// Nothing confirmed is lost and nothing settled comes back, whenever the power goes: while the index is written, LevelDB
// compacts, a segment is relocated, trimmed or unlinked, or the store recovers from the time before.
func TestIndexThroughCrashes(t *testing.T) {
	t.Parallel()
	trimmed, rebuilt := 0, 0
	for seed := range crashRounds(t) / 40 {
		l := &modelLife{t: t, m: newModel(uint64(seed)), o: realOptions(NewMemFS())}
		for range 30 {
			l.run()
		}
		if l.trimmed {
			trimmed++
		}
		rebuilt += l.rebuilt
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if trimmed == 0 || rebuilt == 0 {
		t.Errorf("%d logs trimmed, %d indexes built anew", trimmed, rebuilt)
	}
	t.Logf("%d logs trimmed, %d indexes built anew", trimmed, rebuilt)
}

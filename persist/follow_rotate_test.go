package persist

import (
	"errors"
	"math/rand/v2"
	"path"
	"testing"
)

// steppedPeer is a stepped store that follows the one before, up to a position just below a segment's end.
func steppedPeer(t *testing.T, fs *MemFS) *Store {
	t.Helper()
	s, err := Open(steppedOptions(fs, rand.New(rand.NewPCG(1, 1))))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func appendStepped(t *testing.T, s *Store, no uint64, size int) {
	t.Helper()
	var u Unit
	enqueueUnit(&u, 1, no, make([]byte, size))
	_, _, err := s.Append(&u)
	if err := errors.Join(err, s.StepWrite(), s.StepSync()); err != nil {
		t.Fatal(err)
	}
}

// A power loss may leave a follower with a segment that holds no batch yet. Another master's log may go on in the segment
// before: a cut where the log ends takes the empty one away, whenever it was that the power went.
func TestAnEmptySegmentIsNoObstacle(t *testing.T) {
	master, fs := steppedPeer(t, NewMemFS()), NewMemFS()
	if _, err := master.Lead(1); err != nil {
		t.Fatal(err)
	}
	first := steppedPeer(t, fs)
	for no := uint64(1); master.roomEnd.Load() == 0 || master.roomEnd.Load()-uint64(master.Received()) > 1200; no++ {
		appendStepped(t, master, no, 500)
	}
	ship(t, master, first, 1<<20)
	at := first.Received()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	appendStepped(t, master, 1000, 1500) // it takes another segment
	b, err := master.ReadBatches(at, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	second := steppedPeer(t, fs.Copy())
	if _, err := second.Lead(2); err != nil {
		t.Fatal(err)
	}
	other, err := second.ReadBatches(at, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	empty := 0
	for seed := range uint64(200) {
		disk := fs.Copy()
		follower := steppedPeer(t, disk)
		disk.Fuse(1 + int(seed%20))
		_, _ = follower.Write(at, b) // the power goes somewhere in it
		follower = steppedPeer(t, disk.Crash(rand.New(rand.NewPCG(seed, 1))))
		if follower.Received() > at {
			continue
		}
		if follower.segs.last().first == at {
			empty++
		}
		if err := follower.Truncate(at); err != nil {
			t.Fatal(err)
		}
		if _, err := follower.Write(at, other); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := follower.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if empty == 0 {
		t.Error("no power loss left an empty segment")
	}
}

// A stepped store that meets a rotten batch where it is to be cut ends, as any does, and its next start reads all of the log: without
// that it would meet the batch again and again.
func TestASteppedStoreEndsAtDamage(t *testing.T) {
	master, fs := steppedPeer(t, NewMemFS()), NewMemFS()
	if _, err := master.Lead(1); err != nil {
		t.Fatal(err)
	}
	o := steppedOptions(fs, rand.New(rand.NewPCG(1, 1)))
	o.Tolerant = true
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for no := uint64(0); len(master.segs.list) < 2; no++ {
		appendStepped(t, master, no, 500)
	}
	boundary := master.segs.list[1].first
	ship(t, master, s, 1<<20)
	s.Advance(boundary, boundary)
	s.StepApply()
	if err := errors.Join(s.StepHint(), s.index.flush()); err != nil { // so that a start need not read what is committed
		t.Fatal(err)
	}
	rot(t, fs, path.Join("d", segmentName(0)), segmentHeaderBytes+100)
	if err := s.UpdateMeta(func(m *Meta) { m.Voter = true }); err != nil {
		t.Fatal(err)
	}
	var damage *DamageError
	if err := s.Truncate(boundary); !errors.As(err, &damage) {
		t.Fatalf("cut behind a rotten batch: %v", err)
	}
	if err := s.Close(); err == nil {
		t.Error("closed as if nothing had been")
	}
	again, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if again.Recovery().Damage == nil || again.Meta().Voter {
		t.Errorf("the next start found %v, and votes: %t", again.Recovery().Damage, again.Meta().Voter)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

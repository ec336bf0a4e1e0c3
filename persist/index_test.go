package persist

import (
	"bytes"
	"fmt"
	"path"
	"testing"
	"time"
)

// realOptions open a store with its own index.
func realOptions(fs FS) Options {
	return Options{Dir: "d", FS: fs, LogSize: MinLogSize, ReserveBytes: 8 << 10, BootID: "boot", MemoryBytes: 1}
}

func openReal(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	barrier, err := s.Lead(s.NextEpoch())
	if err != nil {
		t.Fatal(err)
	}
	awaitCommit(t, s, barrier)
	return s
}

func awaitCommit(t testing.TB, s *Store, p Pos) {
	t.Helper()
	c := make(chanWaiter, 1)
	for s.Committed() < p {
		s.Await(p, c)
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			t.Fatalf("position %d not committed; %d is", p, s.Committed())
		}
	}
}

// sameAsReplay checks that the index is what the log says.
func sameAsReplay(t testing.TB, s *Store) {
	t.Helper()
	awaitCommit(t, s, s.end())
	live, err := s.IndexHash()
	if err != nil {
		t.Fatal(err)
	}
	replayed, err := s.ReplayHash()
	if err != nil {
		t.Fatal(err)
	}
	if live != replayed {
		t.Fatalf("the index's hash is %s, that of a replay from %d %s", live, s.logStart(), replayed)
	}
}

// deleteIndex removes an index's files, as an operator may while the store is down.
func deleteIndex(t testing.TB, o Options) {
	t.Helper()
	if err := (&levelFiles{fs: o.FS, dir: path.Join(o.Dir, indexName)}).clear(); err != nil {
		t.Fatal(err)
	}
}

// TestIndexAgainstModel runs random operations with random flushes, sweeps, restarts and rebuilds.
func TestIndexAgainstModel(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 15
	}
	trimmed := 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := newModel(seed)
			o := realOptions(NewMemFS())
			s := openReal(t, o)
			defer func() { _ = s.Close() }()
			for range 60 {
				s = m.round(t, s, o)
			}
			if s.logStart() > 0 {
				trimmed++
			}
		})
	}
	if trimmed < int(seeds/2) {
		t.Errorf("only %d of %d logs were ever trimmed", trimmed, seeds)
	}
}

func (m *model) round(t *testing.T, s *Store, o Options) *Store {
	var end Pos
	for range 1 + m.r.IntN(60) {
		var err error
		if end, err = m.unit(s); err != nil {
			t.Fatal(err)
		}
		if m.r.IntN(20) == 0 {
			keepOften(t, s, 1)
		}
	}
	awaitCommit(t, s, end)
	switch m.r.IntN(8) {
	case 0, 1:
		if err := s.index.flush(); err != nil {
			t.Fatal(err)
		}
	case 2, 3:
		keepOften(t, s, 2*idleTicks)
	case 4, 5:
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if m.r.IntN(3) == 0 {
			deleteIndex(t, o)
		}
		s = openReal(t, o)
	}
	if m.r.IntN(5) == 0 {
		m.check(t, s)
		sameAsReplay(t, s)
		audit(t, s.index.(*Index))
		m.check(t, s)
	}
	return s
}

// keepOften does what a while of being idle does.
func keepOften(t testing.TB, s *Store, n int) {
	t.Helper()
	for range n {
		if err := s.Keep(); err != nil && !passing(err) {
			t.Fatal(err)
		}
		awaitCommit(t, s, s.end())
	}
}

// TestSweepBoundsTheLog passes many messages by one that stays.
func TestSweepBoundsTheLog(t *testing.T) {
	s := openReal(t, realOptions(NewMemFS()))
	defer func() { _ = s.Close() }()
	var u Unit
	ref := u.Message([]byte("id"), nil, []byte("stays"))
	u.Enqueue(ref, []Target{{Queue: 9, Seq: MakeSeq(4, 1)}}, 0, 0)
	base, _, err := s.Append(&u)
	if err != nil {
		t.Fatal(err)
	}
	first := base + Pos(ref)
	for n := uint64(1); n <= 2000; n++ {
		u.Reset()
		ref := u.Message([]byte("id"), nil, bytes.Repeat([]byte{'b'}, 100))
		u.Enqueue(ref, []Target{{Queue: 1, Seq: MakeSeq(4, n)}}, 0, 0)
		if _, _, err := s.Append(&u); err != nil {
			t.Fatal(err)
		}
		u.Reset()
		u.Settle(1, []Range{{MakeSeq(4, n), MakeSeq(4, n)}})
		_, end, err := s.Append(&u)
		if err != nil {
			t.Fatal(err)
		}
		if n%10 == 0 {
			awaitCommit(t, s, end)
			if err := s.Keep(); err != nil {
				t.Fatal(err)
			}
		}
	}
	keepOften(t, s, 100)
	if u := s.Usage(); u.LogStart == 0 || u.End-u.LogStart > 3*MinLogSize {
		t.Errorf("the log holds [%d, %d)", u.LogStart, u.End)
	}
	if _, _, body, err := s.Message(first); err != nil || string(body) != "stays" {
		t.Errorf("what stays: %q %v", body, err)
	}
	if s.Queue(1).Tails[MakeSeq(4, 1).Class()] != 2000 {
		t.Errorf("queue 1: %+v", s.Queue(1))
	}
	sameAsReplay(t, s)
}

// TestHeadPassesWhatWasSettledOutOfOrder settles the second block before the first, and asks where reading starts then.
func TestHeadPassesWhatWasSettledOutOfOrder(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		s := openReal(t, realOptions(NewMemFS()))
		defer func() { _ = s.Close() }()
		fill(t, s, 1, 2001)
		settle := func(first, last uint64) {
			t.Helper()
			var u Unit
			u.Settle(1, []Range{{MakeSeq(4, first), MakeSeq(4, last)}})
			_, end, err := s.Append(&u)
			if err != nil {
				t.Fatal(err)
			}
			awaitCommit(t, s, end)
			if flushed {
				if err := s.index.flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		settle(256, 1100)
		if h := s.Queue(1).Heads[MakeSeq(4, 1).Class()]; h != 1 {
			t.Fatalf("head %d; 1 still lives", h)
		}
		settle(1, 255)
		if h := s.Queue(1).Heads[MakeSeq(4, 1).Class()]; h < 1024 || h > 1101 {
			t.Errorf("flushed %v: head %d; 1101 is the first that lives", flushed, h)
		}
		if got, err := s.Entries(1, 0, 1, nil); err != nil || len(got) != 1 || got[0].Seq != MakeSeq(4, 1101) {
			t.Errorf("first entry %v, %v", got, err)
		}
		sameAsReplay(t, s)
	}
}

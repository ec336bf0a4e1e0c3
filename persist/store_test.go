package persist

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// bench is a store under test, with what it needs to be opened again.
type testStore struct {
	*Store
	t    testing.TB
	o    Options
	disk *fakeDisk
}

func testOptions(fs FS, disk *fakeDisk) Options {
	return Options{Dir: "d", FS: fs, LogSize: MinLogSize, ReserveBytes: 8 << 10, BootID: "boot", openIndex: disk.open}
}

func openTest(t testing.TB, o Options, disk *fakeDisk) *testStore {
	t.Helper()
	o.openIndex = disk.open
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return &testStore{s, t, o, disk}
}

func (s *testStore) lead() *testStore {
	s.t.Helper()
	if _, err := s.Lead(s.NextEpoch()); err != nil {
		s.t.Fatal(err)
	}
	return s
}

func (s *testStore) fake() *fakeIndex { return s.index.(*fakeIndex) }

// send appends a message with that id and a body of n bytes.
func (s *testStore) send(id string, n int) (Pos, Pos) {
	s.t.Helper()
	var u Unit
	ref := u.Message([]byte(id), []byte("h"), bytes.Repeat([]byte{'b'}, n))
	u.Enqueue(ref, []Target{{Queue: 1, Seq: MakeSeq(4, 1)}}, 0, 0)
	base, end, err := s.Append(&u)
	if err != nil {
		s.t.Fatal(err)
	}
	return base + Pos(ref), end
}

type chanWaiter chan struct{}

func (c chanWaiter) Advanced() { c <- struct{}{} }

// await waits until p is committed and applied.
func (s *testStore) await(p Pos) {
	s.t.Helper()
	c := make(chanWaiter, 1)
	for s.Committed() < p {
		s.Await(p, c)
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			s.t.Fatalf("position %d not committed; %d is", p, s.Committed())
		}
	}
}

func (s *testStore) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func TestStoreKeepsWhatItWasGiven(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	s := openTest(t, testOptions(fs, disk), disk)
	if r := s.Recovery(); !r.Blank || r.Unclean {
		t.Errorf("a new store: %+v", r)
	}
	var u Unit
	u.Message(nil, nil, nil)
	if _, _, err := s.Append(&u); !errors.Is(err, ErrClosed) {
		t.Errorf("append before Lead: %v", err)
	}
	s.lead()
	var want []string
	var at []Pos
	var end Pos
	for i := range 100 {
		id := fmt.Sprint("m", i)
		var p Pos
		p, end = s.send(id, i*10)
		want, at = append(want, id), append(at, p)
	}
	s.await(end)
	if s.Confirmed() != end {
		t.Errorf("committed %d, confirmed %d", end, s.Confirmed())
	}
	check := func() {
		t.Helper()
		if got := s.fake().messages(); !slices.Equal(got, want) {
			t.Errorf("applied %v", got)
		}
		for i, p := range at {
			id, header, body, err := s.Message(p)
			if err != nil || string(id) != want[i] || string(header) != "h" || len(body) != i*10 {
				t.Fatalf("message %d at %d: %q %q %d bytes, %v", i, p, id, header, len(body), err)
			}
		}
	}
	check()
	if n := len(s.segs.list); n < 3 {
		t.Errorf("%d segments: no rotation was tested", n)
	}
	s.close()
	if m := s.meta.get(); !m.Clean || m.CommitHint != end {
		t.Errorf("meta after a clean stop: %+v", m)
	}
	s = openTest(t, s.o, disk)
	if r := s.Recovery(); r.Blank || r.CutBytes != 0 || r.End != end || r.Committed != end || r.ReplayedFrom != end {
		t.Errorf("reopened: %+v", r)
	}
	check()
	s.lead()
	p, end := s.send("last", 1)
	want, at = append(want, "last"), append(at, p)
	s.await(end)
	if got := s.fake().messages(); !slices.Equal(got, want) {
		t.Errorf("applied %v", got)
	}
	if h := s.History(); len(h) != 2 || h[0].Epoch != 1 || h[1].Epoch != 2 || h[0].Start != 0 {
		t.Errorf("history %v", h)
	}
	s.close()
}

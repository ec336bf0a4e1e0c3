package persist

import (
	"testing"
	"time"
)

// hold keeps the timer from writing what nobody waits for; the result lets it again.
func (s *testStore) holdLazy() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lazyArmed = true
	return func() {
		s.mu.Lock()
		s.lazyArmed = false
		s.mu.Unlock()
	}
}

func (s *testStore) untilSynced(p Pos) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); s.syncedEnd() < p; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("position %d is never synced", p)
		}
	}
}

// What nobody waits for goes with what somebody waits for.
func TestAcksTravelWithMessages(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	s := openTest(t, testOptions(fs, disk), disk).lead()
	_, end := s.send("first", 10)
	s.confirm(end)
	release := s.holdLazy()
	before := s.Stats()
	for range 10 {
		if _, err := s.settle(); err != nil {
			t.Fatal(err)
		}
	}
	_, end = s.send("second", 10)
	s.confirm(end)
	after := s.Stats()
	if after.Syncs-before.Syncs != 1 || after.Batches-before.Batches != 1 || after.Units-before.Units != 11 {
		t.Errorf("%+v, then %+v", before, after)
	}
	release()
	end, err := s.settle()
	if err != nil {
		t.Fatal(err)
	}
	s.untilSynced(end) // alone, after a pause
	s.close()
}

// Much that nobody waits for is written all the same.
func TestMuchIsWrittenAtOnce(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	o := testOptions(fs, disk)
	o.LogSize = 4 << 20
	s := openTest(t, o, disk).lead()
	s.holdLazy()
	_, end := s.send("large", lazyBytes)
	s.untilSynced(end)
	_, end = s.send("small", 10)
	s.close() // writes what is left
	if s.syncedEnd() != end {
		t.Errorf("closed at %d of %d", s.syncedEnd(), end)
	}
}

package persist

import (
	"errors"
	"math/rand/v2"
	"path"
	"syscall"
	"testing"
)

// incomingSet is a master whose log's second segment begins at from, and a follower with an old log of its own that has fetched it.
type incomingSet struct {
	master   *testStore
	from     Pos
	fs       *MemFS
	faults   *FaultFS
	o        Options
	live     *testStore
	incoming *Store
}

func newIncomingSet(t *testing.T) *incomingSet {
	t.Helper()
	s := &incomingSet{master: openTest(t, testOptions(NewMemFS(), nil), &fakeDisk{}).lead(), fs: NewMemFS()}
	grow(s.master, 40, 1500)
	_, s.from, _ = s.master.segs.around(0)
	s.faults = NewFaultFS(s.fs)
	disk := &fakeDisk{}
	s.o = testOptions(s.faults, disk)
	s.live = openTest(t, s.o, disk)
	if err := s.live.UpdateMeta(func(m *Meta) { m.Promised, m.Voter, m.ReplAddr = 7, true, "here:1" }); err != nil {
		t.Fatal(err)
	}
	ship(t, s.master.Store, s.live.Store, 100)
	header, err := s.master.SegmentHeader(s.from)
	if err != nil {
		t.Fatal(err)
	}
	o := s.o
	o.openIndex = (&fakeDisk{}).open
	if s.incoming, err = StartIncoming(o, header); err != nil {
		t.Fatal(err)
	}
	if s.incoming.Received() != s.from || s.incoming.Start() != s.from {
		t.Fatalf("incoming/ begins at %d and ends at %d", s.incoming.Start(), s.incoming.Received())
	}
	ship(t, s.master.Store, s.incoming, 10000)
	s.incoming.Advance(s.incoming.Received(), s.incoming.Received())
	return s
}

func TestIncomingTakesTheStoresPlace(t *testing.T) {
	s := newIncomingSet(t)
	node := s.live.Meta().NodeID
	if err := s.live.SwitchTo(s.incoming); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, s.o, &fakeDisk{})
	m := again.Meta()
	if again.Start() != s.from || again.Received() != s.master.Received() || m.Voter || m.Promised != 7 || m.NodeID != node || m.ReplAddr != "here:1" {
		t.Errorf("begins at %d, ends at %d, %+v", again.Start(), again.Received(), m)
	}
	sameFiles(t, again.Store, again.Store)
	for _, g := range again.segs.list {
		if x, y := fileOf(t, again.Store, g.first), fileOf(t, s.master.Store, g.first); string(x[:segmentHeaderBytes]) != string(y[:segmentHeaderBytes]) {
			t.Errorf("the header of %s is another", segmentName(g.first))
		}
	}
	if left, err := ResumeIncoming(s.o); left != nil || err != nil {
		t.Errorf("incoming/ is there still: %v", err)
	}
	grow(s.master, 3, 100)
	ship(t, s.master.Store, again.Store, 100)
}

func TestIncomingIsGoneOnWith(t *testing.T) {
	s := newIncomingSet(t)
	if err := s.incoming.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := ResumeIncoming(s.o)
	if err != nil || again == nil || again.Received() != s.master.Received() || again.Start() != s.from {
		t.Fatal(again, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := DropIncoming(s.o); err != nil {
		t.Fatal(err)
	}
	if again, err := ResumeIncoming(s.o); again != nil || err != nil {
		t.Fatal(again, err)
	}
	if s.live.Received() != s.master.Received() {
		t.Error("the live store was touched")
	}
}

// TestASwitchThatIsCutShort: whatever fails, and whatever the power loss takes then, the next start finds the old store or the new one, whole.
func TestASwitchThatIsCutShort(t *testing.T) {
	old, new := 0, 0
	for skip := range 12 {
		for _, op := range []FaultOp{FaultRename, FaultSyncDir, FaultRemove, FaultCreate} {
			s := newIncomingSet(t)
			s.faults.Break(Fault{Op: op, Pattern: "*", Skip: skip, Err: syscall.EIO})
			_ = s.live.SwitchTo(s.incoming) // whether it was hit or not
			o := testOptions(s.fs.Crash(rand.New(rand.NewPCG(uint64(skip), 1))), nil)
			again := openTest(t, o, &fakeDisk{})
			if again.Received() != s.master.Received() {
				t.Fatalf("%s %d: the log ends at %d, not %d", op, skip, again.Received(), s.master.Received())
			}
			switch again.Start() {
			case 0:
				old++
			case s.from:
				new++
			default:
				t.Fatalf("%s %d: the log begins at %d", op, skip, again.Start())
			}
			again.close()
			s.master.close()
		}
	}
	if old == 0 || new == 0 {
		t.Errorf("%d times the old store, %d times the new one: the faults miss", old, new)
	}
}

func TestADamagedLogIsSetAside(t *testing.T) {
	fs := NewMemFS()
	disk := &fakeDisk{}
	s := openTest(t, testOptions(fs, disk), disk).lead()
	grow(s, 20, 1500)
	if err := s.UpdateMeta(func(m *Meta) { m.Voter, m.ClusterID = true, ID{9} }); err != nil {
		t.Fatal(err)
	}
	s.close()
	f, err := fs.OpenReadWrite(path.Join("d", segmentName(0)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("rot"), segmentHeaderBytes+100); err != nil {
		t.Fatal(err)
	}
	o := testOptions(fs, nil)
	o.Tolerant = true
	again := openTest(t, o, &fakeDisk{})
	m := again.Meta()
	if again.Recovery().Damage == nil || again.Received() != 0 || m.Voter || m.Promised == 0 || (m.ClusterID != ID{9}) {
		t.Errorf("%v, ends at %d, %+v", again.Recovery().Damage, again.Received(), m)
	}
	if kept, err := fs.List(path.Join("d", damagedName)); err != nil || len(kept) == 0 {
		t.Error(kept, err)
	}
	again.close()
	if third := openTest(t, o, &fakeDisk{}); third.Recovery().Damage != nil || third.Meta().Voter {
		t.Error("the next start found damage again, or votes")
	}
}

// TestDamageThatIsFoundLater: a message that could be read at the start, and rots then, ends a member of a cluster that is asked for
// it; the next start would not look there again by itself.
func TestDamageThatIsFoundLater(t *testing.T) {
	fs := NewMemFS()
	var fatal error
	o := testOptions(fs, nil)
	o.Tolerant, o.Fatal, o.openIndex = true, func(err error) { fatal = err }, openIndex
	s := openIndexed(t, o).lead()
	m, _ := s.send("m", 1500)
	grow(s, 20, 1500)
	if err := s.UpdateMeta(func(m *Meta) { m.Voter = true }); err != nil {
		t.Fatal(err)
	}
	if err := s.index.flush(); err != nil {
		t.Fatal(err)
	}
	rot(t, fs, path.Join("d", segmentName(0)), segmentHeaderBytes+int64(m)+200)
	var damage *DamageError
	if _, _, _, err := s.Message(m); !errors.As(err, &damage) {
		t.Error(err)
	}
	if !errors.As(fatal, &damage) {
		t.Errorf("the store ended because of: %v", fatal)
	}
	if err := s.Close(); err == nil {
		t.Error("closed as if nothing had been")
	}
	again := openIndexed(t, o)
	if again.Recovery().Damage == nil || again.Meta().Voter {
		t.Errorf("the next start found %v, and votes: %t", again.Recovery().Damage, again.Meta().Voter)
	}
	again.close()
}

// openIndexed opens a store with an index that is none of a test's.
func openIndexed(t *testing.T, o Options) *testStore {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return &testStore{s, t, o, nil}
}

// rot changes a byte of a file.
func rot(t *testing.T, fs FS, name string, off int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestHeadersThatAreNone(t *testing.T) {
	o := testOptions(NewMemFS(), nil)
	o.openIndex = (&fakeDisk{}).open
	for _, h := range [][]byte{{1}, make([]byte, segmentHeaderBytes)} {
		if _, err := StartIncoming(o, h); !errors.Is(err, ErrMisfit) {
			t.Error(err)
		}
	}
}

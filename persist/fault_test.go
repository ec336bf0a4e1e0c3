package persist

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// faulty is a store on a file system that fails by rule; it counts what Fatal was told.
type faulty struct {
	*testStore
	fs    *FaultFS
	fatal atomic.Int32
}

func openFaulty(t *testing.T, change ...func(*Options)) *faulty {
	t.Helper()
	f := &faulty{fs: NewFaultFS(NewMemFS())}
	disk := &fakeDisk{}
	o := testOptions(f.fs, disk)
	o.Fatal = func(error) { f.fatal.Add(1) }
	for _, c := range change {
		c(&o)
	}
	f.testStore = openTest(t, o, disk)
	return f
}

// try appends a message; whether that was possible is the caller's to judge.
func (s *testStore) try(id string, n int) (Pos, error) {
	var u Unit
	u.Message([]byte(id), nil, make([]byte, n))
	_, end, err := s.Append(&u)
	return end, err
}

func (s *testStore) settle() (Pos, error) {
	var u Unit
	u.Settle(1, []Range{{1, 2}})
	_, end, err := s.Append(&u)
	return end, err
}

// mustFail appends until the store has failed, and returns what was confirmed on the way.
func (f *faulty) mustFail() (confirmed []string) {
	f.t.Helper()
	var ends []Pos
	for i := 0; !f.hasFailed(); i++ {
		end, err := f.try(fmt.Sprint("m", i), 3000)
		if err != nil && !errors.Is(err, ErrClosed) {
			f.t.Fatal(err)
		}
		if err == nil {
			ends = append(ends, end)
		}
		f.settled(end)
	}
	if _, err := f.try("late", 1); !errors.Is(err, ErrClosed) {
		f.t.Errorf("append to a failed store: %v", err)
	}
	for i, end := range ends {
		if end <= f.Confirmed() {
			confirmed = append(confirmed, fmt.Sprint("m", i))
		}
	}
	if err := f.Close(); err == nil {
		f.t.Error("closed as if nothing had been")
	}
	if f.fatal.Load() != 1 {
		f.t.Errorf("Fatal was told %d times", f.fatal.Load())
	}
	return confirmed
}

// settled waits until end is confirmed or the store has failed.
func (f *faulty) settled(end Pos) {
	f.t.Helper()
	c := make(chanWaiter, 1)
	for f.Confirmed() < end && !f.hasFailed() {
		f.Await(end, c)
		select {
		case <-c:
		case <-f.failed:
		case <-time.After(20 * time.Second):
			f.t.Fatal("neither confirmed nor failed")
		}
	}
}

// again opens the store after the fault and wants all that was confirmed.
func (f *faulty) again(want ...string) {
	f.t.Helper()
	f.fs.Heal()
	s := openTest(f.t, f.o, f.disk).lead()
	s.await(s.end())
	seen := s.fake().messages()
	for i, id := range want {
		if i >= len(seen) || seen[i] != id {
			f.t.Fatalf("want %v in %v", want, seen)
		}
	}
	s.close()
}

func TestWriteErrorsEndTheStore(t *testing.T) {
	for name, fault := range map[string]Fault{
		"write":            {Op: FaultWrite, Pattern: "next.*", Err: syscall.EIO},
		"short write":      {Op: FaultWrite, Pattern: "next.*", Err: syscall.EIO, Short: true},
		"sync":             {Op: FaultSync, Pattern: "next.1.tmp", Err: syscall.EIO},
		"sync, once":       {Op: FaultSync, Pattern: "next.1.tmp", Err: syscall.EIO, Times: 1},
		"no room to sync":  {Op: FaultSync, Pattern: "next.1.tmp", Err: syscall.ENOSPC, Times: 1},
		"rename":           {Op: FaultRename, Pattern: "*.log", Err: syscall.EIO},
		"directory":        {Op: FaultSyncDir, Pattern: "d", Err: syscall.EIO},
		"create":           {Op: FaultCreate, Pattern: "next.*", Err: syscall.EIO},
		"preallocate":      {Op: FaultPreallocate, Pattern: "next.*", Err: syscall.EIO},
		"sync of the next": {Op: FaultSync, Pattern: "next.2.tmp", Err: syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			f := openFaulty(t)
			f.lead()
			_, end := f.send("kept", 10)
			f.confirm(end)
			f.fs.Break(fault)
			confirmed := f.mustFail()
			if atOnce := fault.Op == FaultWrite || fault.Pattern == "next.1.tmp"; atOnce && len(confirmed) > 0 {
				t.Errorf("confirmed %v after the fault", confirmed)
			}
			f.again(append([]string{"kept"}, confirmed...)...)
		})
	}
}

// A sync that failed is never tried again: the second would succeed without having written anything.
func TestFailedSyncIsNotRepeated(t *testing.T) {
	f := openFaulty(t)
	f.lead()
	_, end := f.send("kept", 10)
	f.confirm(end)
	syncs := f.Stats().Syncs
	f.fs.Break(Fault{Op: FaultSync, Pattern: "next.1.tmp", Err: syscall.EIO, Times: 1})
	f.mustFail()
	if f.fs.Hits() != 1 || f.Stats().Syncs != syncs {
		t.Errorf("%d syncs failed, %d succeeded later", f.fs.Hits(), f.Stats().Syncs-syncs)
	}
}

func TestBackgroundSyncErrorEndsTheStore(t *testing.T) {
	f := openFaulty(t, func(o *Options) { o.Sync = LocalMem })
	f.lead()
	f.fs.Break(Fault{Op: FaultSync, Pattern: "*.log", Err: syscall.EIO, Times: 1})
	_, end := f.send("m", 10)
	f.confirm(end)
	select {
	case <-f.failed:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	if err := f.Close(); err == nil || f.syncedEnd() >= end {
		t.Errorf("closed with %v, synced to %d of %d", err, f.syncedEnd(), end)
	}
}

func TestMetaErrorsEndTheStore(t *testing.T) {
	f := openFaulty(t)
	f.lead()
	_, end := f.send("kept", 10)
	f.confirm(end)
	f.fs.Break(Fault{Op: FaultSync, Pattern: "meta*", Err: syscall.EIO})
	select {
	case <-f.failed:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	f.mustFail()
	f.again("kept")
}

func TestIndexErrorsEndTheStore(t *testing.T) {
	f := openFaulty(t)
	f.lead()
	f.fake().mu.Lock()
	f.fake().failing = errors.New("the index's disk is broken")
	f.fake().mu.Unlock()
	f.mustFail()
	f.again()
}

// A read that fails harms whoever reads, nobody else; at the start nothing is cut for it.
func TestReadErrors(t *testing.T) {
	f := openFaulty(t)
	f.lead()
	p, end := f.send("kept", 10)
	f.confirm(end)
	f.fs.Break(Fault{Op: FaultRead, Pattern: "*", Err: syscall.EIO, Times: 1})
	if _, _, _, err := f.Message(p); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v", err)
	}
	if id, _, _, err := f.Message(p); err != nil || string(id) != "kept" {
		t.Errorf("%q %v", id, err)
	}
	_, end = f.send("more", 10)
	f.confirm(end)
	f.close()
	for skip := range 5 {
		f.fs.Break(Fault{Op: FaultRead, Pattern: "*", Err: syscall.EIO, Skip: skip, Times: 1})
		o := f.o
		o.openIndex = (&fakeDisk{}).open
		s, err := Open(o)
		if err == nil {
			s.Close()
		} else if !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		f.fs.Heal()
	}
	f.again("kept", "more")
}

// Whatever fails while a store is opened, it says so, and can be opened later.
func TestOpenErrors(t *testing.T) {
	f := openFaulty(t)
	f.lead()
	_, end := f.send("kept", 10)
	f.confirm(end)
	f.close()
	hits := 0
	for _, op := range []FaultOp{FaultRead, FaultWrite, FaultSync, FaultOpen, FaultSyncDir} {
		for skip := range 8 {
			f.fs.Break(Fault{Op: op, Pattern: "*", Err: syscall.EIO, Skip: skip, Times: 1})
			s, err := Open(f.o)
			if err == nil {
				s.Close()
			} else {
				hits++
			}
			f.fs.Heal()
		}
	}
	if hits < 10 {
		t.Errorf("only %d faults were met", hits)
	}
	f.again("kept")
	empty := NewFaultFS(NewMemFS())
	for _, op := range []FaultOp{FaultCreate, FaultPreallocate, FaultWrite, FaultSync, FaultRename, FaultSyncDir} {
		empty.Break(Fault{Op: op, Pattern: "*", Err: syscall.EIO, Times: 1})
		o := f.o
		o.FS = empty
		if s, err := Open(o); !errors.Is(err, syscall.EIO) {
			s.Close()
			t.Errorf("%s: %v", op, err)
		}
		empty.Heal()
	}
}

// A full disk refuses new messages and lets consumers drain; when there is room again, all goes on.
func TestFullDisk(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	o := testOptions(fs, disk)
	o.ReserveBytes = 48 << 10
	s := openTest(t, o, disk).lead()
	fs.SetRoom(4*MinLogSize + o.ReserveBytes)
	end := Pos(0)
	sent := 0
	for {
		e, err := s.try(fmt.Sprint("m", sent), 700)
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil || sent > 1000 {
			t.Fatal(sent, err)
		}
		sent++
		end = e
		if s.Usage().Full {
			continue
		}
		s.confirm(e)
	}
	s.confirm(end)
	if sent < 36 { // three segments but for the room for acks; meta takes half of the fourth
		t.Errorf("refused after %d messages; %+v", sent, s.Usage())
	}
	acks := 0
	for from := end; end-from < Pos(o.ReserveBytes)/2; acks++ {
		e, err := s.settle()
		if err != nil {
			t.Fatal(acks, err)
		}
		end = e
		s.confirm(e)
	}
	if _, err := s.try("more", 700); !errors.Is(err, ErrFull) {
		t.Errorf("a message on a full disk: %v", err)
	}
	fs.SetRoom(0)
	for tries := 0; ; tries++ {
		e, err := s.try(fmt.Sprint("m", sent), 700)
		if err == nil {
			s.confirm(e)
			break
		}
		if !errors.Is(err, ErrFull) || tries > 1000 {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.close()
	s = openTest(t, o, disk)
	if got := len(s.fake().messages()); got != sent+1 {
		t.Errorf("%d messages, want %d", got, sent+1)
	}
	s.close()
}

// On a disk with no room at all what was accepted waits, and Close does not wait for ever.
func TestNoRoomAtAll(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	o := testOptions(fs, disk)
	o.ReserveBytes = -1
	s := openTest(t, o, disk).lead()
	fs.SetRoom(1)
	end, err := s.try("large", 2*MinLogSize)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * roomPause)
	if s.Confirmed() >= end || s.hasFailed() {
		t.Fatalf("confirmed %d of %d without room", s.Confirmed(), end)
	}
	fs.SetRoom(0)
	s.confirm(end)
	s.close()
	s = openTest(t, o, disk).lead()
	fs.SetRoom(1)
	if _, err = s.try("large", 2*MinLogSize); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); !errors.Is(err, ErrFull) {
		t.Errorf("closed with %v", err)
	}
	fs.SetRoom(0)
	s = openTest(t, o, disk)
	if r := s.Recovery(); r.Unclean || r.CutBytes != 0 || r.End < end {
		t.Errorf("%+v", r)
	}
	s.close()
}

// storeUsage refuses what makes the store grow, and nothing else.
func TestStoreUsage(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	o := testOptions(fs, disk)
	o.StoreUsage = 10000
	s := openTest(t, o, disk).lead()
	for i := 0; ; i++ {
		if _, err := s.try("m", 700); errors.Is(err, ErrFull) {
			break
		}
		if i > 20 {
			t.Fatal("never full")
		}
	}
	end, err := s.settle()
	if err != nil {
		t.Fatal(err)
	}
	s.confirm(end)
	if u := s.Usage(); u.LimitBytes != 10000 || u.End > 10000 {
		t.Errorf("%+v", u)
	}
	s.close()
}

package persist

import (
	"bytes"
	"sync/atomic"
	"testing"
)

// scanCounter counts how often a segment is read.
type scanCounter struct {
	indexLog
	scans *atomic.Int64
}

func (c scanCounter) scanSegment(first, from Pos, f func(op *Op) bool) (Pos, error) {
	c.scans.Add(1)
	return c.indexLog.scanSegment(first, from, f)
}

func countingScans(o Options) (Options, *atomic.Int64) {
	scans := new(atomic.Int64)
	o.openIndex = func(fsys FS, dir string, l indexLog, o *Options) (index, error) {
		return openIndex(fsys, dir, scanCounter{l, scans}, o)
	}
	return o, scans
}

func appendWait(t testing.TB, s *Store, fill func(u *Unit)) (base Pos) {
	t.Helper()
	var u Unit
	fill(&u)
	base, end, err := s.Append(&u)
	if err != nil {
		t.Fatal(err)
	}
	awaitCommit(t, s, end)
	return base
}

// through passes messages through queue 1.
func through(t testing.TB, s *Store, from, to uint64) {
	t.Helper()
	var u Unit
	var end Pos
	for n := from; n < to; n++ {
		enqueueUnit(&u, 1, n, make([]byte, 200))
		u.Settle(1, []Range{{MakeSeq(4, n), MakeSeq(4, n)}})
		var err error
		if _, end, err = s.Append(&u); err != nil {
			t.Fatal(err)
		}
	}
	awaitCommit(t, s, end)
}

// Segments of which nothing lives go at once, all by one TRIM, and nobody reads them.
func TestDeadSegmentsAreTrimmedUnread(t *testing.T) {
	o, scans := countingScans(realOptions(NewMemFS()))
	s := openReal(t, o)
	defer func() { _ = s.Close() }()
	s.keeping.Lock() // so that no tick comes before all is passed through
	through(t, s, 1, 1000)
	s.keeping.Unlock()
	for range 3 {
		if err := s.Keep(); err != nil && !passing(err) {
			t.Fatal(err)
		}
		awaitCommit(t, s, s.end())
	}
	if u := s.Usage(); u.End-u.LogStart > 3*MinLogSize || scans.Load() != 0 {
		t.Errorf("the log holds [%d, %d) after %d scans", u.LogStart, u.End, scans.Load())
	}
	sameAsReplay(t, s)
	audit(t, s.index.(*Index))
}

// Idle queues' counters are not said again and again when that would cost what it frees.
func TestCountersAreNotSaidForEver(t *testing.T) {
	s := openReal(t, realOptions(NewMemFS()))
	defer func() { _ = s.Close() }()
	for q := QueueID(2); q < 5000; q++ {
		var u Unit
		enqueueUnit(&u, q, 1, nil)
		u.Settle(q, []Range{{MakeSeq(4, 1), MakeSeq(4, 1)}})
		if _, _, err := s.Append(&u); err != nil {
			t.Fatal(err)
		}
	}
	awaitCommit(t, s, s.end())
	keepOften(t, s, 50)
	end := s.end()
	keepOften(t, s, 50)
	if s.end() != end {
		t.Errorf("an idle log grew from %d to %d", end, s.end())
	}
	sameAsReplay(t, s)
}

// A log that begins between a TX_PREPARE and its TX_COMMIT does not bring back what the transaction settled.
func TestCommitOutlivesItsPrepare(t *testing.T) {
	s := openReal(t, realOptions(NewMemFS()))
	defer func() { _ = s.Close() }()
	appendWait(t, s, func(u *Unit) { enqueueUnit(u, 9, 1, []byte("settled")) })
	appendWait(t, s, func(u *Unit) { enqueueUnit(u, 9, 2, []byte("moved")) })
	appendWait(t, s, func(u *Unit) { u.Put(TableRetained, []byte("k"), []byte("v")) })
	through(t, s, 1, 150)
	var tx Unit
	tx.TxPrepare([]byte("tx"))
	tx.Settle(9, []Range{{MakeSeq(4, 1), MakeSeq(4, 1)}})
	tx.Move(9, MakeSeq(4, 2), Target{Queue: 8, Seq: MakeSeq(4, 1)}, nil)
	tx.Delete(TableRetained, []byte("k"))
	prepared := appendWait(t, s, func(u *Unit) { *u = tx })
	s.keeping.Lock()
	through(t, s, 150, 300)
	x := s.index.(*Index)
	for range 100 { // what the transaction speaks of is relocated, and it is not
		if moved, _, err := x.placeOf(tableKey(nil, TableRetained, []byte("k"))); err != nil || moved > prepared {
			break
		}
		if err := x.keep(true); err != nil && !passing(err) {
			t.Fatal(err)
		}
		awaitCommit(t, s, s.end())
	}
	if s.logStart() > prepared {
		t.Fatal("the TX_PREPARE was relocated too")
	}
	appendWait(t, s, func(u *Unit) { u.TxCommit([]byte("tx"), tx.Bytes()) })
	s.keeping.Unlock()
	for n := uint64(300); s.logStart() <= prepared && n < 5000; n += 50 {
		through(t, s, n, n+50)
		keepOften(t, s, 3)
	}
	sameAsReplay(t, s)
	audit(t, s.index.(*Index))
	if d, m := s.Queue(9).Depth, s.Queue(8).Depth; d != 0 || m != 1 {
		t.Errorf("%d entries where there were two, %d where one was moved", d, m)
	}
	if _, ok, err := s.Get(TableRetained, []byte("k")); ok || err != nil {
		t.Errorf("the row: %v %v", ok, err)
	}
}

// placeOf is where a row's record is.
func (x *Index) placeOf(key []byte) (Pos, []byte, error) {
	v, err := x.value(key)
	if err != nil {
		return 0, nil, err
	}
	return splitPlaced(v)
}

// A TRIM that would take what lives is not obeyed.
func TestTrimOfTheLivingIsNotObeyed(t *testing.T) {
	s := openReal(t, realOptions(NewMemFS()))
	defer func() { _ = s.Close() }()
	base := appendWait(t, s, func(u *Unit) { enqueueUnit(u, 9, 1, []byte("stays")) })
	s.keeping.Lock()
	through(t, s, 1, 200)
	_, end, _ := s.head()
	appendWait(t, s, func(u *Unit) { u.Trim(end) })
	s.keeping.Unlock()
	if x := s.index.(*Index); x.disobeyed != 1 || x.trim.to != 0 {
		t.Errorf("%d TRIMs not obeyed; %+v", x.disobeyed, x.trim)
	}
	if _, _, body, err := s.Message(base); err != nil || !bytes.Equal(body, []byte("stays")) {
		t.Errorf("%q %v", body, err)
	}
}

// A queue that is gone leaves nothing, whatever counters the PURGE named.
func TestGoneQueueLeavesNothing(t *testing.T) {
	s := openReal(t, realOptions(NewMemFS()))
	defer func() { _ = s.Close() }()
	appendWait(t, s, func(u *Unit) { enqueueUnit(u, 9, 1, []byte("one")) })
	appendWait(t, s, func(u *Unit) { u.Purge(9, [Classes]uint64{}, true) })
	appendWait(t, s, func(u *Unit) { u.Settle(9, []Range{{MakeSeq(4, 1), MakeSeq(4, 1)}}) })
	if err := s.index.flush(); err != nil {
		t.Fatal(err)
	}
	if ids, err := s.index.(*Index).queueIDs(); err != nil || len(ids) != 0 {
		t.Errorf("queues %v, %v", ids, err)
	}
	audit(t, s.index.(*Index))
	if live, _ := s.index.sizes(); live != 0 {
		t.Errorf("%d bytes live", live)
	}
}

// A message that was relocated, and one more time, can be read all the while, and its row goes with its last entry.
func TestTwiceRelocated(t *testing.T) {
	s := openReal(t, realOptions(NewMemFS()))
	defer func() { _ = s.Close() }()
	base := appendWait(t, s, func(u *Unit) { enqueueUnit(u, 9, 1, []byte("stays")) })
	x, places := s.index.(*Index), map[Pos]bool{}
	for n := uint64(1); len(places) < 3 && n < 20_000; n += 100 {
		through(t, s, n, n+100)
		keepOften(t, s, idleTicks+3)
		if r, ok, err := x.relocatedTo(base); err != nil {
			t.Fatal(err)
		} else if ok {
			places[r.at] = true
		}
		if _, _, body, err := s.Message(base); err != nil || string(body) != "stays" {
			t.Fatalf("%q %v", body, err)
		}
	}
	if len(places) < 3 {
		t.Fatalf("it lay at %v only", places)
	}
	appendWait(t, s, func(u *Unit) {
		u.EnqueueStored(base, 5, []Target{{Queue: 7, Seq: MakeSeq(4, 1)}}, 0, 0)
		u.Settle(9, []Range{{MakeSeq(4, 1), MakeSeq(4, 1)}})
	})
	if _, _, body, err := s.Message(base); err != nil || string(body) != "stays" {
		t.Fatalf("%q %v", body, err)
	}
	audit(t, x)
	appendWait(t, s, func(u *Unit) { u.Settle(7, []Range{{MakeSeq(4, 1), MakeSeq(4, 1)}}) })
	if _, ok, err := x.relocatedTo(base); ok || err != nil {
		t.Errorf("its row is still there: %v", err)
	}
	sameAsReplay(t, s)
}

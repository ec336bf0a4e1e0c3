package core

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

// memStore is a Store in memory: the units as they came, and the plainest model of what they mean. A unit is committed
// when the test says so, or, with start, by a goroutine of its own.
type memStore struct {
	tb testing.TB

	mu      sync.Mutex
	units   []memUnit
	applied int // of units
	end     persist.Pos
	state   *memState
	waits   []memWait
	refuse  error // what Append answers
	full    bool  // what grows is refused
	readErr error // what Entries and Message answer
	reads   int   // messages read
	kick    chan struct{}
	done    chan struct{}
}

type memUnit struct {
	base, end persist.Pos
	bytes     []byte
}

type memWait struct {
	pos persist.Pos
	w   Waiter
}

// memGap lies between units, as the headers of batches do.
const memGap = 60

func newMemStore(tb testing.TB) *memStore { return &memStore{tb: tb, state: newMemState()} }

// start has a goroutine commit whatever is appended, until stop.
func (s *memStore) start() {
	s.kick, s.done = make(chan struct{}, 1), make(chan struct{})
	kick, done := s.kick, s.done // stop takes the field away, perhaps before the goroutine runs
	go func() {
		defer close(done)
		for range kick {
			s.commit(1 << 30)
		}
	}()
}

func (s *memStore) stop() {
	if s.kick != nil {
		s.mu.Lock()
		s.refuse = persist.ErrClosed
		k := s.kick
		s.kick = nil
		s.mu.Unlock()
		close(k)
		<-s.done
	}
}

// poke wakes the goroutine. s.mu is locked.
func (s *memStore) poke() {
	if s.kick != nil {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
}

func (s *memStore) Append(u *persist.Unit) (base, end persist.Pos, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := bytes.Clone(u.Bytes())
	switch {
	case s.refuse != nil:
		return 0, 0, s.refuse
	case s.full && grows(s.tb, b):
		return 0, 0, persist.ErrFull
	}
	base = s.end + memGap
	s.end = base + persist.Pos(len(b))
	s.units = append(s.units, memUnit{base, s.end, b})
	s.poke()
	return base, s.end, nil
}

func grows(tb testing.TB, unit []byte) (yes bool) {
	eachOp(tb, memUnit{bytes: unit}, func(op *persist.Op) {
		yes = yes || op.Code == persist.CodeMessage || op.Code == persist.CodeEnqueue || op.Code == persist.CodePut
	})
	return yes
}

func eachOp(tb testing.TB, u memUnit, f func(op *persist.Op)) {
	var d persist.Decoder
	var op persist.Op
	for d.Reset(u.bytes, u.base); ; f(&op) {
		if more, err := d.Next(&op); err != nil {
			tb.Errorf("a unit that the log would refuse: %v", err)
			return
		} else if !more {
			return
		}
	}
}

// commit applies up to n units more, and tells those who wait.
func (s *memStore) commit(n int) {
	s.mu.Lock()
	for ; n > 0 && s.applied < len(s.units); n-- {
		s.state.apply(s.tb, s.units[s.applied])
		s.applied++
	}
	to := s.committed()
	var due []Waiter
	s.waits = slices.DeleteFunc(s.waits, func(w memWait) bool {
		if w.pos <= to {
			due = append(due, w.w)
		}
		return w.pos <= to
	})
	s.mu.Unlock()
	for _, w := range due {
		w.Advanced()
	}
}

// flush commits all there is, and what that gives rise to.
func (s *memStore) flush() {
	for again := true; again; {
		s.commit(1 << 30)
		s.mu.Lock()
		again = s.applied < len(s.units) || slices.ContainsFunc(s.waits, func(w memWait) bool { return w.pos <= s.committed() })
		s.mu.Unlock()
	}
}

// reopen is the store after a crash that kept the first keep units that were not committed, or, below 0, all.
func (s *memStore) reopen(keep int) testStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.units)
	if keep >= 0 {
		n = min(n, s.applied+keep)
	}
	after := newMemStore(s.tb)
	after.units = slices.Clone(s.units[:n])
	if n > 0 {
		after.end = after.units[n-1].end
	}
	for _, u := range after.units {
		after.state.apply(s.tb, u)
	}
	after.applied = n
	s.refuse = persist.ErrClosed
	return after
}

func (s *memStore) close() { s.stop() }

func (s *memStore) committed() persist.Pos {
	if s.applied == 0 {
		return 0
	}
	return s.units[s.applied-1].end
}

func (s *memStore) Committed() persist.Pos {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed()
}

func (s *memStore) Confirmed() persist.Pos { return s.Committed() }

func (s *memStore) Await(pos persist.Pos, w Waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = append(s.waits, memWait{pos, w})
	s.poke()
}

func (s *memStore) Queue(id persist.QueueID) (q persist.QueueState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.state.queues[id]
	if m == nil {
		return q
	}
	q.Tails, q.Depth = m.tails, uint64(len(m.order))
	for _, at := range m.order {
		if c := at.Class(); q.Heads[c] == 0 {
			q.Heads[c] = at.Counter()
		}
		q.DepthBytes += uint64(m.entries[at].SizeBytes)
	}
	return q
}

func (s *memStore) Entries(id persist.QueueID, from persist.Seq, most int, dst []persist.Entry) ([]persist.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.state.queues[id]
	if m == nil || s.readErr != nil {
		return dst, s.readErr
	}
	i, _ := slices.BinarySearch(m.order, from)
	for ; i < len(m.order) && most > 0; i, most = i+1, most-1 {
		dst = append(dst, m.entries[m.order[i]])
	}
	return dst, nil
}

func (s *memStore) Entry(id persist.QueueID, at persist.Seq) (persist.Entry, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.state.queues[id]; m != nil {
		e, ok := m.entries[at]
		return e, ok, s.readErr
	}
	return persist.Entry{}, false, s.readErr
}

func (s *memStore) Message(p persist.Pos) (id, header, body []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	m, ok := s.state.messages[p]
	if !ok || s.readErr != nil {
		return nil, nil, nil, errors.Join(persist.ErrNotFound, s.readErr)
	}
	return nil, bytes.Clone(m.header), bytes.Clone(m.body), nil
}

func (s *memStore) Get(t persist.Table, key []byte) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.state.rows[t][string(key)]
	return bytes.Clone(v), ok, s.readErr
}

func (s *memStore) Scan(t persist.Table, prefix []byte, f func(key, value []byte) bool) error {
	s.mu.Lock()
	rows := maps.Clone(s.state.rows[t])
	err := s.readErr
	s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if strings.HasPrefix(key, string(prefix)) && !f([]byte(key), rows[key]) {
			break
		}
	}
	return err
}

func (s *memStore) Usage() persist.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return persist.Usage{End: s.end, Committed: s.committed(), Full: s.full}
}

// memState is what committed units mean.
type memState struct {
	queues   map[persist.QueueID]*memQueue
	messages map[persist.Pos]memMessage
	rows     map[persist.Table]map[string][]byte
}

type memQueue struct {
	tails   [persist.Classes]uint64
	order   []persist.Seq
	entries map[persist.Seq]persist.Entry
}

type memMessage struct{ header, body []byte }

func newMemState() *memState {
	return &memState{map[persist.QueueID]*memQueue{}, map[persist.Pos]memMessage{}, map[persist.Table]map[string][]byte{}}
}

func (s *memState) queue(id persist.QueueID) *memQueue {
	if s.queues[id] == nil {
		s.queues[id] = &memQueue{entries: map[persist.Seq]persist.Entry{}}
	}
	return s.queues[id]
}

func (q *memQueue) put(e persist.Entry) {
	c := e.Seq.Class()
	q.tails[c] = max(q.tails[c], e.Seq.Counter())
	if i, known := slices.BinarySearch(q.order, e.Seq); !known {
		q.order = slices.Insert(q.order, i, e.Seq)
	}
	q.entries[e.Seq] = e
}

func (q *memQueue) drop(at persist.Seq) {
	if i, known := slices.BinarySearch(q.order, at); known {
		q.order = slices.Delete(q.order, i, i+1)
		delete(q.entries, at)
	}
}

// change does something to an entry that is there; operations on others mean nothing.
func (q *memQueue) change(at persist.Seq, f func(e *persist.Entry)) {
	if e, ok := q.entries[at]; ok {
		f(&e)
		q.entries[at] = e
	}
}

func (s *memState) apply(tb testing.TB, u memUnit) {
	eachOp(tb, u, func(op *persist.Op) {
		switch op.Code {
		case persist.CodeMessage:
			s.messages[op.Pos] = memMessage{bytes.Clone(op.Header), bytes.Clone(op.Body)}
		case persist.CodeEnqueue:
			for _, t := range op.Targets {
				s.queue(t.Queue).put(persist.Entry{Seq: t.Seq, Message: op.Message, SizeBytes: op.SizeBytes, ExpiryMs: op.ExpiryMs,
					NotBeforeMs: op.NotBeforeMs, Note: bytes.Clone(t.Note)})
			}
		case persist.CodePut:
			if s.rows[op.Table] == nil {
				s.rows[op.Table] = map[string][]byte{}
			}
			s.rows[op.Table][string(op.Key)] = bytes.Clone(op.Value)
		case persist.CodeDelete:
			delete(s.rows[op.Table], string(op.Key))
		case persist.CodePurge:
			s.purge(op)
		default:
			s.applyToEntry(tb, op)
		}
	})
}

func (s *memState) applyToEntry(tb testing.TB, op *persist.Op) {
	q := s.queue(op.Queue)
	switch op.Code {
	case persist.CodeSettle:
		for _, r := range op.Ranges {
			for at := r.First; at <= r.Last; at++ {
				q.drop(at)
			}
		}
	case persist.CodeAttempt:
		q.change(op.Seq, func(e *persist.Entry) {
			e.Attempts, e.NotBeforeMs, e.Note = op.Attempts, op.NotBeforeMs, bytes.Clone(op.Note)
		})
	case persist.CodeAssign:
		q.change(op.Seq, func(e *persist.Entry) { e.Assign = persist.Assignment{State: op.Assign.State} })
	case persist.CodeMove:
		if e, ok := q.entries[op.Seq]; ok {
			q.drop(op.Seq)
			to := op.Targets[0]
			e.Seq, e.Note, e.Attempts, e.NotBeforeMs, e.Assign = to.Seq, bytes.Clone(to.Note), 0, 0, persist.Assignment{}
			s.queue(to.Queue).put(e)
		}
	default:
		tb.Errorf("core appended %v", op.Code)
	}
}

func (s *memState) purge(op *persist.Op) {
	q := s.queue(op.Queue)
	for _, at := range slices.Clone(q.order) {
		if at.Counter() <= op.UpTo[at.Class()] {
			q.drop(at)
		}
	}
	if op.Gone {
		delete(s.queues, op.Queue)
	}
}

package core

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/havenmq/havenmq/persist"
)

// Duplicate detection: a message that names itself with a _AMQ_DUPL_ID is stored once in its destination, however often
// and by whomever it is sent. Each producer has a window of its newest ids. What the log holds a message of, it holds
// the id of too, in the same unit; the id of a message that only memory holds is in memory alone.
//
// A row of TableDuplicates: producer(8) slot(2) → version(1) stamp(8) digest(16), big-endian. An id's row takes the slot
// of the one that it pushes out of the window, so that nothing is deleted in passing.

const (
	dupVersion = 1
	// dupWindow is how many ids of one producer are remembered. The slots in the log count on it: it never changes.
	dupWindow = 10_000
	// dupForgets is how many ids above the limit of all go at once, beside as many as came: a lower limit is reached in steps.
	dupForgets = 64
)

// MaxDupIDBytes bounds a _AMQ_DUPL_ID.
const MaxDupIDBytes = 1024

// digest stands for an id and its destination, so that an id costs the same whatever its length.
type digest [16]byte

// dupMark is an id that came. Its stamp counts the ids of all producers.
type dupMark struct {
	digest digest
	stamp  uint64
}

// dupProducer is one producer's window: marks from head on, the oldest first.
type dupProducer struct {
	key   uint64
	marks []dupMark
	head  int
	next  uint64 // the number of the next mark: it gives the slot
	at    int    // place in the heap
	top   uint64 // while the broker is opened: the highest stamp
}

func (p *dupProducer) n() int          { return len(p.marks) - p.head }
func (p *dupProducer) oldest() dupMark { return p.marks[p.head] }

// slot is where the log holds the oldest mark.
func (p *dupProducer) slot() uint16 { return uint16((p.next - uint64(p.n())) % dupWindow) }

// shift forgets the oldest mark.
func (p *dupProducer) shift() {
	if p.head++; p.head > dupWindow/4 && p.head > len(p.marks)/2 {
		n := copy(p.marks, p.marks[p.head:])
		p.marks, p.head = p.marks[:n], 0
	}
}

// byAge is a heap of producers: the one with the oldest mark is the first.
type byAge []*dupProducer

func (h byAge) Len() int           { return len(h) }
func (h byAge) Less(i, j int) bool { return h[i].oldest().stamp < h[j].oldest().stamp }
func (h byAge) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }

// Push and Pop are heap.Interface's.
func (h *byAge) Push(x any) {
	p := x.(*dupProducer)
	p.at = len(*h)
	*h = append(*h, p)
}

func (h *byAge) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return p
}

// dupSet is what is remembered, either of what the log holds or of what memory holds alone.
type dupSet struct {
	seen      map[digest]struct{}
	producers map[uint64]*dupProducer
	ages      byAge
	stamp     uint64 // the highest given out
}

// producer finds a producer's window, or makes one that is in no heap yet.
func (s *dupSet) producer(key uint64) *dupProducer {
	p := s.producers[key]
	if p == nil {
		if s.seen == nil {
			s.seen, s.producers = map[digest]struct{}{}, map[uint64]*dupProducer{}
		}
		p = &dupProducer{key: key}
		s.producers[key] = p
	}
	return p
}

// add remembers an id, and forgets the oldest of a full window.
func (s *dupSet) add(key uint64, d digest) {
	p := s.producer(key)
	s.stamp++
	s.seen[d] = struct{}{}
	p.marks = append(p.marks, dupMark{d, s.stamp})
	p.next++
	switch {
	case p.n() == 1:
		heap.Push(&s.ages, p)
	case p.n() > dupWindow:
		delete(s.seen, p.oldest().digest)
		p.shift()
		heap.Fix(&s.ages, p.at)
	}
}

// forget forgets the oldest id of all, and says whose it was and where the log has it.
func (s *dupSet) forget() (key uint64, slot uint16) {
	p := s.ages[0]
	slot = p.slot()
	delete(s.seen, p.oldest().digest)
	if p.n() == 1 {
		heap.Pop(&s.ages)
		delete(s.producers, p.key)
		return p.key, slot
	}
	p.shift()
	heap.Fix(&s.ages, 0)
	return p.key, slot
}

// duplicates are the ids of all producers. Its lock is held from the look at an id until the unit with its message is
// appended, so that of two senders of one id one is first.
type duplicates struct {
	mu     sync.Mutex // after all queues', before the retained rows'
	limit  int        // of ids in each set; never changes
	logged dupSet
	loose  dupSet
	owed   []dupRow            // rows of ids that are forgotten: the next unit with an id deletes them
	staged map[digest]struct{} // of the unit that is being written
	passed uint64              // messages that were not stored again
}

type dupRow struct {
	producer uint64
	slot     uint16
}

// stagedID is an id whose message is in a writer's unit.
type stagedID struct {
	digest digest
	logged bool
}

func dupKey(dst []byte, producer uint64, slot uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint64(dst, producer), slot)
}

// checkDupID says whether the broker takes such an id.
func checkDupID(m *Message) error {
	if n := len(m.DupID); n > MaxDupIDBytes {
		return &Error{CodeInvalid, m.To.String(), fmt.Sprintf("its _AMQ_DUPL_ID has %d bytes: at most %d are allowed", n, MaxDupIDBytes)}
	}
	return nil
}

// digestOf names m's id in its destination. A queue goes by its number, which a queue that is made anew does not share.
func digestOf(buf []byte, r *route, m *Message) (d digest) {
	buf = append(buf[:0], byte(m.To.Kind))
	if m.To.Kind == Queue {
		buf = queueKey(buf, r.targets[0].q.id)
	} else {
		buf = appendString(buf, m.To.Name)
	}
	sum := sha256.Sum256(append(buf, m.DupID...))
	copy(d[:], sum[:])
	return d
}

// producerKey is whose window c's ids are in: its client id's, or its connection's if it has none.
func (c *Client) producerKey() uint64 {
	if c.producer == 0 {
		name := append([]byte{1}, c.id...)
		if c.id == "" {
			name = binary.BigEndian.AppendUint64([]byte{0}, c.key)
		}
		sum := sha256.Sum256(name)
		c.producer = max(binary.BigEndian.Uint64(sum[:]), 1)
	}
	return c.producer
}

// draftOnce puts into w's unit what m means. False: its id came before, and it means nothing more. The queues of the route
// are locked, and so are the duplicates if m has an id.
func (c *Client) draftOnce(w *writer, r *route, m *Message, kept retaining) bool {
	b := c.b
	if m.DupID == "" {
		b.place(w, r, m)
		b.retain(w, m, kept)
		return true
	}
	d := digestOf(w.key, r, m)
	if b.duplicates.has(d) {
		b.duplicates.passed++
		return false
	}
	logged := b.place(w, r, m)
	b.retain(w, m, kept)
	b.duplicates.stage(w, c.producerKey(), stagedID{d, logged || kept != retainNothing})
	return true
}

// has says that an id came, or is in the unit that is being written.
func (d *duplicates) has(x digest) bool {
	_, logged := d.logged.seen[x]
	_, loose := d.loose.seen[x]
	_, staged := d.staged[x]
	return logged || loose || staged
}

// stage notes an id whose message is in w's unit.
func (d *duplicates) stage(w *writer, producer uint64, id stagedID) {
	if d.staged == nil {
		d.staged = map[digest]struct{}{}
	}
	d.staged[id.digest] = struct{}{}
	w.producer, w.ids = producer, append(w.ids, id)
}

// write puts the rows of w's ids into its unit.
func (d *duplicates) write(w *writer) {
	if !slices.ContainsFunc(w.ids, func(id stagedID) bool { return id.logged }) {
		return
	}
	for _, row := range d.owed {
		w.key = dupKey(w.key[:0], row.producer, row.slot)
		w.unit.Delete(persist.TableDuplicates, w.key)
	}
	var next uint64
	if p := d.logged.producers[w.producer]; p != nil {
		next = p.next
	}
	stamp := d.logged.stamp
	for _, id := range w.ids {
		if !id.logged {
			continue
		}
		stamp++
		w.key = dupKey(w.key[:0], w.producer, uint16(next%dupWindow))
		w.value = binary.BigEndian.AppendUint64(append(w.value[:0], dupVersion), stamp)
		w.value = append(w.value, id.digest[:]...)
		w.unit.Put(persist.TableDuplicates, w.key, w.value)
		next++
	}
}

// remember keeps w's ids, whose unit the log has taken.
func (d *duplicates) remember(w *writer) {
	for _, id := range w.ids {
		if !id.logged {
			d.loose.add(w.producer, id.digest)
			continue
		}
		d.owed = d.owed[:0]
		d.logged.add(w.producer, id.digest)
	}
	d.trim(len(w.ids) + dupForgets)
}

// trim forgets up to n of the oldest ids, as far as there are too many.
func (d *duplicates) trim(n int) {
	for i := 0; i < n && len(d.loose.seen) > d.limit; i++ {
		d.loose.forget()
	}
	for i := 0; i < n && len(d.logged.seen) > d.limit; i++ {
		key, slot := d.logged.forget()
		d.owed = append(d.owed, dupRow{key, slot})
	}
}

// unstage ends a unit, whatever came of it.
func (d *duplicates) unstage(w *writer) {
	w.ids = w.ids[:0]
	if len(d.staged) > 1024 {
		d.staged = nil
	}
	clear(d.staged)
}

func (d *duplicates) snapshot(s *Stats) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Duplicates, s.DuplicateIDs = d.passed, len(d.logged.seen)+len(d.loose.seen)
}

// boot reads a row.
func (d *duplicates) boot(key, value []byte) bool {
	if len(key) != 10 || len(value) != 25 || value[0] != dupVersion {
		return false
	}
	p := d.logged.producer(binary.BigEndian.Uint64(key))
	m := dupMark{stamp: binary.BigEndian.Uint64(value[1:])}
	copy(m.digest[:], value[9:])
	p.marks = append(p.marks, m)
	if m.stamp >= p.top {
		p.top, p.next = m.stamp, dupWindow+uint64(binary.BigEndian.Uint16(key[8:]))+1
	}
	return len(p.marks) <= dupWindow
}

// booted puts in order what boot read, of which there may be much while clients wait for the new master.
func (d *duplicates) booted() {
	s, n := &d.logged, 0
	for _, p := range s.producers {
		n += len(p.marks)
	}
	if n == 0 {
		return
	}
	s.seen = make(map[digest]struct{}, n)
	for _, p := range s.producers {
		p.order()
		for i := range p.marks {
			s.seen[p.marks[i].digest] = struct{}{}
		}
		s.stamp = max(s.stamp, p.top)
		heap.Push(&s.ages, p)
	}
	d.trim(dupForgets)
}

// order puts marks that came by slot into the order of their stamps: the slots are a ring, so that this mostly is a turn.
func (p *dupProducer) order() {
	for i := 1; i < len(p.marks); i++ {
		if p.marks[i].stamp < p.marks[i-1].stamp {
			p.marks = append(append(make([]dupMark, 0, len(p.marks)), p.marks[i:]...), p.marks[:i]...)
			break
		}
	}
	byStamp := func(x, y dupMark) int { return compare(x.stamp, y.stamp) }
	if !slices.IsSortedFunc(p.marks, byStamp) {
		slices.SortFunc(p.marks, byStamp)
	}
}

package persist

import (
	"bytes"
	"errors"
	"slices"

	"github.com/syndtr/goleveldb/leveldb"
)

// What this file does is deterministic: it asks no clock, no chance and nothing outside the index, so that the same log
// makes the same index on every node.

// beginUnit says that the operations of a unit follow.
func (x *Index) beginUnit(unit []byte, base Pos) {
	x.unit, x.base, x.preparing = unit, base, false
	if !x.inBatch { // only this goroutine changes it
		x.mu.Lock()
		x.inBatch = true
		x.mu.Unlock()
	}
}

// applied ends a batch.
func (x *Index) applied(end Pos) error {
	x.mu.Lock()
	x.pos, x.inBatch = end, false
	if x.wanted {
		x.freeze()
	}
	over := x.now.bytes > 2*x.budget
	err := x.broken
	x.mu.Unlock()
	if err == nil && over { // nobody came to write it in time: whoever fills it waits
		err = x.flush()
	}
	return err
}

// apply does one operation. What it names and the index does not know is settled, or will be relocated further on.
func (x *Index) apply(op *Op) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.preparing {
		return nil // it waits for TX_COMMIT
	}
	switch op.Code {
	case CodeMessage, CodeEpochBegin:
		return nil
	case CodeEnqueue:
		return x.enqueue(op)
	case CodeSettle:
		return x.settle(op)
	case CodeAttempt:
		return x.alter(op.Queue, op.Seq, func(m *slotMore) {
			m.attempts, m.notBeforeMs, m.note = op.Attempts, op.NotBeforeMs, bytes.Clone(op.Note)
		})
	case CodeAssign:
		return x.alter(op.Queue, op.Seq, func(m *slotMore) {
			m.assign = Assignment{bytes.Clone(op.Assign.Session), op.Assign.PacketID, op.Assign.State}
		})
	case CodeMove:
		return x.move(op)
	case CodePurge:
		return x.purge(op)
	case CodePut, CodeRelocateRow:
		return x.setRow(tableKey(nil, op.Table, op.Key), placed(op.Pos, op.Value))
	case CodeDelete:
		return x.setRow(tableKey(nil, op.Table, op.Key), nil)
	default:
		return x.applyRare(op)
	}
}

func (x *Index) applyRare(op *Op) error {
	switch op.Code {
	case CodeTrim:
		if op.LogStart > x.trim.to {
			x.trim = trimming{op.LogStart, op.Pos}
		}
		return nil
	case CodeConfig:
		return x.setRow([]byte{keyConfig}, placed(op.Pos, op.Value))
	case CodeTxPrepare:
		x.preparing = true
		return x.setRow(append([]byte{keyPrepared}, op.Key...), placed(x.base, x.unit))
	case CodeTxCommit:
		return x.commitPrepared(op.Key)
	case CodeTxRollback:
		return x.setRow(append([]byte{keyPrepared}, op.Key...), nil)
	case CodeRelocateMessage:
		return x.relocateMessage(op)
	case CodeRelocateTails:
		c, err := x.claims(op.Queue)
		if err != nil {
			return err
		}
		c.gone = false
		for class, n := range op.UpTo {
			if n != 0 {
				l := c.lane(uint8(class))
				l.tail = max(l.tail, n)
			}
		}
		return nil
	}
	return errors.New("an operation that the index does not know: " + op.Code.String())
}

// claims is a queue's row to change. It may let go of mu to read LevelDB: nobody else changes now meanwhile, and between
// two batches alone is it frozen.
func (x *Index) claims(q QueueID) (*claims, error) {
	if c := x.now.queues[q]; c != nil {
		return c, nil
	}
	var c *claims
	if x.frozen != nil && x.frozen.queues[q] != nil {
		c = x.frozen.queues[q].copy()
	} else {
		v, err := x.load(queueRowKey(nil, q))
		if err != nil {
			return nil, err
		}
		c = new(claims)
		if v != nil {
			if c, err = decodeClaims(v); err != nil {
				return nil, err
			}
		}
	}
	x.now.queues[q] = c
	x.now.bytes += claimsBytes
	return c, nil
}

// load reads a key of LevelDB, nil if it has none. mu is let go of meanwhile.
func (x *Index) load(key []byte) ([]byte, error) {
	db := x.db
	x.mu.Unlock()
	defer x.mu.Lock()
	if db == nil {
		return nil, ErrClosed
	}
	v, err := db.Get(key, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, nil
	}
	return v, err
}

// block is a block to change: nil if there is none and it is not to be made. fresh says that nothing of its number was
// ever given out. Lanes may have moved after it.
func (x *Index) block(q QueueID, c *claims, class uint8, no uint64, fresh, make bool) (*block, error) {
	l := c.lane(class)
	if b := l.find(no); b != nil {
		return b, nil
	}
	b, err := x.unchanged(q, class, no, fresh)
	if err != nil || b == nil && !make {
		return nil, err
	}
	if b == nil {
		b = &block{no: no}
	}
	l.add(b)
	x.now.bytes += blockBytes + int64(cap(b.slots))*slotBytes
	return b, nil
}

// unchanged is a copy of a block as it is frozen or in LevelDB, nil if it is not.
func (x *Index) unchanged(q QueueID, class uint8, no uint64, fresh bool) (*block, error) {
	if fresh {
		return nil, nil
	}
	if x.frozen != nil && x.frozen.queues[q] != nil {
		if l := x.frozen.queues[q].known(class); l != nil {
			if b := l.find(no); b != nil {
				return b.copy(), nil
			}
		}
	}
	v, err := x.load(blockKey(nil, q, class, no))
	if err != nil || v == nil {
		return nil, err
	}
	return decodeBlock(no, v)
}

// insert puts an entry into its place, over what is there.
func (x *Index) insert(q QueueID, seq Seq, s slot) error {
	c, err := x.claims(q)
	if err != nil {
		return err
	}
	class, n := uint8(seq.Class()), seq.Counter()
	l := c.lane(class)
	b, err := x.block(q, c, class, n>>blockShift, n>>blockShift > l.tail>>blockShift, true)
	if err != nil {
		return err
	}
	c.gone = false
	s.low = uint8(n)
	before := cap(b.slots)
	old, lived := b.put(s)
	x.now.bytes += int64(cap(b.slots)-before) * slotBytes
	if s.more != nil {
		x.now.bytes += moreBytes
	}
	if lived {
		x.uncount(c, &old)
	} else {
		l.depth++
	}
	c.depth++
	c.bytes += uint64(s.size)
	x.live += uint64(s.share)
	l.tail = max(l.tail, n)
	if l.head == 0 || n < l.head {
		l.head = n
	}
	return nil
}

func (x *Index) uncount(c *claims, s *slot) {
	c.depth--
	c.bytes -= uint64(s.size)
	x.live -= uint64(s.share)
}

// remove ends the i-th slot of a block; where it was named elsewhere, it is no more.
func (x *Index) remove(q QueueID, c *claims, l *claimLane, b *block, i int) error {
	s := b.slots[i]
	seq := b.seq(l.class, &s)
	b.slots[i].flags |= slotDead
	b.slots[i].more = nil
	b.live--
	x.uncount(c, &s)
	l.depth--
	switch n := seq.Counter(); {
	case l.depth == 0:
		l.head = 0
	case n == l.head:
		if j := b.next(i); j < len(b.slots) {
			l.head = b.no<<blockShift + uint64(b.slots[j].low)
		} else {
			l.head = (b.no + 1) << blockShift
		}
	}
	if b.live == 0 && !b.stored && b.no != l.tail>>blockShift { // the tail's stays, so that nobody looks for it in LevelDB
		l.remove(b)
		x.now.bytes -= blockBytes + int64(cap(b.slots))*slotBytes
	}
	return x.unname(q, seq, &s)
}

// unname drops the rows that name an entry, or count it.
func (x *Index) unname(q QueueID, seq Seq, s *slot) error {
	if s.flags&slotElsewhere != 0 {
		if err := x.setRow(claimKey(nil, s.message, q, seq), nil); err != nil {
			return err
		}
	}
	if s.flags&slotRelocated != 0 {
		return x.countRelocated(s.message, -1)
	}
	return nil
}

// countRelocated changes how many entries claim a relocated message; with none it need not be found any more.
func (x *Index) countRelocated(first Pos, by int) error {
	key := messageKey(nil, first)
	v, err := x.row(key)
	if err != nil || v == nil {
		return err
	}
	r, err := decodeRelocated(v)
	if err != nil {
		return err
	}
	if r.entries += uint64(by); r.entries == 0 {
		return x.setRow(key, nil)
	}
	return x.setRow(key, r.encode())
}

func (x *Index) enqueue(op *Op) error {
	flags := uint8(0)
	if op.Message < x.base || op.Message >= x.base+Pos(len(x.unit)) {
		flags = slotElsewhere
		v, err := x.row(messageKey(nil, op.Message))
		if err != nil {
			return err
		}
		if v != nil {
			flags |= slotRelocated
		}
	}
	share := (op.SizeBytes+recordOverheadBytes)/uint32(max(len(op.Targets), 1)) + entryOverheadBytes
	for i := range op.Targets {
		t := &op.Targets[i]
		s := slot{message: op.Message, size: op.SizeBytes, share: share, flags: flags, more: x.more(op, t.Note)}
		if err := x.insert(t.Queue, t.Seq, s); err != nil {
			return err
		}
		if err := x.name(t.Queue, t.Seq, &s); err != nil {
			return err
		}
	}
	return nil
}

// name is the inverse of unname.
func (x *Index) name(q QueueID, seq Seq, s *slot) error {
	if s.flags&slotElsewhere != 0 {
		if err := x.setRow(claimKey(nil, s.message, q, seq), []byte{1}); err != nil {
			return err
		}
	}
	if s.flags&slotRelocated != 0 {
		return x.countRelocated(s.message, 1)
	}
	return nil
}

// more is what is rare about a new entry. Notes repeat, so that entries which have nothing else share one.
func (x *Index) more(op *Op, note []byte) *slotMore {
	plain := op.ExpiryMs == 0 && op.NotBeforeMs == 0
	switch {
	case plain && len(note) == 0:
		return nil
	case !plain:
		return &slotMore{expiryMs: op.ExpiryMs, notBeforeMs: op.NotBeforeMs, note: bytes.Clone(note)}
	}
	if m := x.notes[string(note)]; m != nil {
		return m
	}
	if len(x.notes) >= maxInternedNotes {
		clear(x.notes)
	}
	m := &slotMore{note: bytes.Clone(note)}
	x.notes[string(note)] = m
	return m
}

func (x *Index) settle(op *Op) error {
	c, err := x.claims(op.Queue)
	if err != nil {
		return err
	}
	for _, r := range op.Ranges {
		if err := x.removeRange(op.Queue, c, r); err != nil {
			return err
		}
	}
	return nil
}

// removeRange removes the entries of an inclusive run of places.
func (x *Index) removeRange(q QueueID, c *claims, r Range) error {
	class := uint8(r.First.Class())
	l := c.known(class)
	if l == nil || l.depth == 0 {
		return nil
	}
	first, last := max(r.First.Counter(), l.head), min(r.Last.Counter(), l.tail)
	for first <= last {
		no := first >> blockShift
		b, err := x.block(q, c, class, no, false, false)
		if err != nil {
			return err
		}
		if b == nil {
			if no, err = x.nextBlock(q, c, class, no+1); err != nil || no == noBlock {
				return err
			}
			first = max(first, no<<blockShift)
			continue
		}
		end := min(last, no<<blockShift+1<<blockShift-1)
		if err := x.removeFrom(q, c, class, b, uint8(first), uint8(end)); err != nil {
			return err
		}
		if b.live == 0 {
			if err := x.passHead(q, c, class); err != nil {
				return err
			}
		}
		first = end + 1
	}
	return nil
}

// removeFrom removes a block's live entries whose low bytes are in [from, to].
func (x *Index) removeFrom(q QueueID, c *claims, class uint8, b *block, from, to uint8) error {
	i, _ := b.find(from)
	for ; i < len(b.slots) && b.slots[i].low <= to; i++ {
		if b.slots[i].flags&slotDead != 0 {
			continue
		}
		if err := x.remove(q, c, c.known(class), b, i); err != nil {
			return err
		}
	}
	return nil
}

// alter changes what is rare about a live entry.
func (x *Index) alter(q QueueID, seq Seq, change func(*slotMore)) error {
	c, err := x.claims(q)
	if err != nil {
		return err
	}
	b, s, err := x.slot(q, c, seq)
	if err != nil || s == nil {
		return err
	}
	m := *s.extra()
	change(&m)
	if len(m.note) == 0 {
		m.note = nil
	}
	b.get(s.low).more = &m
	x.now.bytes += moreBytes
	return nil
}

// slot is a live entry to change, and its block; nil if there is none.
func (x *Index) slot(q QueueID, c *claims, seq Seq) (*block, *slot, error) {
	class, n := uint8(seq.Class()), seq.Counter()
	l := c.known(class)
	if l == nil || l.depth == 0 || n < l.head || n > l.tail {
		return nil, nil, nil
	}
	b, err := x.block(q, c, class, n>>blockShift, false, false)
	if err != nil || b == nil {
		return nil, nil, err
	}
	return b, b.get(uint8(n)), nil
}

// move takes an entry to another queue. Its new place counts as given out even if the entry is not known.
func (x *Index) move(op *Op) error {
	c, err := x.claims(op.Queue)
	if err != nil {
		return err
	}
	t := &op.Targets[0]
	b, s, err := x.slot(op.Queue, c, op.Seq)
	if err != nil {
		return err
	}
	if s == nil {
		return x.giveOut(t.Queue, t.Seq)
	}
	moved := *s
	if m := *s.extra(); len(t.Note) != 0 || m.expiryMs != 0 {
		moved.more = &slotMore{expiryMs: m.expiryMs, note: bytes.Clone(t.Note)}
	} else {
		moved.more = nil
	}
	moved.flags = moved.flags&slotRelocated | slotElsewhere
	if err := x.name(t.Queue, t.Seq, &moved); err != nil { // before it leaves, so that its message is claimed all the while
		return err
	}
	i, _ := b.find(s.low)
	if err := x.remove(op.Queue, c, c.known(uint8(op.Seq.Class())), b, i); err != nil {
		return err
	}
	return x.insert(t.Queue, t.Seq, moved)
}

// giveOut notes that a place was given out.
func (x *Index) giveOut(q QueueID, seq Seq) error {
	c, err := x.claims(q)
	if err != nil {
		return err
	}
	l := c.lane(uint8(seq.Class()))
	l.tail = max(l.tail, seq.Counter())
	return nil
}

func (x *Index) purge(op *Op) error {
	c, err := x.claims(op.Queue)
	if err != nil {
		return err
	}
	for class, n := range op.UpTo {
		if n == 0 || c.known(uint8(class)) == nil {
			continue
		}
		r := Range{Seq(uint64(class) << classShift), Seq(uint64(class)<<classShift | n)}
		if err := x.removeRange(op.Queue, c, r); err != nil {
			return err
		}
	}
	if op.Gone {
		c.gone = true
		for i := range c.lanes {
			c.lanes[i].tail = 0
		}
	}
	return nil
}

// relocateMessage notes where a message lies now, and its entries, known or not.
func (x *Index) relocateMessage(op *Op) error {
	key := messageKey(nil, op.Message)
	if err := x.setRow(key, relocated{op.Pos, 0}.encode()); err != nil {
		return err
	}
	for i := range op.Entries {
		e := &op.Entries[i]
		if err := x.adopt(e); err != nil {
			return err
		}
	}
	return x.setRow(key, relocated{op.Pos, uint64(len(op.Entries))}.encode())
}

// adopt puts an entry in as a relocation carries it, over what is known of it.
func (x *Index) adopt(e *PlacedEntry) error {
	c, err := x.claims(e.Queue)
	if err != nil {
		return err
	}
	_, old, err := x.slot(e.Queue, c, e.Seq)
	if err != nil {
		return err
	}
	if old != nil && old.flags&slotElsewhere != 0 { // its record stands with the message now
		if err := x.setRow(claimKey(nil, old.message, e.Queue, e.Seq), nil); err != nil {
			return err
		}
	}
	s := slot{message: e.Message, size: e.SizeBytes, share: e.ShareBytes, flags: slotRelocated}
	if len(e.Note) != 0 || e.ExpiryMs != 0 || e.NotBeforeMs != 0 || e.Attempts != 0 ||
		len(e.Assign.Session) != 0 || e.Assign.PacketID != 0 || e.Assign.State != 0 {
		s.more = &slotMore{e.ExpiryMs, e.NotBeforeMs, e.Attempts, bytes.Clone(e.Note),
			Assignment{bytes.Clone(e.Assign.Session), e.Assign.PacketID, e.Assign.State}}
	}
	return x.insert(e.Queue, e.Seq, s)
}

// commitPrepared applies what a prepared transaction holds.
func (x *Index) commitPrepared(id []byte) error {
	key := append([]byte{keyPrepared}, id...)
	v, err := x.row(key)
	if err != nil || v == nil {
		return err
	}
	base, unit, err := splitPlaced(v)
	if err != nil {
		return err
	}
	unit = slices.Clone(unit)
	outer, outerBase := x.unit, x.base
	defer func() { x.unit, x.base = outer, outerBase }()
	x.unit, x.base = unit, base
	if err := x.setRow(key, nil); err != nil {
		return err
	}
	var d Decoder
	var op Op
	d.Reset(unit, base)
	for first := true; ; first = false {
		more, err := d.Next(&op)
		if err != nil || !more {
			return err
		}
		if first {
			continue // the TX_PREPARE itself
		}
		x.mu.Unlock()
		err = x.apply(&op)
		x.mu.Lock()
		if err != nil {
			return err
		}
	}
}

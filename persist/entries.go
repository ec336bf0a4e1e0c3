package persist

import "slices"

// What operations do to queues and their entries. All of it is the applier's; mu is held, and let go of to read LevelDB.

// queueRow is a queue's row to change. It may let go of mu to read LevelDB: nobody else changes now meanwhile, and between
// two batches alone is it frozen.
func (x *Index) queueRow(q QueueID) (*queueRow, error) {
	if c := x.now.queues[q]; c != nil {
		return c, nil
	}
	var c *queueRow
	if x.frozen != nil && x.frozen.queues[q] != nil {
		c = x.frozen.queues[q].copy()
	} else {
		v, err := x.load(queueRowKey(nil, q))
		if err != nil {
			return nil, err
		}
		c = new(queueRow)
		if v != nil {
			if c, err = decodeQueueRow(v); err != nil {
				return nil, err
			}
		}
	}
	x.now.queues[q] = c
	x.now.bytes += queueRowBytes
	return c, nil
}

// block is a block to change: nil if there is none and it is not to be made. fresh says that nothing of its number was
// ever given out. Lanes may have moved after it.
func (x *Index) block(q QueueID, c *queueRow, class uint8, no uint64, fresh, make bool) (*block, error) {
	l := c.lane(class)
	if b := l.find(no); b != nil {
		return b, nil
	}
	b, err := x.unchanged(q, class, no, fresh)
	if err != nil || b == nil && !make {
		return nil, err
	}
	if b == nil {
		b = x.recycled(no)
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

// recycled is an empty block; the applier's own blocks of which nothing is left are used again.
func (x *Index) recycled(no uint64) *block {
	if n := len(x.spare); n > 0 {
		b := x.spare[n-1]
		x.spare = x.spare[:n-1]
		*b = block{no: no, slots: b.slots[:0]}
		return b
	}
	return &block{no: no}
}

// insert puts an entry into its place, and answers what lived there.
func (x *Index) insert(q QueueID, seq Seq, s slot) (old slot, lived bool, err error) {
	c, err := x.queueRow(q)
	if err != nil {
		return old, false, err
	}
	class, n := uint8(seq.Class()), seq.Counter()
	l := c.lane(class)
	b, err := x.block(q, c, class, n>>blockShift, n>>blockShift > l.tail>>blockShift, true)
	if err != nil {
		return old, false, err
	}
	s.low = uint8(n)
	before := cap(b.slots)
	old, lived = b.put(s)
	x.now.bytes += int64(cap(b.slots)-before) * slotBytes
	if s.more != nil {
		x.now.bytes += moreBytes
	}
	if lived {
		x.uncount(c, &old)
	} else {
		l.depth++
	}
	x.count(c, &s)
	x.giveOut(c, l, n)
	if l.head == 0 || n < l.head {
		l.head = n
	}
	return old, lived, nil
}

// count adds an entry to what its queue, its segment and the log hold alive; uncount takes it away.
func (x *Index) count(c *queueRow, s *slot) {
	c.depth++
	c.bytes += uint64(s.size)
	x.live += s.liveBytes()
	if s.flags&slotRelocated == 0 { // else its message's row counts
		x.counts.add(s.message, 1)
	}
}

func (x *Index) uncount(c *queueRow, s *slot) {
	c.depth--
	c.bytes -= uint64(s.size)
	x.live -= s.liveBytes()
	if s.flags&slotRelocated == 0 {
		x.counts.add(s.message, -1)
	}
}

// giveOut notes that a counter was given out.
func (x *Index) giveOut(c *queueRow, l *lane, n uint64) {
	if n == 0 || n < l.tail {
		return
	}
	if l.tail == 0 {
		x.live += tailOverheadBytes
	}
	l.tail, l.said, c.gone = n, x.opPos, false
}

// remove ends the i-th slot of a block; where it was named elsewhere, it is no more.
func (x *Index) remove(q QueueID, c *queueRow, l *lane, b *block, i int) error {
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
	return x.unname(q, seq, &s)
}

// dropEmpty forgets a block of which nothing is left, if LevelDB has nothing of it. The tail's stays, so that nobody
// looks for it in LevelDB.
func (x *Index) dropEmpty(l *lane, b *block) {
	if b.live == 0 && !b.stored && b.no != l.tail>>blockShift {
		l.remove(b)
		x.now.bytes -= blockBytes + int64(cap(b.slots))*slotBytes
		if len(x.spare) < maxSpareBlocks {
			x.spare = append(x.spare, b)
		}
	}
}

func (x *Index) enqueue(op *Op) error {
	flags, size := uint8(0), op.SizeBytes
	if op.Message < x.base || op.Message >= x.base+Pos(len(x.unit)) {
		flags = slotStray
		v, err := x.row(relocatedKey(op.Message))
		if err != nil {
			return err
		}
		if v != nil {
			flags |= slotRelocated
		}
	} else if op.Message == x.message {
		size = max(size, x.messageBytes)
	}
	share := (size+recordOverheadBytes)/uint32(max(len(op.Targets), 1)) + entryOverheadBytes
	for i := range op.Targets {
		t := &op.Targets[i]
		s := slot{message: op.Message, size: op.SizeBytes, share: share, flags: flags, more: x.more(op, t.Note)}
		if err := x.place(t.Queue, t.Seq, s); err != nil {
			return err
		}
	}
	return nil
}

// place inserts an entry and names it. What lived in its place, which no sound core does, is named no more.
func (x *Index) place(q QueueID, seq Seq, s slot) error {
	if err := x.name(q, seq, &s); err != nil {
		return err
	}
	old, lived, err := x.insert(q, seq, s)
	if err != nil || !lived {
		return err
	}
	if old.message == s.message && s.flags&slotStray != 0 {
		old.flags &^= slotStray // they have one name
	}
	return x.unname(q, seq, &old)
}

// more is what is rare about a new entry. Notes repeat, so that entries which have nothing else share one.
func (x *Index) more(op *Op, note []byte) *slotMore {
	plain := op.ExpiryMs == 0 && op.NotBeforeMs == 0
	switch {
	case plain && len(note) == 0:
		return nil
	case !plain:
		return &slotMore{expiryMs: op.ExpiryMs, notBeforeMs: op.NotBeforeMs, note: slices.Clone(note)}
	}
	if m := x.notes[string(note)]; m != nil {
		return m
	}
	if len(x.notes) >= maxInternedNotes {
		clear(x.notes)
	}
	m := &slotMore{note: slices.Clone(note)}
	x.notes[string(note)] = m
	return m
}

func (x *Index) settle(op *Op) error {
	c, err := x.queueRow(op.Queue)
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
func (x *Index) removeRange(q QueueID, c *queueRow, r Range) error {
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
		if err := x.removeFrom(q, c, l, b, uint8(first), uint8(end)); err != nil {
			return err
		}
		if b.live == 0 {
			x.dropEmpty(l, b)
			if err := x.passHead(q, c, class); err != nil {
				return err
			}
		}
		first = end + 1
	}
	return nil
}

// removeFrom removes a block's live entries whose low bytes are in [from, to].
func (x *Index) removeFrom(q QueueID, c *queueRow, l *lane, b *block, from, to uint8) error {
	i, _ := b.find(from)
	for ; i < len(b.slots) && b.slots[i].low <= to; i++ {
		if b.slots[i].flags&slotDead != 0 {
			continue
		}
		if err := x.remove(q, c, l, b, i); err != nil {
			return err
		}
	}
	return nil
}

// alter changes what is rare about a live entry.
func (x *Index) alter(q QueueID, seq Seq, change func(*slotMore)) error {
	c, err := x.queueRow(q)
	if err != nil {
		return err
	}
	_, s, err := x.slot(q, c, seq)
	if err != nil || s == nil {
		return err
	}
	m := *s.extra()
	change(&m)
	if len(m.note) == 0 {
		m.note = nil
	}
	x.live -= s.liveBytes()
	s.more = &m
	x.live += s.liveBytes()
	x.now.bytes += moreBytes
	return nil
}

// slot is a live entry to change, and its block; nil if there is none.
func (x *Index) slot(q QueueID, c *queueRow, seq Seq) (*block, *slot, error) {
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
	t := &op.Targets[0]
	if t.Queue == op.Queue && t.Seq == op.Seq {
		return nil
	}
	c, err := x.queueRow(op.Queue)
	if err != nil {
		return err
	}
	b, s, err := x.slot(op.Queue, c, op.Seq)
	if err != nil {
		return err
	}
	if s == nil {
		to, err := x.queueRow(t.Queue)
		if err == nil {
			x.giveOut(to, to.lane(uint8(t.Seq.Class())), t.Seq.Counter())
		}
		return err
	}
	moved := *s
	moved.more = nil
	if m := s.extra(); len(t.Note) != 0 || m.expiryMs != 0 {
		moved.more = &slotMore{expiryMs: m.expiryMs, note: slices.Clone(t.Note)}
	}
	moved.flags = moved.flags&slotRelocated | slotStray
	if err := x.place(t.Queue, t.Seq, moved); err != nil { // before it leaves, so that its message is claimed all the while
		return err
	}
	i, _ := b.find(uint8(op.Seq.Counter())) // its block may be the other place's too
	l := c.known(uint8(op.Seq.Class()))
	if err := x.remove(op.Queue, c, l, b, i); err != nil {
		return err
	}
	x.dropEmpty(l, b)
	return nil
}

func (x *Index) purge(op *Op) error {
	c, err := x.queueRow(op.Queue)
	if err != nil {
		return err
	}
	for i := range c.lanes {
		l := &c.lanes[i]
		n := op.UpTo[l.class]
		if op.Gone {
			n = l.tail
		}
		r := Range{Seq(uint64(l.class) << classShift), Seq(uint64(l.class)<<classShift | n)}
		if err := x.removeRange(op.Queue, c, r); err != nil {
			return err
		}
		if op.Gone && l.tail != 0 {
			x.live -= tailOverheadBytes
			l.tail, l.said = 0, 0
		}
	}
	c.gone = c.gone || op.Gone
	return nil
}

// relocateMessage notes where a message lies now, and its entries, known or not.
func (x *Index) relocateMessage(op *Op) error {
	key := relocatedKey(op.Message)
	if err := x.setRow(key, relocated{op.Pos, 0}.encode()); err != nil {
		return err
	}
	for i := range op.Entries {
		if err := x.adopt(&op.Entries[i]); err != nil {
			return err
		}
	}
	if len(op.Entries) == 0 { // nobody wants it
		return x.setRow(key, nil)
	}
	return x.setRow(key, relocated{op.Pos, uint64(len(op.Entries))}.encode())
}

// adopt puts an entry in as a relocation carries it, over what is known of it.
func (x *Index) adopt(e *PlacedEntry) error {
	s := slot{message: e.Message, size: e.SizeBytes, share: e.ShareBytes, flags: slotRelocated}
	if len(e.Note) != 0 || e.ExpiryMs != 0 || e.NotBeforeMs != 0 || e.Attempts != 0 || e.Assign.some() {
		s.more = &slotMore{e.ExpiryMs, e.NotBeforeMs, e.Attempts, slices.Clone(e.Note),
			Assignment{slices.Clone(e.Assign.Session), e.Assign.PacketID, e.Assign.State}}
	}
	old, lived, err := x.insert(e.Queue, e.Seq, s)
	if err != nil || !lived || old.flags&slotStray == 0 {
		return err
	}
	return x.setRow(strayKey(old.message, e.Queue, e.Seq), nil) // its record stands with the message now
}

// relocateTails notes which counters were given out.
func (x *Index) relocateTails(op *Op) error {
	c, err := x.queueRow(op.Queue)
	if err != nil {
		return err
	}
	for class, n := range op.UpTo {
		if n != 0 {
			x.giveOut(c, c.lane(uint8(class)), n)
		}
	}
	return nil
}

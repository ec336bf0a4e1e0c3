package persist

import (
	"slices"
)

const (
	// relocateBytes is how much one call of keep writes anew, at most: a longer burst would stand before clients' commits.
	relocateBytes = 8 << 20
	// relocateUnitBytes is the size of one unit of it.
	relocateUnitBytes = 1 << 20
	// idleTicks is for how many calls of keep nothing was appended when the log is idle.
	idleTicks = 10
	// youngSegments is how many segments a log has whose oldest is young: most of what lives there will soon be gone.
	youngSegments = 2
	// A look that did not empty the segment is followed by a pause, each twice as long as the one before.
	minPauseTicks, maxPauseTicks = 10, 600
)

// relocator appends again what lives in the log's oldest segment, when less than half of the log lives, so that the
// segment may go. It is keep's own.
type relocator struct {
	until Pos    // what it appended ends here: nothing is decided before that is applied
	head  Pos    // the oldest segment
	from  Pos    // its first batch that was not looked at in this pass
	live  uint64 // what lived in it at the last tick
	end   Pos    // of the log
	still int    // for so many ticks
	wait  int    // ticks
	pause int
}

// relocateHead looks through the oldest segment, or a part of it, if that is worth it.
func (x *Index) relocateHead() error {
	first, end, due, few := x.headDue()
	if !due {
		return nil
	}
	if err := x.flush(); err != nil {
		return err
	}
	x.mu.RLock()
	flushed := x.flushed
	v, err := x.look()
	x.mu.RUnlock()
	if err != nil {
		return err
	}
	defer v.Release()
	if flushed < end {
		return nil // the log is not synced as far
	}
	var l *looker
	if few {
		l, err = x.lookInIndex(&cut{view: v}, first, end)
	} else {
		l, err = x.lookThrough(&cut{view: v}, first, end, x.relocator.from)
	}
	if err != nil {
		return err
	}
	if len(l.finds) > 0 {
		err = x.relocate(l.finds)
	}
	x.relocator.advance(l.stopped, end)
	return passMoved(err)
}

// advance notes how far a pass has come. What it left is left to the next one.
func (r *relocator) advance(stopped, end Pos) {
	r.from = stopped
	if stopped >= end {
		r.from = r.head
		r.pause = min(max(2*r.pause, minPauseTicks), maxPauseTicks)
		r.wait = r.pause
	}
}

// headDue says whether the oldest segment [first, end) should be looked through now: it is sealed and applied, less than
// half of the log lives, it holds something, it is not young, and does not empty by itself. few says that the index is
// the cheaper place to look.
func (x *Index) headDue() (first, end Pos, due, few bool) {
	r := &x.relocator
	first, end, sealed := x.log.head()
	logEnd := x.log.end()
	if r.still++; logEnd != r.end {
		r.end, r.still = logEnd, 0
	}
	if first != r.head {
		*r = relocator{until: r.until, head: first, from: first, end: r.end, still: r.still}
	}
	x.mu.RLock()
	live, pos, segments, inHead := x.live, x.pos, len(x.counts), uint64(0)
	if segments > 0 && x.counts[0].first == first {
		inHead = x.counts[0].live
	}
	all := x.counts.total()
	x.mu.RUnlock()
	empties := inHead < r.live && r.live-inHead > r.live/64
	r.live = inHead
	idle := r.still >= idleTicks
	switch {
	case !sealed || pos < end || inHead == 0 || uint64(logEnd-first) <= 2*live:
	case segments <= youngSegments && !idle:
	case empties && !idle:
	case r.wait > 0:
		r.wait--
	default:
		return first, end, true, inHead <= fewLive && all*walkBytes < uint64(end-first)
	}
	return 0, 0, false, false
}

// find is something that lives in the oldest segment: a message with its entries, or a row.
type find struct {
	name     Pos // of a message
	at       Pos // where its record is
	id       []byte
	header   []byte
	body     []byte
	places   []entryKey    // where its entries may be, but for strays
	entries  []PlacedEntry // all that live
	key      string        // of a row; "": it is a message
	value    []byte
	rowBytes int
	dropped  bool // the tail speaks of it
}

// looker gathers what lives in a segment, as of a cut: a little too much, as time goes on, never too little.
type looker struct {
	cut        *cut
	first, end Pos
	log        indexLog
	live       *entries
	strays     map[Pos][]entryKey
	finds      []*find
	byName     map[Pos]*find
	last       Op // the newest MESSAGE; its slices are good while its batch is read
	bytes      int
	stopped    Pos // everything before was looked at
	err        error
}

// lookThrough finds what lives in the segment [first, end), from one of its batches on, relocateBytes at most.
func (x *Index) lookThrough(c *cut, first, end, from Pos) (*looker, error) {
	l := &looker{cut: c, first: first, end: end, log: x.log, live: c.entries(), byName: map[Pos]*find{}}
	if l.strays, l.err = c.strays(first, end); l.err != nil {
		return nil, l.err
	}
	stopped, err := x.log.scanSegment(first, from, func(op *Op) bool {
		l.err = l.see(op)
		return l.err == nil && l.bytes < relocateBytes
	})
	if l.stopped = stopped; err == nil {
		err = l.err
	}
	return l, err
}

func (l *looker) see(op *Op) error {
	switch op.Code {
	case CodeMessage:
		l.last = *op
		if l.strays[op.Pos] != nil {
			_, err := l.message(op.Pos, op)
			return err
		}
	case CodeEnqueue:
		return l.enqueued(op)
	case CodeRelocateMessage:
		return l.relocated(op)
	case CodePut, CodeRelocateRow:
		return l.row(tableKey(nil, op.Table, op.Key), op.Pos)
	case CodeConfig:
		return l.row([]byte{keyConfig}, op.Pos)
	case CodeTxPrepare:
		return l.row(preparedKey(op.Key), op.Pos)
	}
	return nil
}

// enqueued notes the entries that live of those that stand with their message. The others are strays.
func (l *looker) enqueued(op *Op) error {
	if op.Message < l.first {
		return nil
	}
	for i := range op.Targets {
		k := entryKey{op.Targets[i].Queue, op.Targets[i].Seq}
		e, ok, err := l.live.get(k)
		if err != nil {
			return err
		}
		if !ok || e.Message != op.Message {
			continue
		}
		f, err := l.message(op.Message, &l.last)
		if err != nil || f == nil {
			return err
		}
		f.places = append(f.places, k)
	}
	return nil
}

// relocated notes a message that was relocated to here, if it still lives here.
func (l *looker) relocated(op *Op) error {
	v, err := l.cut.row(relocatedKey(op.Message))
	if err != nil || v == nil {
		return err
	}
	r, err := decodeRelocated(v)
	if err != nil || r.at != op.Pos {
		return err
	}
	f := l.add(op.Message, op)
	for i := range op.Entries {
		f.places = append(f.places, entryKey{op.Entries[i].Queue, op.Entries[i].Seq})
	}
	return nil
}

// message is the find of a message of this segment, nil if it was relocated. op is its record, if it is at hand.
func (l *looker) message(name Pos, op *Op) (*find, error) {
	if f := l.byName[name]; f != nil {
		return f, nil
	}
	if v, err := l.cut.row(relocatedKey(name)); v != nil || err != nil {
		return nil, err
	}
	if op.Code != CodeMessage || op.Pos != name {
		var other Op
		if _, err := l.log.readRecord(name, &other, nil); err != nil {
			return nil, err
		}
		op = &other
	}
	return l.add(name, op), nil
}

func (l *looker) add(name Pos, op *Op) *find {
	f := l.note(name, op.Pos)
	l.bytes += f.hold(op)
	return f
}

func (l *looker) note(name, at Pos) *find {
	f := &find{name: name, at: at}
	l.byName[name], l.finds = f, append(l.finds, f)
	return f
}

func (l *looker) noteRow(key []byte, at Pos, value []byte) {
	f := &find{at: at, key: string(key), rowBytes: len(key) + len(value)}
	l.finds = append(l.finds, f)
	l.bytes += f.rowBytes
}

// hold copies the message, and answers how much it is.
func (f *find) hold(op *Op) (n int) {
	all := slices.Concat(op.ID, op.Header, op.Body)
	i, h := len(op.ID), len(op.ID)+len(op.Header)
	f.id, f.header, f.body = all[:i:i], all[i:h:h], all[h:]
	return len(all) + entryOverheadBytes
}

// row notes a row that this record, and no later one, set.
func (l *looker) row(key []byte, at Pos) error {
	v, err := l.cut.row(key)
	if err != nil || v == nil {
		return err
	}
	p, value, err := splitPlaced(v)
	if err != nil || p != at {
		return err
	}
	l.noteRow(key, at, value)
	return nil
}

// relocate appends what was found again, as it is at a cut, but for what any operation of the tail behind that speaks of.
func (x *Index) relocate(finds []*find) error {
	x.log.holdTail()
	defer x.log.releaseTail()
	c, err := x.cut()
	if err != nil {
		return err
	}
	defer c.view.Release()
	if finds, err = c.still(finds); err != nil {
		return err
	}
	if x.weaken["relocate-state"] {
		for _, f := range finds {
			for i := range f.entries {
				f.entries[i].Attempts = 0
			}
		}
	}
	tail := newTailCheck(finds)
	if x.weaken["relocate-tail"] {
		tail = newTailCheck(nil)
	}
	for len(finds) > 0 {
		var u *chunk
		u, finds = nextChunk(finds)
		_, end, err := x.log.appendAgainst(tail.see, u.rest)
		if err != nil {
			return err
		}
		x.relocator.until = max(x.relocator.until, end)
	}
	return nil
}

// still is what of the finds lives in the cut, with all that is to be known of it.
func (c *cut) still(finds []*find) (out []*find, err error) {
	lo, hi := Pos(maxPos), Pos(0)
	for _, f := range finds {
		if f.key == "" {
			lo, hi = min(lo, f.name), max(hi, f.name+1)
		}
	}
	strays, err := c.strays(lo, hi)
	if err != nil {
		return nil, err
	}
	live := c.entries()
	for _, f := range finds {
		ok := false
		if f.key != "" {
			ok, err = c.stillRow(f)
		} else {
			ok, err = c.stillMessage(f, strays[f.name], live)
		}
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, f)
		}
	}
	return out, nil
}

func (c *cut) stillRow(f *find) (bool, error) {
	v, err := c.row([]byte(f.key))
	if err != nil || v == nil {
		return false, err
	}
	p, value, err := splitPlaced(v)
	f.value = value
	return p == f.at, err
}

// stillMessage looks up all entries of a message. If it was relocated before, it is known how many there must be.
func (c *cut) stillMessage(f *find, strays []entryKey, live *entries) (bool, error) {
	v, err := c.row(relocatedKey(f.name))
	if err != nil || (v == nil) != (f.at == f.name) {
		return false, err
	}
	for _, k := range append(f.places, strays...) {
		e, ok, err := live.get(k)
		if err != nil {
			return false, err
		}
		if ok && e.Message == f.name && !slices.ContainsFunc(f.entries, func(p PlacedEntry) bool { return p.Queue == k.q && p.Seq == k.s }) {
			f.entries = append(f.entries, PlacedEntry{k.q, e})
		}
	}
	if v == nil {
		return len(f.entries) > 0, nil
	}
	r, err := decodeRelocated(v)
	return r.at == f.at && r.entries == uint64(len(f.entries)), err
}

// chunk is a unit of some finds, and where each one's record is in it.
type chunk struct {
	unit  Unit
	finds []*find
	ends  []int
}

// nextChunk builds the unit of the first finds, about relocateUnitBytes of them. A prepared transaction is a unit of its
// own.
func nextChunk(finds []*find) (c *chunk, rest []*find) {
	c = new(chunk)
	for len(finds) > 0 && c.unit.Len() < relocateUnitBytes {
		f := finds[0]
		alone := f.key != "" && f.key[0] == keyPrepared
		if alone && len(c.finds) > 0 {
			break
		}
		finds = finds[1:]
		if !f.dropped {
			f.again(&c.unit)
			c.finds, c.ends = append(c.finds, f), append(c.ends, c.unit.Len())
		}
		if alone {
			break
		}
	}
	return c, finds
}

// again adds the record that says anew what was found.
func (f *find) again(u *Unit) {
	switch {
	case f.key == "":
		u.RelocateMessage(f.name, f.id, f.header, f.body, f.entries)
	case f.key[0] == keyPrepared:
		u.buf = append(u.buf, f.value...)
	case f.key[0] == keyConfig:
		u.Config(f.value)
	default:
		u.RelocateRow(Table(f.key[1]), []byte(f.key[2:]), f.value)
	}
}

// rest is the unit without the finds that the tail speaks of.
func (c *chunk) rest() *Unit {
	kept, from := c.unit.buf[:0], 0
	for i, f := range c.finds {
		if !f.dropped {
			kept = append(kept, c.unit.buf[from:c.ends[i]]...)
		}
		from = c.ends[i]
	}
	c.unit.buf = kept
	return &c.unit
}

package persist

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/syndtr/goleveldb/leveldb/iterator"
)

const (
	// sweepBytes is how much one call of keep writes anew, at most: a longer burst would stand before clients' commits.
	sweepBytes = 8 << 20
	// sweepUnitBytes is the size of one unit of it.
	sweepUnitBytes = 1 << 20
)

// sweep frees the log's head: what lives in the oldest segment is appended again, then TRIM says that the segment is not
// needed, and once that is committed, and the index flushed past it, the segment goes.
//
//	look through the segment ──► something lives: RELOCATE it, look again when that is applied
//	                         └─► nothing does:    RELOCATE_TAILS, TRIM
//
// What is relocated is what lived in the index when the tail began to be held, but for what any operation of the tail
// speaks of: that is left for the next look.
type sweep struct {
	until Pos // what was appended ends here: look again when it is applied
}

// find is something that lives in the head segment: a message with its entries, a row, a prepared transaction.
type find struct {
	name    Pos // of a message
	at      Pos // where its record is
	entries []PlacedEntry
	key     string // of a row; "": it is a message
	value   []byte
	dropped bool // the tail speaks of it
}

// keep does what must be done now and then.
func (x *Index) keep(leading bool) error {
	x.mu.RLock()
	err, trim, flushed := x.broken, x.trim, x.flushed
	dirty, pos := x.now.bytes+x.frozenBytes(), x.pos
	x.mu.RUnlock()
	if err != nil {
		return err
	}
	x.ticks++
	trimmed := trim.to <= x.log.logStart()
	if pos != flushed && (dirty > x.budget || x.ticks >= flushTicks || !trimmed) {
		x.ticks = 0
		if err := x.flush(); err != nil {
			return err
		}
	}
	if !trimmed {
		return x.dropTrimmed()
	}
	if leading && pos >= x.sweep.until {
		return x.sweepHead()
	}
	return nil
}

// frozenBytes is what is frozen; mu is held.
func (x *Index) frozenBytes() int64 {
	if x.frozen == nil {
		return 0
	}
	return x.frozen.bytes
}

// dropTrimmed obeys the TRIM, if the index was flushed past it: applied is committed, and flushed is synced.
func (x *Index) dropTrimmed() error {
	x.mu.RLock()
	trim, flushed := x.trim, x.flushed
	x.mu.RUnlock()
	if flushed <= trim.at {
		return nil
	}
	return x.log.dropSegmentsBelow(trim.to)
}

// sweepHead looks through the oldest segments, if less than half of the log lives.
func (x *Index) sweepHead() error {
	x.mu.RLock()
	live := x.live
	x.mu.RUnlock()
	first, end, sealed := x.log.head()
	if !sealed || uint64(x.log.end()-first) <= 2*live {
		return nil
	}
	x.log.holdTail()
	defer x.log.releaseTail()
	l, err := x.lookThrough(first, end)
	if err != nil {
		return err
	}
	if len(l.finds) == 0 {
		return x.trimTo(l)
	}
	return x.relocate(l)
}

// looker gathers what lives in a segment.
type looker struct {
	x          *Index
	first, end Pos
	finds      []*find
	byName     map[Pos]*find
	tails      map[QueueID]struct{}
	bytes      int
	err        error

	blocks  map[blockAt]map[uint8]Entry // looked at already
	changed map[Pos][]string            // rows of keyClaim in the overlays, by message
	over    map[string][]byte
	stored  iterator.Iterator // those of LevelDB
	view    view
}

type blockAt struct {
	q     QueueID
	class uint8
	no    uint64
}

const keepBlocks = 1024

// lookThrough finds what lives in the segment [first, end), sweepBytes of it at most, and the queues that it gave places in.
func (x *Index) lookThrough(first, end Pos) (*looker, error) {
	l := &looker{x: x, first: first, end: end, byName: map[Pos]*find{}, tails: map[QueueID]struct{}{},
		blocks: map[blockAt]map[uint8]Entry{}, changed: map[Pos][]string{}}
	if err := l.openClaims(); err != nil {
		return nil, err
	}
	defer l.view.Release()
	defer l.stored.Release()
	err := x.log.scanSegment(first, func(op *Op) bool {
		l.see(op)
		return l.err == nil && l.bytes < sweepBytes
	})
	return l, errors.Join(err, l.err, l.stored.Error())
}

// openClaims makes ready to ask which entries' records do not stand with their messages.
func (l *looker) openClaims() (err error) {
	l.x.mu.RLock()
	keys, values := l.x.changedRows([]byte{keyClaim})
	l.view, err = l.x.look()
	l.x.mu.RUnlock()
	if err != nil {
		return err
	}
	l.over = values
	for _, k := range keys {
		name := Pos(binary.BigEndian.Uint64([]byte(k[1:])))
		l.changed[name] = append(l.changed[name], k)
	}
	l.stored = l.view.prefix([]byte{keyClaim})
	l.stored.First()
	return nil
}

func (l *looker) see(op *Op) {
	switch op.Code {
	case CodeMessage:
		l.named(op.Pos, op.Pos)
	case CodeEnqueue:
		for i := range op.Targets {
			t := &op.Targets[i]
			l.tails[t.Queue] = struct{}{}
			if op.Message >= l.first { // else its message was relocated since, and this entry with it
				l.claim(op.Message, op.Message, t.Queue, t.Seq)
			}
		}
	case CodeMove:
		l.tails[op.Targets[0].Queue] = struct{}{}
	case CodeRelocateMessage:
		l.relocated(op)
	case CodeRelocateTails:
		l.tails[op.Queue] = struct{}{}
	case CodePut, CodeRelocateRow:
		l.row(tableKey(nil, op.Table, op.Key), op.Pos)
	case CodeConfig:
		l.row([]byte{keyConfig}, op.Pos)
	case CodeTxPrepare:
		l.row(append([]byte{keyPrepared}, op.Key...), op.Pos)
	}
}

func (l *looker) relocated(op *Op) {
	r, ok, err := l.x.relocatedTo(op.Message)
	if l.err = errors.Join(l.err, err); !ok || r.at != op.Pos {
		return
	}
	for i := range op.Entries {
		l.tails[op.Entries[i].Queue] = struct{}{}
		l.claim(op.Message, op.Pos, op.Entries[i].Queue, op.Entries[i].Seq)
	}
	l.namedEarlier(op.Message, op.Pos)
}

// named looks for entries whose records do not stand with their message. Messages come in order, mostly, so that the
// next row is mostly where the last search ended.
func (l *looker) named(name, at Pos) {
	for _, k := range l.changed[name] {
		if l.over[k] != nil {
			l.claimRow(name, at, k)
		}
	}
	prefix := claimPrefix(nil, name)
	if l.stored.Valid() && bytes.Compare(l.stored.Key(), prefix) < 0 {
		l.stored.Seek(prefix)
	}
	for ; l.stored.Valid() && bytes.HasPrefix(l.stored.Key(), prefix); l.stored.Next() {
		if k := string(l.stored.Key()); l.over[k] == nil {
			if _, gone := l.over[k]; !gone {
				l.claimRow(name, at, k)
			}
		}
	}
}

// namedEarlier is named for a message whose name is not in order.
func (l *looker) namedEarlier(name, at Pos) {
	if l.stored.First() {
		l.stored.Seek(claimPrefix(nil, name))
	}
	l.named(name, at)
	l.stored.First()
}

func (l *looker) claimRow(name, at Pos, key string) {
	k := []byte(key[9:])
	l.claim(name, at, QueueID(binary.BigEndian.Uint64(k)), Seq(binary.BigEndian.Uint64(k[8:])))
}

// entry looks up an entry, in blocks that were looked at before if it can: what changed since is in the tail.
func (l *looker) entry(q QueueID, s Seq) (e Entry, ok bool) {
	at := blockAt{q, uint8(s.Class()), s.Counter() >> blockShift}
	live, known := l.blocks[at]
	if !known {
		if len(l.blocks) >= keepBlocks {
			clear(l.blocks)
		}
		err := l.x.blockAt(q, at.class, at.no, func(b *block) {
			live = make(map[uint8]Entry, b.live)
			for i := b.next(0); i < len(b.slots); i = b.next(i + 1) {
				live[b.slots[i].low] = b.entry(at.class, &b.slots[i])
			}
		})
		l.err = errors.Join(l.err, err)
		l.blocks[at] = live
	}
	e, ok = live[uint8(s.Counter())]
	return e, ok
}

// claim notes an entry that lives, with its message, which lies at at.
func (l *looker) claim(name, at Pos, q QueueID, s Seq) {
	e, ok := l.entry(q, s)
	if !ok || e.Message != name {
		return
	}
	f := l.byName[name]
	if f == nil {
		if at == name {
			_, moved, err := l.x.relocatedTo(name)
			if l.err = errors.Join(l.err, err); moved || err != nil {
				return
			}
		}
		f = &find{name: name, at: at}
		l.byName[name], l.finds = f, append(l.finds, f)
		l.bytes += int(e.SizeBytes)
	}
	for i := range f.entries {
		if f.entries[i].Queue == q && f.entries[i].Seq == s {
			return
		}
	}
	f.entries = append(f.entries, PlacedEntry{q, e})
	l.bytes += entryOverheadBytes
}

// row notes a row that this record, and no later one, set.
func (l *looker) row(key []byte, at Pos) {
	v, err := l.x.value(key)
	if l.err = errors.Join(l.err, err); err != nil || v == nil {
		return
	}
	p, value, err := splitPlaced(v)
	if l.err = errors.Join(l.err, err); err != nil || p != at {
		return
	}
	l.finds = append(l.finds, &find{at: at, key: string(key), value: bytes.Clone(value)})
	l.bytes += len(key) + len(value)
}

// moves are the MOVEs of the tail, as far as it goes now, by the places that they left. An entry that one took away while
// the segment was looked through may have been missed at both of its places, so that its message is left alone.
func (l *looker) moves() (left map[claimAt]struct{}, err error) {
	left = map[claimAt]struct{}{}
	var to []claimAt
	see := func(op *Op) {
		if op.Code == CodeMove {
			left[claimAt{op.Queue, op.Seq}] = struct{}{}
			to = append(to, claimAt{op.Targets[0].Queue, op.Targets[0].Seq})
		}
	}
	if _, _, err := l.x.log.appendAgainst(see, func() *Unit { return new(Unit) }); err != nil {
		return nil, err
	}
	for _, at := range to {
		e, ok, err := l.x.slotAt(at.q, at.s)
		if err != nil {
			return nil, err
		}
		if f := l.byName[e.Message]; ok && f != nil {
			f.dropped = true
		} else if ok && e.Message >= l.first && e.Message < l.end {
			f := &find{name: e.Message, dropped: true}
			l.finds, l.byName[e.Message] = append(l.finds, f), f
		}
	}
	return left, nil
}

// relocate appends what was found again.
func (x *Index) relocate(l *looker) error {
	left, err := l.moves()
	if err != nil {
		return passMoved(err)
	}
	tail := newSpoken(l.finds, left)
	for from := 0; from < len(l.finds); {
		n, c, err := x.chunk(l.finds[from:])
		if err != nil {
			return err
		}
		from += n
		_, end, err := x.log.appendAgainst(tail.see, c.rest)
		if err != nil {
			return passMoved(err)
		}
		x.sweep.until = max(x.sweep.until, end)
	}
	return nil
}

// passMoved is nil for what the next look will do better.
func passMoved(err error) error {
	if errors.Is(err, errTailMoved) {
		return nil
	}
	return err
}

// chunk is the unit of some finds, and where each one's record is in it.
type chunk struct {
	unit  Unit
	finds []*find
	ends  []int
}

// chunk builds the unit of the first finds, about sweepUnitBytes of them. A prepared transaction is a unit of its own.
func (x *Index) chunk(finds []*find) (n int, c *chunk, err error) {
	c = new(chunk)
	var buf []byte
	for n < len(finds) && c.unit.Len() < sweepUnitBytes {
		f := finds[n]
		alone := f.key != "" && f.key[0] == keyPrepared
		if alone && n > 0 {
			break
		}
		n++
		if f.dropped {
			continue
		}
		if buf, err = x.again(&c.unit, f, buf); err != nil {
			return 0, nil, err
		}
		c.finds, c.ends = append(c.finds, f), append(c.ends, c.unit.Len())
		if alone {
			break
		}
	}
	return n, c, nil
}

// again adds the record that says anew what was found.
func (x *Index) again(u *Unit, f *find, buf []byte) ([]byte, error) {
	switch {
	case f.key == "":
		var op Op
		buf, err := x.log.readRecord(f.at, &op, buf)
		if err != nil {
			return buf, err
		}
		u.RelocateMessage(f.name, op.ID, op.Header, op.Body, f.entries)
		return buf, nil
	case f.key[0] == keyPrepared:
		u.buf = append(u.buf, f.value...)
	case f.key[0] == keyConfig:
		u.Config(f.value)
	default:
		u.RelocateRow(Table(f.key[1]), []byte(f.key[2:]), f.value)
	}
	return buf, nil
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

// trimTo says that the segment is not needed, unless the tail gives something in it new life.
func (x *Index) trimTo(l *looker) error {
	left, err := l.moves()
	if err != nil || len(l.finds) > 0 {
		return passMoved(err)
	}
	states := map[QueueID]QueueState{}
	for q := range l.tails {
		if s := x.queue(q); s != (QueueState{}) {
			states[q] = s
		}
	}
	alive := false
	see := func(op *Op) {
		switch op.Code {
		case CodeEnqueue:
			alive = alive || op.Message >= l.first && op.Message < l.end
		case CodeMove:
			_, known := left[claimAt{op.Queue, op.Seq}]
			alive = alive || !known
		case CodePurge:
			if op.Gone {
				delete(states, op.Queue)
			}
		}
	}
	_, until, err := x.log.appendAgainst(see, func() *Unit {
		u := new(Unit)
		if alive {
			return u
		}
		for q, s := range states {
			u.RelocateTails(q, s.Tails)
		}
		u.Trim(l.end)
		return u
	})
	if err == nil {
		x.sweep.until = max(x.sweep.until, until)
	}
	return passMoved(err)
}

// spoken marks the finds that operations of the tail speak of.
type spoken struct {
	entries map[claimAt]*find
	names   map[Pos]*find
	queues  map[QueueID][]*find
	rows    map[string]*find
	left    map[claimAt]struct{} // by MOVEs that were looked into
}

type claimAt struct {
	q QueueID
	s Seq
}

func newSpoken(finds []*find, left map[claimAt]struct{}) *spoken {
	t := &spoken{map[claimAt]*find{}, map[Pos]*find{}, map[QueueID][]*find{}, map[string]*find{}, left}
	for _, f := range finds {
		if f.key != "" {
			t.rows[f.key] = f
			continue
		}
		t.names[f.name] = f
		for _, e := range f.entries {
			t.entries[claimAt{e.Queue, e.Seq}] = f
			if list := t.queues[e.Queue]; len(list) == 0 || list[len(list)-1] != f {
				t.queues[e.Queue] = append(list, f)
			}
		}
	}
	return t
}

func (t *spoken) drop(f *find) {
	if f != nil {
		f.dropped = true
	}
}

func (t *spoken) see(op *Op) {
	switch op.Code {
	case CodeEnqueue:
		t.drop(t.names[op.Message])
	case CodeSettle:
		t.seeSettle(op)
	case CodeAttempt, CodeAssign:
		t.drop(t.entries[claimAt{op.Queue, op.Seq}])
	case CodeMove:
		at := claimAt{op.Queue, op.Seq}
		if _, known := t.left[at]; !known && t.entries[at] == nil {
			t.all()
		}
		t.drop(t.entries[at])
	case CodePurge:
		for _, f := range t.queues[op.Queue] {
			f.dropped = true
		}
	case CodePut, CodeDelete:
		t.drop(t.rows[string(tableKey(nil, op.Table, op.Key))])
	case CodeConfig:
		t.drop(t.rows[string([]byte{keyConfig})])
	case CodeTxCommit, CodeTxRollback:
		t.drop(t.rows[string(append([]byte{keyPrepared}, op.Key...))])
		if op.Code == CodeTxCommit { // what it settles is not known here
			t.all()
		}
	}
}

func (t *spoken) seeSettle(op *Op) {
	if len(t.queues[op.Queue]) == 0 {
		return
	}
	for _, r := range op.Ranges {
		if r.Last-r.First > Seq(len(t.entries)) {
			for at, f := range t.entries {
				f.dropped = f.dropped || at.q == op.Queue && at.s >= r.First && at.s <= r.Last
			}
			continue
		}
		for s := r.First; s <= r.Last; s++ {
			t.drop(t.entries[claimAt{op.Queue, s}])
		}
	}
}

func (t *spoken) all() {
	for _, f := range t.names {
		f.dropped = true
	}
	for _, f := range t.rows {
		f.dropped = true
	}
}

package persist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sort"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/iterator"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// Readers look at now, then at what is frozen, then at LevelDB. They take what they need of the overlays and a snapshot
// of LevelDB under the lock, and read LevelDB without it.

const noBlock = 1 << 63

// view is LevelDB as it was at one moment; release it.
type view struct{ snapshot }

// look takes a snapshot. mu is held, for reading at least.
func (x *Index) look() (view, error) {
	if x.db == nil {
		return view{}, ErrClosed
	}
	s, err := x.db.snapshot()
	return view{s}, err
}

// get reads a key, nil if there is none.
func (v view) get(key []byte) ([]byte, error) {
	value, err := v.Get(key, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, nil
	}
	return value, err
}

func (v view) prefix(p []byte) iterator.Iterator { return v.NewIterator(util.BytesPrefix(p), nil) }

// between goes through the keys in [from, to).
func (v view) between(from, to []byte) iterator.Iterator {
	return v.NewIterator(&util.Range{Start: from, Limit: to}, nil)
}

// queueRowNow is the queue's newest row in memory, nil if it must be read. mu is held.
func (x *Index) queueRowNow(q QueueID) *queueRow {
	if c := x.now.queues[q]; c != nil {
		return c
	}
	if x.frozen != nil {
		return x.frozen.queues[q]
	}
	return nil
}

func (x *Index) queue(q QueueID) QueueState {
	x.mu.RLock()
	if c := x.queueRowNow(q); c != nil {
		defer x.mu.RUnlock()
		if c.gone {
			return QueueState{}
		}
		return c.state()
	}
	v, err := x.look()
	x.mu.RUnlock()
	if err != nil {
		_ = x.fail(err) // ends the store
		return QueueState{}
	}
	defer v.Release()
	c, err := v.queueRow(q)
	if err != nil {
		_ = x.fail(err)
		return QueueState{}
	}
	return c.state()
}

// queueRow reads a queue's row; one that is not there is empty.
func (v view) queueRow(q QueueID) (*queueRow, error) {
	value, err := v.get(queueRowKey(nil, q))
	if err != nil || value == nil {
		return new(queueRow), err
	}
	return decodeQueueRow(value)
}

// copied is a changed block as a reader takes it along.
type copied struct {
	no      uint64
	entries []Entry
}

// changed copies, in order, the changed blocks of a lane from a counter on, until there are enough entries: blocks behind
// that are not looked at. mu is held.
func (x *Index) changed(q QueueID, class uint8, from uint64, enough int) (out []copied) {
	now, frozen := laneIn(x.now, q, class), laneIn(x.frozen, q, class)
	var nos []uint64
	for _, l := range []*lane{now, frozen} {
		if l == nil {
			continue
		}
		i := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].no >= from>>blockShift })
		for _, b := range l.blocks[i:] {
			nos = append(nos, b.no)
		}
	}
	if now != nil && frozen != nil {
		sort.Slice(nos, func(i, j int) bool { return nos[i] < nos[j] })
	}
	for i, no := range nos {
		if i > 0 && nos[i-1] == no {
			continue
		}
		b := (*block)(nil)
		if now != nil {
			b = now.find(no)
		}
		if b == nil {
			b = frozen.find(no)
		}
		c := copied{no: no, entries: b.from(class, from, enough, nil)}
		out = append(out, c)
		if enough -= len(c.entries); enough <= 0 {
			break
		}
	}
	return out
}

func laneIn(o *overlay, q QueueID, class uint8) *lane {
	if o == nil || o.queues[q] == nil {
		return nil
	}
	return o.queues[q].known(class)
}

// from appends at most max of a block's live entries, from a counter on.
func (b *block) from(class uint8, counter uint64, max int, dst []Entry) []Entry {
	i := 0
	if counter>>blockShift == b.no {
		i, _ = b.find(uint8(counter))
	}
	for i = b.next(i); i < len(b.slots) && max > 0; i = b.next(i + 1) {
		dst = append(dst, b.entry(class, &b.slots[i]))
		max--
	}
	return dst
}

// entries appends to dst at most max live entries of q with places from from on, in order.
func (x *Index) entries(q QueueID, from Seq, max int, dst []Entry) ([]Entry, error) {
	end := len(dst) + max
	for class := from.Class(); class < Classes && len(dst) < end; class++ {
		counter := uint64(0)
		if class == from.Class() {
			counter = from.Counter()
		}
		var err error
		if dst, err = x.lane(q, uint8(class), counter, end, dst); err != nil {
			return dst, x.fail(err)
		}
	}
	return dst, nil
}

// lane appends entries of one class until dst holds end.
func (x *Index) lane(q QueueID, class uint8, from uint64, end int, dst []Entry) ([]Entry, error) {
	x.mu.RLock()
	c := x.queueRowNow(q)
	if c != nil {
		l := c.known(class)
		if l == nil || l.depth == 0 || c.gone {
			x.mu.RUnlock()
			return dst, nil
		}
		from = max(from, l.head)
	}
	changes := x.changed(q, class, from, end-len(dst))
	v, err := x.look()
	x.mu.RUnlock()
	if err != nil {
		return dst, err
	}
	defer v.Release()
	if c == nil {
		if c, err = v.queueRow(q); err != nil {
			return dst, err
		}
		l := c.known(class)
		if l == nil || l.depth == 0 {
			return dst, nil
		}
		from = max(from, l.head)
	}
	return v.merge(q, class, from, end, changes, dst)
}

// merge goes through a lane's blocks in LevelDB and the changed ones, in order; a changed one stands for its own row.
func (v view) merge(q QueueID, class uint8, from uint64, end int, changes []copied, dst []Entry) ([]Entry, error) {
	prefix := laneKey(nil, q, class)
	it := v.prefix(prefix)
	defer it.Release()
	more := it.Seek(blockKey(nil, q, class, from>>blockShift))
	for len(dst) < end && (more || len(changes) > 0) {
		no := uint64(noBlock)
		if more {
			no = binary.BigEndian.Uint64(it.Key()[len(prefix):])
		}
		if len(changes) > 0 && changes[0].no <= no {
			more = more && (changes[0].no < no || it.Next())
			dst = append(dst, changes[0].entries[:min(len(changes[0].entries), end-len(dst))]...)
			changes = changes[1:]
			continue
		}
		b, err := decodeBlock(no, it.Value())
		if err != nil {
			return dst, err
		}
		dst = b.from(class, from, end-len(dst), dst)
		more = it.Next()
	}
	return dst, it.Error()
}

// nextBlock is the number of the first block of a lane from no on that may hold entries; noBlock if there is none. It is
// the applier's; mu is held, and let go of to read LevelDB.
func (x *Index) nextBlock(q QueueID, c *queueRow, class uint8, no uint64) (uint64, error) {
	next := uint64(noBlock)
	for _, l := range []*lane{c.known(class), laneIn(x.frozen, q, class)} {
		if l == nil {
			continue
		}
		if i := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].no >= no }); i < len(l.blocks) {
			next = min(next, l.blocks[i].no)
		}
	}
	v, err := x.look()
	if err != nil {
		return 0, err
	}
	x.mu.Unlock()
	defer x.mu.Lock()
	defer v.Release()
	prefix := laneKey(nil, q, class)
	it := v.prefix(prefix)
	defer it.Release()
	if it.Seek(blockKey(nil, q, class, no)) {
		next = min(next, binary.BigEndian.Uint64(it.Key()[len(prefix):]))
	}
	return next, it.Error()
}

// passHead moves a lane's head on to its first block that has a live entry. Entries that are settled out of order leave
// the head among what is gone, and who reads from there would step over all of it. It is the applier's, as nextBlock is.
func (x *Index) passHead(q QueueID, c *queueRow, class uint8) error {
	if l := c.known(class); l.depth == 0 || x.lives(q, l, l.head>>blockShift) {
		return nil
	}
	for no := c.known(class).head >> blockShift; ; no++ {
		var err error
		if no, err = x.nextBlock(q, c, class, no); err != nil || no == noBlock {
			return err
		}
		if l := c.known(class); x.lives(q, l, no) || l.find(no) == nil && x.stillDead(q, class, no) == nil {
			l.head = max(l.head, no<<blockShift)
			return nil
		}
	}
}

// lives says that a block in memory has a live entry.
func (x *Index) lives(q QueueID, l *lane, no uint64) bool {
	if b := l.find(no); b != nil {
		return b.live > 0
	}
	if f := laneIn(x.frozen, q, l.class); f != nil {
		b := f.find(no)
		return b != nil && b.live > 0
	}
	return false
}

// stillDead is a block without a live entry that waits to be deleted from LevelDB; nil if that has it, or none, still.
func (x *Index) stillDead(q QueueID, class uint8, no uint64) *block {
	if f := laneIn(x.frozen, q, class); f != nil {
		if b := f.find(no); b != nil && b.live == 0 {
			return b
		}
	}
	return nil
}

// entry looks up one.
func (x *Index) entry(q QueueID, s Seq) (Entry, bool, error) {
	e, ok, err := x.slotAt(q, s)
	if err != nil {
		err = x.fail(err)
	}
	return e, ok, err
}

// slotAt looks up one entry.
func (x *Index) slotAt(q QueueID, s Seq) (e Entry, ok bool, err error) {
	class, n := uint8(s.Class()), s.Counter()
	err = x.blockAt(q, class, n>>blockShift, func(b *block) {
		if at := b.get(uint8(n)); at != nil {
			e, ok = b.entry(class, at), true
		}
	})
	return e, ok, err
}

// blockAt shows a block to pick, which may not keep it; a block that is not there is not shown.
func (x *Index) blockAt(q QueueID, class uint8, no uint64, pick func(*block)) error {
	x.mu.RLock()
	if c := x.queueRowNow(q); c != nil {
		if l := c.known(class); l == nil || l.depth == 0 || no < l.head>>blockShift || no > l.tail>>blockShift {
			x.mu.RUnlock()
			return nil
		}
	}
	for _, o := range []*overlay{x.now, x.frozen} {
		if l := laneIn(o, q, class); l != nil {
			if b := l.find(no); b != nil {
				defer x.mu.RUnlock()
				pick(b)
				return nil
			}
		}
	}
	v, err := x.look()
	x.mu.RUnlock()
	if err != nil {
		return err
	}
	defer v.Release()
	value, err := v.get(blockKey(nil, q, class, no))
	if err != nil || value == nil {
		return err
	}
	b, err := decodeBlock(no, value)
	if err == nil {
		pick(b)
	}
	return err
}

// value reads a key of any kind, nil if there is none.
func (x *Index) value(key []byte) ([]byte, error) {
	x.mu.RLock()
	for _, o := range []*overlay{x.now, x.frozen} {
		if o == nil {
			continue
		}
		if r, ok := o.rows[string(key)]; ok {
			x.mu.RUnlock()
			return r.value, nil
		}
	}
	v, err := x.look()
	x.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	defer v.Release()
	return v.get(key)
}

func (x *Index) get(t Table, key []byte) ([]byte, bool, error) {
	v, err := x.value(tableKey(nil, t, key))
	if err != nil {
		return nil, false, x.fail(err)
	}
	if v == nil {
		return nil, false, nil
	}
	_, value, err := splitPlaced(v)
	if err != nil {
		return nil, false, x.fail(err)
	}
	return bytes.Clone(value), true, nil
}

func (x *Index) scan(t Table, prefix []byte, f func(key, value []byte) bool) error {
	whole := tableKey(nil, t, prefix)
	err := x.eachRow(whole, func(key, v []byte) (bool, error) {
		_, value, err := splitPlaced(v)
		return err == nil && f(key[2:], value), err
	})
	if err != nil {
		return x.fail(err)
	}
	return nil
}

// changedRows takes along the rows of the overlays whose keys have a prefix, in order. mu is held.
func (x *Index) changedRows(prefix []byte) (keys []string, values map[string][]byte) {
	values = map[string][]byte{}
	for _, o := range []*overlay{x.frozen, x.now} {
		if o == nil {
			continue
		}
		for k, r := range o.rows {
			if len(k) >= len(prefix) && k[:len(prefix)] == string(prefix) {
				values[k] = r.value
			}
		}
	}
	keys = make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys, values
}

// eachRow calls f for each row whose key has the prefix, in order, until f says false or fails. No lock is held then.
func (x *Index) eachRow(prefix []byte, f func(key, value []byte) (bool, error)) error {
	x.mu.RLock()
	keys, values := x.changedRows(prefix)
	v, err := x.look()
	x.mu.RUnlock()
	if err != nil {
		return err
	}
	defer v.Release()
	it := v.prefix(prefix)
	defer it.Release()
	for more := it.Next(); more || len(keys) > 0; {
		key, value := it.Key(), it.Value()
		if len(keys) > 0 && (!more || keys[0] <= string(key)) {
			more = more && (keys[0] < string(key) || it.Next())
			key, value = []byte(keys[0]), values[keys[0]]
			keys = keys[1:]
			if value == nil {
				continue
			}
		} else {
			key, value = bytes.Clone(key), bytes.Clone(value)
			more = it.Next()
		}
		if on, err := f(key, value); err != nil || !on {
			return err
		}
	}
	return it.Error()
}

// locate says where a message lies now. One that was not trimmed away still lies where it was first.
func (x *Index) locate(first Pos) Pos {
	if first >= x.log.logStart() {
		return first
	}
	r, ok, err := x.relocatedTo(first)
	if err != nil {
		_ = x.fail(err) // ends the store
	}
	if !ok {
		return first
	}
	return r.at
}

// relocatedTo is where a message was relocated to, if it was.
func (x *Index) relocatedTo(first Pos) (relocated, bool, error) {
	v, err := x.value(relocatedKey(first))
	if err != nil || v == nil {
		return relocated{}, false, err
	}
	r, err := decodeRelocated(v)
	return r, err == nil, err
}

// queueIDs are the queues that have a row, in order.
func (x *Index) queueIDs() ([]QueueID, error) {
	seen := map[QueueID]bool{}
	x.mu.RLock()
	for _, o := range []*overlay{x.frozen, x.now} {
		if o == nil {
			continue
		}
		for q, c := range o.queues {
			seen[q] = !c.gone
		}
	}
	v, err := x.look()
	x.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	defer v.Release()
	it := v.prefix([]byte{keyQueue})
	defer it.Release()
	for it.Next() {
		q := QueueID(binary.BigEndian.Uint64(it.Key()[1:]))
		if _, known := seen[q]; !known {
			seen[q] = true
		}
	}
	var list []QueueID
	for q, there := range seen {
		if there {
			list = append(list, q)
		}
	}
	slices.Sort(list)
	return list, it.Error()
}

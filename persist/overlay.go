package persist

import (
	"encoding/binary"
	"slices"
	"sort"
)

// overlay is what the index knows and has not written. In it a put and its delete cancel out: what was settled before
// it was written never reaches LevelDB.
type overlay struct {
	queues map[QueueID]*claims
	rows   map[string]row
	bytes  int64 // about what it takes in memory
}

// About what things take in memory.
const (
	claimsBytes = 160
	blockBytes  = 96
	slotBytes   = 48
	moreBytes   = 160
	kvBytes     = 96
)

func newOverlay() *overlay { return &overlay{queues: map[QueueID]*claims{}, rows: map[string]row{}} }

// row is a key's value; nil is deleted.
type row struct {
	value  []byte
	stored bool // LevelDB has the key, or will have once what is frozen is written
}

// claims is a queue: its row, and those of its blocks that changed.
type claims struct {
	depth, bytes uint64
	lanes        []claimLane // by class; those that were ever used
	gone         bool        // its row is to be deleted
}

// claimLane is one class of a queue.
type claimLane struct {
	tail   uint64 // highest counter given out
	head   uint64 // no live entry has a lower one; 0: there is none
	depth  uint64
	blocks []*block // by number; the changed ones
	class  uint8
}

// lane finds or makes the lane of a class. The pointer is good until the next call.
func (c *claims) lane(class uint8) *claimLane {
	i := 0
	for i < len(c.lanes) && c.lanes[i].class < class {
		i++
	}
	if i == len(c.lanes) || c.lanes[i].class != class {
		c.lanes = slices.Insert(c.lanes, i, claimLane{class: class})
	}
	return &c.lanes[i]
}

// known is the lane of a class, nil if it was never used.
func (c *claims) known(class uint8) *claimLane {
	for i := range c.lanes {
		if c.lanes[i].class == class {
			return &c.lanes[i]
		}
	}
	return nil
}

// find is the changed block of that number, nil if there is none.
func (l *claimLane) find(no uint64) *block {
	n := len(l.blocks)
	if n == 0 {
		return nil
	}
	if b := l.blocks[n-1]; b.no <= no {
		if b.no == no {
			return b
		}
		return nil
	}
	if b := l.blocks[0]; b.no == no {
		return b
	}
	i := sort.Search(n, func(i int) bool { return l.blocks[i].no >= no })
	if i < n && l.blocks[i].no == no {
		return l.blocks[i]
	}
	return nil
}

func (l *claimLane) add(b *block) {
	i := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].no > b.no })
	l.blocks = slices.Insert(l.blocks, i, b)
}

func (l *claimLane) remove(b *block) {
	for i, x := range l.blocks {
		if x == b {
			l.blocks = slices.Delete(l.blocks, i, i+1)
			return
		}
	}
}

// copy is c without its blocks: what the applier goes on with while c is being written.
func (c *claims) copy() *claims {
	n := &claims{depth: c.depth, bytes: c.bytes, gone: c.gone, lanes: slices.Clone(c.lanes)}
	for i := range n.lanes {
		n.lanes[i].blocks = nil
	}
	return n
}

func (c *claims) state() (s QueueState) {
	s.Depth, s.DepthBytes = c.depth, c.bytes
	for i := range c.lanes {
		l := &c.lanes[i]
		s.Tails[l.class], s.Heads[l.class] = l.tail, l.head
	}
	return s
}

// A queue's row: depth, bytes, then for each class: class, tail, head, depth.
func (c *claims) encode(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, c.depth)
	dst = binary.AppendUvarint(dst, c.bytes)
	for i := range c.lanes {
		l := &c.lanes[i]
		dst = append(dst, l.class)
		dst = binary.AppendUvarint(dst, l.tail)
		dst = binary.AppendUvarint(dst, l.head)
		dst = binary.AppendUvarint(dst, l.depth)
	}
	return dst
}

func decodeClaims(row []byte) (*claims, error) {
	f := fields{b: row}
	c := &claims{depth: f.uvarint(), bytes: f.uvarint()}
	for len(f.b) != 0 && f.err == "" {
		l := c.lane(f.byte())
		l.tail, l.head, l.depth = f.uvarint(), f.uvarint(), f.uvarint()
	}
	if f.err != "" {
		return nil, errBlock
	}
	return c, nil
}

// Keys of LevelDB. Numbers in them are big-endian, so that they sort.
const (
	keyState     = 'x' // position, live bytes, the TRIM that is to be obeyed
	keyQueue     = 'q' // queue → its row
	keyBlock     = 'b' // queue, class, block → its entries
	keyTable     = 't' // table, key → position of the record, value
	keyRelocated = 'l' // message's name → where it lies, how many entries
	keyClaim     = 'm' // message's name, queue, place → nothing: an entry whose record does not stand with its message
	keyPrepared  = 'p' // transaction → position, unit
	keyConfig    = 'c' // → position, seats
)

func queueRowKey(dst []byte, q QueueID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, keyQueue), uint64(q))
}

func laneKey(dst []byte, q QueueID, class uint8) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, keyBlock), uint64(q)), class)
}

func blockKey(dst []byte, q QueueID, class uint8, no uint64) []byte {
	return binary.BigEndian.AppendUint64(laneKey(dst, q, class), no)
}

func tableKey(dst []byte, t Table, key []byte) []byte {
	return append(append(dst, keyTable, byte(t)), key...)
}

func messageKey(dst []byte, first Pos) []byte {
	return binary.BigEndian.AppendUint64(append(dst, keyRelocated), uint64(first))
}

func claimPrefix(dst []byte, first Pos) []byte {
	return binary.BigEndian.AppendUint64(append(dst, keyClaim), uint64(first))
}

func claimKey(dst []byte, first Pos, q QueueID, s Seq) []byte {
	dst = binary.BigEndian.AppendUint64(claimPrefix(dst, first), uint64(q))
	return binary.BigEndian.AppendUint64(dst, uint64(s))
}

// A table's, a prepared transaction's and the seats' value stand behind the position of their record.
func placed(p Pos, value []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(value)), uint64(p)), value...)
}

func splitPlaced(v []byte) (Pos, []byte, error) {
	if len(v) < 8 {
		return 0, nil, errBlock
	}
	return Pos(binary.BigEndian.Uint64(v)), v[8:], nil
}

// relocated is the value of keyRelocated.
type relocated struct {
	at      Pos
	entries uint64
}

func (r relocated) encode() []byte {
	return binary.AppendUvarint(binary.BigEndian.AppendUint64(nil, uint64(r.at)), r.entries)
}

func decodeRelocated(v []byte) (relocated, error) {
	at, rest, err := splitPlaced(v)
	if err != nil {
		return relocated{}, err
	}
	f := fields{b: rest}
	r := relocated{at, f.uvarint()}
	if f.err != "" {
		return relocated{}, errBlock
	}
	return r, nil
}

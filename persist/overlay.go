package persist

import (
	"encoding/binary"
	"slices"
	"sort"
)

// overlay is what the index knows and has not written. In it a put and its delete cancel out: what was settled before
// it was written never reaches LevelDB.
type overlay struct {
	queues map[QueueID]*queueRow
	rows   map[string]row
	bytes  int64 // about what it takes in memory
}

// About what things take in memory.
const (
	queueRowBytes = 160
	blockBytes    = 96
	slotBytes     = 48
	moreBytes     = 160
	kvBytes       = 96
)

func newOverlay() *overlay { return &overlay{queues: map[QueueID]*queueRow{}, rows: map[string]row{}} }

// row is a key's value; nil is deleted.
type row struct {
	value  []byte
	stored bool // LevelDB has the key, or will have once what is frozen is written
}

// queueRow is a queue: its row, and those of its blocks that changed.
type queueRow struct {
	depth, bytes uint64
	lanes        []lane // by class; those that were ever used
	gone         bool   // nothing of it lives, and its counters are forgotten
	stored       bool   // LevelDB has its row, or will have once what is frozen is written
}

// lane is one class of a queue.
type lane struct {
	tail   uint64 // highest counter given out
	said   Pos    // of the newest record that says so
	head   uint64 // no live entry has a lower one; 0: there is none
	depth  uint64
	blocks []*block // by number; the changed ones
	class  uint8
}

// lane finds or makes the lane of a class. The pointer is good until the next call.
func (c *queueRow) lane(class uint8) *lane {
	i := 0
	for i < len(c.lanes) && c.lanes[i].class < class {
		i++
	}
	if i == len(c.lanes) || c.lanes[i].class != class {
		c.lanes = slices.Insert(c.lanes, i, lane{class: class})
	}
	return &c.lanes[i]
}

// known is the lane of a class, nil if it was never used.
func (c *queueRow) known(class uint8) *lane {
	for i := range c.lanes {
		if c.lanes[i].class == class {
			return &c.lanes[i]
		}
	}
	return nil
}

// find is the changed block of that number, nil if there is none.
func (l *lane) find(no uint64) *block {
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

func (l *lane) add(b *block) {
	i := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].no > b.no })
	l.blocks = slices.Insert(l.blocks, i, b)
}

func (l *lane) remove(b *block) {
	for i, x := range l.blocks {
		if x == b {
			l.blocks = slices.Delete(l.blocks, i, i+1)
			return
		}
	}
}

// copy is c without its blocks: what the applier goes on with while c is being written.
func (c *queueRow) copy() *queueRow {
	n := &queueRow{depth: c.depth, bytes: c.bytes, gone: c.gone, stored: !c.gone && !c.blank(), lanes: slices.Clone(c.lanes)}
	for i := range n.lanes {
		n.lanes[i].blocks = nil
	}
	return n
}

// blank says that the row says nothing: operations spoke of a queue that is not.
func (c *queueRow) blank() bool {
	for i := range c.lanes {
		if c.lanes[i].tail != 0 {
			return false
		}
	}
	return true
}

func (c *queueRow) state() (s QueueState) {
	s.Depth, s.DepthBytes = c.depth, c.bytes
	for i := range c.lanes {
		l := &c.lanes[i]
		s.Tails[l.class], s.Heads[l.class] = l.tail, l.head
	}
	return s
}

// encode appends the queue's row; doc.go draws it.
func (c *queueRow) encode(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, c.depth)
	dst = binary.AppendUvarint(dst, c.bytes)
	for i := range c.lanes {
		l := &c.lanes[i]
		dst = append(dst, l.class)
		dst = binary.AppendUvarint(dst, l.tail)
		dst = binary.AppendUvarint(dst, uint64(l.said))
		dst = binary.AppendUvarint(dst, l.head)
		dst = binary.AppendUvarint(dst, l.depth)
	}
	return dst
}

func decodeQueueRow(value []byte) (*queueRow, error) {
	f := fields{b: value}
	c := &queueRow{depth: f.uvarint(), bytes: f.uvarint(), stored: true}
	for last := -1; len(f.b) != 0 && f.err == ""; {
		class := f.byte()
		if class >= Classes || int(class) <= last {
			f.fail("classes out of order")
		}
		c.lanes = append(c.lanes, lane{class: class, tail: f.uvarint(), said: Pos(f.uvarint()), head: f.uvarint(), depth: f.uvarint()})
		last = int(class)
	}
	if f.err != "" {
		return nil, errBlock
	}
	return c, nil
}

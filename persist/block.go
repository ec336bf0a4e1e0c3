package persist

import (
	"encoding/binary"
	"errors"
	"slices"
	"sort"
)

// blockShift makes a block of 256 places of one class of one queue. Blocks are aligned, so that a place's block follows
// from its counter.
const blockShift = 8

// block is a run of a queue's entries, in memory. One that is being written is not changed: the applier changes a copy.
type block struct {
	no     uint64 // its places have the counters [no<<blockShift, (no+1)<<blockShift)
	stored bool   // LevelDB has it, or will have once what is frozen is written
	live   int
	slots  []slot // by counter; dead ones stay until it is written
}

// slot is one entry, small: what most entries do not have is behind more.
type slot struct {
	message Pos
	size    uint32
	share   uint32
	low     uint8 // of its counter
	flags   uint8
	more    *slotMore // nil: nothing of it; never changed, only replaced
}

const (
	slotDead      = 1 << iota // settled
	slotStray                 // the record that put it here does not stand with its message: a row of keyStray names it
	slotRelocated             // its message was relocated: the row of keyRelocated counts it
)

// slotMore is what is rare about an entry.
type slotMore struct {
	expiryMs    int64
	notBeforeMs int64
	attempts    uint32
	note        []byte
	assign      Assignment
}

var noMore slotMore

func (s *slot) extra() *slotMore {
	if s.more == nil {
		return &noMore
	}
	return s.more
}

// liveBytes is what the entry keeps alive of the log.
func (s *slot) liveBytes() uint64 {
	if s.more == nil {
		return uint64(s.share)
	}
	return uint64(s.share) + uint64(len(s.more.note)+len(s.more.assign.Session))
}

// some says that there is an assignment.
func (a *Assignment) some() bool { return len(a.Session) != 0 || a.PacketID != 0 || a.State != 0 }

// find is the index of the slot with that low byte, or where it belongs.
func (b *block) find(low uint8) (i int, found bool) {
	n := len(b.slots)
	if n == 0 || b.slots[n-1].low < low {
		return n, false
	}
	if i = int(low) - int(b.slots[0].low); i >= 0 && i < n && b.slots[i].low == low {
		return i, true // without gaps before it
	}
	i = sort.Search(n, func(i int) bool { return b.slots[i].low >= low })
	return i, i < n && b.slots[i].low == low
}

// get is the live slot of a counter's low byte, nil if there is none.
func (b *block) get(low uint8) *slot {
	if i, found := b.find(low); found && b.slots[i].flags&slotDead == 0 {
		return &b.slots[i]
	}
	return nil
}

// put inserts s, or replaces what has its place; old is what lived there.
func (b *block) put(s slot) (old slot, lived bool) {
	i, found := b.find(s.low)
	if !found {
		b.slots = slices.Insert(b.slots, i, s)
		b.live++
		return slot{}, false
	}
	old = b.slots[i]
	b.slots[i] = s
	if old.flags&slotDead != 0 {
		b.live++
		return slot{}, false
	}
	return old, true
}

// next is the index of the first live slot from i on; len(slots) if there is none.
func (b *block) next(i int) int {
	for i < len(b.slots) && b.slots[i].flags&slotDead != 0 {
		i++
	}
	return i
}

// seq is the place of a slot of this block.
func (b *block) seq(class uint8, s *slot) Seq {
	return Seq(class)<<classShift | Seq(b.no<<blockShift) | Seq(s.low)
}

// entry is the slot as readers see it. Its slices are shared: nobody changes them.
func (b *block) entry(class uint8, s *slot) Entry {
	m := s.extra()
	return Entry{Seq: b.seq(class, s), Message: s.message, SizeBytes: s.size, ShareBytes: s.share, ExpiryMs: m.expiryMs,
		NotBeforeMs: m.notBeforeMs, Attempts: m.attempts, Note: m.note, Assign: m.assign}
}

func (b *block) copy() *block {
	c := &block{no: b.no, stored: b.live > 0, live: b.live, slots: make([]slot, 0, len(b.slots)+1)}
	for i := range b.slots {
		if b.slots[i].flags&slotDead == 0 {
			c.slots = append(c.slots, b.slots[i])
		}
	}
	return c
}

// A block's row: for each live entry its low byte, flags, message (varint, from the one before), size, share; and, where
// flags say so, expiry, notBefore, attempts, note, assignment.
const (
	rowFlags  = slotStray | slotRelocated
	rowTimes  = 1 << 4
	rowNote   = 1 << 5
	rowAssign = 1 << 6
)

// encode appends the live entries.
func (b *block) encode(dst []byte) []byte {
	last := Pos(0)
	for i := range b.slots {
		s := &b.slots[i]
		if s.flags&slotDead != 0 {
			continue
		}
		m := s.extra()
		flags := s.flags & rowFlags
		if m.expiryMs != 0 || m.notBeforeMs != 0 || m.attempts != 0 {
			flags |= rowTimes
		}
		if len(m.note) != 0 {
			flags |= rowNote
		}
		if m.assign.some() {
			flags |= rowAssign
		}
		dst = append(dst, s.low, flags)
		dst = binary.AppendVarint(dst, int64(s.message-last))
		last = s.message
		dst = binary.AppendUvarint(dst, uint64(s.size))
		dst = binary.AppendUvarint(dst, uint64(s.share))
		dst = m.encode(dst, flags)
	}
	return dst
}

func (m *slotMore) encode(dst []byte, flags uint8) []byte {
	if flags&rowTimes != 0 {
		dst = binary.AppendVarint(dst, m.expiryMs)
		dst = binary.AppendVarint(dst, m.notBeforeMs)
		dst = binary.AppendUvarint(dst, uint64(m.attempts))
	}
	if flags&rowNote != 0 {
		dst = append(binary.AppendUvarint(dst, uint64(len(m.note))), m.note...)
	}
	if flags&rowAssign != 0 {
		dst = append(binary.AppendUvarint(dst, uint64(len(m.assign.Session))), m.assign.Session...)
		dst = append(binary.AppendUvarint(dst, uint64(m.assign.PacketID)), m.assign.State)
	}
	return dst
}

var errBlock = errors.New("a block of the index cannot be read")

// decodeBlock reads a block's row. It copies what it keeps.
func decodeBlock(no uint64, row []byte) (*block, error) {
	b := &block{no: no, stored: true}
	f := fields{b: row}
	last := Pos(0)
	for len(f.b) != 0 && f.err == "" {
		s := slot{low: f.byte()}
		flags := f.byte()
		s.flags = flags & rowFlags
		last += Pos(f.varint())
		s.message = last
		s.size, s.share = f.uint32(), f.uint32()
		if flags&^rowFlags != 0 {
			s.more = decodeMore(&f, flags)
		}
		if n := len(b.slots); n > 0 && b.slots[n-1].low >= s.low {
			f.fail("places out of order")
		}
		b.slots = append(b.slots, s)
	}
	if f.err != "" {
		return nil, errors.Join(errBlock, errors.New(f.err))
	}
	b.live = len(b.slots)
	return b, nil
}

func decodeMore(f *fields, flags uint8) *slotMore {
	m := new(slotMore)
	if flags&rowTimes != 0 {
		m.expiryMs, m.notBeforeMs, m.attempts = f.varint(), f.varint(), f.uint32()
	}
	if flags&rowNote != 0 {
		m.note = slices.Clone(f.bytes(MaxNoteBytes))
	}
	if flags&rowAssign != 0 {
		m.assign.Session = slices.Clone(f.bytes(MaxKeyBytes))
		m.assign.PacketID, m.assign.State = f.uint16(), f.byte()
	}
	return m
}

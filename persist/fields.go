package persist

import (
	"encoding/binary"
	"math"
)

// fields reads a record's fields one after the other. The first that is wrong is kept in err, and all later ones are zero.
type fields struct {
	b   []byte
	err string
}

func (f *fields) fail(why string) {
	if f.err == "" {
		f.err = why
	}
	f.b = nil
}

func (f *fields) byte() byte {
	if len(f.b) == 0 {
		f.fail("it ends within a field")
		return 0
	}
	v := f.b[0]
	f.b = f.b[1:]
	return v
}

func (f *fields) uvarint() uint64 {
	if len(f.b) > 0 && f.b[0] < 0x80 {
		v := uint64(f.b[0])
		f.b = f.b[1:]
		return v
	}
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.fail("a number that is cut off or too long")
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) varint() int64 {
	u := f.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (f *fields) uint32() uint32 { return uint32(f.upTo(math.MaxUint32)) }
func (f *fields) uint16() uint16 { return uint16(f.upTo(math.MaxUint16)) }

func (f *fields) upTo(limit uint64) uint64 {
	v := f.uvarint()
	if v > limit {
		f.fail("a number above its bound")
		return 0
	}
	return v
}

func (f *fields) bool() bool {
	v := f.byte()
	if v > 1 {
		f.fail("a flag that is neither 0 nor 1")
	}
	return v == 1
}

func (f *fields) take(n, limit uint64) []byte {
	if n > limit || n > uint64(len(f.b)) {
		f.fail("a length above its bound")
		return nil
	}
	v := f.b[:n:n]
	f.b = f.b[n:]
	return v
}

func (f *fields) bytes(limit uint64) []byte { return f.take(f.uvarint(), limit) }
func (f *fields) rest(limit uint64) []byte  { return f.take(uint64(len(f.b)), limit) }

func (f *fields) content(op *Op) {
	id, header, body := f.uvarint(), f.uvarint(), f.uvarint()
	if sum := f.take(sumBytes, sumBytes); sum != nil {
		op.Sum = binary.LittleEndian.Uint32(sum)
	}
	op.ID = f.take(id, MaxKeyBytes)
	op.Header = f.take(header, MaxValueBytes)
	op.Body = f.take(body, MaxUnitBytes)
}

func (f *fields) queue() QueueID {
	q := QueueID(f.uvarint())
	if q == 0 {
		f.fail("no queue")
	}
	return q
}

func (f *fields) table() Table {
	t := Table(f.byte())
	if t == 0 || t >= tableEnd {
		f.fail("a table that this version does not know")
	}
	return t
}

// place reads a place that may carry the flags allowed; the caller looks at them in the byte before.
func (f *fields) place(allowed byte) Seq {
	c := f.byte()
	n := f.uvarint()
	if c&placeClass >= Classes || c&^(placeClass|allowed) != 0 || n >= 1<<classShift {
		f.fail("a place that cannot be")
		return 0
	}
	return Seq(uint64(c&placeClass)<<classShift | n)
}

func (f *fields) flags() byte {
	if len(f.b) == 0 {
		return 0
	}
	return f.b[0] &^ placeClass
}

func (f *fields) target() Target {
	t := Target{Queue: f.queue()}
	flags := f.flags()
	t.Seq = f.place(placeNote)
	if flags&placeNote != 0 {
		t.Note = f.bytes(MaxNoteBytes)
	}
	return t
}

func (f *fields) counters(c *[Classes]uint64) {
	mask := f.upTo(1<<Classes - 1)
	for i := range c {
		if mask&(1<<i) != 0 {
			c[i] = f.upTo(1<<classShift - 1)
		}
	}
}

func (f *fields) entry(message Pos) PlacedEntry {
	e := PlacedEntry{Queue: f.queue()}
	flags := f.flags()
	e.Seq = f.place(placeNote | placeAssign)
	e.Message = message
	e.SizeBytes = f.uint32()
	e.ShareBytes = f.uint32()
	e.ExpiryMs = f.varint()
	e.NotBeforeMs = f.varint()
	e.Attempts = f.uint32()
	if flags&placeNote != 0 {
		e.Note = f.bytes(MaxNoteBytes)
	}
	if flags&placeAssign != 0 {
		e.Assign.Session = f.bytes(MaxKeyBytes)
		e.Assign.PacketID = f.uint16()
		e.Assign.State = f.byte()
	}
	return e
}

package persist

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// A record is one operation: code (1 byte), length of the rest (uvarint), the rest. doc.go draws each. What no record
// may hold is refused when it is read, so that a newer vocabulary fails closed.

// A place is a sequence number as records write it: a byte with the class in its low four bits and flags above, then the
// counter (uvarint).
const (
	placeMore   = 0x10 // SETTLE: a run; how many places follow the first comes next (uvarint)
	placeNote   = 0x20 // a note follows (length, bytes)
	placeAssign = 0x40 // an assignment follows
	placeClass  = 0x0f
)

// sumBytes is the size of a message's checksum. A message is read without its batch, so that its batch's checksum does
// not guard it then; RELOCATE would give rotten bytes a fresh one.
const sumBytes = 4

// maxRecordHeader is the most that a record's code and length take.
const maxRecordHeader = 1 + binary.MaxVarintLen32

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// Decoder reads a unit's operations. Its arrays are reused. The zero value has nothing to read.
type Decoder struct {
	unit    []byte
	base    Pos
	off     int
	targets []Target
	ranges  []Range
	entries []PlacedEntry
}

// Reset makes the decoder read unit, whose first byte has position base.
func (d *Decoder) Reset(unit []byte, base Pos) {
	d.unit, d.base, d.off = unit, base, 0
}

// Next decodes the next operation into op, whose slices are good until the call after. false is the end of the unit.
// After an error the decoder is of no use until Reset.
func (d *Decoder) Next(op *Op) (bool, error) {
	if d.off >= len(d.unit) {
		return false, nil
	}
	start := d.off
	*op = Op{Code: Code(d.unit[start]), Pos: d.base + Pos(start)}
	n, k := binary.Uvarint(d.unit[start+1:])
	if k <= 0 || n > uint64(len(d.unit)-start-1-k) {
		return false, &formatError{"a record's length passes its unit's end", op.Pos}
	}
	d.off = start + 1 + k + int(n)
	f := fields{b: d.unit[start+1+k : d.off : d.off]}
	d.decode(&f, op)
	if f.err == "" && len(f.b) != 0 {
		f.err = "bytes left over behind its fields"
	}
	if f.err != "" {
		return false, &formatError{op.Code.String() + ": " + f.err, op.Pos}
	}
	return true, nil
}

func (d *Decoder) decode(f *fields, op *Op) {
	switch op.Code {
	case CodeMessage:
		f.content(op)
	case CodeEnqueue:
		d.enqueue(f, op)
	case CodeSettle:
		op.Queue = f.queue()
		d.readRanges(f, op)
	case CodeAttempt:
		op.Queue = f.queue()
		op.Seq = f.place(0)
		op.Attempts = f.uint32()
		op.NotBeforeMs = f.varint()
		op.Note = f.rest(MaxNoteBytes)
	case CodeMove:
		d.move(f, op)
	case CodePurge:
		op.Queue = f.queue()
		op.Gone = f.bool()
		f.counters(&op.UpTo)
	case CodeAssign:
		op.Queue = f.queue()
		op.Seq = f.place(0)
		op.Assign.PacketID = f.uint16()
		op.Assign.State = f.byte()
		op.Assign.Session = f.rest(MaxKeyBytes)
	default:
		d.decodeRare(f, op)
	}
}

func (d *Decoder) decodeRare(f *fields, op *Op) {
	switch op.Code {
	case CodePut, CodeRelocateRow:
		op.Table = f.table()
		op.Key = f.bytes(MaxKeyBytes)
		op.Value = f.rest(MaxValueBytes)
	case CodeDelete:
		op.Table = f.table()
		op.Key = f.rest(MaxKeyBytes)
	case CodeTxPrepare:
		op.Key = f.rest(MaxKeyBytes)
		if op.Pos != d.base {
			f.fail("not the first record of its unit")
		}
	case CodeTxCommit, CodeTxRollback:
		op.Key = f.rest(MaxKeyBytes)
	case CodeEpochBegin:
		op.Epoch = f.uvarint()
	case CodeConfig:
		op.Value = f.rest(MaxValueBytes)
	case CodeTrim:
		op.LogStart = Pos(f.uvarint())
	case CodeRelocateMessage:
		op.Message = Pos(f.uvarint())
		f.content(op)
		d.readEntries(f, op)
	case CodeRelocateTails:
		op.Queue = f.queue()
		f.counters(&op.UpTo)
	default:
		f.fail("an operation that this version does not know")
	}
}

func (d *Decoder) enqueue(f *fields, op *Op) {
	name := f.uvarint()
	op.Message = Pos(name >> 1)
	if name&1 == 0 {
		if name>>1 == 0 || Pos(name>>1) > op.Pos-d.base {
			f.fail("its message is outside its unit")
			return
		}
		op.Message = op.Pos - Pos(name>>1)
	}
	op.SizeBytes = f.uint32()
	op.ExpiryMs = f.varint()
	op.NotBeforeMs = f.varint()
	d.targets = d.targets[:0]
	for len(f.b) != 0 && f.err == "" {
		d.targets = append(d.targets, f.target())
	}
	op.Targets = d.targets
}

func (d *Decoder) move(f *fields, op *Op) {
	op.Queue = f.queue()
	op.Seq = f.place(0)
	d.targets = append(d.targets[:0], f.target())
	op.Targets = d.targets
	op.Value = f.rest(MaxValueBytes)
}

func (d *Decoder) readRanges(f *fields, op *Op) {
	d.ranges = d.ranges[:0]
	for len(f.b) != 0 && f.err == "" {
		run := f.b[0]&placeMore != 0
		r := Range{First: f.place(placeMore)}
		r.Last = r.First
		if run {
			n := f.uvarint()
			r.Last += Seq(n)
			if n >= 1<<classShift || r.Last.Class() != r.First.Class() {
				f.fail("a run that leaves its class")
			}
		}
		d.ranges = append(d.ranges, r)
	}
	op.Ranges = d.ranges
}

func (d *Decoder) readEntries(f *fields, op *Op) {
	d.entries = d.entries[:0]
	for len(f.b) != 0 && f.err == "" {
		d.entries = append(d.entries, f.entry(op.Message))
	}
	op.Entries = d.entries
}

// contentSize is the size of header and body of the MESSAGE record at the start of b, 0 if there is none.
func contentSize(b []byte) uint32 {
	if len(b) < 2 || Code(b[0]) != CodeMessage {
		return 0
	}
	_, k := binary.Uvarint(b[1:])
	f := fields{b: b[1+max(k, 0):]}
	f.uvarint()
	header, body := f.uvarint(), f.uvarint()
	if f.err != "" || header+body > math.MaxUint32 {
		return 0
	}
	return uint32(header + body)
}

package persist

import (
	"encoding/binary"
	"hash/crc32"
)

// MessageRef is a message's offset in the unit that carries it: Append's base plus it is the message's position.
type MessageRef uint64

// Unit builds one all-or-nothing group of operations. It is a buffer: Reset it and use it again. Slices that are given
// to its methods are copied. One goroutine at a time. The zero value is an empty unit. What passes a bound (MaxNoteBytes,
// MaxKeyBytes, MaxValueBytes, MaxUnitBytes) makes Append answer ErrTooLarge; what no log may hold (queue 0, a range over
// two classes, a message of another unit) makes it answer ErrInvalid.
type Unit struct {
	buf      []byte
	grows    bool // it holds a MESSAGE, ENQUEUE or PUT: refused when the store is full
	tooLarge bool
	invalid  bool // it holds what Decoder would refuse: a queue 0, a class above 9, a table that is not
}

// Reset empties the unit and keeps its buffer, unless that has become large.
func (u *Unit) Reset() {
	if cap(u.buf) > keepUnitBytes {
		u.buf = nil
	}
	*u = Unit{buf: u.buf[:0]}
}

const keepUnitBytes = 1 << 20

func (u *Unit) Empty() bool { return len(u.buf) == 0 }

// Len is the unit's size in the log, in bytes, but for its length prefix.
func (u *Unit) Len() int { return len(u.buf) }

// Bytes is the unit as the log holds it and Decoder reads it; good until the next method is called.
func (u *Unit) Bytes() []byte { return u.buf }

// Message adds a body, once, whatever its fan-out.
func (u *Unit) Message(id, header, body []byte) MessageRef {
	ref := MessageRef(len(u.buf))
	u.grows = true
	if u.bound(id, MaxKeyBytes) && u.bound(header, MaxValueBytes) && u.bound(body, MaxUnitBytes-MaxValueBytes) {
		size := uvarintLen(uint64(len(id))) + uvarintLen(uint64(len(header))) + uvarintLen(uint64(len(body))) +
			sumBytes + len(id) + len(header) + len(body)
		u.buf = append(u.buf, byte(CodeMessage))
		u.uvarint(uint64(size))
		u.content(id, header, body)
	}
	return ref
}

// Enqueue puts the message of this unit into the targets.
func (u *Unit) Enqueue(m MessageRef, targets []Target, expiryMs, notBeforeMs int64) {
	var size uint32
	if m < MessageRef(len(u.buf)) {
		size = contentSize(u.buf[m:])
	} else {
		u.invalid = true
	}
	distance := uint64(len(u.buf)) - uint64(m)
	u.enqueue(distance<<1, size, targets, expiryMs, notBeforeMs)
}

// EnqueueStored puts a message that is in the log already into the targets. sizeBytes is that of its header and body.
func (u *Unit) EnqueueStored(m Pos, sizeBytes uint32, targets []Target, expiryMs, notBeforeMs int64) {
	u.enqueue(uint64(m)<<1|1, sizeBytes, targets, expiryMs, notBeforeMs)
}

func (u *Unit) enqueue(name uint64, size uint32, targets []Target, expiryMs, notBeforeMs int64) {
	u.grows = true
	start := u.begin(CodeEnqueue)
	u.uvarint(name)
	u.uvarint(uint64(size))
	u.varint(expiryMs)
	u.varint(notBeforeMs)
	for i := range targets {
		u.target(&targets[i])
	}
	u.end(start)
}

// Settle removes the entries in r, each range within one class, from the queue.
func (u *Unit) Settle(q QueueID, r []Range) {
	start := u.begin(CodeSettle)
	u.queue(q)
	for _, x := range r {
		if x.First == x.Last {
			u.place(x.First, 0)
			continue
		}
		u.invalid = u.invalid || x.Last < x.First || x.Last.Class() != x.First.Class()
		u.place(x.First, placeMore)
		u.uvarint(uint64(x.Last - x.First))
	}
	u.end(start)
}

// Attempt records a failed delivery: the entry's whole count, when it may be tried again, and the entry's new note.
func (u *Unit) Attempt(q QueueID, s Seq, attempts uint32, notBeforeMs int64, note []byte) {
	start := u.begin(CodeAttempt)
	u.queue(q)
	u.place(s, 0)
	u.uvarint(uint64(attempts))
	u.varint(notBeforeMs)
	u.rest(note, MaxNoteBytes)
	u.end(start)
}

// Move takes an entry out of one queue and into another.
func (u *Unit) Move(from QueueID, s Seq, to Target, reason []byte) {
	start := u.begin(CodeMove)
	u.queue(from)
	u.place(s, 0)
	u.target(&to)
	u.rest(reason, MaxValueBytes)
	u.end(start)
}

// Purge removes the entries of each class whose counter is at most upTo's; gone drops the queue's row too.
func (u *Unit) Purge(q QueueID, upTo [Classes]uint64, gone bool) {
	start := u.begin(CodePurge)
	u.queue(q)
	flag := byte(0)
	if gone {
		flag = 1
	}
	u.buf = append(u.buf, flag)
	u.counters(&upTo)
	u.end(start)
}

// Assign promises the entry to a session's delivery; the zero Assignment takes the promise back.
func (u *Unit) Assign(q QueueID, s Seq, a Assignment) {
	start := u.begin(CodeAssign)
	u.queue(q)
	u.place(s, 0)
	u.uvarint(uint64(a.PacketID))
	u.buf = append(u.buf, a.State)
	u.rest(a.Session, MaxKeyBytes)
	u.end(start)
}

// Put sets a table's row.
func (u *Unit) Put(t Table, key, value []byte) {
	u.grows = true
	u.row(CodePut, t, key, value)
}

// Delete removes a table's row.
func (u *Unit) Delete(t Table, key []byte) {
	start := u.begin(CodeDelete)
	u.table(t)
	u.rest(key, MaxKeyBytes)
	u.end(start)
}

// TxPrepare makes the rest of the unit the content of a prepared transaction, which TxCommit of the same id applies and
// TxRollback drops. It must be the unit's first operation.
func (u *Unit) TxPrepare(id []byte) {
	u.invalid = u.invalid || len(u.buf) != 0
	u.bytesOnly(CodeTxPrepare, id, MaxKeyBytes)
}

// TxCommit applies a prepared transaction. prepared is its unit, as Bytes gave it. What that does to what was in the
// store before is said here again, and done again by whoever applies both: a log that was trimmed may hold the entries
// and rows that the transaction changes, and the TX_COMMIT, but not the TX_PREPARE. Its messages need no repeating:
// they keep it in the log as long as they live.
func (u *Unit) TxCommit(id, prepared []byte) {
	u.bytesOnly(CodeTxCommit, id, MaxKeyBytes)
	var d Decoder
	var op Op
	for d.Reset(prepared, 0); ; {
		from := d.off
		more, err := d.Next(&op)
		if err != nil || !more {
			u.invalid = u.invalid || err != nil
			return
		}
		u.again(&op, prepared[from:d.off])
	}
}

func (u *Unit) again(op *Op, record []byte) {
	switch op.Code {
	case CodeTxPrepare, CodeMessage:
		return
	case CodeEnqueue:
		_, k := binary.Uvarint(record[1:])
		if record[1+k]&1 == 0 { // of a message of the transaction's own
			return
		}
	}
	u.grows = u.grows || op.Code == CodePut || op.Code == CodeEnqueue
	u.buf = append(u.buf, record...)
}

// TxRollback drops a prepared transaction.
func (u *Unit) TxRollback(id []byte) { u.bytesOnly(CodeTxRollback, id, MaxKeyBytes) }

// EpochBegin is the first unit of an epoch, in a batch of its own.
func (u *Unit) EpochBegin(epoch uint64) { u.number(CodeEpochBegin, epoch) }

// Config carries the cluster's seats, opaque here.
func (u *Unit) Config(seats []byte) { u.bytesOnly(CodeConfig, seats, MaxValueBytes) }

// Trim says that nothing below logStart, a segment's first position, is needed any more.
func (u *Unit) Trim(logStart Pos) { u.number(CodeTrim, uint64(logStart)) }

// RelocateMessage writes a message anew, with the whole state of the entries that still claim it. first is its name.
func (u *Unit) RelocateMessage(first Pos, id, header, body []byte, entries []PlacedEntry) {
	if !u.bound(id, MaxKeyBytes) || !u.bound(header, MaxValueBytes) || !u.bound(body, MaxUnitBytes-MaxValueBytes) {
		return
	}
	start := u.begin(CodeRelocateMessage)
	u.uvarint(uint64(first))
	u.content(id, header, body)
	for i := range entries {
		u.entry(&entries[i])
	}
	u.end(start)
}

// RelocateRow writes a table's row anew.
func (u *Unit) RelocateRow(t Table, key, value []byte) { u.row(CodeRelocateRow, t, key, value) }

// RelocateTails writes a queue's highest counters given out anew.
func (u *Unit) RelocateTails(q QueueID, tails [Classes]uint64) {
	start := u.begin(CodeRelocateTails)
	u.queue(q)
	u.counters(&tails)
	u.end(start)
}

func (u *Unit) number(c Code, n uint64) {
	start := u.begin(c)
	u.uvarint(n)
	u.end(start)
}

func (u *Unit) bytesOnly(c Code, b []byte, limit int) {
	start := u.begin(c)
	u.rest(b, limit)
	u.end(start)
}

func (u *Unit) row(c Code, t Table, key, value []byte) {
	start := u.begin(c)
	u.table(t)
	u.bytes(key, MaxKeyBytes)
	u.rest(value, MaxValueBytes)
	u.end(start)
}

// begin opens a record: its code, and one byte's room for its length.
func (u *Unit) begin(c Code) (start int) {
	u.buf = append(u.buf, byte(c), 0)
	return len(u.buf)
}

// end closes the record whose payload began at start. A length that needs more than the byte moves the payload up:
// rare, as only a MESSAGE is commonly long, and that one computes its length first.
func (u *Unit) end(start int) {
	n := len(u.buf) - start
	if n >= 0x80 {
		more := uvarintLen(uint64(n)) - 1
		u.buf = append(u.buf, make([]byte, more)...)
		copy(u.buf[start+more:], u.buf[start:start+n])
		binary.PutUvarint(u.buf[start-1:], uint64(n))
	} else {
		u.buf[start-1] = byte(n)
	}
	u.tooLarge = u.tooLarge || len(u.buf) > MaxUnitBytes
}

func (u *Unit) bound(b []byte, limit int) bool {
	ok := len(b) <= limit && len(u.buf) <= MaxUnitBytes
	u.tooLarge = u.tooLarge || !ok
	return ok
}

func (u *Unit) uvarint(v uint64) { u.buf = binary.AppendUvarint(u.buf, v) }
func (u *Unit) varint(v int64)   { u.buf = binary.AppendVarint(u.buf, v) }

// bytes adds a length and b; rest adds b alone, as the record's last field.
func (u *Unit) bytes(b []byte, limit int) {
	u.uvarint(uint64(len(b)))
	u.rest(b, limit)
}

func (u *Unit) rest(b []byte, limit int) {
	if u.bound(b, limit) {
		u.buf = append(u.buf, b...)
	}
}

func (u *Unit) content(id, header, body []byte) {
	u.uvarint(uint64(len(id)))
	u.uvarint(uint64(len(header)))
	u.uvarint(uint64(len(body)))
	u.buf = append(u.buf, 0, 0, 0, 0)
	start := len(u.buf)
	u.buf = append(u.buf, id...)
	u.buf = append(u.buf, header...)
	u.buf = append(u.buf, body...)
	binary.LittleEndian.PutUint32(u.buf[start-sumBytes:], crc32.Checksum(u.buf[start:], castagnoli))
}

func (u *Unit) queue(q QueueID) {
	u.invalid = u.invalid || q == 0
	u.uvarint(uint64(q))
}

func (u *Unit) table(t Table) {
	u.invalid = u.invalid || t == 0 || t >= tableEnd
	u.buf = append(u.buf, byte(t))
}

func (u *Unit) place(s Seq, flags byte) {
	u.invalid = u.invalid || s.Class() >= Classes
	u.buf = append(u.buf, byte(s>>classShift)|flags)
	u.uvarint(s.Counter())
}

func (u *Unit) target(t *Target) {
	u.queue(t.Queue)
	if len(t.Note) == 0 {
		u.place(t.Seq, 0)
		return
	}
	u.place(t.Seq, placeNote)
	u.bytes(t.Note, MaxNoteBytes)
}

func (u *Unit) counters(c *[Classes]uint64) {
	mask := uint64(0)
	for i, n := range c {
		if n != 0 {
			mask |= 1 << i
		}
	}
	u.uvarint(mask)
	for _, n := range c {
		if n != 0 {
			u.invalid = u.invalid || n >= 1<<classShift
			u.uvarint(n)
		}
	}
}

func (u *Unit) entry(e *PlacedEntry) {
	flags := byte(0)
	if len(e.Note) != 0 {
		flags |= placeNote
	}
	if e.Assign.some() {
		flags |= placeAssign
	}
	u.queue(e.Queue)
	u.place(e.Seq, flags)
	u.uvarint(uint64(e.SizeBytes))
	u.uvarint(uint64(e.ShareBytes))
	u.varint(e.ExpiryMs)
	u.varint(e.NotBeforeMs)
	u.uvarint(uint64(e.Attempts))
	if flags&placeNote != 0 {
		u.bytes(e.Note, MaxNoteBytes)
	}
	if flags&placeAssign != 0 {
		u.bytes(e.Assign.Session, MaxKeyBytes)
		u.uvarint(uint64(e.Assign.PacketID))
		u.buf = append(u.buf, e.Assign.State)
	}
}

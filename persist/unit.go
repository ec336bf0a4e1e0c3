package persist

// MessageRef is a message's offset in the unit that carries it: Append's base plus it is the message's position.
type MessageRef uint64

// Unit builds one all-or-nothing group of operations. It is a buffer: Reset it and use it again. Slices that are given
// to its methods are copied. One goroutine at a time. The zero value is an empty unit.
type Unit struct {
	buf []byte
}

func (u *Unit) Reset()      { u.buf = u.buf[:0] }
func (u *Unit) Empty() bool { return len(u.buf) == 0 }
func (u *Unit) Len() int    { return len(u.buf) }

// Message adds a body, once, whatever its fan-out.
func (u *Unit) Message(id, header, body []byte) MessageRef { panic("unbuilt") }

// Enqueue puts the message of this unit into the targets.
func (u *Unit) Enqueue(m MessageRef, targets []Target, expiryMs, notBeforeMs int64) { panic("unbuilt") }

// EnqueueStored puts a message that is in the log already into the targets.
func (u *Unit) EnqueueStored(m Pos, sizeBytes uint32, targets []Target, expiryMs, notBeforeMs int64) {
	panic("unbuilt")
}
func (u *Unit) Settle(q QueueID, r []Range) { panic("unbuilt") }
func (u *Unit) Attempt(q QueueID, s Seq, attempts uint32, notBeforeMs int64, note []byte) {
	panic("unbuilt")
}
func (u *Unit) Move(from QueueID, s Seq, to Target, reason []byte) { panic("unbuilt") }
func (u *Unit) Purge(q QueueID, upTo [Classes]uint64, gone bool)   { panic("unbuilt") }
func (u *Unit) Assign(q QueueID, s Seq, a Assignment)              { panic("unbuilt") }
func (u *Unit) Put(t Table, key, value []byte)                     { panic("unbuilt") }
func (u *Unit) Delete(t Table, key []byte)                         { panic("unbuilt") }
func (u *Unit) TxPrepare(id []byte)                                { panic("unbuilt") }
func (u *Unit) TxCommit(id []byte)                                 { panic("unbuilt") }
func (u *Unit) TxRollback(id []byte)                               { panic("unbuilt") }

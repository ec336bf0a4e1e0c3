package persist

import (
	"errors"
	"slices"

	"github.com/syndtr/goleveldb/leveldb"
)

// What this file does is deterministic: it asks no clock, no chance and nothing outside the index, so that the same log
// makes the same index on every node.

// beginUnit says that the operations of a unit follow.
func (x *Index) beginUnit(unit []byte, base Pos) {
	x.unit, x.base, x.preparing, x.messageBytes = unit, base, false, 0
	if x.inBatch { // only this goroutine changes it
		return
	}
	segment := x.log.segmentOf(base)
	x.mu.Lock()
	x.inBatch = true
	x.counts.begin(segment)
	x.mu.Unlock()
}

// applied ends a batch.
func (x *Index) applied(end Pos) error {
	x.mu.Lock()
	x.pos, x.inBatch = end, false
	x.dead = x.counts.dead()
	if x.wanted {
		x.freeze()
		select {
		case x.boundary <- struct{}{}:
		default:
		}
	}
	over := x.now.bytes > 2*x.budget
	err := x.broken
	x.mu.Unlock()
	if err == nil && over { // nobody came to write it in time: whoever fills it waits
		err = x.flush()
	}
	return err
}

// apply does one operation. What it names and the index does not know is settled, or will be relocated further on.
func (x *Index) apply(op *Op) error {
	switch {
	case x.preparing: // it waits for TX_COMMIT
		return nil
	case op.Code == CodeMessage:
		x.note(op)
		return nil
	}
	x.mu.Lock()
	err := x.applyLocked(op)
	x.mu.Unlock()
	if err != nil {
		err = x.mark(err)
	}
	return err
}

// note remembers how large the unit's newest message is.
func (x *Index) note(op *Op) {
	x.message, x.messageBytes = op.Pos, uint32(len(op.ID)+len(op.Header)+len(op.Body))
}

func (x *Index) applyLocked(op *Op) error {
	x.opPos = op.Pos
	switch op.Code {
	case CodeEnqueue:
		return x.enqueue(op)
	case CodeSettle:
		return x.settle(op)
	case CodeAttempt:
		return x.alter(op.Queue, op.Seq, func(m *slotMore) {
			m.attempts, m.notBeforeMs, m.note = op.Attempts, op.NotBeforeMs, slices.Clone(op.Note)
		})
	case CodeAssign:
		return x.alter(op.Queue, op.Seq, func(m *slotMore) {
			m.assign = Assignment{slices.Clone(op.Assign.Session), op.Assign.PacketID, op.Assign.State}
		})
	case CodeMove:
		return x.move(op)
	case CodePurge:
		return x.purge(op)
	case CodePut, CodeRelocateRow:
		return x.setRow(tableKey(nil, op.Table, op.Key), placed(op.Pos, op.Value))
	case CodeDelete:
		return x.setRow(tableKey(nil, op.Table, op.Key), nil)
	default:
		return x.applyRare(op)
	}
}

func (x *Index) applyRare(op *Op) error {
	switch op.Code {
	case CodeEpochBegin:
		return nil
	case CodeMessage: // of a prepared transaction
		x.note(op)
		return nil
	case CodeTrim:
		return x.noteTrim(op)
	case CodeConfig:
		return x.setRow([]byte{keyConfig}, placed(op.Pos, op.Value))
	case CodeTxPrepare:
		x.preparing = true
		return x.setRow(preparedKey(op.Key), placed(x.base, x.unit))
	case CodeTxCommit:
		return x.commitPrepared(op.Key)
	case CodeTxRollback:
		return x.setRow(preparedKey(op.Key), nil)
	case CodeRelocateMessage:
		return x.relocateMessage(op)
	case CodeRelocateTails:
		return x.relocateTails(op)
	}
	return errors.New("an operation that the index does not know: " + op.Code.String())
}

// noteTrim notes which segments may go. A TRIM that would take what lives is not obeyed, on no node: it can only come of
// a fault in this program, and room on the disk is cheaper than a message.
func (x *Index) noteTrim(op *Op) error {
	if op.LogStart <= x.trim.to {
		return nil
	}
	if !x.counts.dropBelow(op.LogStart) {
		x.disobeyed++
		x.logf("the log's TRIM at position %d would drop messages below %d that are still wanted; it is not obeyed", op.Pos, op.LogStart)
		return nil
	}
	x.trim = trimming{op.LogStart, op.Pos}
	return nil
}

// commitPrepared applies what a prepared transaction holds.
func (x *Index) commitPrepared(id []byte) error {
	key := preparedKey(id)
	v, err := x.row(key)
	if err != nil || v == nil {
		return err
	}
	base, unit, err := splitPlaced(v)
	if err != nil {
		return err
	}
	if err := x.setRow(key, nil); err != nil {
		return err
	}
	outer, outerBase := x.unit, x.base
	x.unit, x.base = unit, base
	first := true
	err = eachOpOf(unit, base, func(op *Op) error {
		if first { // the TX_PREPARE itself
			first = false
			return nil
		}
		return x.applyLocked(op)
	})
	x.unit, x.base, x.messageBytes = outer, outerBase, 0
	return err
}

// eachOpOf decodes a unit's operations.
func eachOpOf(unit []byte, base Pos, f func(op *Op) error) error {
	var d Decoder
	var op Op
	d.Reset(unit, base)
	for {
		more, err := d.Next(&op)
		if err != nil || !more {
			return err
		}
		if err := f(&op); err != nil {
			return err
		}
	}
}

// load reads a key of LevelDB, nil if it has none. mu is let go of meanwhile.
func (x *Index) load(key []byte) ([]byte, error) {
	db := x.db
	x.mu.Unlock()
	defer x.mu.Lock()
	if db == nil {
		return nil, ErrClosed
	}
	v, err := db.Get(key, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, nil
	}
	return v, err
}

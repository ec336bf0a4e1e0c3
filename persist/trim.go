package persist

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// trimDead says that the log's oldest segments are not needed, if nothing in them lives. What gave out counters there,
// and nowhere since, is said again first.
func (x *Index) trimDead() (trimmed bool, err error) {
	if x.deadTo() <= x.log.logStart() {
		return false, nil
	}
	x.log.holdTail()
	defer x.log.releaseTail()
	to := x.deadTo() // as of the end of a batch that was applied before the tail began to be held, or later
	if to <= x.log.logStart() {
		return false, nil
	}
	t, err := x.prepareTrim(to)
	if err != nil || 2*t.bytes() > uint64(to-x.log.logStart()) {
		return false, err // saying the counters anew would cost what it frees
	}
	_, end, err := x.log.appendAgainst(t.see, t.unit)
	if err != nil {
		return false, passMoved(err)
	}
	x.relocator.until = end
	if x.weaken["trim-committed"] && !t.alive {
		return true, x.log.dropSegmentsBelow(to)
	}
	return !t.alive, nil
}

func (x *Index) deadTo() Pos {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.dead
}

// passMoved is nil for what the next look will do better.
func passMoved(err error) error {
	if errors.Is(err, errTailMoved) {
		return nil
	}
	return err
}

// trimPlan is a TRIM to be appended, and what the tail says against it.
type trimPlan struct {
	to    Pos
	tails map[QueueID][Classes]uint64
	alive bool // the tail puts a message that lies there into a queue
}

// prepareTrim gathers the counters that no record from to on says. Those of the tail are: the tail lies behind to.
func (x *Index) prepareTrim(to Pos) (t *trimPlan, err error) {
	t = &trimPlan{to: to, tails: map[QueueID][Classes]uint64{}}
	err = x.eachQueueRow(func(q QueueID, c *queueRow) {
		var tails [Classes]uint64
		old := false
		for i := range c.lanes {
			if l := &c.lanes[i]; l.tail != 0 && l.said < to {
				tails[l.class], old = l.tail, true
			}
		}
		if old {
			t.tails[q] = tails
		}
	})
	return t, err
}

func (t *trimPlan) bytes() uint64 { return uint64(len(t.tails)) * tailOverheadBytes }

// see looks at one operation of the tail. What a prepared transaction does to what was there before stands behind its
// TX_COMMIT again.
func (t *trimPlan) see(op *Op) {
	switch op.Code {
	case CodeEnqueue:
		t.alive = t.alive || op.Message < t.to
	case CodePurge:
		if op.Gone {
			delete(t.tails, op.Queue)
		}
	}
}

func (t *trimPlan) unit() *Unit {
	u := new(Unit)
	if t.alive {
		return u
	}
	for _, q := range slices.Sorted(maps.Keys(t.tails)) { // one history is one log
		u.RelocateTails(q, t.tails[q])
	}
	u.Trim(t.to)
	return u
}

// eachQueueRow calls f for each queue's row, in no order. Rows that change meanwhile are shown as they were or as they are.
func (x *Index) eachQueueRow(f func(q QueueID, c *queueRow)) error {
	seen := map[QueueID]*queueRow{}
	x.mu.RLock()
	for _, o := range []*overlay{x.frozen, x.now} {
		if o == nil {
			continue
		}
		for q, c := range o.queues {
			seen[q] = c.copy()
		}
	}
	v, err := x.look()
	x.mu.RUnlock()
	if err != nil {
		return err
	}
	defer v.Release()
	it := v.prefix([]byte{keyQueue})
	defer it.Release()
	for it.Next() {
		q := QueueID(binary.BigEndian.Uint64(it.Key()[1:]))
		if seen[q] != nil {
			continue
		}
		c, err := decodeQueueRow(it.Value())
		if err != nil {
			return err
		}
		f(q, c)
	}
	for q, c := range seen {
		f(q, c)
	}
	return it.Error()
}

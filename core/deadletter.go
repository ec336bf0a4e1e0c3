package core

import "github.com/havenmq/havenmq/persist"

// Reasons why a message is a dead letter, as the operator and its next consumer see them.
const (
	ReasonExpired    = "expired"
	ReasonRejected   = "rejected"
	ReasonRedelivery = "delivered too often"
)

// burial is an entry in stateLimbo: out of its queue's lists, not yet with the dead letters.
type burial struct {
	e      *entry
	reason string
}

// die sends an entry that is in no list to the dead letters, once its queue is let go.
func (q *queue) die(e *entry, reason string) {
	e.state = stateLimbo
	q.dead = append(q.dead, burial{e, reason})
}

// bury moves dead entries of from, which nobody has locked, to its dead letters. What dies among the dead letters is
// dropped: they are the last resort. end is where that ends in the log, 0 nowhere.
func (b *Broker) bury(from *queue, dead []burial) (end persist.Pos) {
	to := b.graveyard(from)
	lockBoth(from, to)
	w := b.borrow()
	end = from.buryInto(to, dead, w)
	b.giveBack(w)
	from.release()
	if to == nil {
		return end
	}
	to.advance()
	if more := to.release(); len(more) > 0 {
		b.bury(to, more)
	}
	return end
}

// lockBoth locks two queues in order of rank; other may be nil.
func lockBoth(q, other *queue) {
	if other == nil {
		q.mu.Lock()
		return
	}
	if other.rank < q.rank {
		q, other = other, q
	}
	q.mu.Lock()
	other.mu.Lock()
}

// graveyard is where from's dead go; nil when they are dropped.
func (b *Broker) graveyard(from *queue) *queue {
	if from.dest == from.policy.DeadLetter {
		return nil
	}
	to, err := b.queueFor(from.policy.DeadLetter)
	if err != nil || to == from {
		return nil
	}
	return to
}

func (from *queue) buryInto(to *queue, dead []burial, w *writer) (end persist.Pos) {
	b := from.b
	var moved []burial
	var seqs []persist.Seq
	for _, d := range dead {
		e := d.e
		if e.state != stateLimbo || from.closed || e.seq.Counter() <= from.laneOf(e).purged {
			b.discharge(e)
			continue
		}
		if to == nil || to.closed {
			from.drop1(d.reason)
			from.lose(e)
			continue
		}
		from.depth--
		if e.logged() {
			from.bytes -= min(from.bytes, uint64(e.sizeBytes))
		}
		from.buried++
		s := to.nextSeq(e.seq.Priority())
		if e.logged() {
			w.unit.Move(from.id, e.seq, persist.Target{Queue: to.id, Seq: s, Note: makeReason(d.reason).note}, []byte(d.reason))
		}
		moved, seqs = append(moved, d), append(seqs, s)
	}
	_, end, err := b.append(&w.unit)
	for i, d := range moved {
		b.discharge(d.e)
		d.e.state = stateGone
		if err == nil || !d.e.logged() {
			to.receive(d, seqs[i], end)
		}
		b.counts.lose(EventDeadLetter, from.dest, d.reason, 1)
	}
	if end != 0 {
		from.lastEnd = end
	}
	return end
}

// receive takes a dead letter in.
func (q *queue) receive(d burial, s persist.Seq, end persist.Pos) {
	old := d.e
	q.enqueued++
	q.depth++
	e := &entry{q: q, msg: old.msg, grant: makeReason(d.reason), seq: s, pos: old.pos, sizeBytes: old.sizeBytes, share: old.sizeBytes, returned: true}
	if !e.logged() {
		q.take(e)
		q.makeReady(e)
		return
	}
	q.bytes += uint64(e.sizeBytes)
	q.lastEnd, e.end = end, end
	if q.keep(q.laneOf(e), s.Counter(), end) {
		q.take(e)
		q.pending.pushBack(e)
	}
}

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
	e       *entry
	reason  string
	epitaph *grant // what its entry among the dead letters says; nil until it is buried
}

// die sends an entry that is in no list to the dead letters, once its queue is let go.
func (q *queue) die(e *entry, reason string) {
	e.state = stateLimbo
	q.dead = append(q.dead, burial{e: e, reason: reason})
}

// funeral is what died in one queue.
type funeral struct {
	from *queue
	dead []burial
}

// mourn lets go of a queue and keeps what died in it for buryAll.
func (w *writer) mourn(q *queue) {
	if dead, _ := q.release(); len(dead) > 0 {
		w.funerals = append(w.funerals, funeral{q, dead})
	}
}

// buryAll buries what mourn kept, once nothing is locked. end is where that ends in the log, 0 nowhere.
func (b *Broker) buryAll(w *writer) (end persist.Pos) {
	for i, f := range w.funerals {
		at, _ := b.bury(f.from, f.dead) // what cannot be buried is back in its place
		end = max(end, at)
		w.funerals[i] = funeral{}
	}
	w.funerals = w.funerals[:0]
	return end
}

// bury moves dead entries of from, which nobody has locked, to its dead letters. What dies among the dead letters is
// dropped: they are the last resort. end is where that ends in the log, 0 nowhere. After an error the entries are back
// in their places, or the store is closed.
func (b *Broker) bury(from *queue, dead []burial) (end persist.Pos, err error) {
	to, err := b.graveyard(from)
	if err != nil {
		from.exhume(dead)
		return 0, err
	}
	lockBoth(from, to)
	if to != nil && to.closed { // it was deleted just now: make another
		from.mu.Unlock()
		to.mu.Unlock()
		return b.bury(from, dead)
	}
	w := b.borrow()
	end, err = from.buryInto(to, dead, w)
	b.giveBack(w)
	_, lost := from.release()
	if to != nil {
		to.advance()
		to.unlock()
	}
	return max(end, lost), err
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

// graveyard is where from's dead go; nil when they are dropped. The error says that it could not be made.
func (b *Broker) graveyard(from *queue) (*queue, error) {
	if from.dest == from.policy.DeadLetter {
		return nil, nil
	}
	return b.queueFor(from.policy.DeadLetter)
}

// exhume puts what could not be buried back in its place. It is tried again after a while.
func (from *queue) exhume(dead []burial) {
	from.mu.Lock()
	defer from.release()
	for _, d := range dead {
		if d.e.state != stateLimbo || from.closed || d.e.seq.Counter() <= from.laneOf(d.e).purged {
			from.b.discharge(d.e)
			continue
		}
		if d.reason == ReasonExpired {
			from.expired--
			from.b.counts.expire(-1)
		}
		if from.laneOf(d.e).behindHole(d.e) && d.e.logged() { // a sweep found it in the store, and there it is
			d.e.state = stateGone
			continue
		}
		from.take(d.e)
		from.makeReady(d.e)
	}
	from.b.timed.add(from, from.b.nowMs()+retryMs)
}

func (from *queue) buryInto(to *queue, dead []burial, w *writer) (end persist.Pos, err error) {
	b := from.b
	var moved []burial
	var seqs []persist.Seq
	var epitaph *grant // the last one's: the next one's is mostly the same
	for _, d := range dead {
		e := d.e
		if e.state != stateLimbo || from.closed || e.seq.Counter() <= from.laneOf(e).purged {
			b.discharge(e)
			continue
		}
		if to == nil {
			from.drop1(d.reason)
			from.lose(e)
			continue
		}
		from.depth--
		if e.logged() {
			from.bytes -= min(from.bytes, uint64(e.sizeBytes))
		}
		from.buried++
		epitaph = from.epitaph(d, epitaph)
		d.epitaph = epitaph
		s := to.nextSeq(e.seq.Priority())
		if e.logged() {
			w.unit.Move(from.id, e.seq, persist.Target{Queue: to.id, Seq: s, Note: d.epitaph.note}, []byte(d.reason))
		}
		moved, seqs = append(moved, d), append(seqs, s)
	}
	_, end, err = b.append(&w.unit)
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
	return end, err
}

// epitaph says why d died, and where: a dead letter that dies again keeps where it died first.
func (from *queue) epitaph(d burial, like *grant) *grant {
	origin := from.dest
	if _, first := d.e.grant.why(); !first.IsZero() {
		origin = first
	}
	if like != nil && like.reason == d.reason && like.origin == origin {
		return like
	}
	return makeReason(d.reason, origin)
}

// receive takes a dead letter in.
func (q *queue) receive(d burial, s persist.Seq, end persist.Pos) {
	old := d.e
	q.enqueued++
	if !old.logged() && q.refuses() {
		q.drop1(dropMemory)
		return
	}
	q.depth++
	e := &entry{q: q, msg: old.msg, grant: d.epitaph, seq: s, pos: old.pos, sizeBytes: old.sizeBytes, share: old.sizeBytes, returned: true}
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

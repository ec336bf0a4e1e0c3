package core

import (
	"cmp"
	"slices"

	"github.com/havenmq/havenmq/persist"
)

// settle says what became of deliveries.
func (c *Client) settle(op *Op) {
	if op.Tx != 0 {
		c.settleInTx(op)
		return
	}
	end, err := c.settleTags(op.Tags, op.Outcome)
	c.answer(op, end, err)
}

// settleTags settles deliveries, a queue's at a time. What is not this client's any more is passed over: it was purged,
// expired with its connection, or settled before, and that is confirmed like a settle. end is where all that ends in the
// log. An error says that the store is closed, so that the next master delivers them again, or that dead letters could not
// be written and are back.
func (c *Client) settleTags(tags []Tag, o Outcome) (end persist.Pos, failed error) {
	c.settled.Add(uint64(len(tags)))
	for len(tags) > 0 {
		if tags[0] == nil {
			tags = tags[1:]
			continue
		}
		q, n := tags[0].q, 1
		for n < len(tags) && tags[n] != nil && tags[n].q == q {
			n++
		}
		q.mu.Lock()
		gone, err := q.confirmGone(c, tags[:n])
		q.settle(&c.work, c, tags[:n], o)
		_, at, err2 := q.b.append(&c.work.unit)
		err = cmp.Or(err, err2)
		if err == nil && at != 0 {
			q.lastEnd = at
		}
		q.dispatch()
		buried, err3 := q.unlock()
		end, failed = max(end, gone, at, buried), cmp.Or(failed, err, err3)
		tags = tags[n:]
	}
	return end, failed
}

// confirmGone says where in the log what became of those among tags that are gone is said, at the latest.
func (q *queue) confirmGone(c *Client, tags []Tag) (end persist.Pos, err error) {
	for _, e := range tags {
		if q.holds(c, e) || e.inTx {
			continue
		}
		if q.b.ended.Load() { // perhaps it never came to be said
			return 0, &Error{CodeShutdown, q.dest.String(), "the store is closed"}
		}
		return q.lastEnd, nil
	}
	return 0, nil
}

// drainedOf counts the deliveries without a message.
func drainedOf(list []Delivery) (n int) {
	for i := range list {
		if list[i].Drained {
			n++
		}
	}
	return n
}

// settleAuto settles what is accepted as it is handed over.
func (c *Client) settleAuto(list []Delivery) {
	w := &c.work
	for i := 0; i < len(list); {
		d := &list[i]
		if !d.auto || d.Tag == nil {
			i++
			continue
		}
		q := d.Tag.q
		q.mu.Lock()
		w.ranges = w.ranges[:0]
		for ; i < len(list) && list[i].auto && list[i].Tag != nil && list[i].Tag.q == q; i++ {
			q.accept(w, c, list[i].Tag)
			c.settled.Add(1)
		}
		q.writeAccepted(w)
		if _, at, err := q.b.append(&w.unit); err == nil && at != 0 {
			q.lastEnd = at
			c.lastPos = max(c.lastPos, at)
		}
		q.dispatch()
		q.unlock()
	}
}

// settle puts into w's unit what the outcome of tags, all of this locked queue, means.
func (q *queue) settle(w *writer, c *Client, tags []Tag, o Outcome) {
	w.ranges = w.ranges[:0]
	switch o {
	case Accepted:
		for _, e := range tags {
			q.accept(w, c, e)
		}
		q.writeAccepted(w)
	case Received:
		for _, e := range tags {
			q.assign(w, c, e)
		}
	default:
		for i := len(tags) - 1; i >= 0; i-- { // from the last, so that each returns to the front
			q.decline(w, c, tags[i], o)
		}
		q.writeAccepted(w)
	}
}

// holds says whether e is in flight to c, outside of transactions.
func (q *queue) holds(c *Client, e *entry) bool {
	return e.state == stateFlight && e.sub.client == c && !e.inTx
}

// accept ends a delivery well.
func (q *queue) accept(w *writer, c *Client, e *entry) {
	if !q.holds(c, e) {
		return
	}
	s := e.sub
	q.land(e)
	q.finish(w, e)
	q.dequeued++
	q.feed(s)
}

// finish ends an entry that is in no list.
func (q *queue) finish(w *writer, e *entry) {
	e.state = stateGone
	q.b.discharge(e)
	q.depth--
	if e.logged() {
		q.bytes -= min(q.bytes, uint64(e.sizeBytes))
		w.ranges = addRange(w.ranges, e.seq)
	}
	e.msg = nil
}

// writeAccepted puts what finish gathered into the unit.
func (q *queue) writeAccepted(w *writer) {
	if len(w.ranges) == 0 {
		return
	}
	if len(w.ranges) > 1 {
		w.ranges = joinRanges(w.ranges)
	}
	w.unit.Settle(q.id, w.ranges)
	w.ranges = w.ranges[:0]
}

// joinRanges sorts what is not, and joins neighbours.
func joinRanges(list []persist.Range) []persist.Range {
	slices.SortFunc(list, func(a, b persist.Range) int { return compare(uint64(a.First), uint64(b.First)) })
	out := list[:1]
	for _, r := range list[1:] {
		last := &out[len(out)-1]
		if last.Last+1 == r.First && last.Last.Class() == r.First.Class() {
			last.Last = r.Last
		} else {
			out = append(out, r)
		}
	}
	return out
}

// assign notes that the peer has a QoS 2 delivery. Only an inbox makes those.
func (q *queue) assign(w *writer, c *Client, e *entry) {
	if q.kind != kindInbox || !q.holds(c, e) || e.received {
		return
	}
	e.received = true
	if e.logged() {
		w.unit.Assign(q.id, e.seq, persist.Assignment{State: assignReceived})
	}
}

// decline ends a delivery otherwise.
func (q *queue) decline(w *writer, c *Client, e *entry, o Outcome) {
	if !q.holds(c, e) {
		return
	}
	s := e.sub
	switch {
	case o == Released:
		q.giveBack(e)
	case o == Rejected:
		q.land(e)
		q.refuse(w, e, ReasonRejected)
	default:
		if o == FailedHere {
			e.shunned = s
		}
		q.fail(w, e)
	}
	q.feed(s)
}

// fail counts a failed delivery, and sends to the dead letters what failed too often.
func (q *queue) fail(w *writer, e *entry) {
	e.attempts = min(e.attempts, ^uint32(0)-1) + 1
	if most := q.policy.MaxRedeliveries; most >= 0 && int64(e.attempts) > int64(most) && q.kind != kindInbox {
		q.land(e)
		q.refuse(w, e, ReasonRedelivery)
		return
	}
	if e.logged() {
		w.unit.Attempt(q.id, e.seq, e.attempts, 0, e.grant.bytes())
	}
	q.giveBack(e)
}

// refuse sends an entry that is in no list to the dead letters; an inbox, and what lives as long as a connection, has none.
func (q *queue) refuse(w *writer, e *entry, reason string) {
	if q.kind == kindQueue || q.kind == kindDurable {
		q.die(e, reason)
		return
	}
	q.drop1(reason)
	q.finish(w, e)
}

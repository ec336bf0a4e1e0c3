package core

import (
	"slices"
	"sync/atomic"
)

// credit is how many deliveries a peer allows: absolute counts since the subscription began. An inbox's subscription
// shares one with the shared queues that its filters name, each under its own queue's lock: hence atomics.
type credit struct{ limit, used atomic.Uint64 }

func (c *credit) left() bool { return c.used.Load() < c.limit.Load() }

func (c *credit) take() bool {
	for {
		used := c.used.Load()
		if used >= c.limit.Load() {
			return false
		}
		if c.used.CompareAndSwap(used, used+1) {
			return true
		}
	}
}

// giveBack undoes n takes.
func (c *credit) giveBack(n uint64) { c.used.Add(-n) }

// drop uses up what is left.
func (c *credit) drop() {
	if limit := c.limit.Load(); c.used.Load() < limit {
		c.used.Store(limit)
	}
}

// subscription is one consumer of one queue. The queue's lock guards it, but for what never changes.
type subscription struct {
	client *Client // never changes
	id     SubID   // never changes
	q      *queue  // never changes
	credit *credit // never changes
	claim  *claim  // never changes; live topic subscription: what the router has of it
	source Destination
	browse *browser // never changes; a browser consumes nothing

	durable *durable // never changes; what it consumes for

	flight     list
	next, prev *subscription // in the ring of hungry ones
	handed     uint64

	maxQoS   uint8 // shared queue of an inbox's filter
	ids      []uint32
	auto     bool // never changes: accepted as it is handed over
	hungry   bool
	blocked  bool // its client's mailbox is full
	draining bool
	closed   bool
}

func (s *subscription) hasCredit() bool {
	return s.credit.left() && s.flight.n < s.q.b.limits.InFlight
}

func (s *subscription) take() bool {
	return !s.client.mail.full.Load() && s.flight.n < s.q.b.limits.InFlight && s.credit.take()
}

// attach adds a consumer.
func (q *queue) attach(s *subscription) {
	q.load()
	q.subs = append(q.subs, s)
}

// detach takes s away; what it had in flight returns, in order, and is dispatched to others, but for what an open
// transaction settles: JMS and STOMP clients close a consumer before they commit. failed counts it as an attempt (MQTT,
// `$queue`).
//
// What its connection never polled was never sent: it returns as it was. unseen is how much that is.
func (q *queue) detach(s *subscription, w *writer, failed bool) (unseen uint64) {
	q.mu.Lock()
	if s.closed {
		q.mu.Unlock()
		return 0
	}
	s.closed = true
	q.wish(s, false)
	q.sate(s)
	for i, other := range q.subs {
		if other == s {
			q.subs = append(q.subs[:i], q.subs[i+1:]...)
			break
		}
	}
	for _, d := range s.client.mail.forget(s.id, q) {
		unseen++
		if e := d.Tag; e.sub == s { // else it was purged
			q.giveBack(e)
			e.returned = d.Returned
		}
	}
	w.ranges = w.ranges[:0]
	for e, before := s.flight.tail, (*entry)(nil); e != nil; e = before {
		before = e.prev
		switch {
		case e.inTx: // until its transaction ends
		case failed && !e.received:
			q.fail(w, e)
		default:
			q.giveBack(e)
		}
	}
	if s.flight.n > 0 {
		q.leaving = append(q.leaving, s)
	}
	q.writeAccepted(w)
	if _, end, err := q.b.append(&w.unit); err == nil && end != 0 {
		q.lastEnd = end
	}
	w.unit.Reset()
	q.dispatch()
	q.unlock()
	return unseen
}

// holders are the subscriptions that may have something in flight.
func (q *queue) holders() []*subscription {
	if len(q.leaving) == 0 {
		return q.subs
	}
	return slices.Concat(q.subs, q.leaving)
}

// giveBack takes e out of flight and puts it back in its place.
func (q *queue) giveBack(e *entry) {
	q.land(e)
	if e.seq.Counter() <= q.laneOf(e).purged || q.closed {
		e.state = stateGone
		q.b.discharge(e)
		return
	}
	q.take(e)
	q.makeReady(e)
}

// land takes e out of flight.
func (q *queue) land(e *entry) {
	s := e.sub
	s.flight.remove(e)
	s.client.inFlight.Add(-1)
	if s.closed && s.flight.n == 0 && len(q.leaving) > 0 {
		q.leaving = slices.DeleteFunc(q.leaving, func(other *subscription) bool { return other == s })
	}
	e.sub, e.inTx = nil, false
	q.inFlight--
}

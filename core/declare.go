package core

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/havenmq/havenmq/persist"
)

// Rows of TableDestinations: id (8 bytes, big-endian) → kind (1 byte: a queueKind) name. Rows of subscriptions and
// inboxes are their own tables'. TableSettings' keyLastID holds the highest id ever given out.
var keyLastID = []byte("lastQueueID")

// topicCount counts for the operator what went through a topic.
type topicCount struct{ enqueued, dequeued atomic.Uint64 }

func (t *topicCount) count(copies int) {
	t.enqueued.Add(1)
	t.dequeued.Add(uint64(copies))
}

// maxTopics bounds the topics that are counted apart. The rest share one count.
const maxTopics = 100_000

// topic finds or makes the count of a topic.
func (b *Broker) topic(d Destination) *topicCount {
	b.mu.RLock()
	t := b.topics[d]
	b.mu.RUnlock()
	if t != nil {
		return t
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t = b.topics[d]; t != nil {
		return t
	}
	if len(b.topics) >= maxTopics || b.topicNames+len(d.Name) > maxTopicBytes {
		d.Name = "(others)"
		if t = b.topics[d]; t != nil {
			return t
		}
	}
	t = &topicCount{}
	b.topicNames += len(d.Name)
	b.topics[d] = t
	return t
}

// queueFor finds a named queue, or makes it. No queue may be locked.
func (b *Broker) queueFor(d Destination) (*queue, error) {
	b.mu.RLock()
	q := b.queues[d]
	b.mu.RUnlock()
	if q != nil {
		return q, nil
	}
	if d.Kind != Queue {
		return nil, &Error{CodeNotFound, d.String(), "it is not there: its connection ended"}
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if q := b.queues[d]; q != nil {
		return q, nil
	}
	if err := b.roomForQueue(d); err != nil {
		return nil, err
	}
	w := b.borrow()
	defer b.giveBack(w)
	id := b.takeID(w)
	w.key = queueKey(w.key[:0], id)
	w.value = append(append(w.value[:0], byte(kindQueue)), d.Name...)
	w.unit.Put(persist.TableDestinations, w.key, w.value)
	if _, _, err := b.append(&w.unit); err != nil {
		return nil, err
	}
	q = b.newQueue(kindQueue, id, d, b.policyFor(d))
	b.listQueue(q)
	return q, nil
}

// newQueue makes a queue in memory. b.mu is locked, or the broker is not open yet.
func (b *Broker) newQueue(kind queueKind, id persist.QueueID, d Destination, p *Policy) *queue {
	b.lastRank++
	q := &queue{b: b, kind: kind, id: id, dest: d, policy: p, rank: b.lastRank}
	if id != 0 {
		b.byID[id] = q
	}
	return q
}

// takeID gives out a queue's id, for good. b.mu is locked.
func (b *Broker) takeID(w *writer) persist.QueueID {
	b.lastID++
	w.value = binary.BigEndian.AppendUint64(w.value[:0], uint64(b.lastID))
	w.unit.Put(persist.TableSettings, keyLastID, w.value)
	return b.lastID
}

func queueKey(dst []byte, id persist.QueueID) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(id))
}

// maxTemps bounds the temporary destinations of one connection.
const maxTemps = 10_000

// declare makes a destination exist.
func (c *Client) declare(op *Op) {
	d, err := c.declared(op.Dest)
	c.complete(c.tailOf(err), Completion{Ticket: op.Ticket, Err: err, Dest: d})
}

// tailOf is what an answer waits for after something was appended: all that was.
func (c *Client) tailOf(err error) persist.Pos {
	if err != nil {
		return 0
	}
	return persist.Pos(c.b.tail.Load())
}

func (c *Client) declared(d Destination) (Destination, error) {
	b := c.b
	if d.Kind.Temporary() {
		return c.declareTemp(d)
	}
	if err := d.Validate(); err != nil {
		return d, err
	}
	if err := b.access.Authorize(&c.who, ActionWrite, d); err != nil {
		return d, err
	}
	if d.Kind == Queue {
		_, err := b.queueFor(d)
		return d, err
	}
	return d, nil
}

func (c *Client) declareTemp(d Destination) (Destination, error) {
	b := c.b
	if d.Name == "" {
		d.Name = b.inventName()
	}
	if err := d.Validate(); err != nil {
		return d, err
	}
	if _, ok := c.temps[d]; ok {
		return d, nil
	}
	if len(c.temps) >= maxTemps {
		return d, &Error{CodeFull, d.String(), fmt.Sprintf("this connection has %d temporary destinations: use some again", maxTemps)}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queues[d] != nil || b.tempTops[d] != nil {
		return d, &Error{CodeInUse, d.String(), "it is another connection's: choose another name"}
	}
	if err := b.roomForQueue(d); err != nil {
		return d, err
	}
	if d.Kind == TempQueue {
		q := b.newQueue(kindTemp, 0, d, b.policyFor(d))
		q.owner = c
		b.listQueue(q)
	} else {
		b.tempTops[d] = c
	}
	if c.temps == nil {
		c.temps = map[Destination]struct{}{}
	}
	c.temps[d] = struct{}{}
	return d, nil
}

// dropTemps ends the temporary destinations of a connection.
func (c *Client) dropTemps() {
	for d := range c.temps {
		c.dropTemp(d)
	}
	c.temps = nil
}

func (c *Client) dropTemp(d Destination) {
	delete(c.temps, d)
	b := c.b
	b.mu.Lock()
	if d.Kind != TempQueue {
		delete(b.tempTops, d)
		b.mu.Unlock()
		return
	}
	q := b.queues[d]
	b.unlistQueue(d)
	b.version.Add(1)
	b.mu.Unlock()
	q.mu.Lock()
	q.empty()
	q.closed = true
	q.release()
	b.timed.remove(q)
}

// undeclare ends one of them early.
func (c *Client) undeclare(op *Op) {
	if _, ok := c.temps[op.Dest]; !ok {
		c.answer(op, 0, &Error{CodeNotFound, op.Dest.String(), "it is no temporary destination of this connection"})
		return
	}
	for _, s := range c.subs { // nobody else may consume from it
		if s.source == op.Dest {
			c.answer(op, 0, &Error{CodeInUse, op.Dest.String(), "this connection consumes from it: end its subscriptions first"})
			return
		}
	}
	c.dropTemp(op.Dest)
	c.answer(op, 0, nil)
}

// empty takes everything out of memory, deliveries in flight too; what the log holds of it is the caller's to remove.
// It says how many entries were live.
func (q *queue) empty() (n uint64) {
	q.glance()
	n = q.depth
	for _, s := range q.holders() {
		for e := s.flight.head; e != nil; e = s.flight.head {
			q.land(e)
			e.state = stateGone
			q.b.discharge(e)
			q.feed(s)
		}
	}
	for e := q.pending.head; e != nil; e = q.pending.head {
		q.pending.remove(e)
		q.drop(e)
	}
	for i := range q.lanes {
		l := &q.lanes[i]
		l.purged, l.hole, l.loaded, l.beyond = l.tail, 0, 0, 0
		for e := l.held.head; e != nil; e = l.held.head {
			l.held.remove(e)
			q.drop(e)
		}
		for e := l.ready.head; e != nil; e = l.ready.head {
			q.unready(e)
			e.state = stateGone
			q.b.discharge(e)
		}
	}
	for _, d := range q.delayed.heap {
		if d.e.state == stateDelayed {
			d.e.state = stateGone
			q.b.discharge(d.e)
		}
	}
	q.delayed = delays{}
	q.depth, q.bytes, q.nextExpiryMs, q.hiddenExpiryMs = 0, 0, 0, 0
	return n
}

// tails is the highest place given out in each class.
func (q *queue) tails() (t [persist.Classes]uint64) {
	q.glance()
	for i := range q.lanes {
		t[q.lanes[i].class] = q.lanes[i].tail
	}
	return t
}

// purge throws away what the queue holds; it is locked. n is how many messages that were.
func (q *queue) purge() (n uint64, err error) {
	if q.id != 0 {
		w := q.b.borrow()
		defer q.b.giveBack(w)
		w.unit.Purge(q.id, q.tails(), false)
		_, end, err := q.b.append(&w.unit)
		if err != nil {
			return 0, err
		}
		q.lastEnd = end
	}
	return q.empty(), nil
}

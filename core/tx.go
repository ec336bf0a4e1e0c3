package core

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/havenmq/havenmq/persist"
)

// transaction is what a client does later, all or nothing. Publishes and settles are kept as they come; deliveries that
// it settles stay in flight until it commits.
type transaction struct {
	publishes []*Message
	settles   []promise
	bytes     int64
	ops       int
	failed    error // why it cannot be committed any more
}

type promise struct {
	tags    []Tag
	outcome Outcome
}

func (c *Client) transact(op *Op) {
	if op.Kind == OpBegin {
		c.begin(op)
		return
	}
	t := c.txs[op.Tx]
	if t == nil {
		c.answer(op, 0, noTransaction(op.Tx))
		return
	}
	c.endTx(op.Tx, t)
	if op.Kind == OpRollback {
		c.free(t)
		c.answer(op, c.lastPos, nil)
		return
	}
	end, err := c.commitTx(t)
	c.answer(op, end, err)
}

// endTx forgets a transaction.
func (c *Client) endTx(id TxID, t *transaction) {
	delete(c.txs, id)
	c.nTxs.Add(-1)
	c.b.txBytes.Add(-t.bytes)
	c.b.memory.Add(-t.bytes)
}

func noTransaction(id TxID) error {
	return &Error{CodeNotFound, fmt.Sprintf("transaction %d", id), "it is not open: it was committed, rolled back, or never begun"}
}

// maxTxs bounds the transactions that one connection has open.
const maxTxs = 1024

func (c *Client) begin(op *Op) {
	switch {
	case c.txs[op.Tx] != nil || op.Tx == 0:
		c.answer(op, 0, &Error{CodeInvalid, fmt.Sprintf("transaction %d", op.Tx), "it is open already"})
		return
	case len(c.txs) >= maxTxs:
		c.answer(op, 0, &Error{CodeFull, "transactions", fmt.Sprintf("%d are open on this connection: end some first", maxTxs)})
		return
	case c.txs == nil:
		c.txs = map[TxID]*transaction{}
	}
	c.txs[op.Tx] = &transaction{}
	c.nTxs.Add(1)
	c.answer(op, 0, nil)
}

// join adds n operations of so many bytes to a transaction, or says why it may not.
func (c *Client) join(id TxID, n int, bytes int64) (*transaction, error) {
	t := c.txs[id]
	if t == nil {
		return nil, noTransaction(id)
	}
	l, subject := &c.b.limits, fmt.Sprintf("transaction %d", id)
	switch all := c.b.txBytes.Load(); {
	case t.failed != nil:
		return t, t.failed
	case t.ops+n > l.TxOps || t.bytes+bytes > l.TxBytes:
		t.failed = &Error{CodeFull, subject, fmt.Sprintf("it would have %d operations and %d bytes: the limits are %d and %d; commit more often",
			t.ops+n, t.bytes+bytes, l.TxOps, l.TxBytes)}
		return t, t.failed
	case all+bytes > l.MemoryBytes/2:
		t.failed = &Error{CodeFull, subject, fmt.Sprintf("all open transactions hold %d bytes, half of what memory may: try again later", all)}
		return t, t.failed
	}
	t.ops += n
	t.bytes += bytes
	c.b.txBytes.Add(bytes)
	c.b.memory.Add(bytes)
	return t, nil
}

func (c *Client) publishInTx(op *Op) {
	c.received.Add(1)
	t, err := c.join(op.Tx, 1, int64(len(op.Message.Bare)+entryBytes))
	if err == nil {
		if err = cmp.Or(c.route(op.Message.To).err, checkDupID(op.Message)); err != nil {
			t.failed = err
		}
	}
	if err == nil {
		t.publishes = append(t.publishes, op.Message)
	}
	c.answer(op, 0, err)
}

func (c *Client) settleInTx(op *Op) {
	t, err := c.join(op.Tx, len(op.Tags), int64(8*len(op.Tags)))
	if err != nil {
		c.answer(op, 0, err)
		return
	}
	p := promise{outcome: op.Outcome}
	for _, e := range op.Tags {
		if e == nil {
			continue
		}
		e.q.mu.Lock()
		if e.q.holds(c, e) {
			e.inTx = true
			p.tags = append(p.tags, e)
		}
		e.q.mu.Unlock()
	}
	if len(p.tags) > 0 {
		t.settles = append(t.settles, p)
	}
	c.answer(op, 0, nil)
}

// free ends a transaction that comes to nothing: its deliveries are in flight as if nothing had been said, or go back if
// their subscription has ended.
func (c *Client) free(t *transaction) {
	var back []*queue
	for _, p := range t.settles {
		for _, e := range p.tags {
			e.q.mu.Lock()
			if e.mine(c) {
				if e.inTx = false; e.sub.closed {
					e.q.giveBack(e)
					back = append(back, e.q)
				}
			}
			e.q.release()
		}
	}
	for _, q := range back {
		q.mu.Lock()
		q.dispatch()
		q.unlock()
	}
}

// commitTx does all that t holds in one unit.
func (c *Client) commitTx(t *transaction) (end persist.Pos, err error) {
	if t.failed != nil {
		c.free(t)
		return 0, rolledBack(t.failed)
	}
	for {
		routes, err := c.routesOf(t)
		if err != nil {
			c.free(t)
			return 0, rolledBack(err)
		}
		queues, deleted := queuesOf(t, routes)
		if !lockAll(queues) {
			for _, r := range routes {
				r.version = 0
			}
			continue
		}
		end, err = c.commitLocked(t, routes)
		if deleted {
			end = persist.Pos(c.b.tail.Load())
		}
		for _, q := range queues {
			q.dispatch()
			q.await()
		}
		for _, q := range queues {
			c.work.mourn(q)
		}
		end = max(end, c.b.buryAll(&c.work))
		if err != nil {
			c.free(t)
			return 0, rolledBack(err)
		}
		return end, nil
	}
}

func rolledBack(err error) error {
	return &Error{CodeRolledBack, "transaction", "it was rolled back: " + err.Error()}
}

func (c *Client) routesOf(t *transaction) ([]*route, error) {
	routes := make([]*route, len(t.publishes))
	for i, m := range t.publishes {
		if routes[i] = c.route(m.To); routes[i].err != nil {
			return nil, routes[i].err
		}
	}
	return routes, nil
}

// queuesOf lists all queues that a transaction touches, once each, in order of rank. deleted says that it settles
// deliveries of a queue that is gone.
func queuesOf(t *transaction, routes []*route) (list []*queue, deleted bool) {
	for _, r := range routes {
		for _, x := range r.targets {
			list = append(list, x.q)
		}
	}
	for i := range t.settles {
		p := &t.settles[i]
		n := len(p.tags)
		p.tags = slices.DeleteFunc(p.tags, func(e *entry) bool { return e.q.isClosed() })
		deleted = deleted || len(p.tags) < n
		for _, e := range p.tags {
			list = append(list, e.q)
		}
	}
	slices.SortFunc(list, func(a, b *queue) int { return compare(a.rank, b.rank) })
	return slices.Compact(list), deleted
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// lockAll locks queues; false: one that was published to is gone, and none is locked.
func lockAll(list []*queue) bool {
	for i, q := range list {
		q.mu.Lock()
		if q.closed {
			for _, q := range list[:i+1] {
				q.mu.Unlock()
			}
			return false
		}
	}
	return true
}

// commitLocked writes the unit, and does in memory what it says once the log has taken it. Only acceptances are part of
// it: other outcomes follow in a unit of their own, as a delivery that is told twice that it failed harms nobody.
func (c *Client) commitLocked(t *transaction, routes []*route) (persist.Pos, error) {
	w, again := &c.work, false
	w.places = w.places[:0]
	if slices.ContainsFunc(t.publishes, func(m *Message) bool { return m.DupID != "" }) {
		c.b.duplicates.mu.Lock()
		defer c.b.duplicates.mu.Unlock()
	}
	for i, m := range t.publishes {
		kept, err := retainingOf(m)
		if err != nil {
			c.abandon(w)
			return 0, err
		}
		again = !c.draftOnce(w, routes[i], m, kept) || again
	}
	var gone persist.Pos // what became of deliveries that are not c's any more is said up to here
	for _, p := range t.settles {
		if p.outcome == Accepted {
			c.draft(w, p.tags)
		}
		for _, e := range p.tags {
			if !e.mine(c) {
				gone = max(gone, e.q.lastEnd)
			}
		}
	}
	if c.b.ended.Load() {
		c.abandon(w)
		return 0, &Error{CodeShutdown, "store", "it is closed"}
	}
	end, err := c.b.commit(w)
	if err != nil {
		return 0, err
	}
	if again { // they are confirmed when what came first is
		end = persist.Pos(c.b.tail.Load())
	}
	end = max(end, gone)
	for _, p := range t.settles {
		end = max(end, c.fulfil(w, p))
	}
	return end, nil
}

// abandon forgets what was drafted. The duplicates are locked if ids were.
func (c *Client) abandon(w *writer) {
	w.unit.Reset()
	w.places, w.retains = w.places[:0], w.retains[:0]
	if len(w.ids) > 0 {
		c.b.duplicates.unstage(w)
	}
}

// draft writes acceptances of locked queues, and changes nothing in memory.
func (c *Client) draft(w *writer, tags []Tag) {
	for len(tags) > 0 {
		q, n := tags[0].q, 0
		w.ranges = w.ranges[:0]
		for ; n < len(tags) && tags[n].q == q; n++ {
			if e := tags[n]; e.mine(c) && e.logged() {
				w.ranges = addRange(w.ranges, e.seq)
			}
		}
		q.writeAccepted(w)
		tags = tags[n:]
	}
}

// fulfil does in memory what was promised; what the log has not heard of yet follows. end is where that ends, 0 nowhere.
func (c *Client) fulfil(w *writer, p promise) (end persist.Pos) {
	for i, e := range p.tags {
		if !e.mine(c) {
			continue
		}
		e.inTx = false
		c.settled.Add(1)
		e.q.settle(w, c, p.tags[i:i+1], p.outcome)
		if p.outcome == Accepted {
			w.unit.Reset() // the transaction's own unit says so
		} else if _, at, err := c.b.append(&w.unit); err == nil && at != 0 {
			e.q.lastEnd, end = at, at
		}
	}
	return end
}

// mine says whether e, whose queue is locked, is in flight to c in an open transaction.
func (e *entry) mine(c *Client) bool {
	return e.state == stateFlight && e.inTx && e.sub.client == c
}

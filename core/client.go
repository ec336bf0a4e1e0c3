package core

import (
	"fmt"
	"sync/atomic"

	"github.com/havenmq/havenmq/persist"
)

// Sink is the rim's end of a client: Wake says that Poll has something. It must not block and may be called from any
// goroutine, with the broker's locks held.
type Sink interface{ Wake() }

// Events is what Poll hands over. Its slices are reused from call to call.
type Events struct {
	Done       []Completion
	Deliveries []Delivery
	Evicted    error // the broker ends this connection, and why (ErrTakenOver, ErrShutdown or Moved, ErrKicked)
}

// Client is one connection's door to the broker. Do, Poll and Close must not run at the same time as each other (the
// connection's lock sees to that); the rest may be called from any goroutine.
type Client struct {
	b       *Broker // never changes
	key     uint64  // never changes
	sink    Sink    // never changes
	remote  string  // never changes
	sinceMs int64   // never changes

	mail      mailbox
	blocked   atomic.Bool // a subscription of its waits for room in the mailbox
	eviction  atomic.Pointer[Error]
	throttled atomic.Bool // it waits for the log
	awaiting  atomic.Bool // it waits for its first completion
	received  atomic.Uint64
	delivered atomic.Uint64
	settled   atomic.Uint64
	card      atomic.Pointer[card]
	nSubs     atomic.Int64
	nTxs      atomic.Int64
	inFlight  atomic.Int64

	// The connection's lock guards the rest.
	told   bool // of its eviction
	closed bool
	parted bool // OpDisconnect: no will
	// succeeded says that who took its client id over threw its session away, so that it has ended. Broker.mu guards it.
	succeeded  bool
	who        Identity
	proved     bool
	id         string
	holds      bool // the client id, exclusively
	inbox      *inbox
	inboxSub   *subscription // its own, though another connection may have taken the inbox since
	will       *Will
	inherited  *Will // of the session that it threw away, to be published
	subs       map[SubID]*subscription
	shared     map[string]*subscription // of an inbox's filters that name queues
	txs        map[TxID]*transaction
	routes     map[Destination]*route
	producer   uint64 // whose window of ids its messages' are in; 0 is not known yet
	last       *route
	routeBytes int // of the names in routes, at most
	temps      map[Destination]struct{}
	waiting    []waiting
	first      int         // of waiting
	lastPos    persist.Pos // where in the log all ends that it did, asked for an answer or not
	work       writer
	creditOf   *credit // of the inbox and what it shares it with
}

// card is what the operator is shown of a client.
type card struct{ id, protocol, user string }

// waiting is a completion and the position in the log that it waits for; 0 none.
type waiting struct {
	pos  persist.Pos
	done Completion
}

// Attach makes a client for a new connection. remote is for the operator.
func (b *Broker) Attach(s Sink, remote string) *Client {
	c := &Client{b: b, sink: s, remote: remote, sinceMs: b.nowMs(), subs: map[SubID]*subscription{}}
	c.card.Store(&card{})
	b.mu.Lock()
	b.lastKey++
	c.key = b.lastKey
	b.clients[c.key] = c
	b.mu.Unlock()
	if b.shut.Load() {
		c.evict(&Error{CodeShutdown, "broker", "it stops: connect again, to another node if you know one"})
	}
	return c
}

// Do carries out ops in order. What they complete with comes out of Poll, in the same order: at once where nothing has
// to wait for the log. nowMs is the time. It never blocks on the disk.
func (c *Client) Do(ops []Op, nowMs int64) {
	c.b.setNow(nowMs)
	for i := range ops {
		if e := c.eviction.Load(); e != nil || c.closed {
			if e == nil {
				e = &Error{CodeShutdown, "connection", "it was closed"}
			}
			c.answer(&ops[i], 0, c.b.goodbye(e))
			continue
		}
		if ops[i].Kind != OpPublish || ops[i].Tx != 0 || !c.publish(&ops[i]) {
			c.do(&ops[i])
		}
	}
}

// do is Do for all that is not the common publish.
func (c *Client) do(op *Op) {
	if op.Kind != OpConnect && !c.proved {
		c.answer(op, 0, &Error{CodeUnauthorized, "connection", "nothing may be asked for before who you are is known"})
		return
	}
	switch op.Kind {
	case OpConnect:
		c.connect(op)
	case OpPublish:
		c.publishInTx(op)
	case OpRelease:
		c.release(op)
	case OpSubscribe:
		c.subscribe(op)
	case OpUnsubscribe:
		c.unsubscribe(op)
	case OpFilter:
		c.filter(op)
	case OpUnfilter:
		c.unfilter(op)
	case OpCredit:
		c.grantCredit(op)
	case OpSettle:
		c.settle(op)
	case OpBegin, OpCommit, OpRollback:
		c.transact(op)
	case OpUndeclare:
		c.undeclare(op)
	case OpDeclare:
		c.declare(op)
	case OpBarrier:
		c.answer(op, c.lastPos, nil)
	case OpDisconnect:
		c.disconnect(op)
	default:
		c.answer(op, 0, &Error{CodeInternal, "operation", fmt.Sprintf("%d is none", op.Kind)})
	}
}

// answer completes op when the log is confirmed up to pos.
func (c *Client) answer(op *Op, pos persist.Pos, err error) {
	c.complete(pos, Completion{Ticket: op.Ticket, Err: err})
}

func (c *Client) complete(pos persist.Pos, done Completion) {
	c.lastPos = max(c.lastPos, pos)
	if done.Ticket != 0 {
		c.waiting = append(c.waiting, waiting{pos, done})
	}
}

// Poll moves what waits into e (its slices are emptied first), at most maxDeliveries deliveries, and says whether more
// waits. Poll after each Do, before you sleep: it is Poll that asks the store for the Wake when the log is confirmed.
func (c *Client) Poll(e *Events, maxDeliveries int) (more bool) {
	clear(e.Deliveries)
	clear(e.Done)
	e.Done, e.Deliveries, e.Evicted = e.Done[:0], e.Deliveries[:0], nil
	suspended := c.b.suspended.Load()
	if !suspended {
		c.pollDone(e)
	}
	if why := c.eviction.Load(); why != nil {
		if !c.told {
			c.told, e.Evicted = true, c.b.goodbye(why)
		}
		return false
	}
	if suspended {
		return false
	}
	var room bool
	e.Deliveries, more, room = c.mail.take(e.Deliveries, maxDeliveries)
	if n := len(e.Deliveries); n > 0 {
		c.delivered.Add(uint64(n - drainedOf(e.Deliveries)))
		c.settleAuto(e.Deliveries)
	}
	if room || c.blocked.Load() && !c.mail.full.Load() {
		c.unblock()
	}
	return more
}

// pollDone hands over what is complete, in order, and asks to be told of the rest.
func (c *Client) pollDone(e *Events) {
	if c.first == len(c.waiting) {
		return
	}
	confirmed := c.b.store.Confirmed()
	for c.first < len(c.waiting) && c.waiting[c.first].pos <= confirmed {
		e.Done = append(e.Done, c.waiting[c.first].done)
		c.waiting[c.first] = waiting{}
		c.first++
	}
	if c.first == len(c.waiting) {
		c.waiting, c.first = c.waiting[:0], 0
		return
	}
	if c.first > 1024 && c.first > len(c.waiting)/2 {
		n := copy(c.waiting, c.waiting[c.first:])
		clear(c.waiting[n:])
		c.waiting, c.first = c.waiting[:n], 0
	}
	if c.awaiting.CompareAndSwap(false, true) {
		c.b.store.Await(c.waiting[c.first].pos, c)
	}
}

// Advanced is the store's word that the log was confirmed further.
func (c *Client) Advanced() {
	c.awaiting.Store(false)
	c.sink.Wake()
}

// unblock goes on handing over to the subscriptions that a full mailbox stopped.
func (c *Client) unblock() {
	c.blocked.Store(false)
	if c.inboxSub != nil {
		c.inboxSub.q.unblock(c.inboxSub)
	}
	for _, s := range c.subs {
		s.q.unblock(s)
	}
	for _, s := range c.shared {
		s.q.unblock(s)
	}
}

func (q *queue) unblock(s *subscription) {
	q.mu.Lock()
	again := s.blocked
	if again {
		s.blocked = false
		if s.browse != nil {
			s.browse.goOn()
		}
		q.feed(s)
		q.dispatch()
	}
	q.unlock()
}

// Throttled says that the log has so much that is not committed, or so little room, that this client's socket should
// not be read for now, or that the broker is suspended; Wake is called when that is over.
func (c *Client) Throttled() bool {
	b := c.b
	if b.suspended.Load() {
		return true
	}
	if b.uncommitted() <= b.limits.UncommittedBytes {
		return false
	}
	if c.throttled.CompareAndSwap(false, true) {
		b.throttle.Add(1)
		b.store.Await(persist.Pos(b.tail.Load()-b.limits.UncommittedBytes/2), (*unthrottle)(c))
	}
	return true
}

// unthrottle is a Client that waits for the log to be shorter.
type unthrottle Client

// Advanced is the store's word that it is.
func (u *unthrottle) Advanced() {
	u.throttled.Store(false)
	u.sink.Wake()
}

// evict ends the connection, when it polls next.
func (c *Client) evict(why *Error) {
	c.eviction.CompareAndSwap(nil, why)
	c.sink.Wake()
}

// Close ends the client: what it had not settled returns to its queues; without an OpDisconnect its will is published.
// After Shutdown it leaves the store as it is.
func (c *Client) Close(nowMs int64) {
	if c.closed {
		return
	}
	c.closed = true
	b := c.b
	b.setNow(nowMs)
	for id, t := range c.txs {
		c.free(t)
		c.endTx(id, t)
	}
	for id, s := range c.subs {
		c.end(s, id)
	}
	for name, s := range c.shared {
		c.endShared(name, s)
	}
	c.leaveInbox()
	b.mu.Lock()
	delete(b.clients, c.key)
	lastWill := c.takeWill()
	if c.holds && b.holders[c.id] == c {
		delete(b.holders, c.id)
	}
	b.mu.Unlock()
	c.dropTemps()
	if lastWill != nil {
		b.publishWill(c.id, lastWill)
	}
	if card := c.card.Load(); card.protocol != "" {
		b.counts.leave(card.protocol, c.traffic())
		b.news.add(Event{Kind: EventDisconnected, AtMs: nowMs, Subject: c.subject(), Detail: c.remote})
	}
	c.mail.drop()
	c.waiting, c.first = nil, 0
}

func (c *Client) traffic() Traffic {
	return Traffic{Received: c.received.Load(), Delivered: c.delivered.Load(), Acknowledged: c.settled.Load()}
}

// subject names the client for the operator.
func (c *Client) subject() string {
	if id := c.card.Load().id; id != "" {
		return fmt.Sprintf("client %q", id)
	}
	return fmt.Sprintf("client at %s", c.remote)
}

package core

import (
	"fmt"
	"strings"

	"github.com/havenmq/havenmq/persist"
)

// subscriptionKey names a durable subscription: AMQP, STOMP and OpenWire share them.
type subscriptionKey struct{ clientID, name string }

func (k subscriptionKey) String() string {
	return fmt.Sprintf("subscription %q of client %q", k.name, k.clientID)
}

// durable is a subscription that outlives its client. b.mu guards it.
type durable struct {
	key     subscriptionKey
	source  Destination
	noLocal bool
	claim   *claim
	sub     *subscription // who consumes; nil nobody
}

// Rows of TableSubscriptions: clientID name (strings) → version(1) id(8) flags(1: 1 no-local) pattern.
const subscriptionVersion = 1

func subscriptionRow(key, value []byte, d *durable, id persist.QueueID) (k, v []byte) {
	key = appendString(appendString(key[:0], d.key.clientID), d.key.name)
	flags := byte(0)
	if d.noLocal {
		flags = 1
	}
	value = append(queueKey(append(value[:0], subscriptionVersion), id), flags)
	return key, append(value, d.source.Name...)
}

// maxSubs bounds the subscriptions of one connection.
const maxSubs = 100_000

// subscribe attaches a consumer.
func (c *Client) subscribe(op *Op) {
	s, pos, err := c.subscribed(op.Sub, op.Subscribe)
	done := Completion{Ticket: op.Ticket, Err: err}
	if err == nil {
		done.Dest = s.source
		c.subs[op.Sub] = s
		c.nSubs.Add(1)
	}
	c.complete(pos, done)
	if err == nil && op.Subscribe.Retained && s.claim != nil {
		c.b.pager.add(&retainedLookup{b: c.b, q: s.q, pattern: s.source})
	}
}

func (c *Client) subscribed(id SubID, r *SubscribeRequest) (*subscription, persist.Pos, error) {
	b := c.b
	switch {
	case c.subs[id] != nil || id == InboxSub:
		return nil, 0, &Error{CodeInvalid, "subscription", "its id is in use on this connection"}
	case len(c.subs) >= maxSubs:
		return nil, 0, &Error{CodeFull, "subscriptions", fmt.Sprintf("this connection has %d: end some first", maxSubs)}
	case r.Selector != "":
		return nil, 0, &Error{CodeNotImplemented, r.Source.String(), "selectors are not built yet: leave it out and filter in the client"}
	}
	s := &subscription{client: c, id: id, source: r.Source, credit: &credit{}, auto: r.Auto}
	if r.Durable && (r.Source.IsZero() || r.Source.Kind == Topic) {
		pos, err := c.subscribeDurable(s, r)
		return s, pos, err
	}
	if err := r.Source.ValidatePattern(); err != nil {
		return nil, 0, err
	}
	if err := b.access.Authorize(&c.who, ActionRead, r.Source); err != nil {
		return nil, 0, err
	}
	switch r.Source.Kind {
	case Queue, TempQueue:
		pos, err := c.subscribeQueue(s, r)
		return s, pos, err
	case TempTopic:
		if _, ok := c.temps[r.Source]; !ok {
			return nil, 0, &Error{CodeForbidden, r.Source.String(), "only the connection that made a temporary topic may subscribe to it"}
		}
	}
	return s, 0, c.subscribeTopic(s, r)
}

func (c *Client) subscribeQueue(s *subscription, r *SubscribeRequest) (persist.Pos, error) {
	q, err := c.b.queueFor(r.Source)
	if err != nil {
		return 0, err
	}
	if q.owner != nil && q.owner != c {
		return 0, &Error{CodeForbidden, r.Source.String(), "only the connection that made a temporary queue may consume from it"}
	}
	if r.Browse {
		s.browse = &browser{s: s}
	}
	s.q = q
	q.mu.Lock()
	defer q.release()
	if q.closed {
		return 0, &Error{CodeNotFound, r.Source.String(), "it was deleted just now: subscribe again"}
	}
	q.attach(s)
	return 0, nil
}

// subscribeTopic makes a live subscription: as long as its connection.
func (c *Client) subscribeTopic(s *subscription, r *SubscribeRequest) error {
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.roomFor(r.Source, patternCost(r.Source.Name)); err != nil {
		return err
	}
	s.q = b.newQueue(kindLive, 0, r.Source, b.policyFor(r.Source))
	s.claim = &claim{q: s.q, noLocal: r.NoLocal, clientID: c.id}
	s.q.mu.Lock() // a queue that is loaded is the clock's too
	s.q.attach(s)
	s.q.release()
	b.live[s] = struct{}{}
	b.routerOf(r.Source).add(r.Source.Name, s.claim)
	b.version.Add(1)
	return nil
}

func (b *Broker) routerOf(d Destination) *router {
	if d.Kind == TempTopic {
		return &b.temps
	}
	return &b.router
}

// subscribeDurable finds or makes a durable subscription. One with another topic or no-local is made anew.
func (c *Client) subscribeDurable(s *subscription, r *SubscribeRequest) (persist.Pos, error) {
	b, key := c.b, subscriptionKey{c.id, r.Name}
	if err := key.validate(); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.durables[key]
	if r.Source.IsZero() {
		if d == nil {
			return 0, &Error{CodeNotFound, key.String(), "there is none"}
		}
		s.source = d.source
	} else if err := s.source.ValidatePattern(); err != nil {
		return 0, err
	}
	if err := b.access.Authorize(&c.who, ActionRead, s.source); err != nil {
		return 0, err
	}
	if d != nil && d.sub != nil {
		return 0, &Error{CodeInUse, key.String(), "another consumer is attached: end it first"}
	}
	if d != nil && !r.Source.IsZero() && (d.source != s.source || d.noLocal != r.NoLocal) {
		if err := b.deleteDurable(d); err != nil {
			return 0, err
		}
		d = nil
	}
	if d == nil {
		var err error
		if d, err = b.makeDurable(key, s.source, r.NoLocal); err != nil {
			return 0, err
		}
	}
	d.sub, s.q, s.claim, s.durable = s, d.claim.q, d.claim, d
	s.q.mu.Lock()
	s.q.attach(s)
	s.q.release()
	return persist.Pos(b.tail.Load()), nil
}

func (k subscriptionKey) validate() error {
	switch {
	case k.clientID == "":
		return &Error{CodeInvalid, "durable subscription", "it needs a client id: connect with one (AMQP: container-id, STOMP: client-id)"}
	case k.name == "" || len(k.name) > MaxNameBytes || strings.IndexByte(k.name, 0) >= 0:
		return &Error{CodeInvalid, "durable subscription", "it needs a name of 1 to 65535 bytes without the character U+0000"}
	}
	return nil
}

// makeDurable makes a durable subscription. b.mu is locked.
func (b *Broker) makeDurable(key subscriptionKey, source Destination, noLocal bool) (*durable, error) {
	if err := b.roomFor(source, patternCost(source.Name)+queueCost(key.clientID)+2*int64(len(key.name))); err != nil {
		return nil, err
	}
	w := b.borrow()
	defer b.giveBack(w)
	d := &durable{key: key, source: source, noLocal: noLocal}
	id := b.takeID(w)
	w.key, w.value = subscriptionRow(w.key, w.value, d, id)
	w.unit.Put(persist.TableSubscriptions, w.key, w.value)
	if _, _, err := b.append(&w.unit); err != nil {
		return nil, err
	}
	b.addDurable(d, id)
	return d, nil
}

// addDurable puts a durable subscription into the maps. b.mu is locked.
func (b *Broker) addDurable(d *durable, id persist.QueueID) {
	q := b.newQueue(kindDurable, id, d.source, b.policyFor(d.source))
	d.claim = &claim{q: q, noLocal: d.noLocal, clientID: d.key.clientID}
	b.durables[d.key] = d
	b.queueNames += queueCost(d.key.clientID) + 2*int64(len(d.key.name))
	b.router.add(d.source.Name, d.claim)
	b.version.Add(1)
}

// deleteDurable ends a durable subscription that nobody consumes from. b.mu is locked.
func (b *Broker) deleteDurable(d *durable) error {
	w := b.borrow()
	defer b.giveBack(w)
	q := d.claim.q
	q.mu.Lock()
	defer q.release()
	w.key, w.value = subscriptionRow(w.key, w.value, d, q.id)
	w.unit.Delete(persist.TableSubscriptions, w.key)
	w.unit.Purge(q.id, q.tails(), true)
	if _, _, err := b.append(&w.unit); err != nil {
		return err
	}
	q.empty()
	q.closed = true
	b.router.remove(d.source.Name, d.claim)
	b.version.Add(1)
	delete(b.durables, d.key)
	b.queueNames -= queueCost(d.key.clientID) + 2*int64(len(d.key.name))
	delete(b.byID, q.id)
	b.timed.remove(q)
	return nil
}

// unsubscribe takes a consumer away.
func (c *Client) unsubscribe(op *Op) {
	s := c.subs[op.Sub]
	if s == nil {
		c.answer(op, 0, &Error{CodeNotFound, "subscription", "there is none with this id on this connection"})
		return
	}
	c.end(s, op.Sub)
	var err error
	if op.Forget {
		err = c.forgetDurable(s)
	}
	c.answer(op, c.tailOf(err), err)
}

// end detaches a subscription and takes it out of the maps.
func (c *Client) end(s *subscription, id SubID) {
	b := c.b
	delete(c.subs, id)
	c.nSubs.Add(-1)
	if s.q.kind == kindLive {
		b.mu.Lock()
		b.routerOf(s.source).remove(s.source.Name, s.claim)
		b.version.Add(1)
		delete(b.live, s)
		b.mu.Unlock()
		s.q.mu.Lock()
		s.q.empty()
		s.q.closed = true
		s.q.release()
	}
	s.q.detach(s, &c.work, false)
	switch {
	case s.q.kind == kindLive:
		b.timed.remove(s.q)
	case s.durable != nil: // only now: the next consumer is to find everything in its place
		b.mu.Lock()
		s.durable.sub = nil
		b.mu.Unlock()
	}
}

func (c *Client) forgetDurable(s *subscription) error {
	b, d := c.b, s.durable
	if d == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.durables[d.key] != d:
		return nil
	case d.sub != nil:
		return &Error{CodeInUse, d.key.String(), "another consumer is attached: end it first"}
	}
	return b.deleteDurable(d)
}

// grantCredit allows a subscription more deliveries.
func (c *Client) grantCredit(op *Op) {
	if op.Sub == InboxSub && c.inbox != nil {
		c.creditOf.limit.Store(op.Limit)
		c.inbox.q.credited(c.inboxSub, op.Drain)
		for _, s := range c.shared {
			s.q.credited(s, op.Drain)
		}
		c.answer(op, 0, nil)
		return
	}
	s := c.subs[op.Sub]
	if s == nil {
		c.answer(op, 0, &Error{CodeNotFound, "subscription", "there is none with this id on this connection"})
		return
	}
	s.credit.limit.Store(op.Limit)
	if s.browse != nil {
		s.browse.credited(op.Drain)
	} else {
		s.q.credited(s, op.Drain)
	}
	c.answer(op, 0, nil)
}

// wish notes whether s asks to drain. AMQP 2.6.7: the last word counts.
func (q *queue) wish(s *subscription, drain bool) {
	if drain == s.draining {
		return
	}
	s.draining = drain
	if drain {
		q.drainers++
	} else {
		q.drainers--
	}
}

// credited hands over what new credit allows.
func (q *queue) credited(s *subscription, drain bool) {
	q.mu.Lock()
	q.wish(s, drain && !s.closed)
	q.feed(s)
	q.dispatch()
	q.unlock()
}

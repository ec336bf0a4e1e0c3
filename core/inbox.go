package core

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/havenmq/havenmq/persist"
)

// inbox is an MQTT session: one queue, a set of filters, and the QoS 2 packet ids that its client has not released. It
// is stored if it outlives its connection. b.mu guards it, but for what its own lock does.
type inbox struct {
	clientID   string // never changes
	q          *queue // never changes, once it is in the broker's map
	stored     bool   // never changes
	expiryS    int64
	deadlineMs int64 // without its client: it ends then; 0 never
	filters    map[string]*inboxFilter
	sub        *subscription // its client's; nil while that is away

	mu      sync.Mutex // guards what follows; queues may be locked under it
	owner   *Client    // nil while it is away
	inbound map[uint16]struct{}
}

type inboxFilter struct {
	Filter
	claim *claim
}

// Rows of TableSessions: 's' clientID → version(1) id(8) expiryS(varint) deadlineMs(varint); 'w' clientID → a will's.
// Of TableFilters: clientID (string) pattern → version(1) flags(1) maxQoS(1) id(uvarint).
// Of TableInbound: clientID (string) packet id (2) → nothing.
const (
	sessionVersion = 1
	filterVersion  = 1
	rowSession     = 's'
	rowWill        = 'w'
)

func sessionKey(dst []byte, kind byte, clientID string) []byte {
	return append(append(dst, kind), clientID...)
}

func sessionRow(dst []byte, id persist.QueueID, expiryS, deadlineMs int64) []byte {
	dst = queueKey(append(dst, sessionVersion), id)
	dst = binary.AppendVarint(dst, expiryS)
	return binary.AppendVarint(dst, deadlineMs)
}

func inboundKey(dst []byte, clientID string, id uint16) []byte {
	return binary.BigEndian.AppendUint16(appendString(dst, clientID), id)
}

func filterKey(dst []byte, clientID, pattern string) []byte {
	return append(appendString(dst, clientID), pattern...)
}

func filterRow(dst []byte, f *Filter) []byte {
	flags := byte(0)
	if f.NoLocal {
		flags |= 1
	}
	if f.AsRetain {
		flags |= 2
	}
	return binary.AppendUvarint(append(dst, filterVersion, flags, f.MaxQoS), uint64(f.ID))
}

// openInbox finds or makes the client's inbox and attaches it.
func (c *Client) openInbox(r *ConnectRequest, done *Completion) (persist.Pos, error) {
	if r.Inbox == nil || r.ClientID == "" {
		return 0, nil
	}
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.inboxes[r.ClientID]
	if x != nil && x.sub != nil { // its client was evicted a moment ago
		old := x.sub
		x.sub = nil
		w := b.borrow()
		old.q.detach(old, w, false)
		b.giveBack(w)
		if x.expiryS == 0 {
			r.Inbox.Clean = true // it ended with that connection
		}
		old.client.succeeded = r.Inbox.Clean
	}
	if x != nil && (r.Inbox.Clean || !x.stored) {
		if err := b.deleteInbox(x); err != nil {
			return 0, err
		}
		x = nil
		if p, ok := b.wills[r.ClientID]; ok { // its session ends before the delay does [MQTT-3.1.3-9]
			c.inherited = p.will
		}
	}
	done.Present = x != nil
	if x == nil {
		if err := b.roomFor(Destination{Name: r.ClientID}, queueCost(r.ClientID)); err != nil {
			return 0, err
		}
		x = &inbox{clientID: r.ClientID, stored: r.Inbox.ExpiryS > 0, filters: map[string]*inboxFilter{}}
	}
	if err := b.takeInbox(x, r.Inbox.ExpiryS); err != nil {
		return 0, err
	}
	done.Inbound = x.takenBy(c)
	c.inbox, c.creditOf = x, &credit{}
	x.sub = &subscription{client: c, id: InboxSub, q: x.q, credit: c.creditOf, source: x.q.dest}
	c.inboxSub = x.sub
	x.q.mu.Lock()
	x.q.attach(x.sub)
	x.q.release()
	if !x.stored {
		return 0, nil
	}
	return persist.Pos(b.tail.Load()), nil
}

// takeInbox makes what an inbox lacks, and writes that its client is there. b.mu is locked.
func (b *Broker) takeInbox(x *inbox, expiryS int64) error {
	w := b.borrow()
	defer b.giveBack(w)
	var id persist.QueueID
	switch {
	case x.q != nil:
		id = x.q.id
	case x.stored:
		id = b.takeID(w)
	}
	if x.stored && (x.q == nil || x.expiryS != expiryS || x.deadlineMs != 0) {
		w.key, w.value = sessionKey(w.key[:0], rowSession, x.clientID), sessionRow(w.value[:0], id, expiryS, 0)
		w.unit.Put(persist.TableSessions, w.key, w.value)
		if _, _, err := b.append(&w.unit); err != nil {
			return err
		}
	}
	if x.q == nil {
		x.q = b.newQueue(kindInbox, id, Destination{Name: x.clientID}, b.policyFor(Destination{Topic, ">"}))
		b.queueNames += queueCost(x.clientID)
	}
	x.expiryS, x.deadlineMs = expiryS, 0
	delete(b.deadlines, x.clientID)
	b.inboxes[x.clientID] = x
	return nil
}

// takenBy makes c the owner and says which QoS 2 packet ids were received and not released.
func (x *inbox) takenBy(c *Client) (inbound []uint16) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.owner = c
	for id := range x.inbound {
		inbound = append(inbound, id)
	}
	slices.Sort(inbound)
	return inbound
}

// mark notes that a QoS 2 packet id was received. x.mu is locked.
func (x *inbox) mark(id uint16) {
	if x.inbound == nil {
		x.inbound = map[uint16]struct{}{}
	}
	x.inbound[id] = struct{}{}
}

// deleteInbox ends an inbox that has no client. b.mu is locked.
func (b *Broker) deleteInbox(x *inbox) error {
	w := b.borrow()
	defer b.giveBack(w)
	q := x.q
	inbound := x.takenBy(nil)
	q.mu.Lock()
	defer q.release()
	if x.stored {
		for pattern := range x.filters {
			w.key = filterKey(w.key[:0], x.clientID, pattern)
			w.unit.Delete(persist.TableFilters, w.key)
		}
		for _, id := range inbound {
			w.key = inboundKey(w.key[:0], x.clientID, id)
			w.unit.Delete(persist.TableInbound, w.key)
		}
		w.key = sessionKey(w.key[:0], rowSession, x.clientID)
		w.unit.Delete(persist.TableSessions, w.key)
		w.unit.Purge(q.id, q.tails(), true)
		if _, _, err := b.append(&w.unit); err != nil {
			return err
		}
		delete(b.byID, q.id)
	}
	q.empty()
	q.closed = true
	for pattern, f := range x.filters {
		if f.claim != nil {
			b.router.remove(pattern, f.claim)
		}
	}
	b.version.Add(1)
	delete(b.inboxes, x.clientID)
	b.queueNames -= queueCost(x.clientID)
	delete(b.deadlines, x.clientID)
	b.timed.remove(q)
	return nil
}

// setInboxExpiry changes how long the inbox outlives its connection. [MQTT-3.14.2-2] keeps 0 from growing.
func (c *Client) setInboxExpiry(expiryS int64) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if c.inbox.expiryS != 0 && c.inbox.sub != nil && c.inbox.sub.client == c {
		c.inbox.expiryS = expiryS
	}
}

// leaveInbox detaches the connection from its inbox, which ends now, later, or never.
func (c *Client) leaveInbox() {
	b, x := c.b, c.inbox
	if x == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := x.sub
	if s == nil || s.client != c {
		return // it was taken over
	}
	x.sub = nil
	x.takenBy(nil)
	s.q.detach(s, &c.work, false)
	if b.shut.Load() {
		return
	}
	if x.expiryS == 0 {
		if err := b.deleteInbox(x); err != nil {
			b.fault(fmt.Sprintf("session of client %q", x.clientID), err)
		}
		return
	}
	s.q.dropVolatile()
	if x.expiryS < ExpiryNever/1000 {
		x.deadlineMs = b.nowMs() + x.expiryS*1000
		b.deadlines[x.clientID] = x
	}
	b.writeSession(x)
}

// writeSession writes an inbox's row. b.mu is locked.
func (b *Broker) writeSession(x *inbox) {
	if !x.stored {
		return
	}
	w := b.borrow()
	defer b.giveBack(w)
	w.key, w.value = sessionKey(w.key[:0], rowSession, x.clientID), sessionRow(w.value[:0], x.q.id, x.expiryS, x.deadlineMs)
	w.unit.Put(persist.TableSessions, w.key, w.value)
	if _, _, err := b.append(&w.unit); err != nil {
		b.fault(fmt.Sprintf("session of client %q", x.clientID), err)
	}
}

// dropVolatile drops what only memory holds: its client is away.
func (q *queue) dropVolatile() {
	q.mu.Lock()
	for i := range q.lanes {
		for e := q.lanes[i].ready.head; e != nil; {
			next := e.next
			if !e.logged() {
				q.unready(e)
				q.drop1(dropOffline)
				q.lose(e)
			}
			e = next
		}
	}
	q.release()
}

// endInboxes ends the inboxes whose clients stayed away too long.
func (b *Broker) endInboxes(nowMs int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.deadlines {
		if x.deadlineMs <= nowMs && x.sub == nil {
			if err := b.deleteInbox(x); err != nil {
				b.fault(fmt.Sprintf("session of client %q", x.clientID), err)
				return
			}
		}
	}
}

// maxFilters bounds the filters of one inbox.
const maxFilters = 100_000

// filter adds or replaces one of the inbox's filters.
func (c *Client) filter(op *Op) {
	f := op.Filter
	done := Completion{Ticket: op.Ticket, QoS: min(f.MaxQoS, 2)}
	var pos persist.Pos
	if done.Err = c.checkFilter(f); done.Err == nil {
		if f.Pattern.Kind == Queue {
			done.QoS = min(f.MaxQoS, 1)
			done.Present, done.Err = c.consumeShared(f)
		} else {
			done.Present, pos, done.Err = c.addFilter(f)
		}
	}
	c.complete(pos, done)
	wanted := f.Retained == RetainedAlways || f.Retained == RetainedIfNew && !done.Present
	if done.Err == nil && wanted && f.Pattern.Kind == Topic {
		c.b.pager.add(&retainedLookup{b: c.b, q: c.inbox.q, pattern: f.Pattern, filter: f})
	}
}

func (c *Client) checkFilter(f *Filter) error {
	if c.inbox == nil {
		return &Error{CodeInvalid, "filter", "this connection has no inbox"}
	}
	if f.Pattern.Kind != Topic && f.Pattern.Kind != Queue {
		return &Error{CodeInvalid, f.Pattern.String(), "a filter is for topics, or names a queue"}
	}
	if err := f.Pattern.ValidatePattern(); err != nil {
		return err
	}
	return c.b.access.Authorize(&c.who, ActionRead, f.Pattern)
}

func (c *Client) addFilter(f *Filter) (present bool, pos persist.Pos, err error) {
	b, x, pattern := c.b, c.inbox, f.Pattern.Name
	b.mu.Lock()
	defer b.mu.Unlock()
	if x.sub == nil || x.sub.client != c {
		return false, 0, errTaken
	}
	old := x.filters[pattern]
	if old == nil && len(x.filters) >= maxFilters {
		return false, 0, &Error{CodeFull, f.Pattern.String(), fmt.Sprintf("this session has %d filters: remove some first", maxFilters)}
	}
	if old == nil {
		if err := b.roomFor(f.Pattern, patternCost(pattern)); err != nil {
			return false, 0, err
		}
	}
	if x.stored && (old == nil || old.Filter != *f) {
		w := &c.work
		w.key, w.value = filterKey(w.key[:0], x.clientID, pattern), filterRow(w.value[:0], f)
		w.unit.Put(persist.TableFilters, w.key, w.value)
		if _, pos, err = b.append(&w.unit); err != nil {
			return false, 0, err
		}
	}
	if old != nil {
		b.router.remove(pattern, old.claim)
	}
	b.claimFilter(x, *f)
	b.version.Add(1)
	return old != nil, pos, nil
}

// claimFilter puts a filter into inbox and router. b.mu is locked.
func (b *Broker) claimFilter(x *inbox, f Filter) {
	n := &inboxFilter{Filter: f}
	n.claim = &claim{q: x.q, filter: &n.Filter, noLocal: f.NoLocal, clientID: x.clientID}
	x.filters[f.Pattern.Name] = n
	b.router.add(f.Pattern.Name, n.claim)
}

// consumeShared makes the inbox's subscription one of a queue's consumers, as long as the connection lasts.
func (c *Client) consumeShared(f *Filter) (present bool, err error) {
	if s := c.shared[f.Pattern.Name]; s != nil {
		s.q.mu.Lock()
		s.maxQoS, s.ids = min(f.MaxQoS, 1), f.ids()
		s.q.release()
		return true, nil
	}
	if len(c.shared) >= maxFilters {
		return false, &Error{CodeFull, f.Pattern.String(), fmt.Sprintf("this session consumes from %d queues: remove some first", maxFilters)}
	}
	q, err := c.b.queueFor(f.Pattern)
	if err != nil {
		return false, err
	}
	s := &subscription{client: c, id: InboxSub, q: q, credit: c.creditOf, source: f.Pattern, maxQoS: min(f.MaxQoS, 1), ids: f.ids()}
	q.mu.Lock()
	if q.closed {
		q.release()
		return false, &Error{CodeNotFound, f.Pattern.String(), "it was deleted just now: subscribe again"}
	}
	q.attach(s)
	q.feed(s)
	q.dispatch()
	q.unlock()
	if c.shared == nil {
		c.shared = map[string]*subscription{}
	}
	c.shared[f.Pattern.Name] = s
	c.nSubs.Add(1)
	return false, nil
}

// ids is the filter's identifier, if it has one, as a Delivery has it.
func (f *Filter) ids() []uint32 {
	if f.ID == 0 {
		return nil
	}
	return []uint32{f.ID}
}

// endShared leaves a queue; what was not acknowledged returns with its count raised.
func (c *Client) endShared(name string, s *subscription) {
	delete(c.shared, name)
	c.nSubs.Add(-1)
	if n := s.q.detach(s, &c.work, true); n > 0 && !c.closed {
		c.creditOf.giveBack(n)
		c.feedInbox(false)
	}
}

// feedInbox hands over what new credit allows, of the inbox and of the queues that its filters name.
func (c *Client) feedInbox(drain bool) {
	c.inbox.q.credited(c.inboxSub, drain)
	for _, s := range c.shared {
		s.q.credited(s, drain)
	}
}

// unfilter removes one of the inbox's filters.
func (c *Client) unfilter(op *Op) {
	d := op.Filter.Pattern
	if s := c.shared[d.Name]; s != nil && d.Kind == Queue {
		c.endShared(d.Name, s)
		c.answer(op, 0, nil)
		return
	}
	pos, err := c.removeFilter(d)
	c.answer(op, pos, err)
}

func (c *Client) removeFilter(d Destination) (persist.Pos, error) {
	b, x := c.b, c.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case x == nil || d.Kind != Topic:
		return 0, ErrNotFound
	case x.sub == nil || x.sub.client != c:
		return 0, errTaken
	case x.filters[d.Name] == nil:
		return 0, ErrNotFound
	}
	var pos persist.Pos
	if x.stored {
		w := &c.work
		w.key = filterKey(w.key[:0], x.clientID, d.Name)
		w.unit.Delete(persist.TableFilters, w.key)
		var err error
		if _, pos, err = b.append(&w.unit); err != nil {
			return 0, err
		}
	}
	b.router.remove(d.Name, x.filters[d.Name].claim)
	delete(x.filters, d.Name)
	b.version.Add(1)
	return pos, nil
}

// release lets a QoS 2 packet id be used again.
func (c *Client) release(op *Op) {
	end, err := c.released(op.Inbound)
	c.answer(op, end, err)
}

func (c *Client) released(id uint16) (end persist.Pos, err error) {
	x := c.inbox
	if x == nil {
		return 0, ErrNotFound
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, seen := x.inbound[id]; !seen {
		return persist.Pos(c.b.tail.Load()), ErrNotFound // a connection before this one may have released it
	}
	if x.owner != c {
		return 0, errTaken
	}
	if x.stored {
		w := &c.work
		w.key = inboundKey(w.key[:0], c.id, id)
		w.unit.Delete(persist.TableInbound, w.key)
		if _, end, err = c.b.append(&w.unit); err != nil {
			return 0, err
		}
	}
	delete(x.inbound, id)
	return end, nil
}

// errTaken is told to a connection that was evicted a moment ago.
var errTaken = &Error{CodeTakenOver, "session", "another connection took it"}

package amqp

import (
	"maps"
	"slices"

	"github.com/havenmq/havenmq/core"
)

// linkStatus is how far a link has come (2.6.3, 2.6.6).
type linkStatus uint8

const (
	attaching linkStatus = iota // the core has not answered: our attach is not out
	attached
	detaching // we detached it with an error: everything until the peer's detach is forgotten
	detached
)

// link is what all links have.
type link struct {
	session   *session
	name      string
	handle    uint32 // the peer's, and ours
	role      bool   // ours
	status    linkStatus
	sndMode   uint8
	rcvMode   uint8
	queued    bool             // in session.dirty
	own       core.Destination // a temporary node that ends with the link
	discarded uint32
}

// endpoint is our end of a link: a receiver for a producer, a sender for a consumer, a coordinator for transactions.
type endpoint interface {
	base() *link
	transfer(t *transfer, payload []byte)
	flow(f *flow)
	// flush says what a batch gathered.
	flush()
	// answer is our attach; refused leaves both termini out, which says that an error follows (2.6.3). Ours alone would do,
	// but go-amqp looks for both.
	answer(refused bool) *attach
	// close lets go of what the link holds in the core. forget deletes what would outlive it.
	close(forget bool)
	// done answers an op of this link.
	done(p *pending, c *core.Completion)
}

func (l *link) base() *link { return l }

// keepOwn remembers a dynamic node that the core made for a link.
func (l *link) keepOwn(t *terminus, d core.Destination) {
	if t.ephemeral() {
		l.own = d
	}
}

// tooLate drops a dynamic node that came when its link was gone.
func (l *link) tooLate(p *pending, c *core.Completion) {
	if p.kind == pendNode && c.Err == nil && c.Dest.Kind.Temporary() {
		l.own = c.Dest
		l.dropOwn()
	}
}

// dropOwn ends it with the link. Whoever else consumes from it keeps it until the connection ends.
func (l *link) dropOwn() {
	if !l.own.IsZero() {
		l.session.conn.out.Do(core.Op{Kind: core.OpUndeclare, Dest: l.own})
		l.own = core.Destination{}
	}
}

// mark has the link's flush called at the end of the batch.
func mark(l endpoint) {
	if b := l.base(); !b.queued {
		b.queued = true
		b.session.dirty = append(b.session.dirty, l)
		b.session.mark()
	}
}

// onAttach makes a link (2.6.3).
func (s *session) onAttach(a *attach) {
	c := s.conn
	if a.handle > maxHandle {
		c.fail(newError(condFraming, "handle %d is above handle-max %d", a.handle, maxHandle))
		return
	}
	if a.handle > s.highest {
		s.fail(newError(condNotAllowed, "handle %d is above your own handle-max %d", a.handle, s.highest))
		return
	}
	if s.handles.get(a.handle) != nil {
		s.fail(newError(condHandleInUse, "handle %d has a link already", a.handle))
		return
	}
	if c.attached >= maxLinks {
		s.fail(newError(condLimit, "a connection may have %d links", maxLinks))
		return
	}
	l := s.endpointFor(a)
	key := linkName{a.name, l.base().role}
	if old := c.links[key]; old != nil {
		detachWith(old, newError(condStolen, "link %q was attached again", clip(a.name)))
	}
	s.handles.put(a.handle, l)
	c.attached++
	if len(a.name) > maxNameBytes {
		refuse(l, newError(condInvalidField, "a link's name may have %d bytes", maxNameBytes))
		return
	}
	if c.links == nil {
		c.links = map[linkName]endpoint{}
	}
	c.links[key] = l
	switch l := l.(type) {
	case *receiver:
		l.begin(a)
	case *sender:
		l.begin(a)
	case *coordinator:
		l.begin(a)
	}
}

func (s *session) endpointFor(a *attach) endpoint {
	base := link{session: s, name: a.name, handle: a.handle, role: !a.role, sndMode: a.sndMode, rcvMode: a.rcvMode}
	if a.role { // the peer receives
		return &sender{link: base}
	}
	first := a.initialDeliveryCount.or(0)
	inbound := inbound{link: base, count: first, limit: first, through: first}
	if a.target != nil && a.target.is == kindCoordinator {
		return &coordinator{inbound: inbound}
	}
	return &receiver{inbound: inbound}
}

// attachNow answers an attach: the link stands.
func attachNow(l endpoint) {
	b := l.base()
	b.status = attached
	b.session.conn.send(b.session.channel, l.answer(false))
	mark(l)
}

// refuse answers an attach that cannot be: an attach without our terminus, and a detach that says why.
func refuse(l endpoint, e *wireError) {
	b := l.base()
	b.session.conn.send(b.session.channel, l.answer(true))
	b.status = attached
	detachWith(l, e)
}

// detachWith ends a link with an error. The handle stays taken until the peer's detach.
func detachWith(l endpoint, e *wireError) {
	b := l.base()
	c := b.session.conn
	switch b.status {
	case attaching:
		c.forget(l)
		l.close(false)
		refuse(l, e)
		return
	case attached:
		c.forget(l)
		l.close(false)
		b.session.flushAcks()
		b.status = detaching
		c.send(b.session.channel, &detach{handle: b.handle, closed: true, err: e})
	}
}

// onDetach ends a link at the peer's wish, or confirms that ours has ended (2.6.6).
func (s *session) onDetach(d *detach) {
	l := s.handles.get(d.handle)
	if l == nil {
		s.fail(newError(condUnattached, "handle %d has no link to detach", d.handle))
		return
	}
	c, b := s.conn, l.base()
	c.attached--
	s.handles.drop(d.handle)
	if b.status == detaching {
		return
	}
	s.flushAcks()
	c.forget(l)
	if b.status == attaching {
		c.send(s.channel, l.answer(true))
	}
	b.status = detached
	l.close(d.closed)
	if k, ok := l.(*sender); ok && k.forgetting {
		return // the answer waits until the subscription is gone
	}
	c.send(s.channel, &detach{handle: d.handle, closed: d.closed})
}

// forget takes a link out of the connection's names.
func (c *connection) forget(l endpoint) {
	b := l.base()
	if key := (linkName{b.name, b.role}); c.links[key] == l {
		delete(c.links, key)
	}
}

// denseHandles is how many handles are found by index; the others are rare and in a map.
const denseHandles = 64

// handleTable finds a session's links by handle.
type handleTable struct {
	dense  []endpoint
	sparse map[uint32]endpoint
}

func (t *handleTable) get(h uint32) endpoint {
	if int(h) < len(t.dense) {
		return t.dense[h]
	}
	return t.sparse[h]
}

func (t *handleTable) put(h uint32, l endpoint) {
	if h >= denseHandles {
		if t.sparse == nil {
			t.sparse = map[uint32]endpoint{}
		}
		t.sparse[h] = l
		return
	}
	for int(h) >= len(t.dense) {
		t.dense = append(t.dense, nil)
	}
	t.dense[h] = l
}

func (t *handleTable) drop(h uint32) {
	if int(h) < len(t.dense) {
		t.dense[h] = nil
		return
	}
	delete(t.sparse, h)
}

// each calls f for every link, in the order of their handles.
func (t *handleTable) each(f func(endpoint)) {
	for _, l := range t.dense {
		if l != nil {
			f(l)
		}
	}
	for _, h := range slices.Sorted(maps.Keys(t.sparse)) {
		f(t.sparse[h])
	}
}

package core

import (
	"cmp"

	"github.com/havenmq/havenmq/persist"
)

// placement is one queue's share of a publish, between the routing and the log.
type placement struct {
	q         *queue
	m         *Message
	grant     *grant
	seq       persist.Seq
	ref       persist.MessageRef
	sizeBytes uint32
	share     uint32 // of the message's memory
	logged    bool
}

// publish puts one message, outside of transactions, where it belongs. It says false before the client is known: do
// refuses that.
func (c *Client) publish(op *Op) bool {
	if !c.proved {
		return false
	}
	c.received.Add(1)
	m, w := op.Message, &c.work
	for {
		r := c.route(m.To)
		if r.err != nil {
			c.answer(op, 0, r.err)
			return true
		}
		end, ok, err := c.putOnce(w, r, m, op.Inbound)
		c.b.buryAll(w)
		if ok {
			c.complete(end, Completion{Ticket: op.Ticket, Err: err, Matched: len(r.targets) > 0 || err == ErrDuplicate})
			return true
		} // else a queue was deleted since
	}
}

// putOnce is put, but for a QoS 2 message that came before: its mark is looked at and set under the inbox's lock, so
// that whoever takes the inbox over sees it. [MQTT-4.3.3-10]
func (c *Client) putOnce(w *writer, r *route, m *Message, inbound uint16) (end persist.Pos, ok bool, err error) {
	x := c.inbox
	if inbound == 0 || x == nil {
		return c.put(w, r, m, 0)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, seen := x.inbound[inbound]; seen {
		// A connection before this one may have sent it: it is confirmed when all that was appended is.
		return persist.Pos(c.b.tail.Load()), true, ErrDuplicate
	}
	if x.owner != c {
		return 0, true, errTaken
	}
	end, ok, err = c.put(w, r, m, inbound)
	if ok && err == nil {
		x.mark(inbound)
	}
	return end, ok, err
}

// put writes and hands on one message with its mark. ok is false when the route is stale. Its caller buries what died.
func (c *Client) put(w *writer, r *route, m *Message, inbound uint16) (end persist.Pos, ok bool, err error) {
	b := c.b
	kept, err := retainingOf(m)
	if err = cmp.Or(err, checkDupID(m)); err != nil {
		return 0, true, err
	}
	if !lockTargets(r.targets) {
		r.version = 0
		return 0, false, nil
	}
	w.places = w.places[:0]
	if m.DupID != "" {
		b.duplicates.mu.Lock()
		defer b.duplicates.mu.Unlock()
	}
	first := c.draftOnce(w, r, m, kept)
	if inbound != 0 && c.inbox.stored {
		w.key = inboundKey(w.key[:0], c.id, inbound)
		w.unit.Put(persist.TableInbound, w.key, nil)
	}
	if end, err = b.commit(w); !first { // it is confirmed when what came first is
		end = persist.Pos(b.tail.Load())
	}
	for i := range r.targets {
		w.mourn(r.targets[i].q)
	}
	if r.topic != nil {
		r.topic.count(len(r.targets))
	}
	return end, true, err
}

// lockTargets locks the queues of a route, which are in order of rank; false: one was deleted, and none is locked.
func lockTargets(list []target) bool {
	for i := range list {
		list[i].q.mu.Lock()
		if list[i].q.closed {
			for j := range i + 1 {
				list[j].q.mu.Unlock()
			}
			return false
		}
	}
	return true
}

// place gives the message a place in each queue of the route, which are locked, and puts what is to be logged into w's
// unit; logged says that something is.
func (b *Broker) place(w *writer, r *route, m *Message) (logged bool) {
	from := len(w.places)
	w.targets = w.targets[:0]
	for _, t := range r.targets {
		p := placement{q: t.q, m: m, grant: t.grant}
		if t.q.awayFor(m, t.grant) {
			t.q.drop1(dropOffline)
			continue
		}
		p.seq = t.q.nextSeq(m.Priority)
		if m.Durable && t.q.id != 0 && (t.grant == nil || t.grant.qos > 0) {
			p.logged = true
			w.targets = append(w.targets, persist.Target{Queue: t.q.id, Seq: p.seq, Note: t.grant.bytes()})
		}
		w.places = append(w.places, p)
	}
	placed := w.places[from:]
	size := uint32(len(m.Bare) + len(m.To.Name))
	var ref persist.MessageRef
	if len(w.targets) > 0 {
		w.header = appendHeader(w.header[:0], m)
		size = uint32(len(w.header) + len(m.Bare))
		ref = w.unit.Message(nil, w.header, m.Bare)
		w.unit.Enqueue(ref, w.targets, m.ExpiresMs, m.NotBeforeMs)
	}
	for i := range placed {
		placed[i].ref, placed[i].sizeBytes, placed[i].share = ref, size, size/uint32(len(placed))
	}
	return len(w.targets) > 0
}

// awayFor says that a message is not for an inbox whose client is away: nothing would hold it but memory.
func (q *queue) awayFor(m *Message, g *grant) bool {
	return q.kind == kindInbox && len(q.subs) == 0 && (!m.Durable || g == nil || g.qos == 0 || q.id == 0)
}

// commit appends w's unit and hands its placements to their queues, which are locked; they stay so. The unit is empty
// then, whatever came of it.
func (b *Broker) commit(w *writer) (end persist.Pos, err error) {
	base, end, err := b.appendOf(w)
	for i := range w.places {
		p := &w.places[i]
		if err == nil {
			p.q.admit(p, base, end)
			p.q.settleDown(end)
		}
		*p = placement{}
	}
	w.places = w.places[:0]
	return end, err
}

// appendOf appends w's unit. If it has ids of messages, the duplicates are locked.
func (b *Broker) appendOf(w *writer) (base, end persist.Pos, err error) {
	if len(w.ids) > 0 {
		b.duplicates.write(w)
		defer func() {
			if err == nil {
				b.duplicates.remember(w)
			}
			b.duplicates.unstage(w)
		}()
	}
	if len(w.retains) == 0 {
		return b.append(&w.unit)
	}
	b.retained.mu.Lock()
	defer b.retained.mu.Unlock()
	base, end, err = b.retained.append(b, &w.unit, w.retains)
	clear(w.retains)
	w.retains = w.retains[:0]
	return base, end, err
}

// settleDown does what is due after something was admitted.
func (q *queue) settleDown(end persist.Pos) {
	if end == 0 {
		q.dispatch()
	} else {
		q.await()
	}
}

// route finds out where messages to d go, and remembers it while nobody subscribes or goes.
func (c *Client) route(d Destination) *route {
	version := c.b.version.Load()
	if r := c.last; r != nil && r.to == d && r.version == version {
		return r
	}
	r := c.routes[d]
	if r == nil || r.version != version {
		r = c.b.makeRoute(d, c)
		if c.routeBytes += len(d.Name); c.routes == nil || len(c.routes) >= maxRoutes || c.routeBytes > maxRouteBytes {
			c.routes, c.routeBytes = map[Destination]*route{}, len(d.Name)
		}
		c.routes[d] = r
	}
	c.last = r
	return r
}

// maxRoutes bounds what a connection remembers of where it sent messages.
const maxRoutes = 1024

func (b *Broker) makeRoute(d Destination, c *Client) *route {
	r := &route{version: b.version.Load(), to: d, publisher: c.id}
	if r.err = d.Validate(); r.err != nil {
		return r
	}
	if r.err = b.access.Authorize(&c.who, ActionWrite, d); r.err != nil {
		return r
	}
	return b.fillRoute(r, d, c.id)
}

// fillRoute finds the targets. A queue that is not there comes into being.
func (b *Broker) fillRoute(r *route, d Destination, publisher string) *route {
	switch d.Kind {
	case Queue:
		var q *queue
		if q, r.err = b.queueFor(d); r.err == nil {
			r.version = b.version.Load()
			r.targets = []target{{q: q}}
		}
	case TempQueue:
		b.mu.RLock()
		q := b.queues[d]
		b.mu.RUnlock()
		if q == nil {
			r.version, r.err = 0, &Error{CodeNotFound, d.String(), "the temporary queue is gone: its connection ended"}
			return r
		}
		r.targets = []target{{q: q}}
	case Topic:
		r.topic = b.topic(d)
		b.mu.RLock()
		r.version = b.version.Load()
		r.targets = targets(b.router.match(d.Name, nil), publisher)
		b.mu.RUnlock()
	default:
		b.mu.RLock()
		r.version = b.version.Load()
		r.targets = targets(b.temps.match(d.Name, nil), publisher)
		b.mu.RUnlock()
	}
	return r
}

package core

// dispatch hands what is ready to those with credit, in turn, until one of both is used up.
func (q *queue) dispatch() {
	switch {
	case q.closed || q.b.suspended.Load(): // Suspend(false) comes back
		return
	case q.paused: // nothing is ready for anybody
		q.drain()
		return
	}
	q.load()
	for q.hungry != nil {
		e := q.first()
		if e == nil {
			break
		}
		if q.expire(e) {
			continue
		}
		s, e := q.pair(e)
		if s == nil {
			break
		}
		q.hand(s, e)
	}
	q.drain()
	q.refill()
}

// pair finds who gets e, or, when e is not for anybody that is hungry, the first entry that is for somebody.
func (q *queue) pair(e *entry) (*subscription, *entry) {
	for ; e != nil; e = q.after(e) {
		if e.lacksBody() {
			q.wantPage()
			return nil, nil
		}
		if s := q.choose(e); s != nil {
			return s, e
		}
		if q.hungry == nil {
			return nil, nil
		}
	}
	return nil, nil
}

// after is the ready entry behind e, in order of dispatch. It looks no further than the window.
func (q *queue) after(e *entry) *entry {
	i := 0
	for q.lanes[i].class != uint8(e.seq.Class()) {
		i++
	}
	l := &q.lanes[i]
	switch {
	case e.next != nil && !l.behindHole(e.next):
		return e.next
	case l.hole == 0:
		return q.firstFrom(i + 1)
	case l.stored() < q.windowLimit():
		q.wantPage()
	}
	return nil
}

// choose takes one from the credit of the next subscription in turn that may have e.
func (q *queue) choose(e *entry) *subscription {
	for s := q.hungry; s != nil; {
		next := s.next
		if e.shunned == s {
			if next == q.hungry {
				return nil
			}
			s = next
			continue
		}
		if s.take() {
			q.hungry = next
			return s
		}
		q.sate(s)
		s = q.hungry
	}
	return nil
}

// hand gives e to s, whose credit was taken.
func (q *queue) hand(s *subscription, e *entry) {
	q.unready(e)
	d := Delivery{Sub: s.id, Tag: e, Message: e.msg, Seq: uint64(e.seq), Attempts: e.attempts, Returned: e.returned, auto: s.auto, note: e.grant}
	q.dress(s, e, &d)
	e.state, e.sub, e.returned = stateFlight, s, true
	s.flight.pushBack(e)
	q.inFlight++
	s.client.inFlight.Add(1)
	s.handed++
	if e.logged() && q.b.tight() {
		q.b.discharge(e)
		e.msg = nil // it can be read back, if it comes back
	}
	if !s.hasCredit() {
		q.sate(s)
	}
	s.client.mail.put(s.client, &d)
}

// dress says what an inbox's session needs to know.
func (q *queue) dress(s *subscription, e *entry, d *Delivery) {
	if s.id != InboxSub {
		if e.grant != nil {
			d.Retained = e.grant.retained
		}
		return
	}
	if q.kind != kindInbox { // a shared queue's: its places would clash with the inbox's own
		d.Seq, d.IDs = 0, s.ids
		if e.msg.Durable {
			d.QoS = min(s.maxQoS, 1)
		}
		return
	}
	d.Seq = e.seq.Counter()
	if e.received {
		d.Received, d.Message = true, &received
	}
	if e.grant != nil {
		d.QoS, d.IDs, d.AsRetain, d.Retained = e.grant.qos, e.grant.ids, e.grant.asRetain, e.grant.retained
	}
	d.QoS = qosOf(d.QoS, d.Message, d.Received)
}

// received stands for the body of a delivery that the peer has already.
var received = Message{Format: contentFormat{}}

// qosOf is what a message goes out with: not above what was granted, nor what it was sent with. [MQTT-3.8.4-8]
func qosOf(granted uint8, m *Message, received bool) uint8 {
	switch {
	case received:
		return 2
	case !m.Durable:
		return 0
	case m.QoS != 0:
		return min(granted, m.QoS)
	}
	return granted
}

// feed makes s one of those to hand to, if it has credit.
func (q *queue) feed(s *subscription) {
	if s.hungry || s.closed || s.browse != nil || !s.hasCredit() {
		return
	}
	if s.client.mail.full.Load() {
		s.blocked = true
		s.client.blocked.Store(true)
		if s.client.mail.full.Load() { // it is; else Poll may have missed the flag
			return
		}
		s.blocked = false
	}
	s.hungry = true
	if q.hungry == nil {
		s.next, s.prev, q.hungry = s, s, s
		return
	}
	last := q.hungry.prev
	s.next, s.prev = q.hungry, last
	last.next, q.hungry.prev = s, s
}

// sate takes s out of the ring.
func (q *queue) sate(s *subscription) {
	if !s.hungry {
		return
	}
	s.hungry = false
	if s.next == s {
		q.hungry = nil
	} else {
		s.prev.next, s.next.prev = s.next, s.prev
		if q.hungry == s {
			q.hungry = s.next
		}
	}
	s.next, s.prev = nil, nil
	if s.client.mail.full.Load() {
		q.feed(s) // notes that it is blocked
	}
}

// drain tells those who asked that nothing more is ready for them.
func (q *queue) drain() {
	if q.drainers == 0 || q.paging {
		return
	}
	for _, s := range q.subs {
		if !s.draining || s.blocked {
			continue
		}
		q.wish(s, false)
		s.credit.drop()
		q.sate(s)
		s.client.mail.put(s.client, &Delivery{Sub: s.id, Drained: true, Used: s.credit.used.Load()})
	}
}

package amqp

import "github.com/havenmq/havenmq/core"

// subSlots masks the part of a SubID that says where the connection keeps the link; the rest makes it unique.
const subSlots = 1<<16 - 1

// sender is our end of a consumer's link. Two counts run side by side: used and limit are the link's delivery-count and
// credit as the peer knows them, coreUsed and coreLimit the same in the core's own count of the subscription. We ask
// the core for less than the peer allows when the peer's window or its unsettled deliveries could pile up here.
type sender struct {
	link
	sub        core.SubID // 0: no subscription
	source     *terminus  // for our attach
	target     *terminus
	request    *core.SubscribeRequest
	durable    bool
	auto       bool // we send settled
	coreAuto   bool // the core accepts what it hands over, because nothing can keep it from being sent
	browser    bool
	forgetting bool // detached for good: the answer waits until the subscription is deleted
	byDefault  state
	maxBytes   uint64 // the peer's max-message-size; 0 any
	ended      bool   // a browser has seen it all
	asked      bool   // for our state, before the link stood
	marked     bool   // it is drained, but for what waits for the window

	used, limit         uint64
	waiting             uint64 // of used: nothing of them was sent
	coreUsed, coreLimit uint64
	drain, coreDrain    bool
}

// begin subscribes the consumer.
func (k *sender) begin(a *attach) {
	k.source, k.target, k.maxBytes = a.source, a.target, a.maxMessageBytes
	k.auto = a.sndMode == sndSettled
	if !k.auto {
		k.sndMode = sndUnsettled
	}
	if k.source == nil { // JMS: what durable subscription goes by the link's name?
		k.request = &core.SubscribeRequest{Durable: true, Name: k.name}
		k.source = &terminus{is: kindSource, durable: 2, expiry: expiryNever, outcomes: allOutcomes}
		k.subscribe()
		return
	}
	if k.source.is != kindSource {
		refuse(k, newError(condNotImplemented, "a consumer's source must be a source"))
		return
	}
	k.byDefault = k.source.defaultOutcome
	if k.source.dynamic {
		c := k.session.conn
		c.out.Do(core.Op{Kind: core.OpDeclare, Dest: core.Destination{Kind: k.source.dynamicKind()},
			Ticket: c.pend(pending{kind: pendNode, link: k})})
		return
	}
	k.resolve()
}

func (k *sender) resolve() {
	r, e := k.source.subscribe(k.name)
	if e != nil {
		refuse(k, e)
		return
	}
	k.request = r
	k.subscribe()
}

func (k *sender) subscribe() {
	c := k.session.conn
	k.coreAuto = k.auto && k.maxBytes == 0
	k.durable, k.browser, k.request.Auto = k.request.Durable, k.request.Browse, k.coreAuto
	k.sub = c.subscription(k)
	c.out.Do(core.Op{Kind: core.OpSubscribe, Sub: k.sub, Subscribe: k.request, Ticket: c.pend(pending{kind: pendSubscribe, link: k})})
	k.request = nil
}

// subscription names a subscription so that a delivery finds its link by index.
func (c *connection) subscription(k *sender) core.SubID {
	slot := len(c.subs)
	if n := len(c.subsFree); n > 0 {
		slot, c.subsFree = c.subsFree[n-1], c.subsFree[:n-1]
		c.subs[slot] = k
	} else {
		c.subs = append(c.subs, k)
	}
	c.serial++
	return core.SubID(c.serial<<16 | uint64(slot))
}

// done answers an op of this link.
func (k *sender) done(p *pending, c *core.Completion) {
	if k.session.ended {
		return
	}
	if p.kind == pendForget {
		d := &detach{handle: k.handle, closed: true}
		if c.Err != nil && codeOf(c.Err) != core.CodeNotFound {
			d.err = linkErrorOf(c.Err)
		}
		k.session.conn.send(k.session.channel, d)
		return
	}
	if k.status != attaching {
		k.tooLate(p, c)
		return
	}
	switch {
	case c.Err != nil:
		k.release()
		refuse(k, linkErrorOf(c.Err))
	case p.kind == pendNode:
		k.source.address = c.Dest.String()
		k.keepOwn(k.source, c.Dest)
		k.resolve()
	default:
		if k.source.address == nil {
			k.source.address = c.Dest.String()
		}
		attachNow(k)
	}
}

func (k *sender) answer(refused bool) *attach {
	a := &attach{name: k.name, handle: k.handle, role: roleSender, sndMode: k.sndMode, rcvMode: k.rcvMode,
		source: k.source, target: k.target, initialDeliveryCount: some(0)}
	if refused {
		a.source, a.target = nil, nil
	}
	k.source, k.target = nil, nil
	return a
}

// release gives up the SubID.
func (k *sender) release() {
	c, slot := k.session.conn, int(k.sub&subSlots)
	if k.sub != 0 && slot < len(c.subs) && c.subs[slot] == k {
		c.subs[slot] = nil
		c.subsFree = append(c.subsFree, slot)
	}
	k.sub = 0
}

// close ends the subscription; the core takes back what is not settled.
func (k *sender) close(forget bool) {
	if k.sub == 0 {
		k.dropOwn()
		return
	}
	c := k.session.conn
	op := core.Op{Kind: core.OpUnsubscribe, Sub: k.sub}
	if forget && k.durable {
		op.Forget, k.forgetting = true, true
		op.Ticket = c.pend(pending{kind: pendForget, link: k})
	}
	c.out.Do(op)
	k.dropOwn()
	k.release()
	s := k.session
	s.unsettled.drop(k)
	c.parkedBytes -= s.parked.drop(k)
	if s.starved && !s.ended {
		s.feed()
	}
}

// transfer is never ours to take.
func (k *sender) transfer(*transfer, []byte) {
	detachWith(k, newError(condNotAllowed, "a receiver sent a transfer"))
}

// flow takes the consumer's credit (2.6.7).
func (k *sender) flow(f *flow) {
	k.asked = k.asked || f.echo
	if f.credit.set {
		onTheWay := uint32(k.used) - f.deliveryCount.or(0)
		if int32(onTheWay) < 0 { // it claims to have got more than we sent
			onTheWay = 0
		}
		if onTheWay > f.credit.value {
			onTheWay -= k.takeBack(onTheWay - f.credit.value)
		}
		k.limit = k.used + uint64(max(int64(f.credit.value)-int64(onTheWay), 0))
		k.drain = f.drain
	}
	k.credited()
}

// takeBack returns up to n deliveries to their queue that wait for the window, because the peer took its credit back.
func (k *sender) takeBack(n uint32) uint32 {
	if k.auto {
		return 0 // the core has forgotten them
	}
	tags, bytes := k.session.parked.takeBack(k, uint64(n))
	k.session.conn.parkedBytes -= bytes
	if len(tags) > 0 {
		k.used -= uint64(len(tags))
		k.waiting -= uint64(len(tags))
		k.session.conn.out.Do(core.Op{Kind: core.OpSettle, Sub: k.sub, Outcome: core.Released, Tags: tags})
	}
	return uint32(len(tags))
}

// credited acts on the credit that there is.
func (k *sender) credited() {
	if k.status != attached {
		return // attachNow marks the link
	}
	if k.drain && (k.left() == 0 || k.ended) {
		k.sayDrained()
	} else {
		k.grant()
	}
	if k.asked {
		k.tell(k.drain)
	}
}

// left is the credit that the peer still gives.
func (k *sender) left() uint64 { return k.limit - min(k.used, k.limit) }

// ahead is what the core may still hand over.
func (k *sender) ahead() uint64 { return k.coreLimit - min(k.coreUsed, k.coreLimit) }

// grant asks the core for as many deliveries as the peer has credit and we have room for.
func (k *sender) grant() {
	if k.status != attached {
		return
	}
	left := k.left()
	n := min(left, uint64(k.session.room()))
	if n == 0 && left > 0 {
		return // no room: the session feeds us when there is
	}
	if want := k.coreUsed + n; want != k.coreLimit || k.drain != k.coreDrain {
		k.coreLimit, k.coreDrain = want, k.drain
		k.session.conn.out.Do(core.Op{Kind: core.OpCredit, Sub: k.sub, Limit: want, Drain: k.drain})
	}
}

// flush asks for more when half of what we asked for is here.
func (k *sender) flush() {
	if k.asked || k.drain && k.left() == 0 || k.ahead() < min(k.left(), maxAhead/2) {
		k.credited()
	}
}

// deliver sends a message.
func (k *sender) deliver(d *core.Delivery) {
	s := k.session
	k.coreUsed++
	if k.status != attached {
		return
	}
	if k.left() == 0 && !k.auto { // the peer took its credit back while this was on its way
		k.settle(d, core.Released)
		return
	}
	p := parked{link: k, send: sendingOf(d, s.conn.nowMs), tag: d.Tag}
	bare, err := bareOf(d.Message)
	if p.rest = withNotes(bare, d); err != nil || k.maxBytes > 0 && uint64(len(p.rest)+headerBytes(&p.send)) > k.maxBytes {
		k.settle(d, core.Rejected) // it goes to the dead letters, so that it blocks nobody
		mark(k)
		return
	}
	p.send.handle, p.send.settled = k.handle, k.auto
	k.used++
	k.waiting++
	s.transmit(p)
	if k.auto {
		k.settle(d, core.Accepted)
	}
	if k.ahead() < min(k.left(), maxAhead/2) {
		mark(k)
	}
}

// settle is the broker's own word on a delivery. Those that the core accepts as it hands them over need none.
func (k *sender) settle(d *core.Delivery, o core.Outcome) {
	if c := k.session.conn; !k.coreAuto {
		from := len(c.tags)
		c.tags = append(c.tags, d.Tag)
		c.out.Do(core.Op{Kind: core.OpSettle, Sub: k.sub, Outcome: o, Tags: c.tags[from:len(c.tags):len(c.tags)]})
	}
}

// drained is told that the core has no more for the credit that it was given.
func (k *sender) drained(coreUsed uint64) {
	k.ended = k.browser
	if !k.drain {
		return // the end of a browse: nobody asked
	}
	full := k.coreUsed == k.coreLimit
	k.coreUsed, k.coreDrain = max(k.coreUsed, coreUsed), false
	if full && k.left() > 0 { // our own bound, not the queue's end: go on
		k.coreLimit = k.coreUsed
		mark(k)
		return
	}
	k.coreLimit = k.coreUsed
	k.sayDrained()
}

// sayDrained advances the delivery-count over the credit that was not used, behind what still waits for the window.
func (k *sender) sayDrained() {
	if s := k.session; s.parked.len() > 0 {
		if !k.marked {
			k.marked = true
			s.parked.push(parked{link: k, drain: true})
		}
		return
	}
	k.drain, k.used = false, max(k.used, k.limit)
	k.tell(true)
}

// atMark goes on with a drain when what stood before it is out. The peer may have changed its mind meanwhile.
func (k *sender) atMark() {
	k.marked = false
	if k.drain && !k.coreDrain {
		k.drain, k.used = false, max(k.used, k.limit)
		k.tell(true)
	}
}

// tell sends our half of a flow.
func (k *sender) tell(drained bool) {
	s := k.session
	k.asked = false
	f, sent := s.state(), k.used-k.waiting
	f.handle, f.deliveryCount, f.credit, f.drain = some(k.handle), some(uint32(sent)), some(uint32(min(max(k.limit, sent)-sent, 1<<32-1))), drained
	s.conn.send(s.channel, f)
}

// outcomeOf is what a consumer's answer means to the core. One that settles without an outcome gets the source's default,
// and if that has none the message goes back as it was.
func (k *sender) outcomeOf(st *state) core.Outcome {
	final := st.final()
	if final == kindNone || final == kindReceived {
		st = &k.byDefault
		final = st.final()
	}
	switch final {
	case kindAccepted:
		return core.Accepted
	case kindRejected:
		return core.Rejected
	case kindModified:
		switch {
		case st.here:
			return core.FailedHere
		case st.failed:
			return core.Failed
		}
	}
	return core.Released
}

package amqp

// inbound is a link on which the peer sends: its credit, and the delivery that is under way.
type inbound struct {
	link
	count   uint32 // delivery-count: deliveries that began
	limit   uint32 // the count that our credit reaches to
	through uint32 // deliveries that are through with the core
	tell    bool   // the peer asked for our state

	open    bool // a delivery is under way
	id      uint32
	format  uint32
	settled bool
	second  bool  // we settle when the peer has (2.7.5, rcv-settle-mode)
	ignored bool  // a resumed delivery: we know of none
	state   state // transactional-state, or none
	partial []byte
}

// assemble takes a transfer frame and answers a whole delivery's bytes, once they are there. They alias the frame
// unless owned. It detaches the link when a rule is broken.
func (r *inbound) assemble(l endpoint, t *transfer, payload []byte) (body []byte, owned, whole bool) {
	if !r.open {
		if e := r.start(t); e != nil {
			detachWith(l, e)
			return nil, false, false
		}
	} else if t.deliveryID.set && t.deliveryID.value != r.id {
		detachWith(l, newError(condNotAllowed, "delivery %d began within delivery %d", t.deliveryID.value, r.id))
		return nil, false, false
	}
	r.settled = r.settled || t.settled
	if t.aborted || r.ignored { // 2.6.14: as if it had never been, and settled
		if t.aborted || !t.more {
			r.letGo()
			r.finish(l, 1)
		}
		return nil, false, false
	}
	if !t.more && len(r.partial) == 0 && len(payload) <= r.session.conn.options.MaxMessageBytes {
		r.open = false
		return payload, false, true
	}
	if e := r.gather(payload); e != nil {
		detachWith(l, e)
		return nil, false, false
	}
	if t.more {
		return nil, false, false
	}
	body = r.partial
	r.letGo()
	return body, true, true
}

// gather adds a part of a message to what is there.
func (r *inbound) gather(payload []byte) *wireError {
	c := r.session.conn
	most := c.options.MaxMessageBytes
	if len(r.partial)+len(payload) > most {
		return newError(condSize, "the message is larger than max-message-size %d", most)
	}
	if c.partial+len(payload) > 2*most {
		return newError(condLimit, "the messages under way on this connection are larger than %d bytes together: finish some", 2*most)
	}
	before := cap(r.partial)
	r.partial = grow(r.partial, payload, most)
	c.partial += len(payload)
	c.partialHeld += cap(r.partial) - before
	return nil
}

// letGo ends the delivery that is under way.
func (r *inbound) letGo() {
	r.session.conn.partial -= len(r.partial)
	r.session.conn.partialHeld -= cap(r.partial)
	r.open, r.partial = false, nil
}

// start begins a delivery.
func (r *inbound) start(t *transfer) *wireError {
	if r.limit == r.count {
		return newError(condCredit, "a delivery came without credit")
	}
	if !t.deliveryID.set {
		return newError(condInvalidField, "a delivery's first transfer needs a delivery-id")
	}
	r.second = r.rcvMode == rcvSecond
	if m := t.rcvMode; m.set && !t.settled {
		if m.value > rcvSecond || m.value == rcvSecond && !r.second { // 2.7.5
			return newError(condInvalidField, "a transfer's rcv-settle-mode may not be second when its link's is first")
		}
		r.second = m.value == rcvSecond
	}
	r.count++
	r.open, r.id, r.format, r.settled, r.ignored, r.state = true, t.deliveryID.value, t.format, t.settled, t.resume, state{}
	if t.state.is == kindTxState {
		r.state = state{is: kindTxState, txn: clone(t.state.txn)}
	}
	return nil
}

// grow appends with doubling up to most bytes, so that a large message is copied twice at most, however small its frames.
func grow(b, more []byte, most int) []byte {
	if cap(b)-len(b) < len(more) {
		b = append(make([]byte, 0, max(min(2*cap(b), most), len(b)+len(more))), b...)
	}
	return append(b, more...)
}

// finish says that n deliveries are through, and has credit replenished once half of it is used.
func (r *inbound) finish(l endpoint, n uint32) {
	r.through += n
	if window := r.window(); r.through+window-r.limit >= (window+1)/2 {
		mark(l)
	}
}

func (r *inbound) window() uint32 { return uint32(r.session.conn.options.Credit) }

// flow takes the producer's view (2.6.7): it may pass credit over, which counts as used.
func (r *inbound) onFlow(l endpoint, f *flow) {
	if skipped := f.deliveryCount.value - r.count; f.deliveryCount.set && skipped <= r.limit-r.count {
		r.count += skipped
		r.finish(l, skipped)
	}
	if f.echo {
		r.tell = true
		mark(l)
	}
}

// grant sends our half of a flow if there is more credit to give, or we were asked.
func (r *inbound) grant() {
	if target := r.through + r.window(); target != r.limit {
		r.limit, r.tell = target, true
	}
	if !r.tell || r.status != attached {
		return
	}
	r.tell = false
	f := r.session.state()
	f.handle, f.deliveryCount, f.credit = some(r.handle), some(r.count), some(r.limit-r.count)
	r.session.conn.send(r.session.channel, f)
}

// reply says how the delivery that is under way is answered.
func (r *inbound) reply() reply {
	switch {
	case r.settled:
		return replyNone
	case r.second:
		return replyOpen
	}
	return replySettled
}

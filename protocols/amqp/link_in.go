package amqp

import (
	"bytes"
	"strings"

	"github.com/havenmq/havenmq/core"
)

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
	r.partial = grow(r.partial, payload)
	c.partial += len(payload)
	return nil
}

// letGo ends the delivery that is under way.
func (r *inbound) letGo() {
	r.session.conn.partial -= len(r.partial)
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

// grow appends with doubling, so that a large message is copied twice at most, however small its frames.
func grow(b, more []byte) []byte {
	if cap(b)-len(b) < len(more) {
		b = append(make([]byte, 0, max(2*cap(b), len(b)+len(more))), b...)
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

// receiver is our end of a producer's link.
type receiver struct {
	inbound
	dest     core.Destination // none: each message says
	withheld bool             // the broker is full: no credit until a Tick gives it back
	source   *terminus        // for our attach
	target   *terminus
}

// begin finds the node that the producer wants to send to.
func (r *receiver) begin(a *attach) {
	r.source, r.target = a.source, a.target
	switch t := r.target; {
	case t == nil:
		refuse(r, newError(condInvalidField, "a producer's attach needs a target"))
	case t.dynamic:
		r.declare(core.Destination{Kind: t.dynamicKind()})
	case t.anonymous():
		attachNow(r)
	default:
		d, e := t.destination()
		if e != nil {
			refuse(r, e)
			return
		}
		if d.Kind.Temporary() { // it is somebody's already, or each message will be told that it is not there
			r.dest = d
			attachNow(r)
			return
		}
		r.declare(d)
	}
}

func (r *receiver) declare(d core.Destination) {
	r.dest = d
	c := r.session.conn
	c.out.Do(core.Op{Kind: core.OpDeclare, Dest: d, Ticket: c.pend(pending{kind: pendNode, link: r})})
}

func (r *receiver) answer(refused bool) *attach {
	a := &attach{name: r.name, handle: r.handle, role: roleReceiver, sndMode: r.sndMode, rcvMode: r.rcvMode,
		source: r.source, target: r.target, maxMessageBytes: uint64(r.session.conn.options.MaxMessageBytes)}
	if refused {
		a.source, a.target = nil, nil
	}
	r.source, r.target = nil, nil
	return a
}

func (r *receiver) flow(f *flow) { r.onFlow(r, f) }

func (r *receiver) flush() {
	if !r.withheld {
		r.grant()
	}
}

func (r *receiver) replenish() { mark(r) }

func (r *receiver) close(bool) {
	r.letGo()
	r.dropOwn()
}

// transfer takes a frame of a message.
func (r *receiver) transfer(t *transfer, payload []byte) {
	body, owned, whole := r.assemble(r, t, payload)
	if whole {
		r.publish(body, owned)
	}
}

// publish hands a message to the core. The core keeps it, so this is where it leaves the read buffer.
func (r *receiver) publish(body []byte, owned bool) {
	c := r.session.conn
	var e envelope
	if err := e.open(body, c.nowMs); err != nil {
		r.reject(wireErrorOf(err))
		return
	}
	if r.format != 0 {
		r.reject(newError(condNotImplemented, "message-format %d is not known", r.format))
		return
	}
	tx, werr := c.transaction(&r.state)
	if werr == nil && r.dest.Kind == 0 {
		e.header.To, werr = e.destination()
	} else {
		e.header.To = r.dest
	}
	if werr != nil {
		r.reject(werr)
		return
	}
	e.header.Publisher = c.clientID
	c.out.Do(core.Op{Kind: core.OpPublish, Tx: tx, Message: e.message(owned),
		Ticket: c.pend(pending{kind: pendPublish, first: r.id, tx: tx, link: r, reply: r.reply()})})
}

// smallBytes makes a message and its bytes one object of 288 bytes, which is a size that Go's allocator has.
const smallBytes = 144

type smallMessage struct {
	core.Message
	bytes [smallBytes]byte
}

// message is what the core keeps. It copies the bare message out of the read buffer, unless it is owned and fits.
func (e *envelope) message(owned bool) *core.Message {
	bare := e.bare
	if len(bare) <= smallBytes {
		m := &smallMessage{}
		m.Header, m.Format, m.Bare = e.header, Format, append(m.bytes[:0], bare...)
		return &m.Message
	}
	if !owned || cap(bare)-len(bare) > len(bare)/4 {
		bare = append(make([]byte, 0, len(bare)), bare...)
	}
	return &core.Message{Header: e.header, Format: Format, Bare: bare}
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

// destination is where a message of an anonymous producer goes: its own to.
func (e *envelope) destination() (core.Destination, *wireError) {
	if len(e.to) == 0 {
		return core.Destination{}, newError(condPrecondition, "the message has no 'to' and its link no address")
	}
	to := string(e.to)
	kind := core.Queue
	if !strings.Contains(to, "://") && bytes.Contains(e.bare, []byte(annotationDest)) {
		kind = e.annotatedKind()
	}
	d, err := core.ParseDestination(to, kind)
	if err != nil {
		return d, wireErrorOf(err)
	}
	return d, nil
}

// annotatedKind is what kind of destination a JMS client says that it sends to.
func (e *envelope) annotatedKind() core.Kind {
	if s, _, err := nextSection(e.bare); err == nil && s.kind == kindMessageNotes {
		return jmsKind(entry(s.value, annotationDest))
	}
	return core.Queue
}

// reject refuses a message. A settled one has no outcome to say so in, so the link ends.
func (r *receiver) reject(e *wireError) {
	if r.settled {
		detachWith(r, e)
		return
	}
	r.session.answer(r.id, !r.second, inTx(r.state.txn, state{is: kindRejected, err: e}))
	r.finish(r, 1)
}

// done answers an op of this link.
func (r *receiver) done(p *pending, c *core.Completion) {
	if r.session.ended {
		return
	}
	if p.kind == pendPublish {
		r.published(p, c.Err)
		return
	}
	if r.status != attaching {
		r.tooLate(p, c)
		return
	}
	if c.Err != nil {
		refuse(r, linkErrorOf(c.Err))
		return
	}
	if r.target.dynamic {
		r.dest = c.Dest
		r.keepOwn(r.target, c.Dest)
		r.target.address = c.Dest.String()
	}
	attachNow(r)
}

// published tells the producer what became of its message.
func (r *receiver) published(p *pending, err error) {
	if r.status != attached {
		return
	}
	code := core.Code(0)
	if err != nil {
		code = codeOf(err)
	}
	if code == core.CodeFull {
		r.withhold()
	}
	switch {
	case p.reply == replyNone:
		r.unanswered(code, err)
	case (code == 0 || code == core.CodeDuplicate) && p.tx == 0:
		r.session.accept(p.first, p.reply == replySettled)
	default:
		r.session.answer(p.first, p.reply == replySettled, inTx(txBytes(p.tx), outcomeOf(code, err)))
	}
	r.finish(r, 1)
}

// outcomeOf is what a producer is told of its message.
func outcomeOf(code core.Code, err error) state {
	switch code {
	case 0, core.CodeDuplicate:
		return state{is: kindAccepted}
	case core.CodeShutdown: // another node may take it
		return state{is: kindReleased}
	}
	return state{is: kindRejected, err: wireErrorOf(err)}
}

// unanswered is a settled message's end. One that was dropped for want of room is the sender's own risk; one that never
// can be sent ends the link, because nothing else would say so.
func (r *receiver) unanswered(code core.Code, err error) {
	switch code {
	case 0, core.CodeDuplicate, core.CodeFull, core.CodeShutdown:
		return
	}
	detachWith(r, linkErrorOf(err))
}

// withhold gives no more credit for a while: the broker is full.
func (r *receiver) withhold() {
	if c := r.session.conn; !r.withheld {
		r.withheld = true
		c.withheld = append(c.withheld, r)
		c.wake()
	}
}

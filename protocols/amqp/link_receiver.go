package amqp

import (
	"bytes"
	"strings"

	"github.com/havenmq/havenmq/core"
)

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
	case code == core.CodeShutdown:
		// The connection ends, and says why. Released would be right, but libraries take it for yes (go-amqp's Send) and the
		// message would be lost; unanswered, it is sent again, to the next master.
	case (code == 0 || code == core.CodeDuplicate) && p.tx == 0:
		r.session.accept(p.first, p.reply == replySettled)
	default:
		r.session.answer(p.first, p.reply == replySettled, inTx(txBytes(p.tx), outcomeOf(code, err)))
	}
	r.finish(r, 1)
}

// outcomeOf is what a producer is told of its message.
func outcomeOf(code core.Code, err error) state {
	if code == 0 || code == core.CodeDuplicate {
		return state{is: kindAccepted}
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

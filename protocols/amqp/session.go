package amqp

import "github.com/havenmq/havenmq/core"

// session is one AMQP session (2.5): two windows, the deliveries that are not settled, and its links.
type session struct {
	conn    *connection
	channel uint16
	ended   bool // we ended it with an error: everything until the peer's end is forgotten
	queued  bool // in conn.dirty
	handles handleTable
	highest uint32     // handle that the peer can hear
	dirty   []endpoint // links with something to say at the end of the batch

	// What comes in.
	nextIncomingID uint32
	incomingWindow uint32 // transfers that the peer may still send
	tellWindow     bool   // it is small enough to be renewed
	acks           ackRun

	// What goes out.
	firstOutgoingID uint32
	nextOutgoingID  uint32
	remoteWindow    uint32 // transfers that we may still send
	nextDeliveryID  uint32
	unsettled       unsettled
	parked          parkedQueue
	stalled         bool // in conn.stalled
	starved         bool // a link was refused room because too much is unsettled or parked
}

// ackRun is a run of deliveries that were accepted one after the other: one disposition says it of all of them.
type ackRun struct {
	first, last uint32
	settled     bool
	open        bool
}

func newSession(c *connection, channel uint16, b *beginning) *session {
	return &session{conn: c, channel: channel, nextIncomingID: b.nextOutgoingID, incomingWindow: incomingWindow,
		remoteWindow: b.incomingWindow, highest: min(b.handleMax, maxHandle)}
}

// mark has flush called at the end of the batch.
func (s *session) mark() {
	if !s.queued {
		s.queued = true
		s.conn.dirty = append(s.conn.dirty, s)
	}
}

// flush says what was gathered.
func (s *session) flush() {
	s.queued = false
	if s.ended {
		return
	}
	s.flushAcks()
	for i := 0; i < len(s.dirty); i++ {
		s.dirty[i].base().queued = false
		s.dirty[i].flush()
	}
	clear(s.dirty)
	s.dirty = s.dirty[:0]
	if s.tellWindow {
		s.conn.send(s.channel, s.state())
	}
}

// state is the session's half of a flow frame (2.7.4). Saying it renews the peer's window.
func (s *session) state() *flow {
	s.incomingWindow, s.tellWindow = incomingWindow, false
	return &flow{nextIncomingID: some(s.nextIncomingID), incomingWindow: s.incomingWindow, nextOutgoingID: s.nextOutgoingID,
		outgoingWindow: outgoingWindow}
}

// accept tells the sender that a delivery is safe. Acceptances that follow each other are gathered.
func (s *session) accept(id uint32, settled bool) {
	if a := &s.acks; a.open && a.last+1 == id && a.settled == settled {
		a.last = id
		return
	}
	s.flushAcks()
	s.acks = ackRun{first: id, last: id, settled: settled, open: true}
	s.mark()
}

func (s *session) flushAcks() {
	if a := &s.acks; a.open {
		a.open = false
		s.conn.emit(Frame{kind: frameAccepted, channel: s.channel, send: sending{first: a.first, last: a.last, settled: a.settled}})
	}
}

// answer tells the sender any other outcome of its delivery.
func (s *session) answer(id uint32, settled bool, st state) {
	s.flushAcks()
	s.conn.send(s.channel, &disposition{role: roleReceiver, first: id, last: some(id), settled: settled, state: st})
}

// onTransfer counts a transfer frame against the window and gives it to its link.
func (s *session) onTransfer(t *transfer, payload []byte) {
	if s.incomingWindow == 0 {
		s.fail(newError(condWindow, "a transfer came beyond the incoming-window of %d", incomingWindow))
		return
	}
	s.nextIncomingID++
	s.incomingWindow--
	if s.incomingWindow == incomingWindow/2 {
		s.tellWindow = true
		s.mark()
	}
	l := s.handles.get(t.handle)
	if l == nil {
		s.fail(newError(condUnattached, "handle %d has no link: send attach first", t.handle))
		return
	}
	if b := l.base(); b.status == detaching {
		if b.discarded++; b.discarded > errantTransfersLimit {
			s.fail(newError(condErrantLink, "transfers keep coming on link %q, which was detached", clip(b.name)))
		}
		return
	}
	l.transfer(t, payload)
}

// onFlow takes the peer's view of the session's windows and of one link's credit (2.5.6, 2.6.7).
func (s *session) onFlow(f *flow) {
	next := f.nextIncomingID.or(s.firstOutgoingID)
	s.nextIncomingID, s.remoteWindow = f.nextOutgoingID, 0
	if left := int64(f.incomingWindow) - int64(s.nextOutgoingID-next); left > 0 {
		s.remoteWindow = uint32(left)
	}
	if f.handle.set {
		s.onLinkFlow(f)
	} else if f.echo {
		s.conn.send(s.channel, s.state())
	}
	s.unpark() // after the link took its credit, which may be less
}

func (s *session) onLinkFlow(f *flow) {
	l := s.handles.get(f.handle.value)
	if l == nil {
		s.fail(newError(condUnattached, "handle %d has no link: send attach first", f.handle.value))
		return
	}
	if l.base().status != detaching {
		l.flow(f)
	}
}

// fail ends the session with an error (2.5.4). What the peer still sends on it is forgotten until its own end.
func (s *session) fail(e *wireError) {
	if s.ended {
		return
	}
	s.flushAcks()
	s.close()
	s.conn.send(s.channel, &ending{err: e})
}

// close lets go of all links.
func (s *session) close() {
	s.ended = true
	s.handles.each(func(l endpoint) {
		s.conn.attached--
		s.conn.forget(l)
		l.close(false)
	})
	s.handles = handleTable{}
	s.unsettled = unsettled{}
	s.conn.parkedBytes -= s.parked.bytes()
	s.parked = parkedQueue{}
}

// onDisposition takes outcomes from the peer as a receiver. As a sender it can only settle what we answered (2.6.12,
// receiver settles second), of which we keep no record.
func (s *session) onDisposition(d *disposition) {
	if !d.role {
		return
	}
	st := d.state
	if st.is == kindTxState && !s.conn.inTransaction(st.txn) {
		s.fail(newError(condTxUnknown, "no such transaction is open"))
		return
	}
	final := st.final()
	if !d.settled && (final == kindNone || final == kindReceived) {
		return // still under way there
	}
	s.settle(d.first, d.last.or(d.first), d.settled, &st)
}

// settle gives a range of outcomes to the core, one op for each run of deliveries of one link.
func (s *session) settle(first, last uint32, settled bool, st *state) {
	c := s.conn
	run := core.Op{Kind: core.OpSettle, Tx: c.txOf(st)}
	var lo, hi uint32
	var link *sender
	from, found := len(c.tags), false
	end := func() {
		if link == nil {
			return
		}
		if run.Tx != 0 {
			c.txs[run.Tx].take(link, c.tags[from:])
		}
		run.Sub, run.Outcome, run.Tags = link.sub, link.outcomeOf(st), c.tags[from:len(c.tags):len(c.tags)]
		c.out.Do(run)
		from = len(c.tags)
	}
	s.unsettled.take(first, last, func(id uint32, d sentDelivery) {
		if d.link != link {
			end()
			link = d.link
		}
		if !found {
			lo, found = id, true
		}
		hi = id
		c.tags = append(c.tags, d.tag)
	})
	if !found {
		return
	}
	if !settled { // the receiver waits for us to settle: once the core has done it
		run.Ticket = c.pend(pending{kind: pendSettle, session: s, first: lo, last: hi, outcome: st.final(), tx: run.Tx})
	}
	end()
	if s.starved {
		s.feed()
	}
}

// settled tells a receiver that left the last word to us.
func (s *session) settled(p *pending, err error) {
	if s.ended {
		return
	}
	st := state{is: p.outcome}
	if err != nil {
		st = state{is: kindRejected, err: wireErrorOf(err)}
	}
	if p.tx != 0 {
		st.outcome, st.is, st.txn = st.is, kindTxState, txBytes(p.tx)
	}
	s.conn.send(s.channel, &disposition{role: roleSender, first: p.first, last: some(p.last), settled: true, state: st})
}

// feed grants room to the links that were refused some.
func (s *session) feed() {
	s.starved = false
	s.handles.each(func(l endpoint) {
		if k, ok := l.(*sender); ok {
			k.grant()
		}
	})
}

package stomp

import (
	"errors"
	"time"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// phase is how far a connection has come. It only grows.
type phase uint8

const (
	phaseNew        phase = iota // CONNECT is awaited
	phaseConnecting              // the core has not answered OpConnect
	phaseOpen                    // CONNECTED is out
	phaseLeaving                 // DISCONNECT came
	phaseClosed                  // we said, or were told, goodbye
)

// session is a STOMP connection's state machine, peer.Machine[Frame].
type session struct {
	options Options
	dialect *dialect

	// For the length of one call from the rim.
	out *peer.Out[Frame]
	now time.Time

	phase    phase
	clientID string
	lastIn   time.Time
	lastOut  time.Time
	expects  time.Duration // something comes in at least this often; 0 never mind
	promises time.Duration // something goes out at least this often; 0 never mind

	pending  waiting                  // ops that the core has not answered
	subs     map[string]*subscription // by id
	slots    []*subscription          // by the low bits of SubID
	lastSub  core.SubID
	thirsty  []*subscription // whose credit is to be looked at before the next write
	txs      map[string]*transaction
	lastTx   core.TxID
	temps    map[core.Destination]struct{} // that this connection declared
	targets  map[string]core.Destination   // what SEND names
	lastName string                        // what it named last, and where that leads
	lastDest core.Destination
	seq      uint64 // of deliveries
	given    uint64 // message-ids
	id       []byte // the last of them, reused

	acked   []core.Tag // accepted by the client; the core has not been told yet
	ackedOf *subscription
	tags    []core.Tag // memory for acked, empty
}

// pending is what an op's completion is for.
type pending struct {
	kind    pendingKind
	receipt []byte // nil: none was asked for
	sub     *subscription
}

type pendingKind uint8

const (
	pendOther pendingKind = iota
	pendConnect
	pendSubscribe
	pendForget // the first half of it: only an error is told
	pendLeave
)

// waiting is a queue of pendings, oldest first.
type waiting struct {
	list     []pending
	head     int
	answered core.Ticket // tickets up to here are: they count up
}

func (w *waiting) len() int { return len(w.list) - w.head }

// push returns the ticket of what is now the newest.
func (w *waiting) push(p pending) core.Ticket {
	if w.head > 0 && len(w.list) == cap(w.list) {
		n := copy(w.list, w.list[w.head:])
		clear(w.list[n:])
		w.list, w.head = w.list[:n], 0
	}
	w.list = append(w.list, p)
	return w.answered + core.Ticket(w.len())
}

func (w *waiting) pop() pending {
	p := w.list[w.head]
	w.list[w.head] = pending{}
	w.head++
	w.answered++
	return p
}

// pend remembers what the ticket that it returns is for.
func (s *session) pend(p pending) core.Ticket {
	if s.pending.len() >= maxPending {
		s.fail(errOverwhelmed, nil)
		return 0
	}
	return s.pending.push(p)
}

// Done answers an op.
func (s *session) Done(c *core.Completion, now time.Time, out *peer.Out[Frame]) {
	s.enter(now, out)
	p := s.pending.pop()
	if s.phase == phaseClosed {
		return
	}
	if c.Err != nil {
		s.refused(&p, c.Err)
		return
	}
	switch p.kind {
	case pendConnect:
		s.connected()
	case pendSubscribe:
		p.sub.confirmed = true
		s.thirst(p.sub)
	case pendForget:
		return
	}
	s.receipt(p.receipt)
	if p.kind == pendLeave {
		s.phase = phaseClosed
		s.out.Close = peer.ErrGoodbye
	}
}

// refused ends the connection over what the core refused: STOMP has no other way to say no (1.2, "ERROR"). A repeat is
// done already.
func (s *session) refused(p *pending, err error) {
	if errors.Is(err, core.ErrDuplicate) {
		s.receipt(p.receipt)
		return
	}
	s.fail(wireErrorOf(err), p.receipt)
}

func (s *session) receipt(id []byte) {
	if id != nil {
		s.send(Frame{command: cmdReceipt, receipt: id})
	}
}

// receiptOf copies what a frame asks to be told when it is done.
func receiptOf(f *Frame) []byte {
	if !f.has("receipt") {
		return nil
	}
	return append([]byte{}, f.get("receipt")...)
}

// enter begins a call from the rim.
func (s *session) enter(now time.Time, out *peer.Out[Frame]) {
	s.now, s.out = now, out
	if len(s.acked) == 0 {
		s.acked = s.tags
	}
}

func (s *session) send(f Frame) {
	s.lastOut = s.now
	s.out.Send(f)
}

// fail says ERROR and closes (1.2, "ERROR").
func (s *session) fail(e *wireError, receipt []byte) { s.failWith(e, receipt, e) }

func (s *session) failWith(e *wireError, receipt []byte, why error) {
	if s.phase == phaseClosed {
		return
	}
	s.settleAcked()
	s.phase = phaseClosed
	s.send(e.frame(receipt))
	s.out.Close = why
}

// Malformed answers bytes that are no frame.
func (s *session) Malformed(err error, now time.Time, out *peer.Out[Frame]) {
	s.enter(now, out)
	s.failWith(wireErrorOf(err), nil, err)
}

// Evict passes on why the broker ends the connection.
func (s *session) Evict(err error, now time.Time, out *peer.Out[Frame]) {
	s.enter(now, out)
	s.failWith(wireErrorOf(err), nil, err)
}

// Receive takes a frame.
func (s *session) Receive(f Frame, now time.Time, out *peer.Out[Frame]) {
	s.enter(now, out)
	s.lastIn, s.dialect.arrived = now, false
	if s.phase >= phaseLeaving || f.command == cmdBeat {
		return
	}
	if f.command != cmdAck {
		s.settleAcked() // in the order in which they came
	}
	first := f.command == cmdConnect || f.command == cmdStomp
	var e *wireError
	switch {
	case first && s.phase == phaseNew:
		e = s.connect(&f)
	case first:
		e = errConnected
	case s.phase == phaseNew:
		e = errNotConnected
	default:
		e = s.request(&f)
	}
	if e != nil {
		s.fail(e, receiptOf(&f))
	}
}

func (s *session) request(f *Frame) *wireError {
	switch f.command {
	case cmdSend:
		return s.publish(f)
	case cmdAck:
		return s.acknowledge(f, core.Accepted)
	case cmdNack:
		return s.acknowledge(f, core.Rejected)
	case cmdSubscribe:
		return s.subscribe(f)
	case cmdUnsubscribe:
		return s.unsubscribe(f)
	case cmdBegin:
		return s.begin(f)
	case cmdCommit:
		return s.endTx(f, core.OpCommit)
	case cmdAbort:
		return s.endTx(f, core.OpRollback)
	}
	return s.disconnect(f)
}

// disconnect leaves once all before it is done, which the receipt says (1.2, "DISCONNECT"). Subscriptions end first: what
// is handed over after the receipt would be accepted in mode auto, and never read.
func (s *session) disconnect(f *Frame) *wireError {
	s.phase = phaseLeaving
	for _, sub := range s.slots {
		if sub != nil {
			s.out.Do(core.Op{Kind: core.OpUnsubscribe, Sub: sub.sub})
		}
	}
	s.out.Do(core.Op{Kind: core.OpDisconnect, ExpiryS: core.ExpiryKeep})
	s.out.Do(core.Op{Kind: core.OpBarrier, Ticket: s.pend(pending{kind: pendLeave, receipt: receiptOf(f)})})
	return nil
}

// Flush tells the core of what was acknowledged since, and asks it for more.
func (s *session) Flush(now time.Time, out *peer.Out[Frame]) {
	s.enter(now, out)
	if s.phase != phaseOpen {
		return
	}
	s.settleAcked()
	for i, sub := range s.thirsty {
		sub.thirsty = false
		s.credit(sub)
		s.thirsty[i] = nil
	}
	s.thirsty = s.thirsty[:0]
}

// Tick keeps the heart-beats that were agreed on (1.2, "Heart-beating"). Twice the time is what a peer has: the network
// may hold a beat back.
func (s *session) Tick(now time.Time, out *peer.Out[Frame]) {
	s.enter(now, out)
	if s.phase != phaseOpen {
		return
	}
	if out.Deaf || s.dialect.arrived {
		s.lastIn, s.dialect.arrived = now, false
	}
	if s.expects > 0 && now.Sub(s.lastIn) >= 2*s.expects {
		s.fail(errSilent, nil)
		return
	}
	if s.promises > 0 && now.Sub(s.lastOut) >= s.beatAfter() {
		s.send(Frame{command: cmdBeat})
	}
	s.wake()
}

// wake asks for the next Tick.
func (s *session) wake() {
	var at time.Time
	if s.expects > 0 {
		at = s.lastIn.Add(2 * s.expects)
	}
	if s.promises > 0 {
		if beat := s.lastOut.Add(s.beatAfter()); at.IsZero() || beat.Before(at) {
			at = beat
		}
	}
	if !at.IsZero() {
		s.out.Wake = at
	}
}

// beatAfter leaves a quarter of what was promised to the timer and the network.
func (s *session) beatAfter() time.Duration { return s.promises * 3 / 4 }

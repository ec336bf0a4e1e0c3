package amqp

import (
	"time"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// phase is how far a connection has come (2.4.6, and SASL's part in it, 5.3.2). It only grows.
type phase uint8

const (
	phaseHeader phase = iota // nothing came yet
	phaseSASL                // our mechanisms are out: sasl-init is awaited
	phaseProved              // sasl-init came: the AMQP header is awaited
	phaseOpen                // the AMQP headers are exchanged: open is awaited
	phaseOpened              // open came
	phaseClosed              // we said, or were told, goodbye
)

// connection is an AMQP connection's state machine, peer.Machine[Frame].
type connection struct {
	options   Options
	limits    *limits
	handshake time.Duration

	// For the length of one call from the rim.
	out   *peer.Out[Frame]
	now   time.Time
	nowMs int64

	phase    phase
	authed   bool // SASL asked who it is
	sole     bool // the peer asked to be the container's only connection
	openSent bool
	clientID string
	sessions []*session
	attached int // handles in use, in all sessions
	partial  int // bytes of messages that are not whole yet, in all sessions
	// partialHeld is the memory that partial takes.
	partialHeld int
	parkedBytes int       // of messages that wait for the peer's windows, in all sessions
	subs        []*sender // by the low bits of their SubID
	subsFree    []int
	serial      uint64
	links       map[linkName]endpoint
	pending     pendingRing
	answered    pending // while Done answers it
	txs         map[core.TxID]*transaction
	txLast      core.TxID

	// While the core has not answered an OpConnect, what we say later waits behind the answer.
	waitAuth bool
	waitOpen bool
	held     []Frame
	heldAuth int // of held, those that wait for the outcome alone

	began, lastIn, lastOut time.Time
	peerIdle               time.Duration // we must not be silent for longer; 0 for ever
	peerChannelMax         uint16

	dirty    []*session // have something to say at the end of the batch
	withheld []*receiver
	stalled  []*session // have more to send than one call should put out
	budget   int        // bytes that this call may still put out of what may wait
	tags     []core.Tag // OpSettle.Tags of this call
}

// linkName is a link's name within its direction: what identifies it between two containers (2.6.1).
type linkName struct {
	name string
	role bool // ours
}

// enter and leave are around every call from the rim.
func (c *connection) enter(now time.Time, out *peer.Out[Frame]) int {
	c.out, c.now, c.nowMs = out, now, now.UnixMilli()
	c.tags, c.budget = c.tags[:0], callBytes
	return len(out.Frames)
}

func (c *connection) leave(frames int) {
	if len(c.out.Frames) > frames {
		c.lastOut = c.now
	}
	c.out = nil
}

// Receive takes a frame that came in.
func (c *connection) Receive(f Frame, now time.Time, out *peer.Out[Frame]) {
	defer c.leave(c.enter(now, out))
	c.lastIn = now
	if c.phase == phaseClosed {
		return
	}
	switch f.kind {
	case frameHeader:
		c.onHeader(f.header)
	case frameSASL:
		c.onSASL(f.body)
	default:
		c.onFrame(&f)
	}
}

// HeldBytes is the memory of deliveries that are not whole yet, and of those that wait for the peer's windows.
func (c *connection) HeldBytes() (in, out int) { return c.partialHeld, c.parkedBytes }

// onFrame takes an AMQP frame.
func (c *connection) onFrame(f *Frame) {
	if f.body == nil && c.phase >= phaseOpen {
		return // "still here" (2.4.5)
	}
	if c.phase == phaseOpened {
		c.onPerformative(f)
		return
	}
	if o, ok := f.body.(*open); ok && c.phase == phaseOpen {
		c.onOpen(o)
		return
	}
	c.fail(newError(condIllegalState, "an AMQP frame came before it was its turn"))
}

func (c *connection) onPerformative(f *Frame) {
	switch p := f.body.(type) {
	case *transfer:
		if s := c.session(f.channel); s != nil {
			s.onTransfer(p, f.payload)
		}
	case *disposition:
		if s := c.session(f.channel); s != nil {
			s.onDisposition(p)
		}
	case *flow:
		if s := c.session(f.channel); s != nil {
			s.onFlow(p)
		}
	case *attach:
		if s := c.session(f.channel); s != nil {
			s.onAttach(p)
		}
	case *detach:
		if s := c.session(f.channel); s != nil {
			s.onDetach(p)
		}
	case *beginning:
		c.onBegin(f.channel, p)
	case *ending:
		c.onEnd(f.channel)
	case *closing:
		c.onClose()
	default: // a second open
		c.fail(newError(condIllegalState, "the connection is open already"))
	}
}

// session returns the session of a channel, or nil: then the frame is to be forgotten, because we ended the session,
// or the connection has ended because there is none.
func (c *connection) session(channel uint16) *session {
	if int(channel) < len(c.sessions) {
		if s := c.sessions[channel]; s != nil {
			if s.ended {
				return nil
			}
			return s
		}
	}
	c.fail(newError(condNotAllowed, "channel %d has no session: send begin first", channel))
	return nil
}

// onBegin maps a session (2.5.1). Ours answers on the channel of the same number.
func (c *connection) onBegin(channel uint16, b *beginning) {
	if channel >= maxChannels {
		c.fail(newError(condFraming, "channel %d is above channel-max %d", channel, maxChannels-1))
		return
	}
	if b.remoteChannel.set || channel > c.peerChannelMax {
		c.fail(newError(condNotAllowed, "channel %d: a session begins with no remote-channel, and on a channel that its peer can hear too", channel))
		return
	}
	for int(channel) >= len(c.sessions) {
		c.sessions = append(c.sessions, nil)
	}
	if c.sessions[channel] != nil {
		c.fail(newError(condNotAllowed, "channel %d has a session already", channel))
		return
	}
	s := newSession(c, channel, b)
	c.sessions[channel] = s
	c.send(channel, &beginning{remoteChannel: some(uint32(channel)), incomingWindow: s.incomingWindow,
		outgoingWindow: outgoingWindow, handleMax: maxHandle})
}

// onEnd unmaps a session. What came of our own end needs no answer.
func (c *connection) onEnd(channel uint16) {
	if int(channel) >= len(c.sessions) || c.sessions[channel] == nil {
		c.fail(newError(condNotAllowed, "channel %d has no session to end", channel))
		return
	}
	s := c.sessions[channel]
	if !s.ended {
		s.flush()
		s.close()
		c.send(channel, &ending{})
	}
	c.sessions[channel] = nil
}

func (c *connection) onClose() {
	c.flush()
	c.send(0, &closing{})
	c.out.Do(core.Op{Kind: core.OpDisconnect, ExpiryS: core.ExpiryKeep})
	c.finish(peer.ErrGoodbye)
}

// Malformed is told what the codec could not read.
func (c *connection) Malformed(err error, now time.Time, out *peer.Out[Frame]) {
	defer c.leave(c.enter(now, out))
	c.fail(wireErrorOf(err))
}

// Evict ends the connection because the broker wants so.
func (c *connection) Evict(err error, now time.Time, out *peer.Out[Frame]) {
	defer c.leave(c.enter(now, out))
	c.failWith(wireErrorOf(err), err)
}

// Done answers an op.
func (c *connection) Done(done *core.Completion, now time.Time, out *peer.Out[Frame]) {
	defer c.leave(c.enter(now, out))
	var ok bool
	if c.answered, ok = c.pending.take(done.Ticket); !ok || c.phase == phaseClosed {
		return
	}
	switch p := &c.answered; p.kind {
	case pendAuth:
		c.proved(done.Err)
	case pendOpen:
		c.opened(done.Err)
	case pendSettle:
		p.session.settled(p, done.Err)
	default:
		p.link.done(p, done)
	}
}

// Deliver hands over a message.
func (c *connection) Deliver(d *core.Delivery, now time.Time, out *peer.Out[Frame]) {
	defer c.leave(c.enter(now, out))
	slot := int(d.Sub & subSlots)
	if c.phase == phaseClosed || slot >= len(c.subs) || c.subs[slot] == nil || c.subs[slot].sub != d.Sub {
		return // its link is gone; the broker takes back what an ended subscription holds
	}
	if d.Drained {
		c.subs[slot].drained(d.Used)
		return
	}
	c.subs[slot].deliver(d)
}

// Flush says what a batch of calls gathered: acceptances in ranges, credit.
func (c *connection) Flush(now time.Time, out *peer.Out[Frame]) {
	if len(c.dirty) == 0 && len(c.stalled) == 0 {
		return
	}
	defer c.leave(c.enter(now, out))
	stalled := c.stalled
	c.stalled = nil
	for _, s := range stalled {
		s.stalled = false
		s.unpark()
	}
	c.flush()
	out.More = len(c.stalled) > 0
}

func (c *connection) flush() {
	for i := 0; i < len(c.dirty); i++ { // a flush may end the connection, or mark another session
		c.dirty[i].flush()
	}
	clear(c.dirty)
	c.dirty = c.dirty[:0]
}

// send writes a performative.
func (c *connection) send(channel uint16, p performative) {
	c.emit(Frame{channel: channel, body: p})
}

// emit writes a frame, behind those that wait for the core.
func (c *connection) emit(f Frame) {
	if c.phase == phaseClosed {
		return
	}
	if !c.waitAuth && !c.waitOpen {
		c.out.Frames = append(c.out.Frames, f)
		return
	}
	if len(c.held) >= maxHeldFrames {
		c.fail(newError(condLimit, "too many frames before open was answered"))
		return
	}
	c.held = append(c.held, f)
}

// pend names an op's completion.
func (c *connection) pend(p pending) core.Ticket { return c.pending.put(p) }

// fail ends the connection with an error of the peer's making.
func (c *connection) fail(e *wireError) { c.failWith(e, e) }

// failWith says goodbye as far as the conversation has come: a protocol header that we do speak, or open and close.
func (c *connection) failWith(e *wireError, why error) {
	if c.phase == phaseClosed {
		return
	}
	proving := c.waitAuth
	c.held, c.waitAuth, c.waitOpen = nil, false, false
	switch {
	case c.phase == phaseHeader:
		c.emit(Frame{kind: frameHeader, header: headerSASL})
	case c.phase == phaseSASL || proving: // an outcome is the only word that SASL has for it (5.3.3.6)
		c.emit(Frame{kind: frameSASL, body: &outcome{code: saslCode(why)}})
	case c.phase >= phaseOpen:
		if c.openSent {
			c.flush()
		} else {
			c.sendOpen(c.ourOpen())
		}
		c.send(0, &closing{err: e})
	}
	c.finish(why)
}

func (c *connection) finish(why error) {
	c.phase = phaseClosed
	c.out.Close = why
	c.sessions, c.links, c.held, c.withheld, c.dirty, c.stalled = nil, nil, nil, nil, nil, nil
}

package amqp

import (
	"bytes"
	"slices"
	"time"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

var (
	headerAMQP = [4]byte{protoAMQP, 1, 0, 0}
	headerSASL = [4]byte{protoSASL, 1, 0, 0}
)

const (
	mechanismAnonymous symbol = "ANONYMOUS"
	mechanismPlain     symbol = "PLAIN"

	capAnonymousRelay symbol = "ANONYMOUS-RELAY"
	capSole           symbol = "sole-connection-for-container"
	capDelayed        symbol = "DELAYED_DELIVERY"
)

// onHeader answers a protocol header (2.2): with ours and goodbye when it is one that we do not speak.
func (c *connection) onHeader(h [4]byte) {
	switch {
	case h == headerSASL && c.phase == phaseHeader:
		c.out.Wake = c.began.Add(c.handshake)
		c.emit(Frame{kind: frameHeader, header: headerSASL})
		c.emit(Frame{kind: frameSASL, body: &mechanisms{names: []symbol{mechanismPlain, mechanismAnonymous}}})
		c.phase = phaseSASL
	case h == headerAMQP && (c.phase == phaseHeader || c.phase == phaseProved):
		if c.phase == phaseHeader {
			c.out.Wake = c.began.Add(c.handshake)
		}
		c.emit(Frame{kind: frameHeader, header: headerAMQP})
		c.phase = phaseOpen
	case c.phase == phaseHeader:
		c.fail(newError(condFraming, "protocol %d version %d.%d.%d is not spoken here: AMQP 1.0.0 is", h[0], h[1], h[2], h[3]))
	default:
		c.fail(newError(condFraming, "a protocol header came when none was due"))
	}
}

// onSASL takes sasl-init (5.3.3.2); neither of our mechanisms has challenges.
func (c *connection) onSASL(p performative) {
	init, ok := p.(*saslInit)
	if !ok || c.phase != phaseSASL {
		c.fail(newError(condFraming, "a SASL frame came when none was due"))
		return
	}
	r := &core.ConnectRequest{Protocol: "amqp"}
	switch init.mechanism {
	case mechanismAnonymous:
	case mechanismPlain:
		if !plain(init.response, r) {
			c.refuse(newError(condUnauthorized, "the PLAIN response is malformed"))
			return
		}
	default:
		c.refuse(newError(condUnauthorized, "SASL mechanism %q is not offered", clip(string(init.mechanism))))
		return
	}
	c.phase, c.waitAuth, c.authed = phaseProved, true, true
	c.out.Do(core.Op{Kind: core.OpConnect, Connect: r, Ticket: c.pend(pending{kind: pendAuth})})
}

// plain reads RFC 4616's message: authorization id, NUL, user, NUL, password.
func plain(b []byte, r *core.ConnectRequest) bool {
	parts := bytes.Split(b, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[0]) > 0 && !bytes.Equal(parts[0], parts[1]) {
		return false // nobody may act as somebody else
	}
	r.User, r.Password, r.HasLogin = string(parts[1]), clone(parts[2]), true
	return true
}

// refuse ends a SASL dialogue that failed (5.3.3.6).
func (c *connection) refuse(why error) {
	c.waitAuth, c.waitOpen, c.held = false, false, nil
	c.emit(Frame{kind: frameSASL, body: &outcome{code: saslCode(why)}})
	c.finish(why)
}

func saslCode(err error) uint8 {
	if w, ok := err.(*wireError); ok && w.condition == condUnauthorized {
		return saslAuthFailed
	}
	switch codeOf(err) {
	case core.CodeUnauthorized, core.CodeForbidden:
		return saslAuthFailed
	case core.CodeFull, core.CodeShutdown:
		return saslSysTemp
	}
	return saslSys
}

// proved is told what the core thinks of the credentials.
func (c *connection) proved(err error) {
	if err != nil {
		c.refuse(err)
		return
	}
	c.waitAuth = false
	c.out.Send(Frame{kind: frameSASL, body: &outcome{code: saslOK}})
	c.release(c.heldAuth)
}

// release sends what waited for the outcome: all of it, unless a later part waits for open's answer too.
func (c *connection) release(n int) {
	if !c.waitOpen {
		n = len(c.held)
	}
	c.out.Frames = append(c.out.Frames, c.held[:n]...)
	c.held = c.held[n:]
}

// onOpen takes the peer's open (2.7.1) and asks the core for its container-id. Ours follows when the core has answered.
func (c *connection) onOpen(o *open) {
	c.phase = phaseOpened
	if o.maxFrame < minMaxFrame {
		c.fail(newError(condInvalidField, "max-frame-size %d is below the 512 bytes that everybody must take", o.maxFrame))
		return
	}
	if idle := time.Duration(o.idleTimeoutMs) * time.Millisecond; idle > 0 && idle < minPeerIdle {
		c.fail(newError(condNotAllowed, "idle-time-out %v is shorter than the %v that this broker can keep", idle, minPeerIdle))
		return
	} else {
		c.peerIdle = idle
	}
	c.limits.peerFrame, c.peerChannelMax = o.maxFrame, o.channelMax
	c.clientID, c.sole = o.containerID, slices.Contains(o.desired, capSole)
	r := &core.ConnectRequest{Protocol: "amqp", ClientID: o.containerID, Exclusive: c.sole, Proved: c.authed}
	c.heldAuth, c.waitOpen = len(c.held), true
	c.out.Do(core.Op{Kind: core.OpConnect, Connect: r, Ticket: c.pend(pending{kind: pendOpen})})
	c.wake()
}

// opened is told whether the peer may have its container-id. A refusal is an open that says so, and a close, which is
// what JMS clients look for to tell that the id is taken.
func (c *connection) opened(err error) {
	c.waitOpen = false
	held := c.held
	c.held = nil
	answer := c.ourOpen()
	if err == nil {
		c.sendOpen(answer)
		c.out.Frames = append(c.out.Frames, held...)
		return
	}
	e := wireErrorOf(err)
	if codeOf(err) == core.CodeInUse {
		e = newError(condInvalidField, "%s", err.Error())
		e.info = pairs{{symbol("invalid-field"), symbol("container-id")}}
	}
	answer.properties = append(answer.properties, pair{symbol("amqp:connection-establishment-failed"), true})
	c.sendOpen(answer)
	c.send(0, &closing{err: e})
	c.finish(err)
}

func (c *connection) sendOpen(o *open) {
	c.openSent = true
	c.send(0, o)
}

// ourOpen is our half of open. The prefixes tell JMS clients how to spell and to strip destinations' kinds.
func (c *connection) ourOpen() *open {
	o := &open{containerID: c.options.ContainerID, maxFrame: c.limits.ownFrame, channelMax: maxChannels - 1,
		offered: []symbol{capAnonymousRelay, capDelayed}, properties: pairs{
			{symbol("product"), productName}, {symbol("version"), c.options.Version}, {symbol("platform"), "Go"},
			{symbol("queue-prefix"), "queue://"}, {symbol("topic-prefix"), "topic://"},
		}}
	if c.sole {
		o.offered = append(o.offered, capSole)
	}
	if c.options.IdleTimeout > 0 {
		o.idleTimeoutMs = uint32(c.options.IdleTimeout / time.Millisecond)
	}
	return o
}

// Tick keeps the connection alive and gives up a silent peer (2.4.5).
func (c *connection) Tick(now time.Time, out *peer.Out[Frame]) {
	defer c.leave(c.enter(now, out))
	if c.phase == phaseClosed {
		return
	}
	if c.phase < phaseOpened {
		if now.Before(c.began.Add(c.handshake)) {
			c.out.Wake = c.began.Add(c.handshake)
			return
		}
		c.fail(newError(condLimit, "no open within %v", c.handshake))
		return
	}
	if out.Deaf {
		c.lastIn = now
	}
	if idle := c.options.IdleTimeout; idle > 0 && now.Sub(c.lastIn) >= 2*idle {
		c.fail(newError(condLimit, "nothing heard for %v, twice the idle-time-out", 2*idle))
		return
	}
	if c.peerIdle > 0 && now.Sub(c.lastOut) >= c.peerIdle/2 && !c.waitAuth && !c.waitOpen {
		c.emit(Frame{})
		c.lastOut = now
	}
	c.giveBack()
	c.wake()
}

// wake asks for the next Tick.
func (c *connection) wake() {
	var at time.Time
	if idle := c.options.IdleTimeout; idle > 0 {
		at = c.lastIn.Add(2 * idle)
	}
	if c.peerIdle > 0 {
		at = earlier(at, c.lastOut.Add(c.peerIdle/2))
	}
	if len(c.withheld) > 0 {
		at = earlier(at, c.now.Add(withholdTime))
	}
	if !at.IsZero() && !at.After(c.now) { // what is overdue now waits for the core's answer to open
		at = c.now.Add(minPeerIdle / 2)
	}
	c.out.Wake = at
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// giveBack grants the credit that was withheld because the broker was full.
func (c *connection) giveBack() {
	withheld := c.withheld
	c.withheld = nil
	for _, r := range withheld {
		r.withheld = false
		r.replenish()
	}
	c.flush()
}

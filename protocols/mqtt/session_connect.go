package mqtt

import (
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// expiryForever is MQTT 5's session expiry interval for never (3.1.2.11.2).
const expiryForever = 1<<32 - 1

// sessionExpiry is a session expiry interval in the core's words.
func sessionExpiry(s uint32) int64 {
	if s == expiryForever {
		return core.ExpiryNever
	}
	return int64(s)
}

// onConnect takes the client's CONNECT (3.1) and asks the core for its session.
func (s *session) onConnect(p *Packet) {
	w := p.whole
	if s.phase != phaseNew {
		s.fail(errSecondConnect)
		return
	}
	r := &core.ConnectRequest{Protocol: "mqtt", ClientID: w.Connect.ClientIdentifier, User: string(w.Connect.Username),
		Password: w.Connect.Password, HasLogin: w.Connect.UsernameFlag || w.Connect.PasswordFlag, Exclusive: true, TakeOver: true,
		Inbox: &core.InboxRequest{Clean: w.Connect.Clean}}
	s.clientID = r.ClientID
	if s.wire.version == level5 {
		s.readConnect(&w.Properties)
		if w.Properties.AuthenticationMethod != "" {
			s.fail(&wireError{codeAuthMethod, "extended authentication is not spoken here: use user name and password"})
			return
		}
	} else {
		if r.ClientID == "" && !w.Connect.Clean {
			s.fail(&wireError{codeClientID, "a session that is kept needs a client id"}) // MQTT 3.1.1 [MQTT-3.1.3-8]
			return
		}
		s.window = s.options.InFlight
		if !w.Connect.Clean {
			s.expiryS = core.ExpiryNever
		}
	}
	r.Inbox.ExpiryS = s.expiryS
	if w.Connect.WillFlag {
		will, err := s.will(p)
		if err != nil {
			s.fail(err)
			return
		}
		r.Will = will
	}
	s.setKeepAlive(time.Duration(w.Connect.Keepalive) * time.Second)
	s.phase = phaseConnecting
	s.out.Do(core.Op{Kind: core.OpConnect, Connect: r, Ticket: ticketConnect})
}

// readConnect takes what an MQTT 5 client says of itself (3.1.2.11).
func (s *session) readConnect(props *packets.Properties) {
	s.expiryS = sessionExpiry(props.SessionExpiryInterval)
	s.window = s.options.InFlight
	if n := int(props.ReceiveMaximum); n > 0 {
		s.window = min(s.window, n)
	}
	s.wire.peerBytes = int(props.MaximumPacketSize)
	s.wire.quiet = props.RequestProblemInfoFlag && props.RequestProblemInfo == 0
	s.response = props.RequestResponseInfo == 1
}

// will makes the message that the core publishes when the client is gone (3.1.2.5).
func (s *session) will(p *Packet) (*core.Will, *wireError) {
	c, props := &p.whole.Connect, &p.whole.Connect.WillProperties
	dest, err := destinationOf(c.WillTopic)
	if err != nil || isSystem(dest) {
		return nil, errWillTopic
	}
	if props.PayloadFormat == 1 && !validText(c.WillPayload) {
		return nil, &wireError{codePayloadFormat, "the will says that it is text, and is not"}
	}
	h := core.Header{To: dest, Durable: c.WillQos > 0, QoS: c.WillQos, Retain: c.WillRetain, Priority: core.DefaultPriority,
		TimestampMs: s.nowMs, Publisher: s.clientID}
	readMarks(&h, p.props)
	m := &core.Message{Header: h, Format: Format, Bare: bareOf(p.props, c.WillPayload, true)}
	return &core.Will{Message: m, DelayS: int64(props.WillDelayInterval), LifeS: int64(props.MessageExpiryInterval)}, nil
}

// setKeepAlive allows a silence of one and a half times the keep-alive [MQTT-3.1.2-22].
func (s *session) setKeepAlive(asked time.Duration) {
	if most := s.options.ServerKeepAlive; most > 0 && s.wire.version == level5 && (asked == 0 || asked > most) {
		asked = most
	}
	s.keepAlive = asked * 3 / 2
	if s.keepAlive > 0 {
		s.out.Wake = s.now.Add(s.keepAlive)
	}
}

// Tick ends a connection that was silent for too long.
func (s *session) Tick(now time.Time, out *peer.Out[Packet]) {
	s.enter(now, out)
	if s.phase == phaseClosed || s.keepAlive == 0 {
		return
	}
	if out.Deaf {
		s.lastIn = now
	}
	due := s.lastIn.Add(s.keepAlive)
	if now.Before(due) {
		s.out.Wake = due
		return
	}
	s.fail(&wireError{codeKeepAlive, "nothing came for one and a half times the keep-alive"})
}

// connected is told what the core thinks of the CONNECT.
func (s *session) connected(done *core.Completion) {
	if done.Err != nil {
		e := wireErrorOf(done.Err)
		if e.code == codeTopicInvalid { // what is invalid about a CONNECT is its client id
			e = &wireError{codeClientID, e.text}
		}
		s.failWith(e, done.Err)
		return
	}
	w := &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connack}, ProtocolVersion: s.wire.version, SessionPresent: done.Present}
	if s.wire.version == level5 {
		s.describe(w, done.Dest.Name)
	}
	if done.Dest.Name != "" {
		s.clientID = done.Dest.Name
	}
	held := s.held
	s.phase, s.held = phaseOpen, nil
	s.out.Send(Packet{kind: kindConnack, whole: w})
	s.out.Frames = append(s.out.Frames, held...)
	s.grant()
}

// describe tells an MQTT 5 client what it may expect (3.2.2.3).
func (s *session) describe(w *packets.Packet, assigned string) {
	p := &w.Properties
	p.AssignedClientID = assigned
	p.ReceiveMaximum = uint16(s.options.ReceiveMaximum)
	p.TopicAliasMaximum = uint16(s.options.TopicAliasMaximum)
	if s.wire.ownBytes < largestPacketBytes {
		p.MaximumPacketSize = uint32(s.wire.ownBytes)
	}
	p.RetainAvailableFlag, p.RetainAvailable = true, 1
	p.WildcardSubAvailableFlag, p.WildcardSubAvailable = true, 1
	p.SubIDAvailableFlag, p.SubIDAvailable = true, 1
	p.SharedSubAvailableFlag, p.SharedSubAvailable = true, 0
	if most := s.options.ServerKeepAlive; most > 0 && s.keepAlive == most*3/2 {
		p.ServerKeepAliveFlag, p.ServerKeepAlive = true, uint16(min(most/time.Second, 65535))
	}
	if id := s.clientID + assigned; s.response && !strings.ContainsAny(id, "+#") {
		w.Mods.AllowResponseInfo = true
		p.ResponseInfo = "response/" + id
	}
}

// onDisconnect is the client's goodbye (3.14). Only one without a reason takes the will back [MQTT-3.14.4-3].
func (s *session) onDisconnect(w *packets.Packet) {
	op := core.Op{Kind: core.OpDisconnect, ExpiryS: core.ExpiryKeep, WithWill: reasonCode(w.ReasonCode) != codeSuccess}
	if w.Properties.SessionExpiryIntervalFlag {
		op.ExpiryS = sessionExpiry(w.Properties.SessionExpiryInterval)
		if s.expiryS == 0 && op.ExpiryS != 0 {
			s.fail(violation("a session that was to end with its connection cannot be kept after all")) // [MQTT-3.14.2-2]
			return
		}
	}
	s.settle()
	s.out.Do(op)
	s.finish(peer.ErrGoodbye)
}

package mqtt

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// phase is how far a connection has come. It only grows.
type phase uint8

const (
	phaseNew        phase = iota // CONNECT is awaited
	phaseConnecting              // the core has not answered OpConnect
	phaseOpen                    // CONNACK is out
	phaseClosed                  // we said, or were told, goodbye
)

// session is an MQTT connection's state machine, peer.Machine[Packet].
type session struct {
	options Options
	wire    *wire

	// For the length of one call from the rim.
	out   *peer.Out[Packet]
	now   time.Time
	nowMs int64

	phase      phase
	clientID   string
	expiryS    int64 // session expiry interval as CONNECT asked
	response   bool  // CONNECT asked for response information
	held       []Packet
	keepAlive  time.Duration // half as much again as the client's; 0 none
	lastIn     time.Time
	ownReceive int // QoS 1 and 2 messages of the client's that we have not answered

	topics  map[string]topic // names that messages came in with
	last    topic
	aliases []topic // by alias - 1

	sent      map[core.Destination][]byte // names that messages went out with, length first; nil: there is none
	lastTo    core.Destination
	lastSent  []byte
	inbox     flights // by packet id, 1 to inboxIDs
	shared    flights // inboxIDs + 1 to 65535
	nextID    uint16  // of shared
	window    int     // deliveries that may be unacknowledged
	inFlight  int     // that are
	parked    []core.Delivery
	taken     uint64 // deliveries that the core handed over
	limit     uint64 // that it may
	accepted  []core.Tag
	spare     []core.Tag
	got       []core.Tag // QoS 2: PUBREC came
	gotIDs    []uint16
	ended     []core.Tag // QoS 2: PUBCOMP came
	endedIDs  []uint16
	releasing fifo // packet ids whose PUBREL waits for the log
	ending    fifo // packet ids that are free when the log has their end

	requests []request // SUBSCRIBE and UNSUBSCRIBE that the core has not answered
	asked    int       // filters that they have
}

// topic is a name that messages come in with: where they go, or why they do not.
type topic struct {
	name   string
	dest   core.Destination
	refuse *wireError // of this message; the connection goes on
}

// Tickets say what a completion is for: a word in the high bits, a packet id in the low ones. Those of one word come
// back in the order in which they were given.
const (
	ticketConnect core.Ticket = (iota + 1) << 16
	ticketPublish1
	ticketPublish2
	ticketRelease
	ticketFilter
	ticketReceived
	ticketEnded
	ticketID = 1<<16 - 1
)

// enter is at the start of every call from the rim.
func (s *session) enter(now time.Time, out *peer.Out[Packet]) {
	s.out = out
	if !now.Equal(s.now) {
		s.now, s.nowMs = now, now.UnixMilli()
	}
}

// Receive takes a packet that came in.
func (s *session) Receive(p Packet, now time.Time, out *peer.Out[Packet]) {
	s.enter(now, out)
	s.lastIn = now
	if s.phase == phaseClosed {
		return
	}
	switch p.kind {
	case kindPublish:
		s.onPublish(&p)
	case kindPuback:
		s.onPuback(p.id)
	case kindPubrec:
		s.onPubrec(p.id, p.code)
	case kindPubrel:
		s.out.Do(core.Op{Kind: core.OpRelease, Inbound: p.id, Ticket: ticketRelease | core.Ticket(p.id)})
	case kindPubcomp:
		s.onPubcomp(p.id)
	case kindPingreq:
		s.send(Packet{kind: kindPingresp}) // [MQTT-3.12.4-1]
	case kindSubscribe:
		s.onSubscribe(p.whole)
	case kindUnsubscribe:
		s.onUnsubscribe(p.whole)
	case kindConnect:
		s.onConnect(&p)
	case kindDisconnect:
		s.onDisconnect(p.whole)
	case kindAuth:
		s.fail(violation("AUTH came, but CONNECT named no authentication method"))
	}
}

// Malformed is told what the codec could not read.
func (s *session) Malformed(err error, now time.Time, out *peer.Out[Packet]) {
	s.enter(now, out)
	w := wireErrorOf(err)
	s.failWith(w, w)
}

// Evict ends the connection because the broker wants so.
func (s *session) Evict(err error, now time.Time, out *peer.Out[Packet]) {
	s.enter(now, out)
	s.failWith(wireErrorOf(err), err)
}

// Done answers an op.
func (s *session) Done(done *core.Completion, now time.Time, out *peer.Out[Packet]) {
	s.enter(now, out)
	if s.phase == phaseClosed {
		return
	}
	id := uint16(done.Ticket & ticketID)
	switch done.Ticket &^ ticketID {
	case ticketPublish1:
		s.published(kindPuback, id, done)
	case ticketPublish2:
		s.published(kindPubrec, id, done)
	case ticketRelease:
		s.released(id, done)
	case ticketReceived:
		s.received(id, done)
	case ticketEnded:
		s.endedAll(id)
	case ticketFilter:
		s.filtered(done)
	case ticketConnect:
		s.connected(done)
	}
}

// Flush says to the core what a batch of calls gathered: acknowledgements, and credit. Acks go first: they make room.
func (s *session) Flush(now time.Time, out *peer.Out[Packet]) {
	s.enter(now, out)
	if s.phase != phaseClosed {
		s.settle()
		s.grant()
	}
}

// send writes a packet, behind those that wait for the answer to CONNECT.
func (s *session) send(p Packet) {
	if s.phase != phaseConnecting {
		s.out.Frames = append(s.out.Frames, p)
		return
	}
	if len(s.held) >= maxHeld {
		s.fail(&wireError{codeQuota, "too many packets before CONNACK"})
		return
	}
	s.held = append(s.held, p)
}

// fail ends the connection with an error of the client's making.
func (s *session) fail(e *wireError) { s.failWith(e, e) }

// failWith says goodbye in the words of the client's version, as far as the conversation has come, and closes.
func (s *session) failWith(e *wireError, why error) {
	if s.phase == phaseClosed {
		return
	}
	s.held = nil
	switch {
	case s.phase != phaseOpen:
		s.refuse(e, why)
	case s.wire.version == level5:
		s.settle() // what was acknowledged stays so
		w := &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ProtocolVersion: level5, ReasonCode: byte(e.code)}
		w.Properties.ReasonString, w.Properties.ServerReference = clip(e.text), serverOf(why)
		w.Mods.MaxSize = uint32(s.wire.peerBytes)
		s.out.Send(Packet{kind: kindDisconnect, whole: w})
	default:
		s.settle()
	}
	s.finish(why)
}

// refuse answers a CONNECT with no. MQTT 3.1.1 closes without a word where it has none, and so do both before the
// version is known.
func (s *session) refuse(e *wireError, why error) {
	w := &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connack}, ProtocolVersion: s.wire.version}
	switch s.wire.version {
	case 0:
		return
	case level5:
		w.ReasonCode = byte(connackCode(e.code))
		w.Properties.ReasonString, w.Properties.ServerReference = clip(e.text), serverOf(why)
		w.Mods.MaxSize = uint32(s.wire.peerBytes)
	default:
		code, ok := returnCode(e.code)
		if !ok {
			return
		}
		w.ReasonCode = code
	}
	s.out.Send(Packet{kind: kindConnack, whole: w})
}

func (s *session) finish(why error) {
	s.phase = phaseClosed
	s.out.Close = why
	s.held, s.parked, s.requests, s.topics, s.sent, s.aliases = nil, nil, nil, nil, nil, nil
	s.inbox, s.shared = flights{}, flights{}
}

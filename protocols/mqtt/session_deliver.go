package mqtt

import (
	"encoding/binary"
	"time"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// Deliver hands over a message.
func (s *session) Deliver(d *core.Delivery, now time.Time, out *peer.Out[Packet]) {
	s.enter(now, out)
	if s.phase == phaseClosed || d.Drained {
		return
	}
	s.taken++
	switch {
	case d.QoS == 0:
		s.publish(d, 0)
	case d.Seq == 0:
		s.publish(d, s.freeID())
	case len(s.parked) > 0 || s.inbox.find(inboxID(d.Seq)) != nil:
		s.parked = append(s.parked, *d)
	default:
		s.publish(d, inboxID(d.Seq))
	}
}

// unpark sends what waited, as far as ids are free. A delivery waits when its packet id is still another's: one that the
// client has left unacknowledged while thousands after it went by. What comes behind waits too, so that the order stays.
func (s *session) unpark() {
	n := 0
	for ; n < len(s.parked); n++ {
		d := &s.parked[n]
		if s.inbox.find(inboxID(d.Seq)) != nil {
			break
		}
		s.publish(d, inboxID(d.Seq))
	}
	if n > 0 {
		rest := copy(s.parked, s.parked[n:])
		clear(s.parked[rest:])
		s.parked = s.parked[:rest]
	}
}

// freeID finds an id for a shared queue's delivery. There is one: fewer are in flight than there are ids.
func (s *session) freeID() uint16 {
	for {
		id := sharedIDs + s.nextID&(sharedIDs-1)
		s.nextID++
		if s.shared.find(id) == nil {
			return id
		}
	}
}

func (s *session) flightsOf(id uint16) *flights {
	if id >= sharedIDs {
		return &s.shared
	}
	return &s.inbox
}

// publish sends a delivery. What the client cannot take is settled as if it had been sent [MQTT-3.1.2-25].
func (s *session) publish(d *core.Delivery, id uint16) {
	e := flight{tag: d.Tag, id: id, stage: stageSent1}
	if d.Received { // PUBREC came in an earlier life of this session
		e.stage = stageReleased
		s.fly(e)
		s.send(Packet{kind: kindPubrel, id: id})
		return
	}
	p, ok := s.packet(d, id)
	if !ok {
		s.accepted = append(s.accepted, d.Tag)
		return
	}
	switch d.QoS {
	case 0:
		s.accepted = append(s.accepted, d.Tag)
	case 1:
		s.fly(e)
	default:
		e.stage = stageSent2
		s.fly(e)
	}
	s.send(p)
}

func (s *session) fly(e flight) {
	s.flightsOf(e.id).put(e)
	s.inFlight++
}

// packet makes the PUBLISH of a delivery (3.3). Its properties and payload are the message's own.
func (s *session) packet(d *core.Delivery, id uint16) (p Packet, ok bool) {
	m, from := d.Message, d.Message.To
	if source := d.Tag.Source(); source.Kind != 0 {
		from = source // the name that its filter has, not the one that the message was once sent to
	}
	p = Packet{kind: kindPublish, qos: d.QoS, id: id, topic: s.topicFor(from)}
	p.dup = d.QoS > 0 && (d.Returned || d.Attempts > 0)
	p.retain = d.Retained || d.AsRetain && m.Retain // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
	var err error
	p.props, p.payload, err = partsOf(m, s.wire.version)
	p.props = withNotes(p.props, d)
	if p.topic == nil || err != nil {
		return p, false
	}
	if m.ExpiresMs != 0 {
		p.expires, p.expiryS = true, secondsUntil(m.ExpiresMs, s.nowMs)
	}
	p.ids = d.IDs // a grant's: never changed
	size := p.sizes(s.wire.version).total
	return p, size <= largestPacketBytes && (s.wire.peerBytes == 0 || size <= s.wire.peerBytes) // [MQTT-3.1.2-24]
}

// secondsUntil is a message expiry interval: what is left [MQTT-3.3.2-6]; a second that has begun counts.
func secondsUntil(ms, nowMs int64) uint32 {
	return uint32(min(max(ms-nowMs+999, 1000)/1000, 1<<32-1))
}

// topicFor is a destination's topic name as PUBLISH has it, its length in front; nil if it has none.
func (s *session) topicFor(d core.Destination) []byte {
	if d == s.lastTo {
		return s.lastSent
	}
	b, known := s.sent[d]
	if !known {
		if name, ok := topicOf(d); ok {
			b = binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(name)), uint16(len(name)))
			b = append(b, name...)
		}
		if s.sent == nil || len(s.sent) >= maxTopics {
			s.sent = map[core.Destination][]byte{}
		}
		if len(d.Name) <= maxTopicBytes {
			s.sent[d] = b
		}
	}
	s.lastTo, s.lastSent = d, b
	return b
}

// grant allows the core as many deliveries as the client has room for. Half of the window at a time: credit costs a
// turn of the queue.
func (s *session) grant() {
	if s.phase != phaseOpen {
		return
	}
	room := s.window - s.inFlight - len(s.parked)
	if room <= 0 || int(s.limit-s.taken)*2 > s.window {
		return
	}
	if want := s.taken + uint64(room); want > s.limit {
		s.limit = want
		s.out.Do(core.Op{Kind: core.OpCredit, Sub: core.InboxSub, Limit: want})
	}
}

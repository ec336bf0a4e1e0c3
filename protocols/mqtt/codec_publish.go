package mqtt

import (
	"encoding/binary"

	"github.com/mochi-mqtt/server/v2/packets"
)

// The fast path: PUBLISH and its acknowledgements, without an allocation.

const (
	bitRetain = 1 << 0
	bitDup    = 1 << 3
)

func decodePublish(p *Packet, flags byte, body []byte, version byte) error {
	s := scanner{b: body}
	p.dup, p.qos, p.retain = flags&bitDup != 0, flags>>1&3, flags&bitRetain != 0
	p.topic = s.binary() // its characters are looked at once for each name, by the machine
	if p.qos > 0 {
		if p.id = s.uint16(); p.id == 0 && s.err == nil {
			return errPacketID // [MQTT-2.2.1-3]
		}
	}
	if version == level5 {
		p.decodeProperties(&s)
	}
	if s.err != nil {
		return s.err
	}
	p.payload = s.b
	return nil
}

// decodeProperties keeps PUBLISH's properties as they are and notes what the machine needs of them.
func (p *Packet) decodeProperties(s *scanner) {
	if len(s.b) > 0 && s.b[0] == 0 {
		s.b = s.b[1:]
		return
	}
	p.props = s.properties(inPublish, func(q property) {
		switch q.id {
		case packets.PropMessageExpiryInterval:
			p.expires, p.expiryS = true, q.num
		case packets.PropTopicAlias:
			if p.alias = uint16(q.num); p.alias == 0 {
				s.fail(&wireError{codeAliasInvalid, "topic alias 0 is not one"}) // [MQTT-3.3.2-8]
			}
		case packets.PropResponseTopic:
			if len(q.text) == 0 || hasWildcard(q.text) {
				s.fail(errPropertyValue)
			}
		case packets.PropPayloadFormat:
			p.isText = q.num == 1
		case packets.PropUser:
			p.marked = true
		}
	})
}

func decodeAck(p *Packet, body []byte, version byte) error {
	s := scanner{b: body}
	if p.id = s.uint16(); p.id == 0 && s.err == nil {
		return errPacketID
	}
	if version == level5 && len(s.b) > 0 {
		p.code = reasonCode(s.b[0])
		prescanReason(p.kind, &s)
	}
	return s.end()
}

func appendAck(dst []byte, p *Packet, version byte) []byte {
	head := byte(p.kind) << 4
	if p.kind == kindPubrel {
		head |= 2
	}
	switch {
	case version != level5 || p.code == codeSuccess && p.reason == "":
		return append(dst, head, 2, byte(p.id>>8), byte(p.id))
	case p.reason == "":
		return append(dst, head, 3, byte(p.id>>8), byte(p.id), byte(p.code))
	}
	props := 3 + len(p.reason)
	dst = appendVarint(append(dst, head), 3+varintBytes(props)+props)
	dst = appendVarint(append(dst, byte(p.id>>8), byte(p.id), byte(p.code)), props)
	dst = binary.BigEndian.AppendUint16(append(dst, packets.PropReasonString), uint16(len(p.reason)))
	return append(dst, p.reason...)
}

// ackBytes is the size of an acknowledgement with its reason.
func ackBytes(p *Packet) int {
	props := 3 + len(p.reason)
	rest := 3 + varintBytes(props) + props
	return 1 + varintBytes(rest) + rest
}

// sizes are the lengths of a PUBLISH's parts that its length fields count.
type sizes struct{ props, rest, total int }

func (p *Packet) sizes(version byte) (z sizes) {
	z.rest = len(p.topic) + len(p.payload)
	if p.qos > 0 {
		z.rest += 2
	}
	if version == level5 {
		z.props = len(p.props)
		if p.expires {
			z.props += 5
		}
		for _, id := range p.ids {
			z.props += 1 + varintBytes(int(id))
		}
		z.rest += varintBytes(z.props) + z.props
	}
	z.total = 1 + varintBytes(z.rest) + z.rest
	return z
}

func appendPublish(dst []byte, p *Packet, version byte) []byte {
	head := byte(kindPublish)<<4 | p.qos<<1
	if p.dup {
		head |= bitDup
	}
	if p.retain {
		head |= bitRetain
	}
	z := p.sizes(version)
	dst = appendVarint(append(dst, head), z.rest)
	dst = append(dst, p.topic...)
	if p.qos > 0 {
		dst = append(dst, byte(p.id>>8), byte(p.id))
	}
	if version == level5 {
		dst = append(appendVarint(dst, z.props), p.props...)
		if p.expires {
			dst = binary.BigEndian.AppendUint32(append(dst, packets.PropMessageExpiryInterval), p.expiryS)
		}
		for _, id := range p.ids {
			dst = appendVarint(append(dst, packets.PropSubscriptionIdentifier), int(id))
		}
	}
	return append(dst, p.payload...)
}

func appendVarint(dst []byte, v int) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func varintBytes(v int) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<21:
		return 3
	}
	return 4
}

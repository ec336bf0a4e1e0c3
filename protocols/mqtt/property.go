package mqtt

import "github.com/mochi-mqtt/server/v2/packets"

// shape is a property's data type (MQTT 5, 2.2.2.2).
type shape byte

const (
	shapeNone shape = iota
	shapeByte
	shapeUint16
	shapeUint32
	shapeVarint
	shapeText
	shapeBinary
	shapePair
)

// rule says what a property is, where it may be, and what it may not be.
type rule struct {
	shape   shape
	packets uint16 // a bit for each packet type; bit 0 is the will
	nonzero bool
	flag    bool // 0 or 1
	many    bool
}

const (
	inWill    = 1
	inPublish = 1 << kindPublish
	inMessage = inPublish | inWill
	inConnect = 1 << kindConnect
	inAcks    = 1<<kindPuback | 1<<kindPubrec | 1<<kindPubrel | 1<<kindPubcomp
)

// rules holds what a client may send. What only a server sends has no rule.
var rules = [64]rule{
	packets.PropPayloadFormat:          {shape: shapeByte, packets: inMessage, flag: true},
	packets.PropMessageExpiryInterval:  {shape: shapeUint32, packets: inMessage},
	packets.PropContentType:            {shape: shapeText, packets: inMessage},
	packets.PropResponseTopic:          {shape: shapeText, packets: inMessage},
	packets.PropCorrelationData:        {shape: shapeBinary, packets: inMessage},
	packets.PropSubscriptionIdentifier: {shape: shapeVarint, packets: 1 << kindSubscribe, nonzero: true},
	packets.PropSessionExpiryInterval:  {shape: shapeUint32, packets: inConnect | 1<<kindDisconnect},
	packets.PropAuthenticationMethod:   {shape: shapeText, packets: inConnect | 1<<kindAuth},
	packets.PropAuthenticationData:     {shape: shapeBinary, packets: inConnect | 1<<kindAuth},
	packets.PropRequestProblemInfo:     {shape: shapeByte, packets: inConnect, flag: true},
	packets.PropWillDelayInterval:      {shape: shapeUint32, packets: inWill},
	packets.PropRequestResponseInfo:    {shape: shapeByte, packets: inConnect, flag: true},
	packets.PropReasonString:           {shape: shapeText, packets: inAcks | 1<<kindDisconnect | 1<<kindAuth},
	packets.PropReceiveMaximum:         {shape: shapeUint16, packets: inConnect, nonzero: true},
	packets.PropTopicAliasMaximum:      {shape: shapeUint16, packets: inConnect},
	packets.PropTopicAlias:             {shape: shapeUint16, packets: inPublish},
	packets.PropUser: {shape: shapePair, many: true, packets: inMessage | inConnect | inAcks | 1<<kindSubscribe | 1<<kindUnsubscribe |
		1<<kindDisconnect | 1<<kindAuth},
	packets.PropMaximumPacketSize: {shape: shapeUint32, packets: inConnect, nonzero: true},
}

// property is one of a packet's properties. It aliases what it was read from.
type property struct {
	id    byte
	num   uint32 // numbers
	text  []byte // texts, binary data, and a user property's name
	value []byte // a user property's value
}

// property reads one property of those that a client may send.
func (s *scanner) property() (p property) {
	p.id = s.byte()
	if int(p.id) >= len(rules) {
		s.fail(errPropertyID)
		return p
	}
	switch rules[p.id].shape {
	case shapeByte:
		p.num = uint32(s.byte())
	case shapeUint16:
		p.num = uint32(s.uint16())
	case shapeUint32:
		p.num = s.uint32()
	case shapeVarint:
		p.num = s.varint()
	case shapeText:
		p.text = s.text()
	case shapeBinary:
		p.text = s.binary()
	case shapePair:
		p.text, p.value = s.text(), s.text()
	default:
		s.fail(errPropertyID)
	}
	return p
}

// properties takes a packet's properties, length first, checks each, and shows them to see, which may be nil.
// in is the bit of the packet type.
func (s *scanner) properties(in uint16, see func(property)) (all []byte) {
	all = s.take(int(s.varint()))
	inner := scanner{b: all}
	seen := uint64(0)
	for len(inner.b) > 0 {
		p := inner.property()
		if inner.err == nil {
			inner.check(p, in, seen)
		}
		if inner.err != nil {
			s.fail(inner.err)
			return nil
		}
		seen |= 1 << p.id
		if see != nil {
			see(p)
		}
	}
	return all
}

func (s *scanner) check(p property, in uint16, seen uint64) {
	r := &rules[p.id]
	switch {
	case p.id == packets.PropSubscriptionIdentifier && in == inPublish:
		s.fail(errServersProperty) // [MQTT-3.3.4-6]
	case r.packets&in == 0:
		s.fail(errPropertyID)
	case seen&(1<<p.id) != 0 && !r.many:
		s.fail(errPropertyTwice)
	case r.nonzero && p.num == 0, r.flag && p.num > 1:
		s.fail(errPropertyValue)
	}
}

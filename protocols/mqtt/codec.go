package mqtt

import (
	"bytes"

	"github.com/mochi-mqtt/server/v2/packets"
)

// maxControlBytes bounds all packets but PUBLISH: a decoded filter or user property is many times as large as the bytes
// that ask for it. A CONNECT has at most five fields of 64 KiB, and properties.
const maxControlBytes = 512 << 10

// disagreement begins what mochi has to say of a packet that prescan found well formed. No packet is known.
const disagreement = "the decoder does not take it: "

// codec is one connection's peer.Codec[Packet].
type codec struct{ wire *wire }

// Decode reads a packet. See peer.Codec.
func (c *codec) Decode(buf []byte) (p Packet, n, need int, err error) {
	if len(buf) == 0 {
		return p, 0, 2, nil
	}
	k, flags := kind(buf[0]>>4), buf[0]&15
	if err := c.expect(k, flags); err != nil {
		return p, 0, 0, err
	}
	length, head := varint(buf[1:])
	if head < 0 {
		return p, 0, 0, errVarint
	}
	if head == 0 {
		return p, 0, len(buf) + 1, nil
	}
	total := 1 + head + int(length)
	if total > c.limit(k) {
		return p, 0, 0, errPacketTooLarge
	}
	if len(buf) < total {
		return p, 0, total, nil
	}
	err = c.decode(&p, k, flags, buf[1+head:total])
	return p, total, 0, err
}

func (c *codec) limit(k kind) int {
	if k == kindPublish {
		return c.wire.ownBytes
	}
	return min(c.wire.ownBytes, maxControlBytes)
}

// expect says whether a packet may begin so: a wrong one is refused at its first byte.
func (c *codec) expect(k kind, flags byte) error {
	if c.wire.version == 0 && k != kindConnect {
		return errFirstPacket // [MQTT-3.1.0-1]
	}
	switch k {
	case kindPublish:
		qos := flags >> 1 & 3
		if qos == 3 {
			return errQoS // [MQTT-3.3.1-4]
		}
		if qos == 0 && flags&8 != 0 {
			return errDupQoS0 // [MQTT-3.3.1-2]
		}
		return nil
	case kindPubrel, kindSubscribe, kindUnsubscribe:
		if flags != 2 {
			return errFlags // [MQTT-2.1.3-1]
		}
		return nil
	case kindConnect, kindPuback, kindPubrec, kindPubcomp, kindPingreq, kindDisconnect, kindAuth:
		if flags != 0 {
			return errFlags
		}
		if k == kindConnect && c.wire.version != 0 {
			return errSecondConnect // [MQTT-3.1.0-2]
		}
		return nil
	}
	return errServersPacket
}

func (c *codec) decode(p *Packet, k kind, flags byte, body []byte) error {
	p.kind = k
	switch k {
	case kindPublish:
		return decodePublish(p, flags, body, c.wire.version)
	case kindPuback, kindPubrec, kindPubrel, kindPubcomp:
		return decodeAck(p, body, c.wire.version)
	case kindPingreq:
		if len(body) > 0 {
			return errLong
		}
		return nil
	}
	body = bytes.Clone(body) // mochi's strings alias it, and outlive the read buffer
	if k == kindConnect {
		h, err := prescanConnect(body)
		c.wire.version, p.props = answerVersion(h.version), h.willProps
		if err != nil {
			return err
		}
	} else if err := prescan(k, body, c.wire.version); err != nil {
		return err
	}
	return c.decodeWhole(p, flags, body)
}

// answerVersion is the version in which we answer a CONNECT: ours that is nearest. 0 is a name that is not MQTT's, or
// no version at all: nobody that would understand an answer.
func answerVersion(asked byte) byte {
	switch {
	case asked == 0:
		return 0
	case asked <= level311:
		return level311
	}
	return level5
}

// decodeWhole has mochi decode what prescan found well formed.
func (c *codec) decodeWhole(p *Packet, flags byte, body []byte) error {
	w := &packets.Packet{ProtocolVersion: c.wire.version}
	w.FixedHeader = packets.FixedHeader{Type: byte(p.kind), Qos: flags >> 1 & 3, Remaining: len(body)}
	var err error
	switch p.kind {
	case kindConnect:
		err = w.ConnectDecode(body)
	case kindSubscribe:
		err = w.SubscribeDecode(body)
	case kindUnsubscribe:
		err = w.UnsubscribeDecode(body)
	case kindDisconnect:
		if len(body) > 0 {
			err = w.DisconnectDecode(body)
		}
	case kindAuth:
		if len(body) > 0 {
			err = w.AuthDecode(body)
		}
	}
	if err != nil {
		return malformed(disagreement + err.Error())
	}
	p.whole, p.id = w, w.PacketID
	return nil
}

// Append encodes a packet.
func (c *codec) Append(dst []byte, p Packet) ([]byte, error) {
	switch p.kind {
	case kindPublish:
		return appendPublish(dst, &p, c.wire.version), nil
	case kindPuback, kindPubrec, kindPubrel, kindPubcomp:
		return appendAck(dst, &p, c.wire.version), nil
	case kindPingresp:
		return append(dst, byte(kindPingresp)<<4, 0), nil
	}
	b := bytes.NewBuffer(dst)
	var err error
	switch w := p.whole; p.kind {
	case kindConnack:
		err = w.ConnackEncode(b)
	case kindSuback:
		err = w.SubackEncode(b)
	case kindUnsuback:
		err = w.UnsubackEncode(b)
	case kindDisconnect:
		err = w.DisconnectEncode(b)
	}
	return b.Bytes(), err
}

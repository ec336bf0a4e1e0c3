package amqp

import "encoding/binary"

// maxSASLFrame bounds what somebody may send who has not said who he is. The specification says 512 bytes (5.3.1);
// tokens are longer.
const maxSASLFrame = 16 << 10

// limits is what codec and machine share: the two maxima that open frames agree on.
type limits struct {
	ownFrame  uint32 // ours, enforced on what comes in
	peerFrame uint32 // the peer's, kept by what goes out; minMaxFrame until its open is here
}

// codec is a connection's codec. Transfers, dispositions and flows are decoded into its own structs.
type codec struct {
	limits *limits
	begun  bool // the first bytes were AMQP's

	fields      cursor // over the performative's: an interface gets its address
	transfer    transfer
	disposition disposition
	flow        flow
}

// Decode reads a frame or a protocol header. The frame aliases buf.
func (c *codec) Decode(buf []byte) (f Frame, n, need int, err error) {
	if !c.begun {
		for i := range min(len(buf), 4) {
			if buf[i] != "AMQP"[i] {
				return f, 0, 0, errNotAMQP
			}
		}
	}
	if len(buf) < frameHead {
		return f, 0, frameHead, nil
	}
	// A frame can never be as long as these four letters say, so they are always a header.
	if string(buf[:4]) == "AMQP" {
		c.begun = true
		return Frame{kind: frameHeader, header: [4]byte(buf[4:8])}, frameHead, 0, nil
	}
	size := binary.BigEndian.Uint32(buf)
	limit := c.limits.ownFrame
	if buf[5] == typeSASL {
		limit = min(limit, maxSASLFrame)
	}
	if size > limit {
		return f, 0, 0, errFrameSize
	}
	head := int(buf[4]) * 4
	if head < frameHead || int(size) < head {
		return f, 0, 0, errFrameHead
	}
	if buf[5] > typeSASL {
		return f, 0, 0, errFrameType
	}
	if len(buf) < int(size) {
		return f, 0, int(size), nil
	}
	f.kind = frameKind(buf[5])
	f.channel = binary.BigEndian.Uint16(buf[6:])
	if int(size) > head {
		if f.body, f.payload, err = c.decode(buf[head:size:size], f.kind); err != nil {
			return Frame{}, 0, 0, err
		}
	}
	return f, int(size), 0, nil
}

// decode reads a performative and leaves what follows it.
func (c *codec) decode(b []byte, k frameKind) (performative, []byte, error) {
	cur := cursor{buf: b, left: 1}
	var is kind
	if is, c.fields = cur.open(); cur.err != nil {
		return nil, nil, cur.err
	}
	p := c.body(is)
	if p == nil || (is >= kindMechanisms) != (k == frameSASL) {
		return nil, nil, errUnknown
	}
	p.decode(&c.fields)
	if err := c.fields.rest(); err != nil {
		return nil, nil, err
	}
	if is != kindTransfer && len(cur.buf) != 0 {
		return nil, nil, errFrameHead
	}
	return p, cur.buf, nil
}

// body is an empty performative of a kind, nil if it is none.
func (c *codec) body(k kind) performative {
	switch k {
	case kindTransfer:
		return &c.transfer
	case kindDisposition:
		return &c.disposition
	case kindFlow:
		return &c.flow
	case kindOpen:
		return new(open)
	case kindBegin:
		return new(beginning)
	case kindAttach:
		return new(attach)
	case kindDetach:
		return new(detach)
	case kindEnd:
		return new(ending)
	case kindClose:
		return new(closing)
	}
	return saslBody(k)
}

func saslBody(k kind) performative {
	switch k {
	case kindMechanisms:
		return new(mechanisms)
	case kindInit:
		return new(saslInit)
	case kindChallenge:
		return new(challenge)
	case kindResponse:
		return new(saslResponse)
	case kindOutcome:
		return new(outcome)
	}
	return nil
}

// Append encodes f at the end of dst. It fails only on what does not fit the peer's max-frame-size; dst is unchanged then.
func (c *codec) Append(dst []byte, f Frame) ([]byte, error) {
	switch f.kind {
	case frameTransfer:
		return appendTransfer(dst, &f), nil // the machine cut it to size
	case frameAccepted:
		return appendAccepted(dst, &f), nil
	}
	at := len(dst)
	dst = appendFrame(dst, &f)
	if uint64(len(dst)-at) > uint64(c.limits.peerFrame) {
		return dst[:at], errPeerFrame
	}
	return dst, nil
}

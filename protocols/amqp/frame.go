package amqp

import (
	"encoding/binary"

	"github.com/havenmq/havenmq/core"
)

// frameHead is the size of a frame's header, and of a protocol header (2.2, 2.3).
const frameHead = 8

// Frame types on the wire (2.3.1).
const (
	typeAMQP = 0
	typeSASL = 1
)

// Protocol ids in a protocol header.
const (
	protoAMQP = 0
	protoTLS  = 2
	protoSASL = 3
)

type frameKind uint8

const (
	frameAMQP     frameKind = iota // body, or the empty frame that only says "still here"
	frameSASL                      // body
	frameHeader                    // protocol header: header
	frameTransfer                  // to be sent: sending, payload
	frameAccepted                  // to be sent: a disposition that accepts sending.first to sending.last
)

// Frame is one frame, or one protocol header. It is a value, so that transfers and acceptances, which are nearly all
// there is, need no allocation on their way out. Its fields are the machine's and the codec's own business.
type Frame struct {
	kind    frameKind
	channel uint16
	header  [4]byte      // protocol id, major, minor, revision
	body    performative // what came in, or what goes out and is not a hot path; nil is the empty frame
	payload []byte       // what follows a transfer
	send    sending
}

// sending is an outgoing transfer or acceptance.
type sending struct {
	handle   uint32
	first    uint32 // delivery-id, or the range's start
	last     uint32
	attempts uint32  // header.delivery-count
	ttlMs    optUint // header.ttl
	priority uint8
	durable  bool
	fresh    bool // header.first-acquirer
	settled  bool
	start    bool // the delivery's first frame: it has the ids and the header section
	more     bool
}

// maxTransferHead bounds what appendTransfer puts around the payload of a delivery's frame: frame header, performative
// and header section. A test holds it against the largest values.
const maxTransferHead = 72

// appendTransfer writes an outgoing transfer frame.
func appendTransfer(dst []byte, f *Frame) []byte {
	s := &f.send
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 2, typeAMQP, byte(f.channel>>8), byte(f.channel),
		codeDescribed, codeSmallUlong, byte(kindTransfer), codeList8, 0, 0)
	list := at + 12
	dst = appendUint(dst, s.handle)
	if s.start {
		dst = append(dst, codeUint, byte(s.first>>24), byte(s.first>>16), byte(s.first>>8), byte(s.first),
			codeBin8, 4, byte(s.first>>24), byte(s.first>>16), byte(s.first>>8), byte(s.first), codeUint0)
	} else {
		dst = append(dst, codeNull, codeNull, codeNull)
	}
	dst = appendBool(dst, s.settled)
	if s.more {
		dst = append(dst, codeTrue)
		dst[list+1] = 6
	} else {
		dst[list+1] = 5
	}
	dst[list] = byte(len(dst) - list - 1)
	if s.start {
		dst = appendHeader(dst, s)
	}
	dst = append(dst, f.payload...)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// headerBytes is how long the header section will be.
func headerBytes(s *sending) int {
	var room [64]byte
	return len(appendHeader(room[:0], s))
}

// appendHeader writes a message's header section (3.2.1): the broker's, never the sender's.
func appendHeader(dst []byte, s *sending) []byte {
	at := len(dst)
	dst = append(dst, codeDescribed, codeSmallUlong, byte(kindHeader), codeList8, 0, 5)
	dst = appendBool(dst, s.durable)
	dst = append(dst, codeUbyte, s.priority)
	if s.ttlMs.set {
		dst = appendUint(dst, s.ttlMs.value)
	} else {
		dst = append(dst, codeNull)
	}
	dst = appendBool(dst, s.fresh)
	dst = appendUint(dst, s.attempts)
	dst[at+4] = byte(len(dst) - at - 5)
	return dst
}

// appendAccepted writes the disposition by which a receiver accepts a run of deliveries.
func appendAccepted(dst []byte, f *Frame) []byte {
	s := &f.send
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 2, typeAMQP, byte(f.channel>>8), byte(f.channel),
		codeDescribed, codeSmallUlong, byte(kindDisposition), codeList8, 0, 5, codeTrue)
	dst = appendUint(appendUint(dst, s.first), s.last)
	dst = appendBool(dst, s.settled)
	dst = append(dst, codeDescribed, codeSmallUlong, byte(kindAccepted), codeList0)
	dst[at+12] = byte(len(dst) - at - 13)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// appendFrame writes a frame of any other kind.
func appendFrame(dst []byte, f *Frame) []byte {
	if f.kind == frameHeader {
		return append(append(dst, "AMQP"...), f.header[:]...)
	}
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 2, typeAMQP, byte(f.channel>>8), byte(f.channel))
	if f.kind == frameSASL {
		dst[at+5] = typeSASL
	}
	if f.body != nil {
		dst = f.body.encode(dst)
	}
	dst = append(dst, f.payload...)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// sendingOf fills what a message's header section and transfer say, but for the ids.
func sendingOf(d *core.Delivery, nowMs int64) sending {
	m := d.Message
	s := sending{attempts: d.Attempts, priority: m.Priority, durable: m.Durable, fresh: !d.Returned && d.Attempts == 0, start: true}
	if m.ExpiresMs > 0 {
		s.ttlMs = some(clampMs(m.ExpiresMs, nowMs))
	}
	return s
}

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// Kind of a frame.
type Kind uint8

// Kinds. The numbers are the format.
const (
	KindHello Kind = 1 + iota
	KindAttach
	KindAppend
	KindAck
	KindHeartbeat
	KindReject
	KindHandOver
	kindEnd
)

// Bounds, in bytes.
const (
	// HeaderBytes is what every frame begins with, AppendBytes what an APPEND has before its batches.
	HeaderBytes = 16
	AppendBytes = HeaderBytes + 16
	// MaxText is the longest address, URL or reason.
	MaxText = 256
	// MaxSegmentHeader is the longest that ATTACH carries.
	MaxSegmentHeader = 4096
	// MaxControl is the longest frame that is not an APPEND.
	MaxControl = 16 << 10
	// MaxAppend is the longest APPEND: one batch of the largest unit, with room for its headers.
	MaxAppend = persist.MaxUnitBytes + 1<<16

	version = 1
)

const (
	flagIncoming = 1 // HELLO, ACK
	flagVoter    = 2 // HELLO, ACK
	flagFull     = 4 // ACK
	flagRestart  = 1 // ATTACH
	flagFatal    = 1 // REJECT
)

// knownFlags and fixedBytes say, by kind, which flags mean something and how long what is always there is, behind the header.
var (
	knownFlags = [kindEnd]uint16{KindHello: flagIncoming | flagVoter, KindAttach: flagRestart,
		KindAck: flagIncoming | flagVoter | flagFull, KindReject: flagFatal}
	fixedBytes = [kindEnd]int{KindHello: 64, KindAttach: 28, KindAppend: 16, KindAck: 24, KindHeartbeat: 24, KindReject: 8, KindHandOver: 16}
)

var order = binary.LittleEndian

// ErrMalformed is what every error of decoding wraps.
var ErrMalformed = errors.New("malformed frame")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Header is the beginning of a frame.
type Header struct {
	Bytes int // of the whole frame
	Kind  Kind
	flags uint16
	Epoch uint64
}

// DecodeHeader reads one from at least HeaderBytes bytes. An APPEND passes only if appends says that this end takes any.
func DecodeHeader(b []byte, appends bool) (Header, error) {
	h := Header{Bytes: int(order.Uint32(b)), Kind: Kind(b[5]), flags: order.Uint16(b[6:]), Epoch: order.Uint64(b[8:])}
	if b[4] != version {
		return h, malformed("of version %d, this is %d", b[4], version)
	}
	if h.Kind == 0 || h.Kind >= kindEnd {
		return h, malformed("unknown kind %d", h.Kind)
	}
	if h.flags&^knownFlags[h.Kind] != 0 {
		return h, malformed("kind %d with flags %#x", h.Kind, h.flags)
	}
	most := MaxControl
	if h.Kind == KindAppend {
		if !appends {
			return h, malformed("an APPEND to a master")
		}
		most = MaxAppend
	}
	if h.Bytes < HeaderBytes+fixedBytes[h.Kind] || h.Bytes > most {
		return h, malformed("kind %d of %d bytes", h.Kind, h.Bytes)
	}
	return h, nil
}

// Message is a decoded frame: Kind says which of the others holds it. Those that come often are fields, so that a
// Message can be used again without allocation.
type Message struct {
	Kind      Kind
	Append    ha.Append // Batches alias what was decoded
	Ack       ha.Ack
	Heartbeat ha.Heartbeat
	other     ha.Frame
}

// Frame is the message as ha takes it.
func (m *Message) Frame() ha.Frame {
	switch m.Kind {
	case KindAppend:
		return m.Append
	case KindAck:
		return m.Ack
	case KindHeartbeat:
		return m.Heartbeat
	}
	return m.other
}

// Decode reads the frame whose header is h from body, which is what follows the header: h.Bytes-HeaderBytes bytes.
func (m *Message) Decode(h Header, body []byte) error {
	if h.Bytes < HeaderBytes+fixedBytes[h.Kind] || len(body) != h.Bytes-HeaderBytes {
		return malformed("kind %d: %d bytes behind the header of a frame of %d", h.Kind, len(body), h.Bytes)
	}
	m.Kind = h.Kind
	switch h.Kind {
	case KindAppend:
		m.Append = ha.Append{Epoch: h.Epoch, Base: pos(body), Commit: pos(body[8:]), Batches: body[16:]}
		return nil
	case KindAck:
		m.Ack = ha.Ack{Epoch: h.Epoch, Received: pos(body), Synced: pos(body[8:]), Applied: pos(body[16:]),
			Incoming: h.flags&flagIncoming != 0, Voter: h.flags&flagVoter != 0, Full: h.flags&flagFull != 0}
		return none(h, body[24:])
	case KindHeartbeat:
		m.Heartbeat = ha.Heartbeat{Epoch: h.Epoch, Seq: order.Uint64(body), Heard: order.Uint64(body[8:]), Commit: pos(body[16:])}
		return none(h, body[24:])
	}
	return m.decodeOther(h, body)
}

func (m *Message) decodeOther(h Header, body []byte) error {
	d := decoder{rest: body}
	switch h.Kind {
	case KindHello:
		m.other = d.hello(h)
	case KindAttach:
		m.other = ha.Attach{Epoch: h.Epoch, Cut: d.pos(), VoterAt: d.pos(), Commit: d.pos(), Files: d.u32(), Restart: h.flags&flagRestart != 0, Header: d.header()}
	case KindReject:
		m.other = ha.Reject{Epoch: h.Epoch, Promised: d.u64(), Reason: d.text(), Fatal: h.flags&flagFatal != 0}
	case KindHandOver:
		m.other = ha.HandOver{Epoch: h.Epoch, To: d.id()}
	default:
		return malformed("unknown kind %d", h.Kind)
	}
	if d.bad {
		m.other = nil
		return malformed("kind %d: a length that passes its bound or the frame", h.Kind)
	}
	return none(h, d.rest)
}

// none says that a frame must end here.
func none(h Header, rest []byte) error {
	if len(rest) != 0 {
		return malformed("kind %d: %d bytes left over", h.Kind, len(rest))
	}
	return nil
}

func pos(b []byte) persist.Pos { return persist.Pos(order.Uint64(b)) }

// decoder reads fields; once bad it gives zeros.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n > len(d.rest) {
		d.bad = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) u16() int {
	if b := d.take(2); b != nil {
		return int(order.Uint16(b))
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return order.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return order.Uint64(b)
	}
	return 0
}

func (d *decoder) pos() persist.Pos { return persist.Pos(d.u64()) }

func (d *decoder) id() (id persist.ID) {
	copy(id[:], d.take(len(id)))
	return id
}

func (d *decoder) text() string {
	n := d.u16()
	d.bad = d.bad || n > MaxText
	return string(d.take(n))
}

func (d *decoder) header() []byte {
	b := d.take(4)
	if b == nil {
		return nil
	}
	n := order.Uint32(b)
	d.bad = d.bad || n > MaxSegmentHeader
	return append([]byte(nil), d.take(int(min(n, MaxSegmentHeader)))...)
}

func (d *decoder) history() []persist.EpochStart {
	n := d.u16()
	if d.bad = d.bad || n > persist.MaxHistory || n*16 > len(d.rest); d.bad || n == 0 {
		return nil
	}
	h := make([]persist.EpochStart, n)
	for i := range h {
		h[i] = persist.EpochStart{Epoch: d.u64(), Start: d.pos()}
	}
	return h
}

func (d *decoder) hello(h Header) ha.Hello {
	return ha.Hello{Promised: h.Epoch, ClusterID: d.id(), NodeID: d.id(), Generation: d.u64(), Incarnation: d.u64(),
		Start: d.pos(), End: d.pos(), History: d.history(), Addr: d.text(), Admin: d.text(),
		Incoming: h.flags&flagIncoming != 0, Voter: h.flags&flagVoter != 0}
}

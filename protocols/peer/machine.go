package peer

import (
	"time"

	"github.com/havenmq/havenmq/core"
)

// Codec turns one connection's bytes into frames and frames into bytes. It belongs to one connection and may keep state
// (which header was seen). It does no I/O.
type Codec[F any] interface {
	// Decode reads one frame from the start of buf and says how many bytes it took; n = 0 without an error needs more
	// bytes, and need says how many in all, if known (a bounded number: a length above the limit is an error at once).
	// The frame may alias buf; it is good until the machine's Receive returns.
	Decode(buf []byte) (f F, n int, need int, err error)
	// Append encodes f at the end of dst.
	Append(dst []byte, f F) ([]byte, error)
}

// Machine is a protocol's session: frames and events in, frames and operations out, time passed in. One connection's
// lock guards it; it has no goroutine, lock, socket or clock of its own.
type Machine[F any] interface {
	// Receive takes a frame that came in.
	Receive(f F, now time.Time, out *Out[F])
	// Malformed is told what Decode could not read; the machine says goodbye in its own words and sets out.Close.
	Malformed(err error, now time.Time, out *Out[F])
	// Done answers an op that had a ticket.
	Done(c *core.Completion, now time.Time, out *Out[F])
	// Deliver hands over a message that credit allowed. d is good until it returns; d.Message may be kept.
	Deliver(d *core.Delivery, now time.Time, out *Out[F])
	// Tick runs at or after the time that Out.Wake last asked for: keep-alive, heart-beats, time-outs.
	Tick(now time.Time, out *Out[F])
	// Evict says that the broker ends the connection, and why; the machine says goodbye and sets out.Close.
	Evict(err error, now time.Time, out *Out[F])
}

// Flusher is what a Machine also is when it gathers small answers into larger ones (AMQP: many acceptances become one
// ranged disposition). The rim calls Flush once after each batch of Receive, Done and Deliver calls, that is when no
// more input, completion or delivery is at hand, and before it writes to the socket. A machine that gathers nothing
// need not have it.
//
// A Flush that sets Out.More has not said all (one large delivery to a slow reader, say): it is called again when there
// is room in the output buffer.
type Flusher[F any] interface {
	Flush(now time.Time, out *Out[F])
}

// Holder is what a Machine also is when it gathers messages that come in several frames, or keeps some that the peer does
// not take yet.
type Holder interface {
	// HeldBytes is the memory of messages that came and are not whole yet, and of messages that were delivered to the machine
	// and not put out yet. Of those there are no more once Limits.MaxOutBufferBytes wait.
	HeldBytes() (in, out int)
}

// Out is what a machine asks of the rim. It is reused. The rim encodes Frames, takes Wake and Close and copies the Tags of
// Ops after each call, before the next one; Ops of several calls are gathered in Out and then done at once.
type Out[F any] struct {
	Frames []F       // to be written, in order
	Ops    []core.Op // to be done, in order, after the call has returned
	Wake   time.Time // when to call Tick next; zero leaves it as it was
	Close  error     // end the connection once Frames are written: ErrGoodbye, or why

	More bool // Flush has more to say

	// Deaf is the rim's word for a Tick: the broker had it leave the socket unread since the last one, so that a peer which
	// seems silent may not be.
	Deaf bool
}

// Send adds a frame.
func (o *Out[F]) Send(f F) { o.Frames = append(o.Frames, f) }

// Do adds an operation.
func (o *Out[F]) Do(op core.Op) { o.Ops = append(o.Ops, op) }

// Sentinel is an error that is only compared.
type Sentinel string

func (s Sentinel) Error() string { return string(s) }

// ErrGoodbye closes a connection that ended as its protocol says: nothing to log as an error.
const ErrGoodbye Sentinel = "the peer said goodbye"

// Limits are one connector's bounds, from its URI.
type Limits struct {
	MaxConnections    int           // maximumConnections, default 1000
	MaxFrameBytes     int           // wireFormat.maxFrameSize, default 104857600
	HandshakeTimeout  time.Duration // first frame must be whole by then, default 10 s
	MaxOutBufferBytes int           // what may wait for a slow reader before no more deliveries are taken, default 256 KiB
}

// Protocol makes the codec and the machine of a new connection.
type Protocol[F any] interface {
	Name() string // "amqp"
	New(l Limits, remote string, now time.Time) (Codec[F], Machine[F])
}

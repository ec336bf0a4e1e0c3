package peer

import (
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/core"
)

// conn is one connection: a socket, a machine, and a client of the broker. It is core.Sink.
type conn[F any] struct {
	o        *Options
	protocol string
	remote   string
	socket   net.Conn
	raw      syscall.RawConn // nil: the socket is no file descriptor, reads and writes block
	bound    int             // most bytes that input may hold
	refusal  error           // it is here to be told this

	wake   chan struct{} // for the writer: there is something to do
	resume chan struct{} // for the reader: look again whether you may read
	wrote  chan struct{} // closed when the writer has ended
	news   atomic.Bool   // Poll has something
	busy   atomic.Bool   // somebody holds the lock, and will look at news before it goes
	paused atomic.Bool   // the reader waits for resume
	due    atomic.Bool   // the timer fired
	awaits atomic.Bool   // Unread is to wake us
	ousted atomic.Pointer[error]

	in     input // the reader's, as the two calls are
	reads  readCall
	writes writeCall

	mu      sync.Mutex // guards the rest
	client  Client     // nil: it is refused
	codec   Codec[F]
	machine Machine[F]
	flusher Flusher[F] // nil: the machine gathers no answers
	holder  Holder     // nil: the machine gathers no messages
	held    int        // of the allowance, by the machine
	unread  int        // of Unread's, by what waits to be written or is with the machine
	slow    bool       // writes have a deadline
	half    bool       // the read of the rest of a large message has one
	out     Out[F]
	ops     int        // of out.Ops, those whose tags are in tags
	tags    []core.Tag // of out.Ops
	got     core.Events
	next    int         // of got.Deliveries: those before it were handed over
	answers core.Events // when got still has deliveries
	more    bool        // Poll has more than was taken
	backlog bool        // the machine has more to say
	greeted bool        // a frame has come
	deaf    bool        // the broker had us wait with reading since the last Tick
	closing error       // nil while it lives
	closed  bool        // the client is
	timer   *time.Timer
	tickAt  time.Time // when the machine wants its Tick
	handsBy time.Time // when the first frame must have come
	armedAt time.Time // when the timer fires; zero: it does not

	pending *buffer // gathered, not yet to be written
	sending *buffer // its first sent bytes are written
	sent    int
	writing bool // somebody writes sending
	lost    bool // nothing can be written any more
	gone    bool // the peer is: nobody reads our last words
}

func newConn[F any](p Protocol[F], o *Options, socket net.Conn, refusal error) *conn[F] {
	now := time.Now()
	c := &conn[F]{o: o, protocol: p.Name(), remote: socket.RemoteAddr().String(), socket: socket, refusal: refusal,
		bound: o.Limits.MaxFrameBytes + smallBytes,
		wake:  make(chan struct{}, 1), resume: make(chan struct{}, 1), wrote: make(chan struct{})}
	if s, ok := socket.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.raw = raw
			c.reads.f, c.writes.f = c.readFD, c.writes.once
		}
	}
	c.codec, c.machine = p.New(o.Limits, c.remote, now)
	c.flusher, _ = c.machine.(Flusher[F])
	c.holder, _ = c.machine.(Holder)
	c.in.allowance = o.Allowance
	c.handsBy = now.Add(o.Limits.HandshakeTimeout)
	if refusal != nil {
		c.handsBy = now.Add(refusalTimeout)
	}
	return c
}

// Run serves the connection until it ends. Its goroutine is the reader.
func (c *conn[F]) Run() {
	c.start()
	go c.guard(c.writeLoop, func() { close(c.wrote) })
	c.guard(c.readLoop, nil)
	c.guard(c.end, nil)
	c.signal()
	<-c.wrote
	c.part()
	c.mu.Lock()
	c.o.Unread.exact(&c.unread, 0)
	c.mu.Unlock()
	c.o.report(c.outcome())
}

var _ Client = (*core.Client)(nil)

func (c *conn[F]) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusal == nil {
		c.client = c.o.Attach(c, c.remote)
	}
	c.arm(time.Now())
}

// guard runs one of the connection's loops. A panic in it ends the connection, and nothing else.
func (c *conn[F]) guard(loop, after func()) {
	if after != nil {
		defer after()
	}
	defer func() {
		if r := recover(); r != nil {
			c.o.report(Report{Kind: ReportFault, Protocol: c.protocol, Remote: c.remote, Err: fmt.Errorf("panic: %v", r), Stack: debug.Stack()})
			c.fail(ErrFault)
		}
	}()
	loop()
}

// fail ends the connection without a word of the machine's.
func (c *conn[F]) fail(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close(why)
	c.lost = true
}

// close begins the end: nothing is read any more, and what was gathered has a while to be written. c.mu is locked.
func (c *conn[F]) close(why error) {
	if c.closing != nil {
		return
	}
	c.closing = why
	_ = c.socket.SetReadDeadline(time.Unix(1, 0)) // wakes the reader; a socket that is closed needs no waking
	_ = c.socket.SetWriteDeadline(time.Now().Add(closeTimeout))
	c.nudgeReader()
}

// end does the machine's last operations and gives the client back.
func (c *conn[F]) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close(ErrFault) // the reader ended without a reason: a panic in close itself
	c.closed = true
	c.o.Allowance.exact(&c.held, 0)
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.client != nil {
		c.client.Close(time.Now().UnixMilli())
	}
}

// Wake says that the broker has something for this connection. Any goroutine may call, with any of the broker's locks.
func (c *conn[F]) Wake() {
	c.news.Store(true)
	if !c.busy.Load() { // else whoever is at work looks at news before it goes
		c.signal()
	}
	if c.paused.Load() {
		c.nudgeReader()
	}
}

func (c *conn[F]) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn[F]) nudgeReader() {
	select {
	case c.resume <- struct{}{}:
	default:
	}
}

// Evict has the machine say goodbye because of why. Any goroutine may call.
func (c *conn[F]) Evict(why error) {
	c.ousted.CompareAndSwap(nil, &why)
	c.signal()
}

// Abort cuts the connection. Any goroutine may call.
func (c *conn[F]) Abort() {
	c.fail(ErrAborted)
	_ = c.socket.Close() // whoever waits on it learns so
}

// enter and leave are around every turn of the machine.
func (c *conn[F]) enter() {
	c.mu.Lock()
	c.busy.Store(true)
}

func (c *conn[F]) leave() {
	c.busy.Store(false)
	if c.news.Load() {
		c.signal()
	}
	c.mu.Unlock()
}

// outcome is how the connection ended.
func (c *conn[F]) outcome() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Report{Kind: ReportEnded, Protocol: c.protocol, Remote: c.remote, Err: c.closing}
	if c.refusal != nil {
		r.Kind, r.Err = ReportRefused, c.refusal
	}
	return r
}

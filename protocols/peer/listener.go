package peer

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Handler serves connections of one protocol.
type Handler interface {
	Protocol() string
	// Open takes over a socket. With a refusal the connection is only told that, in the protocol's own words.
	Open(socket net.Conn, refusal error) Connection
}

// Connection is one that Open made. Run returns when it has ended; Evict has its protocol say goodbye because of why;
// Abort cuts it. Evict and Abort may be called from any goroutine, and neither waits.
type Connection interface {
	Run()
	Evict(why error)
	Abort()
}

// NewHandler makes a protocol's handler.
func NewHandler[F any](p Protocol[F], o Options) Handler {
	o.Limits = o.Limits.withDefaults()
	return &handler[F]{p, o}
}

type handler[F any] struct {
	protocol Protocol[F]
	options  Options
}

func (h *handler[F]) Protocol() string { return h.protocol.Name() }

func (h *handler[F]) Open(socket net.Conn, refusal error) Connection {
	return newConn(h.protocol, &h.options, socket, refusal)
}

// Listener accepts connections for a handler, up to a limit.
type Listener struct {
	socket  net.Listener
	handler Handler
	report  func(Report)
	most    int

	mu       sync.Mutex // guards what follows
	conns    map[Connection]struct{}
	refusing int // of conns
	stopping bool
	stats    ListenerStats
	running  sync.WaitGroup // connections
}

// ListenerStats counts connections.
type ListenerStats struct {
	Open     int    // now
	Accepted uint64 // since the start
	Refused  uint64 // of those, because the limit was reached
}

// Listen opens a listening socket. Its connections are probed when they are silent, so that a peer whose machine has gone
// is noticed in about a minute even where the protocol has no heart-beat.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	c := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	return c.Listen(ctx, "tcp", address)
}

// NewListener makes a listener of at most maxConnections (0: 1000) connections. report may be nil.
func NewListener(socket net.Listener, h Handler, maxConnections int, report func(Report)) *Listener {
	if report == nil {
		report = func(Report) {}
	}
	most := Limits{MaxConnections: maxConnections}.withDefaults().MaxConnections
	return &Listener{socket: socket, handler: h, report: report, most: most, conns: map[Connection]struct{}{}}
}

// Stats may be called from any goroutine.
func (l *Listener) Stats() ListenerStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Open = len(l.conns) - l.refusing
	return s
}

const (
	minBackoff = 5 * time.Millisecond
	maxBackoff = time.Second
)

// Serve accepts until Stop. An error of accept, such as a lack of file descriptors, is reported once and waited out.
func (l *Listener) Serve() {
	backoff := time.Duration(0)
	for {
		socket, err := l.socket.Accept()
		if err == nil {
			backoff = 0
			l.admit(socket)
			continue
		}
		if errors.Is(err, net.ErrClosed) || l.stops() {
			return
		}
		if backoff == 0 {
			l.report(Report{Kind: ReportAccept, Protocol: l.handler.Protocol(), Err: err})
		}
		backoff = min(max(2*backoff, minBackoff), maxBackoff)
		time.Sleep(backoff)
	}
}

func (l *Listener) stops() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopping
}

// admit runs a connection, or has it told that there are too many.
func (l *Listener) admit(socket net.Conn) {
	c, refusal := l.register(socket)
	switch {
	case c != nil:
		go l.run(c, refusal != nil)
		return
	case refusal != nil:
		l.report(Report{Kind: ReportRefused, Protocol: l.handler.Protocol(), Remote: socket.RemoteAddr().String(), Err: refusal})
	}
	_ = socket.Close() // there is no more to say
}

// register opens a connection, if it may be; refusal says that there are too many.
func (l *Listener) register(socket net.Conn) (c Connection, refusal error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping {
		return nil, nil
	}
	l.stats.Accepted++
	if len(l.conns)-l.refusing >= l.most {
		refusal = errCrowded(l.most)
		l.stats.Refused++
		if l.refusing >= maxRefusing {
			return nil, refusal
		}
		l.refusing++
	}
	c = l.handler.Open(socket, refusal)
	l.conns[c] = struct{}{}
	l.running.Add(1)
	return c, refusal
}

func (l *Listener) run(c Connection, refused bool) {
	defer l.running.Done()
	c.Run()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if refused {
		l.refusing--
	}
}

// StopAccepting closes the listening socket; connections live on.
func (l *Listener) StopAccepting() {
	l.mu.Lock()
	l.stopping = true
	l.mu.Unlock()
	_ = l.socket.Close() // it listens no more, whatever this says
}

// Stop accepts no more, tells every connection why, which is the broker's goodbye, and waits until all have ended. When ctx ends
// before, the rest is cut.
func (l *Listener) Stop(ctx context.Context, why error) {
	l.StopAccepting()
	l.each(func(c Connection) { c.Evict(why) })
	ended := make(chan struct{})
	go func() {
		l.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		l.each(Connection.Abort)
		<-ended
	}
}

func (l *Listener) each(do func(Connection)) {
	l.mu.Lock()
	list := make([]Connection, 0, len(l.conns))
	for c := range l.conns {
		list = append(list, c)
	}
	l.mu.Unlock()
	for _, c := range list {
		do(c)
	}
}

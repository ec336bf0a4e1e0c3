package wire

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Bounds of a listener.
const (
	MaxHandshakes = 64
	MaxLinks      = 64
)

// Listener accepts connections and gives on those that passed the challenge.
type Listener struct {
	socket net.Listener
	o      Options
	take   func(*Conn)
	report func(remote string, err error)
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows
	shaking []*shaking // oldest first
	links   int
	running sync.WaitGroup // the accepting goroutine and those of connections
}

// shaking is a connection that has not proved itself yet.
type shaking struct {
	socket net.Conn
	cancel context.CancelFunc
}

// Listen accepts at addr. take is called for each connection that passed, in a goroutine of its own, and owns it until it
// returns; the connection is closed then. report (may be nil) hears of those that did not pass, and of trouble with accepting.
func Listen(ctx context.Context, addr string, o Options, take func(*Conn), report func(remote string, err error)) (*Listener, error) {
	c := net.ListenConfig{KeepAliveConfig: keepAlive}
	socket, err := c.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if report == nil {
		report = func(string, error) {}
	}
	l := &Listener{socket: socket, o: o, take: take, report: report}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.running.Add(1)
	go l.accept()
	return l, nil
}

// Addr is where it listens.
func (l *Listener) Addr() string { return l.socket.Addr().String() }

// Close stops accepting, and drops whoever has not proved itself. Connections that were given on live on.
func (l *Listener) Close() error {
	l.cancel()
	return l.socket.Close()
}

// Wait returns when every goroutine of the listener has ended: after Close, and after take has returned for all.
func (l *Listener) Wait() { l.running.Wait() }

const (
	minBackoff = 5 * time.Millisecond
	maxBackoff = time.Second
)

func (l *Listener) accept() {
	defer l.running.Done()
	backoff := time.Duration(0)
	for {
		socket, err := l.socket.Accept()
		if err == nil {
			backoff = 0
			l.begin(socket)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if backoff == 0 {
			l.report("", err)
		}
		backoff = min(max(2*backoff, minBackoff), maxBackoff)
		select {
		case <-time.After(backoff):
		case <-l.ctx.Done():
			return
		}
	}
}

// begin lets a connection prove itself. When too many do, the one that has taken longest goes: an honest one is quick.
func (l *Listener) begin(socket net.Conn) {
	ctx, cancel := context.WithCancel(l.ctx)
	s := &shaking{socket, cancel}
	l.mu.Lock()
	if len(l.shaking) >= MaxHandshakes {
		l.shaking[0].cancel()
		l.shaking = l.shaking[1:]
	}
	l.shaking = append(l.shaking, s)
	l.running.Add(1)
	l.mu.Unlock()
	go l.run(ctx, s)
}

var errCrowded = errors.New("too many replication connections")

func (l *Listener) run(ctx context.Context, s *shaking) {
	defer l.running.Done()
	c, err := Accept(ctx, s.socket, l.o)
	s.cancel()
	admitted := l.settle(s, err == nil)
	if err == nil && !admitted {
		err = errors.Join(errCrowded, c.Close())
	}
	if err != nil {
		if l.ctx.Err() == nil {
			l.report(s.socket.RemoteAddr().String(), err)
		}
		return
	}
	l.take(c)
	_ = c.Close() // take may have closed it already
	l.mu.Lock()
	l.links--
	l.mu.Unlock()
}

// settle ends a handshake, and says whether there is room for one more link.
func (l *Listener) settle(s *shaking, passed bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, x := range l.shaking {
		if x == s {
			l.shaking = append(l.shaking[:i:i], l.shaking[i+1:]...)
			break
		}
	}
	if !passed || l.links >= MaxLinks {
		return false
	}
	l.links++
	return true
}

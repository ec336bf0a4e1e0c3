package admin

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// maxConnections bounds what browsers, scrapers and scripts have open at a time: each costs the process an open file.
// One that sends nothing is closed after five seconds.
const maxConnections = 64

// capped is a listener for whose next connection another makes room, if it must: the one that has been without a request
// for longest. If all have one, the next waits. So whoever only holds connections open keeps nobody out.
type capped struct {
	net.Listener
	free   chan struct{}
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	quiet list.List // of *cappedConn, without a request, longest first
}

func newCapped(l net.Listener, most int) *capped {
	return &capped{Listener: l, free: make(chan struct{}, most), closed: make(chan struct{})}
}

// Accept waits for a connection, and then for room.
func (l *capped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.free <- struct{}{}:
	default:
		l.evict()
		select {
		case l.free <- struct{}{}:
		case <-l.closed:
			_ = c.Close() // nobody will serve it
			return nil, net.ErrClosed
		}
	}
	conn := &cappedConn{Conn: c, of: l}
	conn.rest()
	return conn, nil
}

// evict closes the connection that has been without a request for longest.
func (l *capped) evict() {
	l.mu.Lock()
	first := l.quiet.Front()
	l.mu.Unlock()
	if first != nil {
		_ = first.Value.(*cappedConn).Close() // its other end learns it from the network, or not at all
	}
}

// Close also ends an Accept that waits for room.
func (l *capped) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// cappedConn is one of its connections.
type cappedConn struct {
	net.Conn
	of   *capped
	at   *list.Element // in quiet; nil while a request is answered, and at the end
	gone bool
}

// rest says that no request is being answered.
func (c *cappedConn) rest() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if !c.gone && c.at == nil {
		c.at = c.of.quiet.PushBack(c)
	}
}

// work says that one is.
func (c *cappedConn) work() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.at != nil {
		c.of.quiet.Remove(c.at)
		c.at = nil
	}
}

// Close may be called by anybody, and more than once.
func (c *cappedConn) Close() error {
	c.work()
	c.of.mu.Lock()
	first := !c.gone
	c.gone = true
	c.of.mu.Unlock()
	if first {
		<-c.of.free
	}
	return c.Conn.Close()
}

type connKey struct{}

// withConn lets watched find a request's connection.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// watched answers with h, and tells the connection of it.
func watched(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*cappedConn); ok {
			c.work()
			defer c.rest()
		}
		h.ServeHTTP(w, r)
	})
}

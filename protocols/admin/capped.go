package admin

import (
	"net"
	"sync"
)

// maxConnections bounds what browsers, scrapers and scripts have open at a time: each costs the process an open file.
// One that sends nothing is closed after five seconds.
const maxConnections = 64

// capped is a listener whose next connection waits for one of the last ones to end.
type capped struct {
	net.Listener
	free   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newCapped(l net.Listener, most int) *capped {
	return &capped{Listener: l, free: make(chan struct{}, most), closed: make(chan struct{})}
}

// Accept waits for room, and then for a connection.
func (l *capped) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &cappedConn{Conn: c, free: l.free}, nil
}

// Close also ends an Accept that waits for room.
func (l *capped) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type cappedConn struct {
	net.Conn
	free chan struct{}
	once sync.Once
}

func (c *cappedConn) Close() error {
	c.once.Do(func() { <-c.free })
	return c.Conn.Close()
}

package peer

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// writeCall is one write of a file descriptor that does not block.
type writeCall struct {
	f   func(fd uintptr) bool // once, bound once
	b   []byte
	n   int
	err error
}

func (w *writeCall) once(fd uintptr) bool {
	for {
		if w.n, w.err = syscall.Write(int(fd), w.b); w.err != syscall.EINTR {
			return true
		}
	}
}

// writeLoop writes what was gathered, all at once, whenever it is woken.
func (c *conn[F]) writeLoop() {
	var done write
	for {
		b, ended := c.turn(done)
		done = write{}
		switch {
		case b != nil:
			done.was = true
			done.n, done.err = c.socket.Write(b)
		case ended:
			return
		default:
			<-c.wake
		}
	}
}

// write is how a write went, if there was one.
type write struct {
	was bool
	n   int
	err error
}

// turn ends the writer's last write, does what woke it, and takes what is to be written now; nil: nothing is.
func (c *conn[F]) turn(done write) (b []byte, ended bool) {
	c.enter()
	defer c.leave()
	if done.was {
		c.wroteSome(done)
	}
	if c.closing == nil {
		now := time.Now()
		if c.due.Swap(false) {
			c.tick(now)
		}
		if why := c.ousted.Load(); why != nil && c.closing == nil {
			c.evict(c.here(*why), now)
		}
		c.feed(now)
		c.arm(now)
	}
	if c.paused.Load() {
		c.nudgeReader()
	}
	if c.writing { // the reader is, and signals when it is done
		return nil, false
	}
	b = c.grab()
	return b, b == nil && c.closing != nil
}

// grab takes what is to be written now; nil: nothing is. Whoever grabs writes, and then says wroteSome. c.mu is locked.
func (c *conn[F]) grab() []byte {
	if c.sending == nil {
		c.sending, c.pending = c.pending, nil
	}
	if c.sending == nil || c.lost {
		return nil
	}
	c.writing = true
	return c.hurry(c.sending.b[c.sent:])
}

// hurry gives the peer some time for a piece of a large message: what it does not read keeps others from theirs.
func (c *conn[F]) hurry(b []byte) []byte {
	slow := c.unread > 0
	if c.closing != nil || !slow && !c.slow {
		return b
	}
	by := time.Time{}
	if c.slow = slow; slow {
		by = time.Now().Add(stallTimeout)
		b = b[:min(len(b), stallBytes)]
	}
	_ = c.socket.SetWriteDeadline(by) // a socket that is closed will say so
	return b
}

// wroteSome ends a write. c.mu is locked.
func (c *conn[F]) wroteSome(done write) {
	c.writing = false
	c.sent += done.n
	if done.err != nil && c.closing == nil && errors.Is(done.err, os.ErrDeadlineExceeded) {
		done.err = ErrUnread
	}
	if done.err != nil {
		c.close(done.err)
		c.lost = true
	}
	if c.lost || c.sent == len(c.sending.b) {
		if cap(c.sending.b) <= maxKeptBytes {
			c.sending.b = c.sending.b[:0]
			outPool.Put(c.sending)
		}
		c.sending, c.sent = nil, 0
		c.o.Unread.exact(&c.unread, c.unreadBytes())
	}
}

// unwritten is how many bytes wait to be written. c.mu is locked.
func (c *conn[F]) unwritten() (n int) {
	if c.pending != nil {
		n = len(c.pending.b)
	}
	if c.sending != nil {
		n += len(c.sending.b) - c.sent
	}
	return n
}

// writeDirect writes as much of what the reader has grabbed as the socket takes at once; the writer does the rest.
func (c *conn[F]) writeDirect(b []byte) {
	c.writes.b, c.writes.n, c.writes.err = b, 0, nil
	err := c.raw.Write(c.writes.f)
	if err == nil && c.writes.err != syscall.EAGAIN {
		err = c.writes.err
	}
	c.writes.b = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wroteSome(write{n: max(c.writes.n, 0), err: err})
	if c.unwritten() > 0 || c.more || c.backlog || c.next < len(c.got.Deliveries) || c.closing != nil {
		c.signal()
	}
}

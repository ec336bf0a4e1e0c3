package peer

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// readCall is one read of a file descriptor.
type readCall struct {
	f   func(fd uintptr) bool // readFD, bound once
	n   int
	err error
}

// readLoop reads, has the machine take what came, and writes what that caused.
func (c *conn[F]) readLoop() {
	for {
		if err := c.fill(); err != nil {
			switch {
			case err == errNoAllowance:
				c.refuse(errNoAllowance)
			case errors.Is(err, os.ErrDeadlineExceeded):
				c.refuse(errStalled)
			default:
				c.hangUp(err)
			}
			break
		}
		next, direct := c.receive()
		if direct != nil {
			c.writeDirect(direct)
		}
		for next == waitOn {
			c.pause()
			if next, direct = c.receive(); direct != nil { // some frames may still wait in the input
				c.writeDirect(direct)
			}
		}
		if next == stopNow {
			break
		}
	}
	c.in.release()
}

// pause waits until the socket may be read again.
func (c *conn[F]) pause() {
	c.paused.Store(true)
	for c.waits() {
		<-c.resume
	}
	c.paused.Store(false)
}

func (c *conn[F]) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing == nil && c.mustWait()
}

// fill reads what the socket has, waiting for at least one byte.
func (c *conn[F]) fill() error {
	if c.raw == nil {
		if err := c.in.prepareToBlock(c.bound); err != nil {
			return err
		}
		n, err := c.socket.Read(c.in.buf.b[c.in.to:])
		c.in.to += n
		if n > 0 {
			return nil
		}
		return err
	}
	if err := c.raw.Read(c.reads.f); err != nil {
		return err
	}
	if c.reads.err != nil {
		return c.reads.err
	}
	if c.reads.n == 0 {
		return io.EOF
	}
	c.in.to += c.reads.n
	return nil
}

// readFD reads once, without blocking; false waits until the descriptor is readable and comes back. While it waits, the
// connection holds no large buffer.
func (c *conn[F]) readFD(fd uintptr) bool {
	if c.reads.err = c.in.prepare(c.bound); c.reads.err != nil {
		return true
	}
	for {
		c.reads.n, c.reads.err = syscall.Read(int(fd), c.in.buf.b[c.in.to:])
		switch c.reads.err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			c.in.park()
			return false
		}
		return true
	}
}

// hangUp ends the connection because the peer has, or the network. What was gathered is still written: a peer may have
// closed its own half alone.
func (c *conn[F]) hangUp(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil {
		c.gone = true
	}
	c.close(why)
}

// part waits a moment for the peer to read our last words, so that closing does not reset the connection under them,
// and closes the socket.
func (c *conn[F]) part() {
	c.mu.Lock()
	heard := !c.lost && !c.gone
	c.mu.Unlock()
	if half, ok := c.socket.(interface{ CloseWrite() error }); ok && heard && half.CloseWrite() == nil {
		c.linger()
	}
	_ = c.socket.Close() // nothing is left to lose
}

func (c *conn[F]) linger() {
	if c.socket.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		return
	}
	b := smallPool.Get().(*buffer)
	defer smallPool.Put(b)
	for left := lingerBytes; left > 0; {
		n, err := c.socket.Read(b.b)
		if err != nil {
			return
		}
		left -= n
	}
}

package rim

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/wire"
)

// dialing is an attempt to reach a master.
type dialing struct{ cancel context.CancelFunc }

func (r *Rim) wire() wire.Options { return wire.Options{Token: r.o.Token, TLS: r.o.TLS} }

// dial begins an attempt and gives up the one before. mu is held.
func (r *Rim) dial(addr string) {
	if r.dialing != nil {
		r.dialing.cancel()
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.o.DialTimeout)
	d := &dialing{cancel}
	r.dialing = d
	r.linked.Go(func() { r.runDial(ctx, d, addr) })
}

func (r *Rim) runDial(ctx context.Context, d *dialing, addr string) {
	defer d.cancel()
	c, err := wire.Dial(ctx, addr, r.wire())
	r.mu.Lock()
	current := r.dialing == d
	if current {
		r.dialing = nil
	}
	var p *peer
	switch {
	case err != nil && current:
		r.stepLocked(ha.DialFailed{Addr: addr, Refused: errors.Is(err, syscall.ECONNREFUSED), Reason: err.Error()})
	case err == nil && current:
		if p = r.join(c, false); p != nil {
			r.stepLocked(ha.Dialed{Link: p.id, Addr: addr})
		}
	}
	r.mu.Unlock()
	if p != nil {
		p.read()
	} else if c != nil {
		_ = c.Close() // nobody wants it any more
	}
}

// listen accepts replicas, in a goroutine that tries until it can or is told to stop. mu is held.
func (r *Rim) listen() {
	if r.binding != nil || r.listener != nil {
		return
	}
	ctx, cancel := context.WithCancel(r.ctx)
	r.binding = cancel
	r.linked.Go(func() { r.bind(ctx) })
}

const bindRetry = 50 * time.Millisecond

func (r *Rim) bind(ctx context.Context) {
	for told := false; ; told = true {
		l, err := wire.Listen(ctx, r.o.Bind, r.wire(), r.accepted, r.refused)
		if err == nil {
			r.bound(ctx, l)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if !told {
			r.tell(ha.Alarm, "cannot accept replicas at %s: %v: trying again", r.o.Bind, err)
		}
		select {
		case <-time.After(bindRetry):
		case <-ctx.Done():
			return
		}
	}
}

// bound notes the listener, unless it is not wanted any more, and waits for its goroutines.
func (r *Rim) bound(ctx context.Context, l *wire.Listener) {
	r.mu.Lock()
	wanted := ctx.Err() == nil && !r.closed
	if wanted {
		r.listener = l
	}
	r.mu.Unlock()
	if !wanted {
		_ = l.Close() // it accepts no more, whatever this says
	}
	l.Wait()
}

// unlisten stops accepting and ends all links that were accepted. mu is held.
func (r *Rim) unlisten() {
	if r.binding != nil {
		r.binding()
		r.binding = nil
	}
	if r.listener != nil {
		_ = r.listener.Close() // it accepts no more, whatever this says
		r.listener = nil
	}
	for _, p := range r.peers {
		if p.accepted {
			p.hang()
		}
	}
}

// accepted runs a link that a replica dialed. A peer that says nothing after the challenge is dropped.
func (r *Rim) accepted(c *wire.Conn) {
	if err := c.SetReadDeadline(time.Now().Add(wire.DefaultHandshake)); err != nil {
		return
	}
	r.mu.Lock()
	var p *peer
	if r.listener != nil || r.binding != nil {
		p = r.join(c, true)
	}
	r.mu.Unlock()
	if p != nil {
		p.read()
	}
}

package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

const (
	chunkBytes = 8 << 10
	// resend is when what did not get through is tried again.
	resend = 100 * time.Millisecond
	// damagePause is how long after it could not send its log a master does not try to hand over again.
	damagePause = time.Second
)

// end is one node's end of a link.
type end struct {
	peer   *node
	life   int   // of the peer's process
	flying []any // frames, and at last a goodbye, on their way to the peer, in order
	last   time.Duration
	feed   feed
}

// goodbye says that the other end is gone.
type goodbye struct{}

// feed streams the log over a link.
type feed struct {
	stream *ha.Stream // nil: nothing
	pin    *persist.Pin
	next   persist.Pos
	acked  persist.Pos
	busy   bool // it is about to look
}

func (n *node) dial(addr string) {
	w := n.w
	n.mine(w.delay(5*time.Millisecond), func() {
		var p *node
		for _, x := range w.nodes {
			if x.addr() == addr {
				p = x
			}
		}
		if p == nil || !p.up || !p.listening || w.cut(n.no, p.no) {
			n.step(ha.DialFailed{Addr: addr, Refused: p != nil && !w.cut(n.no, p.no), Reason: "nobody"})
			return
		}
		w.nextLnk++
		l := w.nextLnk
		n.links[l] = &end{peer: p, life: p.life}
		p.links[l] = &end{peer: n, life: n.life}
		n.step(ha.Dialed{Link: l, Addr: addr})
	})
}

// send puts a frame on a link: they come in order. What is sent while nothing gets through comes later, as with TCP.
func (n *node) send(l ha.Link, f ha.Frame) {
	e := n.links[l]
	if e == nil {
		return
	}
	n.w.sent(n, f)
	n.fly(l, e, n.complete(f), n.w.delay(4*time.Millisecond))
}

// complete adds to an ATTACH that restarts what only the store knows.
func (n *node) complete(f ha.Frame) ha.Frame {
	if a, ok := f.(ha.Attach); ok && a.Restart && a.Header == nil {
		if header, err := n.store.SegmentHeader(a.Cut); err == nil { // else it was trimmed just then
			a.Header = header
			return a
		}
	}
	return f
}

// fly has something arrive behind all that was sent before.
func (n *node) fly(l ha.Link, e *end, what any, d time.Duration) {
	w := n.w
	e.flying = append(e.flying, what)
	e.last = max(e.last, w.now) + d
	w.after(e.last-w.now, func() { n.land(l, e) })
}

// land has the next thing arrive that is on its way.
func (n *node) land(l ha.Link, e *end) {
	w, p := n.w, e.peer
	if way := [2]int{n.no, p.no}; w.blocked[way] || w.late[way] {
		w.after(resend, func() { n.land(l, e) })
		return
	}
	what := e.flying[0]
	e.flying = e.flying[1:]
	p.of(e.life, func() {
		if p.links[l] == nil {
			return
		}
		if f, ok := what.(ha.Frame); ok {
			p.step(ha.Got{Link: l, Frame: f})
			return
		}
		p.links[l].feed.close()
		delete(p.links, l)
		p.step(ha.Lost{Link: l, Reason: "gone"})
	})
}

// hang ends this end of a link; the other one hears of it, late if the host has died.
func (n *node) hang(l ha.Link, power bool) {
	e := n.links[l]
	e.feed.close()
	delete(n.links, l)
	d := n.w.delay(20 * time.Millisecond)
	if power {
		d = n.w.delay(3 * time.Second)
	}
	n.fly(l, e, goodbye{}, d)
}

// startStream begins to stream the log from a position on.
func (n *node) startStream(a ha.Stream) {
	if e := n.links[a.Link]; e != nil {
		e.feed.close()
		e.feed = feed{stream: &a, next: a.From, acked: a.From}
		n.pumpSoon(a.Link, e)
	}
}

func (f *feed) close() {
	if f.pin != nil {
		f.pin.Release()
	}
	f.stream, f.pin = nil, nil
}

// wakeStreams has all streams look whether the log has grown.
func (n *node) wakeStreams() {
	if !n.up {
		return
	}
	for _, l := range n.sorted() {
		if e := n.links[l]; e.feed.stream != nil {
			n.pumpSoon(l, e)
		}
	}
}

func (n *node) pumpSoon(l ha.Link, e *end) {
	if !e.feed.busy {
		e.feed.busy = true
		n.mine(n.w.delay(time.Millisecond), func() {
			e.feed.busy = false
			if n.links[l] == e && e.feed.stream != nil {
				n.pump(l, e)
			}
		})
	}
}

// pump sends the next chunk, if there is one and the window is open. What cannot be read ends the link.
func (n *node) pump(l ha.Link, e *end) {
	f, s := &e.feed, n.store
	if f.pin == nil {
		pin, err := s.Pin(f.next)
		if err != nil { // trimmed since the machine looked
			n.breakLink(l, fmt.Sprintf("pinning: %v", err))
			return
		}
		f.pin = pin
	}
	f.pin.Move(f.acked)
	if f.next >= s.Received() || f.next >= f.acked+n.w.window {
		return
	}
	most := chunkBytes
	if n.w.rng.IntN(2) == 0 {
		most = 1 + n.w.rng.IntN(chunkBytes)
	}
	b, err := s.ReadBatches(f.next, most, nil)
	if err != nil || len(b) == 0 {
		n.breakLink(l, fmt.Sprintf("reading at position %d: %v", f.next, err))
		if n.up && (n.damagedAt == 0 || n.w.now-n.damagedAt >= damagePause) {
			n.damagedAt = n.w.now
			n.step(ha.PromoteAsked{})
		}
		return
	}
	n.fly(l, e, ha.Append{Epoch: f.stream.Epoch, Base: f.next, Commit: n.commitAt, Batches: b}, n.w.delay(4*time.Millisecond))
	f.next += persist.Pos(len(b))
	n.pumpSoon(l, e)
}

// breakLink ends a link because of what befell its writer.
func (n *node) breakLink(l ha.Link, why string) {
	n.hang(l, false)
	n.step(ha.Lost{Link: l, Reason: why})
}

// acked moves a stream's window, and its pin.
func (n *node) acked(a ha.Acked) {
	if e := n.links[a.Link]; e != nil && a.Pos > e.feed.acked {
		e.feed.acked = a.Pos
		if e.feed.stream != nil {
			n.pumpSoon(a.Link, e)
		}
	}
}

// sorted are the node's links in order: a run must not depend on a map's.
func (n *node) sorted() []ha.Link { return slices.Sorted(maps.Keys(n.links)) }

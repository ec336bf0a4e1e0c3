package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/havenmq/havenmq/ha"
)

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

// send puts a frame on a link: they come in order, or not at all.
func (n *node) send(l ha.Link, f ha.Frame) {
	e := n.links[l]
	if e == nil {
		return
	}
	w := n.w
	e.last = max(e.last, w.now) + w.delay(4*time.Millisecond)
	p, life := e.peer, e.life
	w.after(e.last-w.now, func() {
		if w.blocked[[2]int{n.no, p.no}] {
			return
		}
		p.of(life, func() {
			if p.links[l] != nil {
				p.step(ha.Got{Link: l, Frame: f})
			}
		})
	})
}

// pump sends what streams lack.
func (n *node) pump() {
	for _, l := range n.sorted() {
		e := n.links[l]
		if e.stream != nil && n.leading && e.next < len(n.disk.log) {
			n.send(l, ha.Append{Epoch: e.stream.Epoch, Base: pos(e.next), Commit: n.confirm, Batches: encode(n.disk.log[e.next:])})
			e.next = len(n.disk.log)
		}
	}
}

// sorted are the node's links in order: a run must not depend on a map's.
func (n *node) sorted() []ha.Link { return slices.Sorted(maps.Keys(n.links)) }

package sim

import (
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// node is a process, or the disk that is left of one: the rim's model.
type node struct {
	w       *World
	no      int
	disk    *disk
	lost    []*disk // that were wiped
	life    int     // counts processes: what belongs to an earlier one does nothing
	up      bool
	m       *ha.Node
	woken   time.Duration
	session uint64
	offline bool // cannot reach the arbiter

	pausedTo time.Duration // stopped until then: what happens to it waits
	lastLook time.Duration // views come in order

	listening bool
	links     map[ha.Link]*end
	leading   bool
	serving   bool
	confirm   persist.Pos
	lastDisk  time.Duration // disk and arbiter do one thing after the other
	lastAsk   time.Duration
	epoch     uint64
}

// end is one node's end of a link.
type end struct {
	peer   *node
	life   int // of the peer's process
	last   time.Duration
	stream *ha.Stream
	next   int
}

func (n *node) addr() string { return string(rune('a' + n.no)) }

// wipe gives the node an empty disk, and with it another identity.
func (n *node) wipe() {
	n.w.nextID++
	if n.disk != nil {
		n.lost = append(n.lost, n.disk)
	}
	n.disk = &disk{meta: persist.Meta{NodeID: persist.ID{byte(n.w.nextID), byte(n.w.nextID >> 8), 1}}}
}

func (n *node) start() {
	w := n.w
	n.life++
	n.up, n.links, n.listening, n.leading, n.serving, n.confirm = true, map[ha.Link]*end{}, false, false, false, 0
	n.lastDisk, n.lastAsk, n.pausedTo, n.lastLook = w.now, w.now, 0, w.now
	w.arbiter.sessions++
	n.session = w.arbiter.sessions
	n.m = ha.NewNode(ha.Options{Replicas: w.replicas, Addr: n.addr(), Weight: 1, Sync: persist.QuorumDisk, Incarnation: w.rng.Uint64(),
		NewID:    func() persist.ID { w.nextID++; return persist.ID{byte(w.nextID), 2} },
		NewNonce: w.rng.Uint64, Timing: ha.DefaultTiming(), Weaken: w.weaken}, n.boot())
	n.mine(0, func() { n.step(ha.Tick{}) })
	n.look()
}

func (n *node) boot() ha.Boot {
	d := n.disk
	d.meta.CommitHint = pos(d.commit)
	return ha.Boot{Meta: d.meta, Received: pos(len(d.log)), Synced: pos(len(d.log)), Committed: pos(d.commit), History: d.history()}
}

// kill ends the process. A power loss takes what was not synced, or a part of it.
func (n *node) kill(power bool) {
	if !n.up {
		return
	}
	n.w.faults.kills++
	if power {
		n.w.faults.powerLosses++
	}
	n.up, n.serving, n.leading = false, false, false
	n.life++
	n.disk.commit = min(n.disk.commit, n.disk.synced) // as the commit hint has it
	if d := n.disk; power && d.synced < len(d.log) {
		d.log = d.log[:d.synced+n.w.rng.IntN(len(d.log)-d.synced+1)]
	}
	n.disk.synced = len(n.disk.log)
	for _, l := range n.sorted() {
		e := n.links[l]
		n.tellLost(l, e)
	}
	session := n.session
	n.w.after(2*time.Second, func() { n.w.arbiter.expire(session); n.w.changed() })
}

// tellLost has the other end of a link notice.
func (n *node) tellLost(l ha.Link, e *end) {
	p, life := e.peer, e.life
	n.w.after(max(e.last-n.w.now, 0)+n.w.delay(20*time.Millisecond), func() {
		p.of(life, func() {
			if p.links[l] != nil {
				delete(p.links, l)
				p.step(ha.Lost{Link: l, Reason: "gone"})
			}
		})
	})
}

// mine does f in d, if this process lives then.
func (n *node) mine(d time.Duration, f func()) {
	life := n.life
	n.w.after(d, func() { n.of(life, f) })
}

// of does f if that process lives: at once, or when it goes on.
func (n *node) of(life int, f func()) {
	switch {
	case !n.up || n.life != life:
	case n.pausedTo > n.w.now:
		n.w.after(n.pausedTo-n.w.now, func() { n.of(life, f) })
	default:
		f()
	}
}

// look has the machine see the arbiter's rows as they are now, a little later, sometimes much later.
func (n *node) look() {
	if !n.up || n.offline {
		return
	}
	w := n.w
	late := w.delay(5 * time.Millisecond)
	if w.rng.IntN(20) == 0 {
		late = w.delay(time.Second)
	}
	v, session := w.arbiter.view(n.session), n.session
	n.lastLook = max(n.lastLook, w.now+late)
	n.mine(n.lastLook-w.now, func() {
		if !n.offline && n.session == session {
			n.step(ha.Seen{View: v})
		}
	})
}

func (n *node) step(e ha.Event) {
	n.w.noteStep(n, e)
	for _, a := range n.m.Step(n.w.now, e) {
		n.act(a)
	}
	n.w.check(n)
	if wake := n.m.Wake(); n.up && (n.woken <= n.w.now || wake < n.woken) {
		n.woken = max(wake, n.w.now+time.Microsecond)
		n.mine(n.woken-n.w.now, func() {
			if n.w.now >= n.woken || n.m.Wake() <= n.w.now {
				n.woken = 0
				n.step(ha.Tick{})
			}
		})
	}
}

// onDisk does f behind all that the disk was asked for before.
func (n *node) onDisk(f func()) {
	n.lastDisk = max(n.lastDisk, n.w.now) + n.w.delay(3*time.Millisecond) + time.Microsecond
	n.mine(n.lastDisk-n.w.now, f)
}

package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// node is a process, or the disk that is left of one: the rim's model.
type node struct {
	w       *World
	no      int
	disk    *disk
	lost    []*disk // that were wiped, or set aside as damaged
	life    int     // counts processes: what belongs to an earlier one does nothing
	up      bool
	session uint64        // with the arbiter
	offline bool          // cannot reach the arbiter
	torn    bool          // reads everything of the arbiter but the epoch
	slow    time.Duration // what the disk takes at most; 0 the usual
	awayTo  time.Duration // it does not start before
	process
}

// process is all that ends with the process.
type process struct {
	m        *ha.Node
	level    persist.Sync
	woken    time.Duration
	pausedTo time.Duration // stopped until then: what happens to it waits
	lastLook time.Duration // views come in order
	lastAsk  time.Duration // the arbiter does one thing after the other

	store, incoming *persist.Store
	failure         error // of a store
	work            []ha.Action
	working         bool // the disk is at it
	beginning       bool // an epoch, for which the disk has no room
	reopening       bool // the store is closed, and is to be opened anew
	full            bool // last told: the disk has no room
	roomyAt         time.Duration
	toldEpoch       uint64
	toldIn          bool
	writing         bool // the committer is at it
	sweeps          int
	applying        [2]bool

	links     map[ha.Link]*end
	damagedAt time.Duration // when a replica could not be sent the log last; 0 never
	listening bool
	leading   bool
	answering bool // within Progress.Advanced
	serving   uint64
	paused    bool
	epoch     uint64 // led
	barrier   persist.Pos
	commitAt  persist.Pos // as the machine says
	confirmAt persist.Pos
	decided   []decision  // of what is confirmed by the machine and not yet answered
	applied   persist.Pos // last told
	began     persist.Pos // where the log does, last told
	clients   *session
	sights    sights
}

func (n *node) addr() string { return string(rune('a' + n.no)) }

// wipe gives the node an empty disk, and with it another identity.
func (n *node) wipe() {
	if n.disk != nil {
		n.lost = append(n.lost, n.disk)
	}
	n.disk = &disk{fs: persist.NewMemFS()}
}

// voter says whether the node's disk says that it votes.
func (n *node) voter() bool { return n.disk.voter }

func (n *node) start() {
	w := n.w
	if w.now < n.awayTo {
		return
	}
	n.life++
	n.up = true
	n.process = process{links: map[ha.Link]*end{}, lastAsk: w.now, lastLook: w.now}
	n.connect()
	if n.level = w.level; !n.level.Disk() && w.rng.IntN(2) == 0 { // its configuration says another since
		n.level = persist.QuorumDisk
	}
	b, ok := n.open()
	if !ok {
		n.kill(false) // for want of room
		n.startIn(time.Second)
		return
	}
	n.m = ha.NewNode(ha.Options{Replicas: w.replicas, Addr: n.addr(), Weight: 1, Sync: n.level, Incarnation: w.rng.Uint64(),
		NewID:    func() persist.ID { w.nextID++; return persist.ID{byte(w.nextID), byte(w.nextID >> 8), 2} },
		NewNonce: w.rng.Uint64, Timing: ha.DefaultTiming(), Weaken: w.weaken}, b)
	n.mine(0, func() { n.step(ha.Tick{}) })
	n.mine(w.delay(sweepPause), n.keepHouse)
	n.look()
}

// kill ends the process. A power loss takes what was not synced, or a part of it.
func (n *node) kill(power bool) {
	if !n.up {
		return
	}
	w, d := n.w, n.disk
	w.faults.kills++
	if w.Trace != nil {
		w.note(n, fmt.Sprintf("ends, the power goes: %v", power))
	}
	n.up = false
	n.life++
	if power = power && w.mayLosePower(n); power {
		w.faults.powerLosses++
		n.losePower()
	} else {
		d.fs = d.fs.Kill()
	}
	d.setFull(d.full)
	for _, l := range n.sorted() {
		n.hang(l, power)
	}
	n.process = process{}
	session := n.session
	w.after(sessionTime, func() { w.arbiter.expire(session); w.changed() })
}

// losePower leaves what is on the disk. At *_mem levels what it had taken counts as held once, and the node's vote as lost.
func (n *node) losePower() {
	d := n.disk
	if !n.w.level.Disk() {
		was := *d
		was.log.marks = slices.Clone(d.log.marks)
		n.lost = append(n.lost, &was)
		d.voter = false
	}
	d.fs = d.fs.Crash(n.w.rng)
	d.boots++
	d.log.cut(d.synced.End)
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

// step gives the machine an event and sees to what it wants done.
func (n *node) step(e ha.Event) {
	if !n.up {
		return
	}
	n.w.noteStep(n, e)
	life := n.life
	for _, a := range n.m.Step(n.w.now, e) {
		if n.act(a); n.life != life {
			return
		}
	}
	n.w.check(n)
	n.arm()
}

// arm sees to it that the machine has its next Tick in time.
func (n *node) arm() {
	wake := n.m.Wake()
	if n.woken > n.w.now && wake >= n.woken {
		return
	}
	n.woken = max(wake, n.w.now+time.Microsecond)
	n.mine(n.woken-n.w.now, func() {
		if n.w.now >= n.woken || n.m.Wake() <= n.w.now {
			n.woken = 0
			n.tick()
		}
	})
}

func (n *node) tick() {
	if !n.reopening {
		n.tellApplied()
		n.tellRoom()
	}
	n.step(ha.Tick{})
}

// diskTime is how long the disk takes for something.
func (n *node) diskTime() time.Duration {
	if n.slow > 0 {
		return n.w.delay(n.slow)
	}
	return n.w.delay(3*time.Millisecond) + time.Microsecond
}

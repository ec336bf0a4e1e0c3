package sim

import (
	"slices"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// slowMaster: replicas have committed what the master's own disk has not synced; one of them comes back, and is not to be cut below that.
func slowMaster(w *World, c *cast) []stage {
	return []stage{
		{c.steady(w), func() {
			c.master.slow = 3 * time.Second
			w.press(c.master, 5)
		}},
		{w.in(20*time.Millisecond + w.delay(200*time.Millisecond)), func() { w.sever(c.master, c.first) }},
		{w.in(20 * time.Millisecond), func() { w.sever(c.master, c.second) }},
		{w.in(time.Second), w.mend},
	}
}

// slowMasterWiped: one replica has what the master's own disk has not synced, and loses it. Its seat's new holder has it not.
func slowMasterWiped(w *World, c *cast) []stage {
	return []stage{
		{c.steady(w), func() {
			for _, n := range w.others(c.master, c.first) {
				w.late[[2]int{c.master.no, n.no}] = true
			}
			c.master.slow = 2 * time.Second
			w.press(c.master, 3)
		}},
		{gets(&c.master, func(e ha.Got) bool {
			f, ok := e.Frame.(ha.Ack)
			return ok && c.master.store != nil && f.Synced > c.master.store.Synced()
		}), func() {
			w.lose(c.first)
			w.apart(c.master, c.first)
		}},
		{w.in(1500 * time.Millisecond), w.mend},
	}
}

// slowReplica: a replica's link breaks while batches are on their way to its disk, and others commit them meanwhile.
func slowReplica(w *World, c *cast) []stage {
	return []stage{
		{c.steady(w), func() {
			c.first.slow = time.Second
			w.press(c.master, 10)
		}},
		{w.in(5*time.Millisecond + w.delay(100*time.Millisecond)), func() {
			w.sever(c.first, c.master)
			w.press(c.master, 5)
		}},
		{w.in(time.Second), w.mend},
	}
}

// forgetfulVoter: of two that hold what is committed one loses its power, and at *_mem levels what it had not synced. It attaches again, gets
// nothing, and the master goes; who is left lacks it too.
func forgetfulVoter(w *World, c *cast) []stage {
	var tail persist.Pos
	held := w.in(10*time.Millisecond + w.delay(100*time.Millisecond))
	if !w.level.Disk() {
		held = gets(&c.master, func(e ha.Got) bool {
			f, ok := e.Frame.(ha.Ack)
			return ok && f.Received > tail && f.Synced <= tail
		})
	}
	return []stage{
		{c.steady(w), func() {
			tail = c.master.store.Received()
			w.late[[2]int{c.master.no, c.second.no}] = true
			c.first.slow = 2 * time.Second
			w.press(c.master, 10)
		}},
		{held, func() {
			if w.mayLosePower(c.first) {
				c.first.kill(true)
			}
			c.first.slow, c.first.awayTo = 0, 0
			c.first.startIfDown()
			if w.rng.IntN(2) == 0 {
				c.master.kill(false)
			}
		}},
		{func(o occurrence) bool {
			e, ok := o.event.(ha.Got)
			_, attach := e.Frame.(ha.Attach)
			return ok && attach && o.n == c.first || !c.master.up
		}, func() { w.late[[2]int{c.master.no, c.first.no}] = true }},
		{func(occurrence) bool { return c.first.disk.voter || !c.master.up }, func() {
			c.master.kill(false)
		}},
		{w.in(pauseMost), w.mend},
	}
}

// copiedDirectory: a replica's directory is copied to another host and started there. Neither master nor replica hears of it, nor of an election in which
// the copy votes; it must have no vote.
func copiedDirectory(w *World, c *cast) []stage {
	var copied, won *node
	began := time.Duration(0)
	return []stage{
		{c.steady(w), func() {
			began = w.now
			copied = w.copyOf(c.first)
			c.master.setOffline(true)
			c.first.setOffline(true)
			w.apart(c.master, w.others(c.master, c.first)...)
			w.apart(c.first, w.others(c.master, c.first)...)
			copied.start()
		}},
		{func(o occurrence) bool {
			return w.now > began+copyTime || w.elects(&won, &c.second, &copied)(o)
		}, func() { w.press(c.master, 3) }},
		{func(occurrence) bool { return w.now > began+copyTime }, w.mend},
	}
}

// seatTaken: a master's session has ended, its replicas follow it all the same, and another host with its name and an empty directory takes its
// seat. Once it sees that, it counts for nothing any more.
func seatTaken(w *World, c *cast) []stage {
	return []stage{
		{c.steady(w), func() {
			if !w.spare(c.master) {
				return
			}
			c.master.setOffline(true)
			w.arbiter.expire(c.master.session)
			c.master.connect()
			w.ghost = c.master
			heir := &node{w: w, no: c.master.no, disk: c.master.disk, lost: c.master.lost}
			heir.wipe()
			w.nodes[heir.no] = heir
			w.late[[2]int{heir.no, c.second.no}] = true
			heir.start()
		}},
		{func(o occurrence) bool { return w.ghost == nil || o.txn != nil && o.txn.SetConfig != nil }, func() {
			if g := w.ghost; g != nil {
				g.setOffline(false)
				w.press(g, 5)
			}
		}},
		{func(o occurrence) bool { return w.ghost == nil || o.n == w.ghost && o.event != nil }, func() {
			if g := w.ghost; g != nil {
				w.press(g, 5)
			}
		}},
		{w.in(time.Second), w.mend},
	}
}

// copyTime is less than what ends a session: the copy is gone before it may take the seat.
const copyTime = sessionTime - 200*time.Millisecond

// copyOf is a node at an address of its own that has another's directory.
func (w *World) copyOf(n *node) *node {
	d := *n.disk
	d.fs, d.log.marks = n.disk.fs.Copy(), slices.Clone(d.log.marks)
	x := &node{w: w, no: len(w.nodes), disk: &d}
	w.nodes = append(w.nodes, x)
	return x
}

// dropCopies ends nodes that are no members, and their disks with them.
func (w *World) dropCopies() {
	for _, n := range w.nodes[w.replicas:] {
		n.kill(false)
		w.arbiter.expire(n.session)
	}
	w.nodes = w.nodes[:w.replicas]
	if g := w.ghost; g != nil {
		w.ghost = nil
		g.kill(false)
		w.arbiter.expire(g.session)
	}
}

// sever breaks the link between two nodes, which both go on.
func (w *World) sever(a, b *node) {
	for _, l := range a.sorted() {
		if a.links[l] != nil && a.links[l].peer == b {
			a.breakLink(l, "the link broke")
		}
	}
}

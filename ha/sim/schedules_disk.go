package sim

import (
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

// sever breaks the link between two nodes, which both go on.
func (w *World) sever(a, b *node) {
	for _, l := range a.sorted() {
		if a.links[l] != nil && a.links[l].peer == b {
			a.breakLink(l, "the link broke")
		}
	}
}

package sim

import (
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// schedule makes plans of one kind.
type schedule struct {
	name  string
	nodes int // at least
	make  func(w *World, c *cast) []stage
}

// schedules are all kinds, each with what it is about.
var schedules = []schedule{
	{"late frames of an old master", 3, lateFrames},
	{"a master's lonely tail", 3, lonelyTail},
	{"the eighth figure", 3, eighthFigure},
	{"stopped while it opens", 3, stoppedOpening},
	{"a stopped candidate", 3, stoppedCandidate},
	{"a deaf master", 3, deafMaster},
	{"a laggard", 3, laggard},
	{"a wiped voter", 3, wipedVoter},
	{"a wiped voter's row", 3, wipedRow},
	{"a wiped promise", 3, wipedPromise},
	{"a slow master's replica comes back", 3, slowMaster},
	{"a slow master's replica is another", 3, slowMasterWiped},
	{"a slow replica comes back", 3, slowReplica},
	{"a copied directory", 3, copiedDirectory},
	{"a master's seat is taken", 3, seatTaken},
	{"a voter that forgot", 3, forgetfulVoter},
}

// lateFrames: a replica attaches to its master again while the others give that up; before the ATTACH arrives it has voted for another. What
// it acknowledges then must not count, and is acknowledged to nobody.
func lateFrames(w *World, c *cast) []stage {
	var voted bool
	return []stage{
		{c.steady(w), func() {
			c.master.setOffline(true)
			c.second.setOffline(true)
			w.apart(c.master, w.others(c.master)...)
		}},
		{w.suspects(&c.first), func() {
			w.together(c.master, c.first)
			w.late[[2]int{c.master.no, c.first.no}] = true
		}},
		{gets[ha.Dialed](&c.first, nil), func() { c.second.setOffline(false) }},
		{w.shows(&c.first, ha.StateFrozen), func() { c.first.setOffline(true) }},
		{func(o occurrence) bool {
			voted = voted || o.txn != nil && o.txn.SetMandate != nil
			return voted
		}, func() {
			clear(w.late)
		}},
		{w.in(time.Second), w.mend},
	}
}

// lonelyTail: a master appends what nobody else gets, a long tail; another is elected and commits a little; it goes, and who is left
// elects with the one that has the tail.
func lonelyTail(w *World, c *cast) []stage {
	var won, other *node
	return []stage{
		{c.steady(w), func() {
			w.apart(c.master, w.others(c.master)...)
			w.press(c.master, 20+w.rng.IntN(40))
		}},
		{w.elects(&won, &c.first, &c.second), func() {
			if other = c.first; won == other {
				other = c.second
			}
			c.master.kill(w.rng.IntN(2) == 0)
		}},
		{func(o occurrence) bool {
			return o.n == won && o.n.serving != 0 && o.event != nil && w.rng.IntN(10) == 0
		}, func() {
			won.kill(w.rng.IntN(2) == 0)
			clear(w.blocked)
			c.master.startIfDown()
		}},
		{w.shows(&other, ha.StateFrozen), func() { other.pause(2*time.Second + w.delay(time.Second)) }},
		{w.in(pauseMost), w.mend},
	}
}

// eighthFigure: what a master has appended alone is on a quorum two epochs later, without that epoch's beginning; who has the epoch
// between is elected then, and overwrites it.
func eighthFigure(w *World, c *cast) []stage {
	var won, other *node
	var tail persist.Pos
	began := func(o occurrence) bool { return o.n == won && o.event != nil && won.leading }
	return []stage{
		{c.steady(w), func() {
			w.apart(c.master, w.others(c.master)...)
			tail = c.master.store.Received()
			w.press(c.master, 1+w.rng.IntN(6))
		}},
		{w.elects(&won, &c.first, &c.second), func() {
			other = c.first
			if won == other {
				other = c.second
			}
			w.apart(won, w.others(won)...)
		}},
		{began, func() {
			won.kill(false)
			w.together(c.master, other)
		}},
		{w.elects(&won, &c.master), func() {}},
		{gets(&other, func(e ha.Got) bool {
			f, ok := e.Frame.(ha.Append)
			end := f.Base + persist.Pos(len(f.Batches))
			return ok && f.Epoch == c.master.epoch && end > tail && end < c.master.store.Received()
		}), func() { w.blocked[[2]int{c.master.no, other.no}] = true }},
		{gets(&c.master, func(e ha.Got) bool {
			f, ok := e.Frame.(ha.Ack)
			return ok && f.Synced > tail && f.Epoch == c.master.epoch && f.Synced < c.master.store.Received()
		}), func() {
			c.master.kill(false)
			clear(w.blocked)
			w.blocked[[2]int{c.master.no, other.no}] = true // what it sent before must not arrive
			for _, n := range w.others(c.master) {
				n.startIfDown()
			}
		}},
		{w.in(stageTime), w.mend},
	}
}

// stoppedOpening: who has won stops while it begins, another is elected, and it goes on with all that it was sent meanwhile.
func stoppedOpening(w *World, c *cast) []stage {
	var won *node
	return []stage{
		{c.steady(w), func() { c.master.kill(false) }},
		{w.elects(&won, &c.first, &c.second), func() { c.master.startIfDown() }},
		{func(o occurrence) bool {
			t, ok := o.act.(ha.Transact)
			return ok && o.n == won && (t.Txn.Announce != nil || w.rng.IntN(4) == 0)
		}, func() { won.pause(2*time.Second + w.delay(pauseMost)) }},
		{w.in(pauseMost), w.mend},
	}
}

// stoppedCandidate: one that has voted stops before it stands, or while the arbiter answers it; the others go on without it.
func stoppedCandidate(w *World, c *cast) []stage {
	var candidate *node
	return []stage{
		{c.steady(w), func() { c.master.kill(w.rng.IntN(2) == 0) }},
		{stands(&candidate, &c.first, &c.second), func() {
			candidate.pause(500*time.Millisecond + w.delay(pauseMost))
			c.master.startIfDown()
		}},
		{w.in(pauseMost), w.mend},
	}
}

// deafMaster: a master hears nobody and is told nothing by the arbiter, while the others elect another and go on.
func deafMaster(w *World, c *cast) []stage {
	return []stage{
		{c.steady(w), func() {
			c.master.setOffline(true)
			w.apart(c.master, w.others(c.master)...)
		}},
		{w.in(w.delay(stageTime)), w.mend},
	}
}

// laggard: of two replicas one has all that is committed, and stops when it has voted; the other one must not win without it.
func laggard(w *World, c *cast) []stage {
	return []stage{
		{c.steady(w), func() {
			w.late[[2]int{c.master.no, c.second.no}] = true
			w.press(c.master, 10)
		}},
		{w.in(300 * time.Millisecond), func() { c.master.kill(w.rng.IntN(2) == 0) }},
		{w.shows(&c.first, ha.StateFrozen), func() { c.first.pause(2*time.Second + w.delay(pauseMost)) }},
		{w.in(w.delay(stageTime)), w.mend},
	}
}

// wipedVoter: one of two that hold what is committed loses its disk, and the other one is down; who is left lacks it.
func wipedVoter(w *World, c *cast) []stage {
	return []stage{
		{c.steady(w), func() {
			w.late[[2]int{c.master.no, c.second.no}] = true
			w.press(c.master, 10)
		}},
		{w.in(w.delay(600 * time.Millisecond)), func() {
			w.lose(c.first)
			c.master.kill(w.rng.IntN(2) == 0)
		}},
		{w.in(stageTime - time.Second), w.mend},
	}
}

// wipedRow: two have voted, and one of them stops before it asks for the epoch; the other loses its disk, and comes back to the old
// master, which it knows nothing against. The vote that it has forgotten must not elect.
func wipedRow(w *World, c *cast) []stage {
	var candidate *node
	return []stage{
		{c.steady(w), func() {
			w.apart(c.master, c.first, c.second)
			w.press(c.master, 5)
		}},
		{stands(&candidate, &c.first, &c.second), func() {
			other := c.first
			if other == candidate {
				other = c.second
			}
			candidate.pause(time.Second + w.delay(time.Second))
			w.lose(other)
			w.together(c.master, other)
		}},
		{w.in(pauseMost), w.mend},
	}
}

// wipedPromise: another is elected, and who has voted for it loses its disk and takes its seat anew. The old master, which has not heard of
// the epoch, must not count it.
func wipedPromise(w *World, c *cast) []stage {
	var won *node
	return []stage{
		{c.steady(w), func() {
			c.master.setOffline(true)
			w.apart(c.master, c.first, c.second)
			w.press(c.master, 5)
		}},
		{w.elects(&won, &c.first, &c.second), func() {
			other := c.first
			if other == won {
				other = c.second
			}
			c.master.torn = true
			c.master.setOffline(false)
			w.lose(other)
			w.apart(won, other)
			w.together(c.master, other)
		}},
		{w.in(pauseMost), w.mend},
	}
}

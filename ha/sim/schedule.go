package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/havenmq/havenmq/ha"
)

// Random faults rarely meet in the order that a rule is there for. A plan is such an order: it waits for one thing, does the
// next, and so on. Every run has some of them between its random faults, in which the rules hold and what leaves one out must not.

// occurrence is what a plan waits for: an event that a node takes, an action that it asks for, or a transaction that is done.
type occurrence struct {
	n     *node
	event ha.Event
	act   ha.Action
	txn   *ha.Txn
}

// stage waits for when to hold, and then does do.
type stage struct {
	when func(o occurrence) bool
	do   func()
}

// plan is a schedule under way.
type plan struct {
	name   string
	stages []stage
	until  time.Duration // the stage is waited for no longer
	busy   bool          // about to do what the stage asks for
}

// Patience with a stage.
const (
	stageTime = 6 * time.Second
	pauseMost = 4 * time.Second
)

// planned says whether a plan is under way, and may begin one.
func (w *World) planned() bool {
	if w.plan == nil && w.rng.IntN(6) == 0 {
		w.begin()
	}
	if w.plan != nil && w.now > w.plan.until {
		w.endPlan()
	}
	return w.plan != nil
}

// begin starts the next plan, in the order that the seed gives them.
func (w *World) begin() {
	if len(w.plans) == 0 {
		w.plans = w.rng.Perm(len(schedules))
		if !w.level.Disk() { // the last is about what was not synced
			w.plans = append([]int{len(schedules) - 1}, w.plans...)
		}
	}
	s := schedules[w.plans[0]]
	w.plans = w.plans[1:]
	if s.nodes > len(w.nodes) {
		return
	}
	w.mend()
	w.faults.plans++
	w.plan = &plan{name: s.name, stages: s.make(w, &cast{}), until: w.now + stageTime}
}

func (w *World) endPlan() {
	w.plan = nil
	w.mend()
}

// notice has the plan under way look at what happens. What it does comes right behind it.
func (w *World) notice(o occurrence) {
	p := w.plan
	if p == nil || p.busy || !p.stages[0].when(o) {
		return
	}
	p.busy = true
	w.after(0, func() {
		do := p.stages[0].do
		p.busy, p.stages, p.until = false, p.stages[1:], w.now+stageTime
		if w.plan != p {
			return
		}
		if w.Trace != nil {
			w.Trace(fmt.Sprintf("%v plan %q goes on, %d more", w.now, p.name, len(p.stages)))
		}
		if len(p.stages) == 0 {
			w.plan = nil
		}
		do()
	})
}

// mend ends what is wrong, and starts who is down.
func (w *World) mend() {
	w.dropCopies()
	clear(w.blocked)
	clear(w.late)
	for _, n := range w.nodes {
		n.slow, n.awayTo = 0, 0
		n.disk.setFull(false)
		n.disk.fs.Fuse(0)
		n.torn = false
		n.setOffline(false)
		n.resume()
		n.startIfDown()
		n.look()
	}
}

// cast are the nodes that a plan is about, once there is a master whom all follow.
type cast struct{ master, first, second *node }

// steady waits until a master serves and all others follow it with a vote, and casts them in any order.
func (c *cast) steady(w *World) func(occurrence) bool {
	return func(o occurrence) bool {
		if o.event == nil || o.n.serving == 0 || o.n.paused || w.arbiter.mandate == nil || w.arbiter.mandate.Epoch != o.n.epoch {
			return false
		}
		var rest []*node
		for _, n := range w.nodes {
			if n == o.n {
				continue
			}
			if r := w.row(n); r == nil || r.State != ha.StateFollowing || !r.Voter || !n.up {
				return false
			}
			rest = append(rest, n)
		}
		w.rng.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
		c.master, c.first, c.second = o.n, rest[0], rest[1]
		return true
	}
}

// row is what the arbiter shows of a node.
func (w *World) row(n *node) (r *ha.MemberRow) {
	for i := range w.arbiter.members {
		if m := &w.arbiter.members[i]; m.Row.NodeID == n.disk.id {
			r = &m.Row
		}
	}
	return r
}

// Conditions that plans are made of.

func (w *World) in(d time.Duration) func(occurrence) bool {
	at := time.Duration(0)
	return func(occurrence) bool {
		if at == 0 {
			at = w.now + d
		}
		return w.now >= at
	}
}

// shows waits until a node's row has a state.
func (w *World) shows(n **node, s ha.MemberState) func(occurrence) bool {
	return func(o occurrence) bool {
		r := o.txn
		return r != nil && o.n == *n && r.PutMember != nil && r.PutMember.State == s
	}
}

// suspects waits until a node tells the others that it has lost its master.
func (w *World) suspects(n **node) func(occurrence) bool {
	return func(o occurrence) bool {
		return o.txn != nil && o.n == *n && o.txn.PutMember != nil && o.txn.PutMember.SuspectEpoch > 0
	}
}

// elects waits until one of some nodes is given an epoch, and notes whom.
func (w *World) elects(who **node, of ...**node) func(occurrence) bool {
	return func(o occurrence) bool {
		if o.txn == nil || o.txn.SetMandate == nil || !slices.ContainsFunc(of, func(n **node) bool { return *n == o.n }) {
			return false
		}
		*who = o.n
		return true
	}
}

// stands waits until one of some nodes asks for an epoch.
func stands(who **node, of ...**node) func(occurrence) bool {
	return func(o occurrence) bool {
		t, ok := o.act.(ha.Transact)
		if !ok || t.Txn.SetMandate == nil || !slices.ContainsFunc(of, func(n **node) bool { return *n == o.n }) {
			return false
		}
		*who = o.n
		return true
	}
}

// gets waits until a node takes an event.
func gets[E ha.Event](n **node, more func(E) bool) func(occurrence) bool {
	return func(o occurrence) bool {
		e, ok := o.event.(E)
		return ok && o.n == *n && (more == nil || more(e))
	}
}

// Things that plans do.

// apart cuts nodes from each other in both directions.
func (w *World) apart(a *node, others ...*node) {
	for _, b := range others {
		if a != b {
			w.blocked[[2]int{a.no, b.no}], w.blocked[[2]int{b.no, a.no}] = true, true
		}
	}
}

// together mends what is between two nodes.
func (w *World) together(a, b *node) {
	delete(w.blocked, [2]int{a.no, b.no})
	delete(w.blocked, [2]int{b.no, a.no})
}

// others are all nodes but some.
func (w *World) others(but ...*node) (rest []*node) {
	for _, n := range w.nodes {
		if !slices.Contains(but, n) {
			rest = append(rest, n)
		}
	}
	return rest
}

// lose gives a node an empty disk and starts it at once, if the cluster can do without what is on it; nobody remembers its session.
func (w *World) lose(n *node) {
	if !w.spare(n) {
		return
	}
	session := n.session
	w.faults.wipes++
	n.kill(true)
	w.arbiter.expire(session)
	w.changed()
	n.wipe()
	n.start()
}

// press has clients ask a master for much at once.
func (w *World) press(n *node, times int) {
	for range times {
		w.clients.act(n)
	}
}

// pause stops a process, as SIGSTOP does. A long stop costs it its session.
func (n *node) pause(d time.Duration) {
	w, life := n.w, n.life
	n.pausedTo = w.now + d
	w.after(sessionTime, func() {
		if n.life == life && n.pausedTo > w.now {
			w.expire(n)
		}
	})
	w.after(d, func() {
		if n.life == life && n.pausedTo <= w.now {
			n.sights.resumed = w.now
		}
	})
}

// resume has a stopped process go on.
func (n *node) resume() {
	if n.pausedTo > n.w.now {
		n.pausedTo, n.sights.resumed = n.w.now, n.w.now
	}
}

func (n *node) startIfDown() {
	if !n.up {
		n.start()
	}
}

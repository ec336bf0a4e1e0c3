package sim

import (
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// What must hold of epochs, votes and seats, looked at as actions are asked for and as the arbiter decides.

// sights is what a process has seen and said, as far as the checks ask for it.
type sights struct {
	read     *ha.View      // what it has read of the arbiter
	config   *ha.Config    // the newest that it was shown,
	serial   uint64        // in this view
	resumed  time.Duration // when it went on after it was stopped
	asked    uint64        // the announcement that is under way
	announce time.Duration // when it learned that it stands
}

// win is an epoch that somebody was given.
type win struct {
	leader persist.ID
	at     time.Duration
}

// steps looks at an event before the machine does.
func (w *World) steps(n *node, e ha.Event) {
	s := &n.sights
	switch e := e.(type) {
	case ha.Seen:
		n.sees(&e.View)
	case ha.Answered:
		n.sees(&e.View)
		if e.ID == s.asked && e.Outcome == ha.Done {
			s.announce = w.now
		}
	}
	w.notice(occurrence{n: n, event: e})
}

func (n *node) sees(v *ha.View) {
	if s := &n.sights; v.Config != nil && v.Serial >= s.serial {
		s.config, s.serial = v.Config, v.Serial
	}
}

// acts looks at an action before it is done.
func (w *World) acts(n *node, a ha.Action) {
	switch a := a.(type) {
	case ha.Transact:
		if a.Txn.Announce != nil {
			n.sights.asked = a.ID
		}
	case ha.Serve:
		w.opened(n, a.Epoch)
	}
	w.notice(occurrence{n: n, act: a})
}

// opened holds I10: who opens its ports has asked a quorum after it had learned that its epoch is the newest: no later one
// had been given out by then.
func (w *World) opened(n *node, epoch uint64) {
	for e, x := range w.wins {
		if e > epoch && x.at < n.sights.announce {
			w.fail("I10: node %d opens its ports for epoch %d, and epoch %d had been won before it asked whether it is heard", n.no, epoch, e)
		}
	}
	if n.sights.announce == 0 {
		w.fail("I10: node %d opens its ports for epoch %d, and has not read whether that is the newest", n.no, epoch)
	}
}

// silent holds that a master whose epoch is over, and that runs, stops dispatch within the lease, whatever it is told.
func (w *World) silent(n *node) {
	if !n.up || n.serving == 0 || n.paused || n.pausedTo > w.now {
		return
	}
	t := ha.DefaultTiming()
	for e := n.epoch + 1; ; e++ {
		x, ok := w.wins[e]
		if !ok {
			return
		}
		if over := w.now - max(x.at, n.sights.resumed); over > t.Lease+3*t.Heartbeat {
			w.fail("I10: node %d serves epoch %d, %v after epoch %d was won", n.no, n.epoch, over, e)
		}
	}
}

// decided looks at what a transaction has done.
func (w *World) decided(n *node, x *ha.Txn, before *ha.Config) {
	if x.SetConfig != nil && before != nil {
		w.configured(before, x.SetConfig)
		w.storage.takeovers += takeovers(before, x.SetConfig)
	}
	if r := x.PutMember; r != nil && r.State == ha.StateFrozen && n.up && r.NodeID == n.disk.id {
		w.voted(n, r)
	}
	if m := x.SetMandate; m != nil {
		w.elected(m)
	}
	if a := x.Announce; a != nil && a.Epoch < w.newest {
		w.fail("I2: the master of epoch %d announces itself, and epoch %d was won", a.Epoch, w.newest)
	}
}

// configured holds I2 of seats: their generations never go back, and one of them has one holder.
func (w *World) configured(old, now *ha.Config) {
	for i, s := range old.Seats {
		switch {
		case i >= len(now.Seats) || now.Seats[i].Generation < s.Generation:
			w.fail("I2: the holder of seat %d, of generation %d, is forgotten", i, s.Generation)
		case now.Seats[i].Generation == s.Generation && now.Seats[i].NodeID != s.NodeID:
			w.fail("I2: seat %d has two holders of generation %d", i, s.Generation)
		}
	}
	if old.Initialized && !now.Initialized {
		w.fail("I2: the configuration forgets that the cluster has begun")
	}
}

// voted holds I5: a vote is what is on the disk. One for an epoch that was won meanwhile counts for nothing.
func (w *World) voted(n *node, r *ha.MemberRow) {
	s, m := n.store, n.store.Meta()
	if r.Promised > w.newest && (r.Promised > m.Promised || r.End != s.Received() || r.End != s.Synced() || r.LastEpoch != s.Epoch() || r.Voter && !m.Voter) {
		w.fail("I5: node %d votes %+v, and its log ends at %d, synced %d, of epoch %d, with %d promised and voter %v",
			n.no, *r, s.Received(), s.Synced(), s.Epoch(), m.Promised, m.Voter)
	}
}

// disksOf are the disks of the node of an id, wherever they are now.
func (w *World) disksOf(id persist.ID) func(yield func(*disk) bool) {
	return func(yield func(*disk) bool) {
		for _, n := range w.nodes {
			if n.disk.id == id && !yield(n.disk) {
				return
			}
			for i := len(n.lost) - 1; i >= 0; i-- {
				if n.lost[i].id == id && !yield(n.lost[i]) {
					return
				}
			}
		}
	}
}

// elected holds I1: one winner an epoch; I2: epochs only grow; I4: a quorum of the seats' holders has promised the epoch,
// on disk; and that the winner has all that is committed (I6 from here on).
func (w *World) elected(m *ha.Mandate) {
	if old, ok := w.wins[m.Epoch]; ok {
		w.fail("I1: epoch %d was won by %v and by %v", m.Epoch, old.leader, m.Leader)
	}
	if m.Epoch <= w.newest {
		w.fail("I2: epoch %d follows epoch %d", m.Epoch, w.newest)
	}
	w.newest = max(w.newest, m.Epoch)
	w.wins[m.Epoch] = win{m.Leader, w.now}
	w.faults.elections++
	if m.Leader.IsZero() {
		return
	}
	promised, c := 0, w.arbiter.config
	for _, s := range c.Seats {
		for d := range w.disksOf(s.NodeID) {
			if d.promised >= m.Epoch {
				promised++
				break
			}
		}
	}
	if promised < c.Quorum() && c.Sole != m.Leader {
		w.fail("I4: epoch %d is won by %v, and %d seats have promised it", m.Epoch, m.Leader, promised)
	}
	for d := range w.disksOf(m.Leader) {
		if own, ok := d.log.at(w.prefix.end); w.prefix.end > 0 && (!ok || own.Sum != w.prefix.sums[w.prefix.end]) {
			w.fail("I4: epoch %d is won by %v, which lacks some of what is committed, up to %d", m.Epoch, m.Leader, w.prefix.end)
		}
		break
	}
}

package sim

import (
	"slices"

	"github.com/havenmq/havenmq/ha"
)

// elected holds I1: one winner an epoch; and I2: epochs only grow.
func (w *World) elected(m *ha.Mandate, o ha.Outcome) {
	if m == nil || o != ha.Done {
		return
	}
	if old, ok := w.winners[m.Epoch]; ok {
		w.fail("I1: epoch %d was won by %v and by %v", m.Epoch, old, m.Leader)
	}
	w.winners[m.Epoch] = m.Leader
	w.faults.elections++
}

// committed holds I7: what anybody takes for committed is the same everywhere.
func (w *World) committed(n *node, to int) {
	for i, e := range n.disk.log[:to] {
		if i == len(w.prefix) {
			w.prefix = append(w.prefix, e)
		}
		if w.prefix[i] != e {
			w.fail("I7: node %d takes %v for committed at %d, where %v is", n.no, e, i, w.prefix[i])
			return
		}
	}
}

// confirm notes what a master answers its producers, and holds I9: a quorum has it on disk, or had when it
// said so: a disk that was wiped since counts.
func (w *World) confirm(n *node, to int) {
	for i := len(n.disk.log[:to]) - 1; i >= 0; i-- {
		e := n.disk.log[i]
		if e.id != 0 && w.confirmed[e.id] {
			break
		}
		if e.id != 0 {
			w.confirmed[e.id] = true
		}
	}
	holders := 0
	for _, x := range w.nodes {
		if to > 0 && slices.ContainsFunc(append(x.lost, x.disk), func(d *disk) bool { return d.synced >= to && d.log[to-1] == n.disk.log[to-1] }) {
			holders++
		}
	}
	if to > 0 && holders < len(w.nodes)/2+1 {
		w.fail("I9: node %d confirms up to %d, and %d disks hold it", n.no, to, holders)
	}
}

// served holds I6: who serves has all that was confirmed, and I10: it is the newest epoch's master.
func (w *World) served(n *node) {
	w.serves++
	have := map[uint64]bool{}
	for _, e := range n.disk.log {
		have[e.id] = true
	}
	for id := range w.confirmed {
		if !have[id] {
			w.fail("I6: node %d serves epoch %d without message %d, which was confirmed", n.no, n.epoch, id)
			return
		}
	}
}

// check holds what must be so after each step: I6 for whoever serves the newest epoch.
func (w *World) check(n *node) {
	if n.up && n.leading && w.arbiter.mandate != nil && n.epoch > w.arbiter.mandate.Epoch {
		w.fail("node %d leads epoch %d, which nobody gave it", n.no, n.epoch)
	}
}

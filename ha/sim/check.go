package sim

import (
	"fmt"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// prefix is what anybody has taken for committed: the checksum of each batch, by its end. A checksum covers all before.
type prefix struct {
	sums map[persist.Pos]uint32
	end  persist.Pos
}

// sent holds I3: nobody acknowledges for a lower epoch than it has promised on disk; nor what is not synced, nor as a voter
// that it is not.
func (w *World) sent(n *node, f ha.Frame) {
	a, ok := f.(ha.Ack)
	if !ok {
		return
	}
	d := n.disk
	if a.Epoch < d.promised {
		w.fail("I3: node %d acknowledges for epoch %d, and has promised %d", n.no, a.Epoch, d.promised)
	}
	if l, _ := n.follower(a.Incoming); l != nil && (a.Synced > l.Synced() || a.Received > l.Received()) {
		w.fail("I9: node %d acknowledges up to %d, and has synced up to %d", n.no, a.Synced, l.Synced())
	}
	if a.Voter && (a.Incoming || !d.voter) {
		w.fail("I11: node %d acknowledges as a voter, and is none", n.no)
	}
}

// check holds what must be so after each step.
func (w *World) check(n *node) {
	if to := min(n.commitAt, n.store.Received()); to > n.disk.log.checked {
		w.committed(n, to)
	}
	if m := w.arbiter.mandate; n.leading && (m == nil || n.epoch > m.Epoch) {
		w.fail("I1: node %d leads epoch %d, which nobody gave it", n.no, n.epoch)
	}
	w.silent(n)
}

// committed holds I7: what anybody takes for committed is the same everywhere.
func (w *World) committed(n *node, to persist.Pos) {
	l, p := &n.disk.log, &w.prefix
	i := l.find(l.checked)
	for ; i < len(l.marks) && l.marks[i].End <= to; i++ {
		m := &l.marks[i]
		switch sum, known := p.sums[m.End]; {
		case !known && m.Base == p.end:
			p.sums[m.End], p.end = m.Sum, m.End
		case !known || sum != m.Sum:
			w.fail("I7: node %d takes a batch of epoch %d at [%d, %d) for committed, where another is", n.no, m.Epoch, m.Base, m.End)
			return
		}
	}
	if l.checked = to; i == 0 && to > l.start || i > 0 && l.marks[i-1].End != to {
		w.fail("I7: node %d takes its log for committed up to %d, where no batch ends", n.no, to)
	}
}

// decision is a confirmation as the machine gave it, by the configuration that it had been shown then.
type decision struct {
	to     persist.Pos
	config *ha.Config
}

// confirm holds I9: when a master answers for what lies in [from, to), the disks of a quorum of voters hold it: of those that it had been shown as
// the seats' holders when it decided so, a moment ago. A disk that was wiped since, or on which something rotted, counts as it was.
func (w *World) confirm(n *node, from, to persist.Pos) {
	m, ok := n.disk.log.at(to)
	if !ok {
		w.fail("I9: node %d confirms up to %d, where no batch ends", n.no, to)
		return
	}
	config := n.sights.config
	for len(n.decided) > 0 && n.decided[0].to < to {
		n.decided = n.decided[1:]
	}
	if len(n.decided) > 0 {
		config = n.decided[0].config
	}
	holders := 0
	for _, s := range config.Seats {
		for d := range w.disksOf(s.NodeID) {
			if (d == n.disk || d.voter) && d.holds(w.level, from, m) {
				holders++
				break
			}
		}
	}
	if holders < w.replicas/2+1 {
		w.fail("I9: node %d confirms up to %d, and %d disks of voters hold it", n.no, to, holders)
	}
}

// served holds I10: who serves has its epoch's beginning committed and in its index; and I12.
func (w *World) served(n *node) {
	w.serves++
	if p := n.store.Committed(); p < n.barrier {
		w.fail("I10: node %d serves epoch %d from %d on and has committed up to %d", n.no, n.epoch, n.barrier, p)
	}
	w.replayed(n)
}

// replayed holds I12: the index is what the log says, and the same as anybody's at the same position.
func (w *World) replayed(n *node) {
	w.storage.hashes++
	s := n.store
	index, err := s.IndexHash()
	if !n.sound(err) {
		return
	}
	replay, err := s.ReplayHash()
	if err != nil && n.disk.rot != 0 {
		return // it cannot be read
	}
	if !n.sound(err) {
		return
	}
	at := s.Committed()
	if index != replay {
		w.fail("I12: node %d: the index at %d is not what the log from %d on says", n.no, at, s.Start())
	}
	if other, ok := w.hashes[at]; ok && other != index {
		w.fail("I12: node %d: the index at %d is not what another node's was", n.no, at)
	}
	w.hashes[at] = index
}

// pinned holds I17: as many pins as streams.
func (w *World) pinned(n *node) {
	streams := 0
	for _, e := range n.links {
		if e.feed.pin != nil {
			streams++
		}
	}
	if pins := n.store.Pins(); pins != streams {
		w.fail("I17: node %d has %d streams, and its log %d pins", n.no, streams, pins)
	}
}

// trimmed holds I16: nothing goes that a stream still reads or a queue still wants.
func (w *World) trimmed(n *node) {
	w.storage.trims++
	start := n.store.Start()
	for _, l := range n.sorted() {
		if f := &n.links[l].feed; f.pin != nil && f.acked < start {
			w.fail("I16: node %d trims its log to %d, and streams it from %d on", n.no, start, f.acked)
		}
	}
	w.pinned(n)
	w.clients.readable(n)
}

// tell takes a line of a node's log.
func (w *World) tell(n *node, a ha.Tell) { w.note(n, a.Text) }

// note adds a line to the trace, if anybody reads it.
func (w *World) note(n *node, what any) {
	if w.Trace != nil {
		w.Trace(fmt.Sprintf("%v node %d: %T %+v", w.now, n.no, what, what))
	}
}

// settled is I18: after faults have stopped one node serves, and the others hold all that it holds.
func (w *World) settled() error {
	var master *node
	for _, n := range w.nodes {
		if n.up && n.serving != 0 {
			if master != nil {
				return fmt.Errorf("nodes %d and %d serve", master.no, n.no)
			}
			master = n
		}
	}
	if master == nil && w.voteless() {
		return nil
	}
	if master == nil {
		return fmt.Errorf("I18: nobody serves: %s", w.describe())
	}
	for _, n := range w.nodes {
		if !n.up || n.store.Committed() != master.store.Received() {
			return fmt.Errorf("I18: not everybody holds everything: %s", w.describe())
		}
	}
	return nil
}

// final is settled, and that all indexes and the master's queues are what the history says.
func (w *World) final() error {
	if err := w.settled(); err != nil {
		return err
	}
	for _, n := range w.nodes {
		if n.up {
			w.replayed(n)
			w.pinned(n)
		}
		if n.up && n.serving != 0 {
			w.clients.compare(n)
		}
	}
	return w.Run(0)
}

// voteless says that too few nodes have a vote, as can be: one disk was wiped, and another node's incoming/ took the place of
// the log that voted, just before their master died. An operator has to say which log counts.
func (w *World) voteless() bool {
	voters := 0
	for _, n := range w.nodes {
		if n.disk.voter {
			voters++
		}
	}
	return voters < w.replicas/2+1
}

func (w *World) describe() (s string) {
	for _, n := range w.nodes {
		s += fmt.Sprintf("\nnode %d up %v, disk %+v", n.no, n.up, n.disk.synced)
		if n.up {
			s += fmt.Sprintf(", log [%d, %d), commit %d, applied %d, %+v", n.store.Start(), n.store.Received(), n.commitAt, n.store.Committed(), n.m.Status(w.now))
		}
	}
	return s
}

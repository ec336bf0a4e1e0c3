package ha

import (
	"fmt"
	"time"
)

// Two processes may have one node's id: a directory was copied. One that starts and finds a row of its id, made by another
// process, cannot know whether that one lives or was killed a moment ago. So it shows a row of its own beside, which says
// nothing, and gives the other the time to say that it lives; then it leaves, or the other's row goes. The other one leaves
// when it finds its place taken: it was cut off, or stopped, meanwhile.

// twinTime is how long a process that starts waits for one of the same id to say that it lives.
const twinTime = 500 * time.Millisecond

// onlyOne says whether no other process has this node's id, as far as can be known; until then each call asks for the next step.
func (n *Node) onlyOne() bool {
	m, have := n.mine()
	if have {
		n.mySeq, n.showed = m.Seq, true
	}
	alone := true
	for _, x := range n.view.Members {
		switch {
		case x.Row.NodeID != n.disk.meta.NodeID || x.Row.Incarnation == n.o.Incarnation:
		case n.showed && x.Seq > n.mySeq && have: // it has started later
			n.twin = x.Row.Incarnation
		case n.showed && x.Seq > n.mySeq:
			n.exit(2, "another process with this node's id took its place: one of the two directories is a copy: start it with an empty directory")
			return false
		case x.Row.Twin == n.o.Incarnation:
			n.exit(2, fmt.Sprintf("another process with this node's id is alive, at %s: this directory is a copy, or in use: start with an empty directory", x.Row.Addr))
			return false
		default:
			alone = false
		}
	}
	switch {
	case alone:
		n.twinAt = 0
		return true
	case !have:
		n.twinAt = 0
		n.ask(askRow, Txn{PutMember: &MemberRow{NodeID: n.disk.meta.NodeID, Generation: n.gen, Incarnation: n.o.Incarnation, State: StateIdle,
			Promised: n.disk.meta.Promised, Weight: n.o.Weight, Addr: n.o.Addr, Admin: n.o.Admin}})
		return false
	case n.twinAt == 0:
		n.twinAt = n.now + twinTime
	}
	if n.now < n.twinAt {
		n.again(n.twinAt - n.now)
		return false
	}
	return true
}

// superseded says whether a row is to go because of this node's, m: it is of this process, from a session before, or of a process
// before, which has not said that it lives.
func (n *Node) superseded(x, m *Member) bool {
	return !n.weak("drop-rows") && x.Row.NodeID == n.disk.meta.NodeID && x.Name != m.Name &&
		(x.Row.Incarnation == n.o.Incarnation || m.Name != "" && x.Seq < m.Seq)
}

package ha

import (
	"fmt"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// leaving is a master's way down.
type leaving struct {
	asked    bool // the process is to end
	forced   bool
	draining bool // clients are gone; a replica is waited for, and then handed over to
	to       persist.ID
	at       time.Duration // when it began
	withdrew bool
}

// drainTime is how long a master that hands over waits for a replica that holds all.
const drainTime = 2 * time.Second

// stepDown ends a master's epoch: clients are sent away, and nothing of the log is discarded.
func (n *Node) stepDown(reason string) {
	if n.phase != taking && n.phase != leading {
		return
	}
	n.tell(Warn, "Master stopped: "+reason)
	n.phase, n.ousted = yielding, true
	n.leave.draining = false
	n.do(Unlisten{}, StopServing{Reason: reason, Next: n.next()})
}

// next is who is master now, as far as is known.
func (n *Node) next() *Announcement {
	if m := n.view.Mandate; m != nil && m.Epoch > n.lead.epoch {
		return &Announcement{NodeID: m.Leader, Epoch: m.Epoch, Addr: m.Addr}
	}
	return nil
}

// withdrawn goes on when no client is left.
func (n *Node) withdrawn() {
	if n.phase != yielding {
		return
	}
	if n.leave.draining {
		n.leave.withdrew = true
		n.drained()
		return
	}
	n.lead = leadership{}
	n.do(Reopen{})
}

// yielded goes on as one of those that elect the next master.
func (n *Node) yielded() {
	n.phase = seeking
	if n.leave.asked {
		n.exit(0, "stopped")
		return
	}
	e := n.mandated()
	if m := n.view.Mandate; m == nil || m.Leader == n.disk.meta.NodeID {
		n.suspectNow(e)
	}
}

func (n *Node) stopAsked(force bool) {
	n.leave.asked, n.leave.forced = true, n.leave.forced || force
	switch n.phase {
	case leading:
		n.leaveLeading()
	case taking:
		n.stepDown("this node stops")
	case yielding:
	default:
		n.hangUp()
		n.exit(0, "stopped")
	}
}

// leaveLeading ends a master that is to stop: it hands over as soon as the others could elect one of them. By force it does
// not wait for that.
func (n *Node) leaveLeading() {
	switch {
	case n.view.Config.Replicas == 1 || !n.lead.serving:
		n.stepDown("this node stops")
	case n.othersAreQuorum():
		n.handDown(persist.ID{}, "this node stops")
	case n.leave.forced:
		n.stepDown("this node stops, and its cluster with it: the others are no quorum")
	default:
		n.explain(Alarm, "this master is to stop, and has no quorum of replicas to hand over to: it waits for them")
	}
}

// othersAreQuorum says whether those that follow could elect one of them.
func (n *Node) othersAreQuorum() bool {
	count := 0
	for i := range n.lead.peers {
		if n.lead.peers[i].attached {
			count++
		}
	}
	return count >= n.view.Config.Quorum()
}

func (n *Node) promoteAsked(to persist.ID) {
	if n.phase != leading || to == n.disk.meta.NodeID {
		return
	}
	attached := 0
	for i := range n.lead.peers {
		if p := &n.lead.peers[i]; p.attached && !p.full && (to.IsZero() || p.node == to) {
			attached++
		}
	}
	if attached == 0 {
		n.tell(Warn, "no such replica is attached, or its disk is full: this master goes on")
		return
	}
	n.handDown(to, "another node takes over")
}

// handDown sends clients away, waits until a replica holds all, and then tells the replicas to elect.
func (n *Node) handDown(to persist.ID, reason string) {
	n.tell(Info, "handing over: "+reason)
	n.phase, n.ousted = yielding, true
	n.leave.draining, n.leave.withdrew, n.leave.to, n.leave.at = true, false, to, n.now
	n.do(StopServing{Reason: reason, Next: n.seated(to)})
	n.again(drainTime)
}

// seated announces the member that is to be master; nil is not known.
func (n *Node) seated(id persist.ID) *Announcement {
	for i := range n.lead.peers {
		if p := &n.lead.peers[i]; p.node == id && !id.IsZero() && i < len(n.view.Config.Seats) {
			return &Announcement{NodeID: id, Addr: n.view.Config.Seats[i].Addr, Admin: p.admin}
		}
	}
	return nil
}

// drained hands over, once no client is left and everything is committed and held by whom it goes to.
func (n *Node) drained() {
	l := &n.lead
	if n.phase != yielding || !n.leave.draining || !n.leave.withdrew {
		return
	}
	late := n.now-n.leave.at >= drainTime
	if !late && (l.m.Commit() < n.disk.received || !n.heldBy(n.leave.to)) {
		return
	}
	n.leave.draining = false
	for i := range l.peers {
		if p := &l.peers[i]; p.link != 0 {
			n.do(Send{p.link, HandOver{Epoch: l.epoch, To: n.leave.to}})
		}
	}
	n.do(Unlisten{})
	n.tell(Info, fmt.Sprintf("Master stopped: handed over at position %d", n.disk.received))
	n.lead = leadership{}
	if n.leave.asked {
		n.exit(0, "stopped")
		return
	}
	n.do(Reopen{})
}

// heldBy says whether a node, or any if zero, holds all of the log.
func (n *Node) heldBy(id persist.ID) bool {
	for i := range n.lead.peers {
		if p := &n.lead.peers[i]; p.attached && p.synced >= n.disk.received && (id.IsZero() || p.node == id) {
			return true
		}
	}
	return n.view.Config.Replicas == 1
}

func (n *Node) leaveTime() {
	if n.phase == yielding && n.leave.draining {
		n.drained()
		n.again(n.o.Timing.Heartbeat)
	}
}

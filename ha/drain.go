package ha

import "time"

// A drained node stays a member: it follows, acknowledges and votes. It leads only while nobody else can be elected, and hands
// over as soon as another member follows it that may lead. Its meta remembers that.

// yieldPause is how long a drained node that leads all the same waits before it tries to hand over, and between two attempts.
const yieldPause = 10 * time.Second

func (n *Node) drainAsked(on bool) {
	n.disk.meta.Drained = on
	n.do(Remember{ID: drainID, Drained: &on})
	n.lead.yieldAt = n.now
	n.yieldDrained()
}

// yieldDrained hands over to the best of those that may lead.
func (n *Node) yieldDrained() {
	l := &n.lead
	if !n.disk.meta.Drained || n.phase != leading || !l.serving || n.leave.asked || n.now < l.yieldAt {
		return
	}
	l.yieldAt = n.now + yieldPause
	best := -1
	for i := range l.peers {
		p := &l.peers[i]
		row := n.rowOf(p.node)
		if p.attached && p.voter && !p.full && row != nil && !row.Drained && (best < 0 || p.synced > l.peers[best].synced) {
			best = i
		}
	}
	if best < 0 {
		n.explain(Warn, "this node is drained and leads all the same: no other member follows that could take over")
		return
	}
	n.handDown(l.peers[best].node, "this node is drained")
}

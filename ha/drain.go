package ha

import "time"

// A drained node stays a member: it follows, acknowledges and votes. It leads only while nobody else can be elected, and hands
// over as soon as another member follows it that may lead. Its meta remembers that. So does a node whose disk is full (full.go).

// yieldPause is how long a node that leads though others should waits before it tries to hand over, and between two attempts.
const yieldPause = 10 * time.Second

func (n *Node) drainAsked(on bool) {
	n.disk.meta.Drained = on
	n.do(Remember{ID: drainID, Drained: &on})
	n.lead.yieldAt = n.now
	n.yield()
}

// yield hands over to the best of those that may lead, if others should: this node is drained, or its disk is full.
func (n *Node) yield() {
	l := &n.lead
	drained := n.disk.meta.Drained
	if !drained && !n.full || n.phase != leading || !l.serving || n.leave.asked || n.now < l.yieldAt {
		return
	}
	best := -1
	for i := range l.peers {
		p := &l.peers[i]
		row := n.rowOf(p.node)
		if p.attached && p.voter && !p.full && p.synced >= l.commit && row != nil && !row.Drained && !row.Full && (best < 0 || p.synced > l.peers[best].synced) {
			best = i
		}
	}
	switch {
	case best >= 0 && drained:
		l.yieldAt = n.now + yieldPause
		n.handDown(l.peers[best].node, "this node is drained")
	case best >= 0:
		l.yieldAt = n.now + yieldPause
		n.handDown(l.peers[best].node, "this node's disk is full")
	case drained:
		n.explain(Warn, "this node is drained and leads all the same: no other member follows that could take over")
	default:
		n.explain(Warn, "this node's disk is full and it leads all the same: no other member follows whose disk has room: free some")
	}
}

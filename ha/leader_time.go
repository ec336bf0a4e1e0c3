package ha

import (
	"fmt"
	"slices"
	"time"
)

// leadTime does what time brings to a master.
func (n *Node) leadTime() {
	l := &n.lead
	if n.phase == taking {
		n.again(n.o.Timing.QuorumLost)
		return
	}
	if n.phase != leading {
		return
	}
	for i := range l.peers {
		p := &l.peers[i]
		if p.link == 0 {
			continue
		}
		why := p.beats.dead(n.now, n.o.Timing.LinkTimeout)
		if p.synced >= n.disk.received {
			p.movedAt = n.now
		}
		if n.now-p.movedAt > n.o.Timing.SlowReplica && !p.full {
			why = "it has acknowledged nothing for a while"
		}
		if n.fallenBehind(p) {
			why = "it falls ever further behind: the log is held for it no longer"
			p.offUntil = n.now + retentionPause
		}
		if why != "" {
			n.do(Hang{p.link})
			l.lost(n, p.link, why)
		}
	}
	n.lease()
	if n.leave.asked && n.phase == leading {
		n.leaveLeading()
		return
	}
	n.yield()
	n.tellWaiting()
}

// retentionPause is how long a replica that fell too far behind is away, so that the log may be trimmed.
const retentionPause = 2 * time.Second

// fallenBehind says whether a replica lacks so much more than when it attached that the log is not to be held for it any longer.
// One that gains, however slowly, is waited for.
func (n *Node) fallenBehind(p *peerSeat) bool {
	end := n.disk.received
	return n.o.RetentionBytes > 0 && !p.full && end > p.synced && end-p.synced > p.lag+n.o.RetentionBytes
}

// silence is how long ago a quorum was last known to hear this master.
func (n *Node) silence() time.Duration {
	l := &n.lead
	q := n.view.Config.Quorum()
	if q <= 1 {
		return 0
	}
	heard := make([]time.Duration, 0, len(l.peers))
	for i := range l.peers {
		if p := &l.peers[i]; p.link != 0 && p.attached {
			heard = append(heard, p.beats.echoAt)
		}
	}
	if len(heard) < q-1 {
		return n.now - l.leaseFrom
	}
	slices.Sort(heard)
	l.leaseFrom = max(l.leaseFrom, heard[len(heard)-(q-1)])
	return n.now - l.leaseFrom
}

// lease pauses a master that a quorum does not hear, and ends it when that lasts.
func (n *Node) lease() {
	l := &n.lead
	if n.phase != leading || n.weak("lease") || n.sole() { // who leads alone waits for the first replicas
		return
	}
	silence := n.silence()
	limit := n.o.Timing.QuorumLost
	if !l.served {
		limit *= 3 // replicas are on their way
	}
	switch {
	case silence > limit:
		n.stepDown("no quorum of replicas is left")
	case l.serving && silence > n.o.Timing.Lease && !l.paused:
		l.paused = true
		n.tell(Warn, "no quorum of replicas is heard: producers and consumers wait")
		n.do(Pause{On: true})
	case l.paused && silence <= n.o.Timing.Lease:
		l.paused = false
		n.tell(Info, "a quorum of replicas is heard again")
		n.do(Pause{On: false})
	}
}

// tellWaiting says what a master waits for that cannot commit.
func (n *Node) tellWaiting() {
	l := &n.lead
	if n.phase != leading {
		return
	}
	if l.m.Commit() >= n.disk.received {
		l.waitTold = n.now
		return
	}
	if n.now-l.waitTold < time.Second {
		return
	}
	attached := 0
	for i := range l.peers {
		if p := &l.peers[i]; p.attached && !p.full {
			attached++
		}
	}
	if missing := n.view.Config.Quorum() - 1 - attached; missing > 0 {
		l.waitTold = n.now
		n.tell(Warn, fmt.Sprintf("Store update waiting on %d replica(s) to catch up to log position %d", missing, n.disk.received))
	}
}

package ha

import "time"

// A full disk is no fault. A replica that cannot write what comes drops it, says so, and keeps its link: it is heard, and votes
// with what it has. It says hello again, over the same link, when there is room. A master refuses producers, while what
// consumers settle goes into the reserve, and hands over to a replica that has room.

// roomPause is how long a replica whose disk is full waits at least before it tries again.
const roomPause = time.Second

// fullPatience is how long a master's disk is full before it hands over: what fills a disk may go as it came.
const fullPatience = 2 * time.Second

func (n *Node) diskFull(on bool) {
	n.full = on
	switch {
	case !on:
		n.tell(Info, "the disk has room again")
	case n.phase == leading:
		n.tell(Alarm, "the disk is full: producers are refused, and what consumers settle goes into the reserve: free some")
		n.lead.yieldAt = n.now + fullPatience
		n.again(fullPatience)
	default:
		n.tell(Warn, "the disk is full: there is no room for another segment of the log: free some")
	}
}

// halt drops what the master sends from here on: there is no room for it.
func (n *Node) halt() {
	u := &n.up
	if u.halted {
		return
	}
	if !u.full {
		n.tell(Alarm, "the disk is full: this node takes nothing more until there is room")
	}
	u.halted, u.haltedAt, u.full = true, n.now, true
	n.do(Send{u.link, Ack{Epoch: u.epoch, Received: u.received, Synced: u.synced, Applied: n.disk.applied,
		Voter: u.settled && n.disk.meta.Voter && !u.incoming, Incoming: u.incoming, Full: true}})
	n.again(roomPause)
}

// resume says hello again, once there is room and the disk is done with what came before.
func (n *Node) resume() {
	u := &n.up
	if !u.halted || n.full || n.now < u.haltedAt+roomPause || u.cuts > 0 || !n.written() {
		return
	}
	n.helloAgain()
}

// helloAgain has the master attach this node anew over the link that there is. What comes before its answer is dropped.
func (n *Node) helloAgain() {
	u := &n.up
	u.halted, u.stalled, u.settled, u.attached, u.incoming = false, false, false, false, false
	n.hello()
}

// fullWarning is what an operator sees while the disk is full.
func (n *Node) fullWarning() string {
	switch {
	case n.up.full:
		return "the disk is full: this node takes nothing more until there is room"
	case n.full && n.phase == leading:
		return "the disk is full: producers are refused until there is room, or another node leads"
	case n.full:
		return "the disk is full: there is no room for another segment of the log"
	}
	return ""
}

package ha

import (
	"fmt"
	"slices"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// leadership is what a master knows of its epoch.
type leadership struct {
	epoch   uint64
	start   persist.Pos // where the epoch begins
	barrier persist.Pos // its beginning's end
	m       *Master
	peers   []peerSeat // by seat; its own is unused
	strange []strange  // links that have said HELLO before the epoch had begun
	commit  persist.Pos
	confirm persist.Pos

	initing    bool
	announcing bool
	announced  bool
	round      []uint64 // by seat: the heartbeat that must have come back before clients may come
	serving    bool     // Serve was asked for
	served     bool
	paused     bool
	yieldAt    time.Duration // when a drained node tries to hand over
	leaseFrom  time.Duration // the lease counts from here at the earliest
	waitTold   time.Duration
}

// peerSeat is another seat, as its master sees it.
type peerSeat struct {
	gen      uint64
	link     Link
	node     persist.ID
	process  uint64 // its incarnation
	admin    string
	attached bool // its acknowledgements count
	voter    bool
	full     bool
	incoming bool
	beats    beats
	received persist.Pos
	synced   persist.Pos
	movedAt  time.Duration // when an acknowledgement moved, or nothing was outstanding
	lag      persist.Pos   // what it lacked when it attached
	offUntil time.Duration // it is not taken before
}

type strange struct {
	link  Link
	hello Hello
}

func (l *leadership) begin(n *Node, epoch uint64) {
	*l = leadership{epoch: epoch, start: n.disk.received, leaseFrom: n.now, waitTold: n.now, yieldAt: n.now + yieldPause}
	l.seatsChanged(n)
}

// seatsChanged makes room for seats, and forgets what a seat's older holder acknowledged.
func (l *leadership) seatsChanged(n *Node) {
	c := n.view.Config
	if l.epoch == 0 {
		return
	}
	if len(l.peers) < c.Replicas {
		l.peers = append(l.peers, make([]peerSeat, c.Replicas-len(l.peers))...)
	}
	for i, s := range c.Seats {
		if p := &l.peers[i]; p.gen < s.Generation {
			l.replace(n, i, s.Generation)
		}
	}
}

// replace drops what is known of a seat's older holders. It leaves their links to time out: they are counted no more.
func (l *leadership) replace(n *Node, i int, gen uint64) {
	l.peers[i] = peerSeat{gen: gen}
	if l.m != nil && !n.weak("generation") {
		l.m.Forget(i)
	}
}

// led has the epoch begun.
func (n *Node) led(e Led) {
	l := &n.lead
	if n.phase != taking || e.Epoch != l.epoch {
		return
	}
	n.phase = leading
	l.barrier = e.Barrier
	n.disk.received, n.disk.synced = max(n.disk.received, e.Barrier), max(n.disk.synced, e.Barrier)
	n.disk.history = append(slices.Clone(n.disk.history), persist.EpochStart{Epoch: e.Epoch, Start: l.start})
	l.m = NewMaster(n.view.Config.Replicas, n.seat, n.o.Sync, n.disk.applied, e.Barrier)
	if n.weak("barrier") {
		l.m = NewMaster(n.view.Config.Replicas, n.seat, n.o.Sync, n.disk.applied, 0)
	}
	l.commit, l.confirm = n.disk.applied, n.disk.applied
	l.m.Held(n.seat, e.Barrier, e.Barrier)
	for _, s := range l.strange {
		n.welcome(s.link, s.hello)
	}
	l.strange = nil
	n.progress()
}

// got takes a frame of a link that was accepted.
func (l *leadership) got(n *Node, link Link, f Frame) {
	if h, ok := f.(Hello); ok {
		switch n.phase {
		case taking:
			l.strange = append(l.strange, strange{link, h})
		case leading:
			n.welcome(link, h)
			n.consider()
		default:
			n.do(Hang{link})
		}
		return
	}
	p := l.of(link)
	if p < 0 || !n.replicates() {
		return
	}
	l.peers[p].beats.heardAt = n.now
	switch f := f.(type) {
	case Ack:
		n.acked(p, f)
	case Heartbeat:
		l.peers[p].beats.take(f, n.now)
		if !l.serving || l.paused {
			n.lease()
			n.consider()
		}
	case Reject:
		if f.Promised > l.epoch {
			n.stepDown("a replica has promised a later epoch")
			n.consider()
			return
		}
		n.do(Hang{link})
	default:
		n.do(Hang{link})
	}
}

// replicates says whether replicas follow this node: while it leads, and until it has handed over.
func (n *Node) replicates() bool {
	return n.phase == leading || n.phase == yielding && n.leave.draining
}

// of is the seat that a link belongs to, -1 none.
func (l *leadership) of(link Link) int {
	return slices.IndexFunc(l.peers, func(p peerSeat) bool { return p.link == link && link != 0 })
}

// rejectHello answers a HELLO that is not taken, and says so. What comes behind the first colon is the other node's.
func (n *Node) rejectHello(link Link, h *Hello, reason string, fatal bool) {
	n.explainOnce(Warn, fmt.Sprintf("a node that would follow is not taken: %.64s: %s", h.Addr, reason))
	n.do(Send{link, Reject{Epoch: n.lead.epoch, Promised: n.promise, Reason: reason, Fatal: fatal}}, Hang{link})
}

// welcome answers a replica's HELLO: it is attached, if it is a member.
func (n *Node) welcome(link Link, h Hello) {
	l, c := &n.lead, n.view.Config
	i := c.Seat(h.NodeID)
	switch {
	case h.ClusterID != c.ClusterID:
		n.rejectHello(link, &h, fmt.Sprintf("it belongs to cluster %s, and this is %s: give it an empty directory, or the zkPath of its own cluster", h.ClusterID, c.ClusterID), true)
		return
	case h.NodeID == n.disk.meta.NodeID:
		n.rejectHello(link, &h, "it has this node's id: its data directory is a copy: start it with an empty one", h.Generation <= n.gen)
		if h.Generation > n.gen {
			n.stepDown("this node's seat was taken over by another")
		}
		return
	case i < 0 || h.Generation > c.Seats[i].Generation:
		n.rejectHello(link, &h, "its seat is not known here yet", false)
		return
	case h.Generation != 0 && h.Generation < c.Seats[i].Generation: // 0: it has not reached ZooKeeper yet
		n.rejectHello(link, &h, "its seat was taken over by another: start it with an empty directory", true)
		return
	}
	switch j, p := l.of(link), &l.peers[i]; {
	case h.Promised > l.epoch:
		n.rejectHello(link, &h, "it has promised a later epoch", false)
		n.stepDown("a replica has promised a later epoch")
		return
	case j >= 0 && j != i:
		n.rejectHello(link, &h, "it was another node before", false)
		return
	case n.now < p.offUntil:
		n.rejectHello(link, &h, "it fell too far behind, and the log that was held for it may go: it is taken again in a moment", false)
		return
	case p.link == 0 || p.link == link:
	case p.process != h.Incarnation && p.beats.dead(n.now, n.o.Timing.LinkTimeout) == "":
		n.rejectHello(link, &h, "another process with its id follows, and is alive: a directory was copied", false)
		return
	default:
		n.do(Hang{p.link})
	}
	n.attachReplica(i, link, h)
}

// attachReplica streams to a replica from where its log left this one's.
func (n *Node) attachReplica(i int, link Link, h Hello) {
	l := &n.lead
	p := &l.peers[i]
	b := newBeats(n.now)
	if p.link == link { // again: it had dropped what it was sent
		b = p.beats
		n.do(Unstream{link})
	}
	*p = peerSeat{gen: p.gen, link: link, node: h.NodeID, process: h.Incarnation, admin: h.Admin, voter: h.Voter, incoming: h.Incoming, beats: b, movedAt: n.now}
	if !n.weak("session") {
		l.m.Forget(i) // it may hold less than it did: only what it says from now on counts
	}
	end := l.end(n)
	cut := cutPoint(n.disk.history, end, h.History, h.End)
	if n.weak("cut-point") {
		cut = min(end, h.End)
	}
	p.lag = end - min(cut, end)
	a := Attach{Epoch: l.epoch, Cut: cut, VoterAt: end, Commit: l.commit}
	if cut < n.disk.start {
		a.Restart, a.Cut = true, n.disk.start
	}
	seq, heard := p.beats.next(n.now)
	n.do(Send{link, a}, Stream{Link: link, Epoch: l.epoch, From: a.Cut}, Send{link, Heartbeat{Epoch: l.epoch, Seq: seq, Heard: heard, Commit: l.commit}})
	if seq == 1 {
		n.tell(Info, fmt.Sprintf("Replica has connected: %s", h.Addr))
	}
}

// end is how far this node's log is known to go. What is written is streamed before it is synced here: a quorum of replicas may have
// committed more than the own disk has told of.
func (l *leadership) end(n *Node) persist.Pos {
	if n.weak("end") {
		return n.disk.received
	}
	return max(n.disk.received, l.m.Commit())
}

// acked takes an acknowledgement. Only those of voters count, and none of incoming/.
func (n *Node) acked(i int, f Ack) {
	l := &n.lead
	p := &l.peers[i]
	if f.Epoch != l.epoch {
		return
	}
	if p.full != f.Full {
		p.full = f.Full
		if f.Full {
			n.tell(Alarm, fmt.Sprintf("the disk of the replica at %s is full: it takes nothing more until there is room", n.view.Config.Seats[i].Addr))
			n.do(Unstream{p.link})
		}
	}
	moved := f.Received > p.received || f.Synced > p.synced
	p.received, p.synced = max(p.received, f.Received), max(p.synced, f.Synced)
	p.voter, p.incoming = f.Voter, f.Incoming
	if moved {
		p.movedAt = n.now
	}
	n.do(Acked{p.link, f.Synced})
	if f.Incoming && !n.weak("incoming") || !f.Voter && !n.weak("voters") {
		return
	}
	if !p.attached {
		p.attached = true
		n.tell(Info, fmt.Sprintf("Replica is caught up: %s", n.view.Config.Seats[i].Addr))
	}
	l.m.Held(i, f.Received, f.Synced)
	n.progress()
}

// advanced notes how far the master's own log is.
func (n *Node) advanced(e Advanced) {
	if !n.replicates() {
		return
	}
	n.disk.received, n.disk.synced = max(n.disk.received, e.Received), max(n.disk.synced, e.Synced)
	n.lead.m.Held(n.seat, e.Received, e.Synced)
	n.progress()
}

// progress passes on what is committed now. Before the cluster is known to have begun, nothing is.
func (n *Node) progress() {
	l := &n.lead
	if l.m.Commit() < l.barrier && !n.weak("barrier") {
		return
	}
	if !n.view.Config.begun() && !n.weak("initialized") {
		n.consider()
		return
	}
	if commit, confirm := l.m.Commit(), l.m.Confirm(); commit > l.commit || confirm > l.confirm {
		first := l.commit < l.barrier
		l.commit, l.confirm = commit, confirm
		n.do(Commit{Commit: commit, Confirm: confirm})
		if first {
			n.consider()
		}
		if n.leave.draining {
			n.drained()
		}
	}
}

// considerServing goes the way from an epoch's beginning to open transports: the cluster has begun, all that was
// committed is in the index, the announcement stands under this epoch, and a quorum has answered a heartbeat since.
func (n *Node) considerServing() {
	l := &n.lead
	if l.serving {
		n.announceAgain()
		return
	}
	switch {
	case n.leave.draining:
	case l.m.Commit() < l.barrier && !n.weak("barrier"):
	case !n.view.Config.begun() && !n.weak("initialized"):
		if !l.initing {
			l.initing = true
			c := *n.view.Config
			c.Initialized, c.Sole = true, persist.ID{}
			t := Txn{IfConfig: new(n.view.ConfigVersion), IfMandate: new(n.view.MandateVersion), SetConfig: &c}
			if n.weak("begun") {
				t.IfConfig, t.IfMandate = nil, nil
			}
			n.ask(askInit, t)
		}
	case l.commit < l.barrier && l.m.Commit() >= l.barrier: // the answer that the cluster has begun was lost, and the view says it
		n.progress()
	case !l.announced:
		n.announce()
	case (n.disk.applied < l.barrier || n.disk.applied < l.commit) && !n.weak("applied") || !n.roundDone():
	default:
		l.serving = true
		n.tell(Info, "Master started: "+n.o.Addr)
		n.do(Serve{Epoch: l.epoch})
	}
}

// announce says who is master, if this still is the newest epoch.
func (n *Node) announce() {
	l := &n.lead
	if l.announcing {
		return
	}
	l.announcing = true
	t := Txn{IfMandate: new(n.view.MandateVersion),
		Announce: &Announcement{NodeID: n.disk.meta.NodeID, Epoch: l.epoch, Addr: n.o.Addr, Admin: n.o.Admin}}
	if n.weak("announce") {
		t.IfMandate = nil
	}
	n.ask(askAnnounce, t)
}

// announceAgain does so in a new session: with the old one the announcement has gone, or will.
func (n *Node) announceAgain() {
	if a := n.view.Master; a != nil && a.NodeID == n.disk.meta.NodeID && a.Epoch == n.lead.epoch {
		return
	}
	if m := n.view.Mandate; m != nil && m.Leader == n.disk.meta.NodeID && m.Epoch == n.lead.epoch {
		n.announce()
	}
}

func (n *Node) initialized() {
	n.lead.initing = false
	if n.phase == leading {
		n.progress()
	}
}

// announced begins the round of heartbeats that shows that a quorum follows after the announcement.
func (n *Node) announced() {
	l := &n.lead
	l.announcing = false
	if n.phase != leading || l.announced {
		return
	}
	l.announced = true
	n.leadBeat()
	l.round = make([]uint64, len(l.peers))
	for i := range l.peers {
		l.round[i] = l.peers[i].beats.seq
	}
}

// roundDone says whether enough replicas have answered the round. Who attaches after it answers one of its own.
func (n *Node) roundDone() bool {
	l := &n.lead
	have := 1
	for i := range l.peers {
		if p := &l.peers[i]; p.link != 0 && p.attached && p.beats.echo != 0 && (p.beats.echo >= l.round[i] || p.beats.seq < l.round[i]) {
			have++
		}
	}
	return have >= n.view.Config.Quorum() || n.weak("round")
}

func (n *Node) served(epoch uint64) {
	if n.phase == leading && epoch == n.lead.epoch {
		n.lead.served = true
	}
}

func (n *Node) leadBeat() {
	l := &n.lead
	if !n.replicates() {
		return
	}
	for i := range l.peers {
		if p := &l.peers[i]; p.link != 0 {
			seq, heard := p.beats.next(n.now)
			n.do(Send{p.link, Heartbeat{Epoch: l.epoch, Seq: seq, Heard: heard, Commit: l.commit}})
		}
	}
}

// lost forgets a replica's link.
func (l *leadership) lost(n *Node, link Link, reason string) {
	l.strange = slices.DeleteFunc(l.strange, func(s strange) bool { return s.link == link })
	if i := l.of(link); i >= 0 {
		p := &l.peers[i]
		p.link, p.attached = 0, false
		if n.phase == leading {
			n.tell(Info, fmt.Sprintf("Replica has disconnected: %s: %s", n.view.Config.Seats[i].Addr, reason))
		}
	}
}

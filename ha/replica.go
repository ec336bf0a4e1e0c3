package ha

import (
	"fmt"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// uplink is a replica's link to its master, and how it looks for one.
type uplink struct {
	dialing  bool
	dialAddr string
	dialAt   time.Duration // when to dial next
	lostAt   time.Duration // since when there is no link
	refusals int           // of one attempt after the other
	had      uint64        // the epoch whose master was linked last
	link     Link
	beats    beats
	epoch    uint64 // of the master, once it has said ATTACH
	stalled  bool   // ATTACH has come

	cuts     int  // cuts that the disk has not done yet
	settled  bool // promise and cut are on disk: from here on positions count
	incoming bool
	from     persist.Pos // where the stream began
	next     persist.Pos // what the master sends next
	voterAt  persist.Pos
	commit   persist.Pos // as the master said last
	received persist.Pos // of the log that is written: incoming/ or the store
	synced   persist.Pos
	attached bool          // has all that was there when it attached
	files    int           // segments that the master has behind from
	filesAt  int           // of this log when the stream began
	filesNow int           // and now
	toldAt   time.Duration // of the last line that says how far it is
	votes    bool          // Remember{Voter} is under way
	full     bool          // the disk took no more, and has not since: the state is ERROR
	halted   bool          // what comes is dropped until this node says hello again
	haltedAt time.Duration
}

// beats is one end's side of a link's heartbeats.
type beats struct {
	seq     uint64 // of the last one sent
	sentAt  [64]time.Duration
	heard   uint64        // the highest that came
	heardAt time.Duration // when anything came
	echo    uint64        // the highest of ours that came back
	echoAt  time.Duration // when that was sent
}

func newBeats(now time.Duration) beats { return beats{heardAt: now, echoAt: now} }

// next counts a heartbeat that is sent now.
func (b *beats) next(now time.Duration) (seq, heard uint64) {
	b.seq++
	b.sentAt[b.seq%uint64(len(b.sentAt))] = now
	return b.seq, b.heard
}

// take notes one that came.
func (b *beats) take(h Heartbeat, now time.Duration) {
	b.heardAt = now
	b.heard = max(b.heard, h.Seq)
	if h.Heard > b.echo && h.Heard <= b.seq {
		b.echo = h.Heard
		if b.seq-h.Heard < uint64(len(b.sentAt)) {
			b.echoAt = b.sentAt[h.Heard%uint64(len(b.sentAt))]
		}
	}
}

// dead says why a link is, if it is.
func (b *beats) dead(now, timeout time.Duration) string {
	switch {
	case now-b.heardAt > timeout:
		return "nothing was heard of the other end"
	case now-b.echoAt > timeout+timeout/2:
		return "the other end does not hear this one"
	}
	return ""
}

// target is where the master is, as far as is known.
func (n *Node) target() (addr string, epoch uint64) {
	if m := n.view.Mandate; m != nil {
		if m.Leader == n.disk.meta.NodeID {
			return "", m.Epoch
		}
		if n.weak("target") {
			return n.view.Config.Seats[uint64(n.now/(n.o.Timing.Heartbeat/2))%uint64(len(n.view.Config.Seats))].Addr, m.Epoch
		}
		return m.Addr, m.Epoch
	}
	if n.knowsTree {
		return "", 0
	}
	return n.disk.meta.MasterAddr, n.disk.meta.Promised
}

// mayFollow says whether this node may dial a master now: one without a vote, or without a log, needs its seat first.
func (n *Node) mayFollow() bool {
	if n.phase != seeking || n.disk.meta.ClusterID.IsZero() || n.leave.asked || !n.written() {
		return false
	}
	if n.disk.meta.Voter {
		return true
	}
	_, published := n.mine()
	return n.seat >= 0 && n.remembered && published
}

// written says whether the disk has done all writes: a HELLO says what this node holds, and what is cut because of it must
// not be more.
func (n *Node) written() bool {
	if n.weak("written") {
		return true
	}
	synced := n.disk.synced
	if n.pendingIn {
		if n.disk.incoming == nil {
			return true
		}
		synced = n.disk.incoming.Synced
	}
	return n.pending <= synced
}

// follow dials the master, if there is reason to.
func (n *Node) follow() {
	u := &n.up
	if !n.mayFollow() || u.dialing || u.link != 0 {
		return
	}
	addr, epoch := n.target()
	if addr == "" {
		n.suspectNow(epoch)
		return
	}
	if n.now < u.dialAt {
		n.again(u.dialAt - n.now)
		return
	}
	if u.dialAddr != addr {
		n.tell(Info, "Attaching to master: "+addr)
	}
	u.dialing, u.dialAddr = true, addr
	n.do(Dial{Addr: addr})
}

// followTime does what time brings to a replica.
func (n *Node) followTime() {
	u := &n.up
	if u.link != 0 {
		if why := u.beats.dead(n.now, n.o.Timing.LinkTimeout); why != "" {
			n.tell(Warn, "the link to the master is lost: "+why)
			n.hangUp()
			u.refusals = 0
			u.lostAt = n.now - n.o.Timing.ReconnectGrace // it was silent long enough
			n.suspectNow(u.had)
			return
		}
		n.resume()
		return
	}
	if n.phase != seeking || n.suspects {
		return
	}
	if wait := u.lostAt + n.o.Timing.ReconnectGrace - n.now; wait > 0 {
		n.again(wait)
		return
	}
	_, epoch := n.target()
	n.suspectNow(epoch)
}

// suspectNow says to the others that the master of an epoch is lost.
func (n *Node) suspectNow(epoch uint64) {
	if n.phase != seeking || n.suspects && n.suspect == epoch {
		return
	}
	n.suspects, n.suspect = true, epoch
}

// hangUp ends the link to the master.
func (n *Node) hangUp() {
	u := &n.up
	if u.link != 0 {
		n.do(Hang{u.link})
	}
	n.unlink()
}

// unlink forgets the link.
func (n *Node) unlink() {
	u := &n.up
	if u.link == 0 {
		return
	}
	*u = uplink{lostAt: n.now, dialAt: n.now, dialing: u.dialing, dialAddr: u.dialAddr, had: u.epoch, cuts: u.cuts, votes: u.votes, full: u.full}
	n.again(n.o.Timing.ReconnectGrace)
}

func (n *Node) dialed(e Dialed) {
	u := &n.up
	u.dialing = false
	addr, _ := n.target()
	if n.phase != seeking || e.Addr != addr || u.link != 0 {
		n.do(Hang{e.Link})
		return
	}
	u.link, u.refusals, u.beats = e.Link, 0, newBeats(n.now)
	n.hello()
}

// hello says who this node is and what it holds. The history of incoming/, if there is one.
func (n *Node) hello() {
	d := &n.disk
	h := Hello{ClusterID: d.meta.ClusterID, NodeID: d.meta.NodeID, Generation: n.gen, Incarnation: n.o.Incarnation, Addr: n.o.Addr, Admin: n.o.Admin,
		Promised: n.promise, Voter: d.meta.Voter, History: d.history, Start: d.start, End: d.received}
	if in := d.incoming; in != nil {
		h.Incoming, h.History, h.Start, h.End = true, in.History, in.Start, in.Received
	}
	n.do(Send{n.up.link, h})
}

func (n *Node) dialFailed(e DialFailed) {
	u := &n.up
	if !u.dialing || e.Addr != u.dialAddr {
		return
	}
	u.dialing = false
	u.refusals++
	if !e.Refused {
		u.refusals = 0
		n.explain(Warn, fmt.Sprintf("the master at %s cannot be reached: %s", e.Addr, e.Reason))
	}
	switch _, epoch := n.target(); {
	case e.Refused && u.refusals == 1 && u.had == epoch:
		u.dialAt = n.now
		return
	case e.Refused && u.refusals == 2 && u.had == epoch || n.now-u.lostAt >= n.o.Timing.ReconnectGrace:
		n.suspectNow(epoch)
	}
	u.dialAt = n.now + n.o.Timing.Heartbeat/10
	if n.suspects {
		u.dialAt = n.now + n.o.Timing.Heartbeat
	}
	n.again(u.dialAt - n.now)
}

func (n *Node) lost(e Lost) {
	if e.Link == n.up.link {
		n.tell(Warn, "the link to the master is lost: "+e.Reason)
		n.unlink()
		if n.handed {
			_, epoch := n.target()
			n.suspectNow(epoch)
		}
		return
	}
	n.lead.lost(n, e.Link, e.Reason)
}

func (n *Node) upBeat() {
	if u := &n.up; u.link != 0 {
		seq, heard := u.beats.next(n.now)
		n.do(Send{u.link, Heartbeat{Epoch: u.epoch, Seq: seq, Heard: heard, Commit: n.disk.applied}})
	}
}

// got takes a frame.
func (n *Node) got(e Got) {
	if e.Link != n.up.link || n.up.link == 0 {
		n.lead.got(n, e.Link, e.Frame)
		return
	}
	n.up.beats.heardAt = n.now
	switch f := e.Frame.(type) {
	case Append:
		n.append(f)
	case Heartbeat:
		n.masterBeat(f)
	case Attach:
		n.attach(f)
	case Reject:
		n.rejected(f)
	case HandOver:
		n.handOver(f)
	default:
		n.hangUp()
	}
}

// masterBeat answers at once: a master that takes over waits for it.
func (n *Node) masterBeat(f Heartbeat) {
	u := &n.up
	fresh := f.Seq > u.beats.heard
	u.beats.take(f, n.now)
	if fresh {
		n.upBeat()
	}
	if f.Epoch == u.epoch && u.stalled {
		n.commitTo(f.Commit)
	}
}

func (n *Node) rejected(f Reject) {
	if f.Fatal {
		n.exit(2, "the master does not take this node: "+f.Reason)
		return
	}
	n.explain(Warn, "the master does not take this node now: "+f.Reason)
	n.rest(n.o.Timing.Heartbeat)
}

func (n *Node) handOver(f HandOver) {
	if f.Epoch != n.up.epoch {
		return
	}
	n.tell(Info, "the master hands over")
	n.handed, n.heir = true, f.To
	n.hangUp()
	n.suspectNow(f.Epoch)
	n.consider()
}

package ha

import (
	"fmt"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// attach begins to follow: the log is cut to what it has in common with the master's. Until the promise and the cut are
// on disk nothing counts, but what comes is written behind them.
func (n *Node) attach(f Attach) {
	u, d := &n.up, &n.disk
	switch {
	case f.Epoch < n.promise && !n.weak("promise"):
		n.do(Send{u.link, Reject{Epoch: f.Epoch, Promised: n.promise, Reason: "a later epoch was promised"}})
		n.hangUp()
		return
	case u.stalled:
		n.hangUp()
		return
	case n.view.Connected && n.knowsTree && !n.behind && f.Epoch > n.mandated():
		n.explain(Warn, fmt.Sprintf("the master says epoch %d, and ZooKeeper knows epoch %d as the newest: attaching again", f.Epoch, n.mandated()))
		n.rest(n.o.Timing.Heartbeat)
		return
	case !f.Restart && f.Cut > d.end():
		n.tell(Warn, fmt.Sprintf("the master would cut this log at position %d, and it ends at %d: attaching again", f.Cut, d.end()))
		n.rest(n.o.Timing.Heartbeat)
		return
	case f.Restart && len(f.Header) == 0:
		n.rest(n.o.Timing.Heartbeat) // its log was trimmed just then
		return
	case f.Restart:
		n.restart(f)
		return
	case d.incoming != nil && f.Cut < d.incoming.Start:
		d.incoming = nil
		n.do(DropIncoming{})
		n.helloAgain()
		return
	case d.incoming == nil && f.Cut < min(max(d.meta.CommitHint, d.applied), d.received) && !n.weak("truncate-committed"):
		n.exit(3, fmt.Sprintf("the master of epoch %d would cut this log at position %d, and it is committed up to %d: stop the cluster and keep all directories",
			f.Epoch, f.Cut, max(d.meta.CommitHint, d.applied)))
		return
	}
	u.incoming = d.incoming != nil
	n.begin(f, f.Cut)
	n.do(Truncate{Incoming: u.incoming, Cut: f.Cut})
	u.cuts++
}

// begin notes what an attachment is about, and promises its epoch.
func (n *Node) begin(f Attach, at persist.Pos) {
	u := &n.up
	u.epoch, u.stalled = f.Epoch, true
	u.from, u.next, u.voterAt, u.commit = at, at, f.VoterAt, f.Commit
	u.received, u.synced = at, at
	n.pending = 0 // all that was asked for before the HELLO is done, and may be cut off now
	u.files, u.filesAt, u.filesNow = int(f.Files), 0, 0
	n.suspects, n.handed, n.ousted = false, false, false
	if f.Epoch > n.promise {
		n.promise = f.Epoch
		n.do(Promise{f.Epoch})
	}
	n.do(Remember{ID: masterID, MasterAddr: u.dialAddr})
}

// restart takes the master's whole log into incoming/.
func (n *Node) restart(f Attach) {
	u := &n.up
	n.disk.incoming = &Boot{Start: f.Cut, Received: f.Cut, Synced: f.Cut}
	u.incoming = true
	n.begin(f, f.Cut)
	n.do(StartIncoming{f.Header})
	u.cuts++
}

func (n *Node) incomingStarted(e IncomingStarted) {
	n.up.cuts--
	in := n.disk.incoming
	if e.Full {
		n.disk.incoming, n.pending = nil, 0 // what was to be written into it is gone
		if n.up.stalled && in != nil {      // else another link's ATTACH is on its way
			n.halt()
		}
		return
	}
	if in != nil {
		in.Start = e.Start
	}
	n.settle()
}

func (n *Node) truncated(e Truncated) {
	if e.Incoming {
		if in := n.disk.incoming; in != nil {
			in.Received, in.Synced, in.History = e.Cut, e.Cut, e.History
		}
	} else {
		n.disk.received, n.disk.synced, n.disk.history = e.Cut, e.Cut, e.History
	}
	n.up.cuts--
	n.up.filesAt, n.up.filesNow = e.Files, e.Files
	n.settle()
}

// settle has the attachment count once its promise and its cut are on disk. Cuts of a link that is gone are waited for
// too: the disk does them in order.
func (n *Node) settle() {
	u := &n.up
	if u.settled || !u.stalled || (u.cuts > 0 || n.disk.meta.Promised < u.epoch) && !n.weak("settled") {
		return
	}
	u.settled = true
	u.full = u.full && n.full
	n.tellProgress()
	n.caughtUp()
	n.commitTo(u.commit)
	n.sendAck()
}

func (n *Node) promisedTo(epoch uint64) {
	n.disk.meta.Promised = max(n.disk.meta.Promised, epoch)
	if n.phase == freezing && epoch == n.promise {
		n.froze()
		return
	}
	n.settle()
}

// append takes batches, if they are of the epoch that is followed and continue what came before.
func (n *Node) append(f Append) {
	u := &n.up
	if f.Epoch != u.epoch || !u.stalled || u.halted || (f.Epoch != n.promise || n.phase != seeking) && !n.weak("promise") {
		return
	}
	if f.Base != u.next {
		n.tell(Warn, fmt.Sprintf("the master's log came from position %d on, not %d: attaching again", f.Base, u.next))
		n.hangUp()
		return
	}
	u.next += persist.Pos(len(f.Batches))
	n.pending, n.pendingIn = u.next, u.incoming
	n.do(Write{Incoming: u.incoming, Base: f.Base, Batches: f.Batches}, Sync{Incoming: u.incoming})
	n.commitTo(f.Commit)
}

// commitTo passes on what the master says is committed.
func (n *Node) commitTo(p persist.Pos) {
	u := &n.up
	u.commit = max(u.commit, p)
	if u.settled && u.commit > 0 {
		n.do(Commit{Incoming: u.incoming, Commit: u.commit, Confirm: u.commit})
	}
}

func (n *Node) wrote(e Wrote) {
	u := &n.up
	n.note(e.Incoming, e.Received, 0)
	if e.Misfit || e.Full { // what was asked for behind it does not fit either
		n.pending = 0
	}
	if !u.settled || e.Incoming != u.incoming {
		return
	}
	switch {
	case u.halted: // of what came before the master knew
		return
	case e.Misfit:
		n.tell(Warn, "what the master sent does not continue this log: attaching again")
		n.rest(n.o.Timing.Heartbeat)
		return
	case e.Full:
		n.halt()
		return
	}
	u.full = false
	u.received, u.filesNow = e.Received, e.Files
	if !n.o.Sync.Disk() {
		n.sendAck()
	}
}

// rest leaves the master for a while. It is not suspected meanwhile.
func (n *Node) rest(d time.Duration) {
	n.hangUp()
	n.up.dialAt, n.up.lostAt = n.now+d, n.now+d
	n.again(d)
}

// note keeps what is known of the disk up to date.
func (n *Node) note(incoming bool, received, synced persist.Pos) {
	if incoming {
		if in := n.disk.incoming; in != nil {
			in.Received, in.Synced = max(in.Received, received), max(in.Synced, synced)
		}
		return
	}
	n.disk.received, n.disk.synced = max(n.disk.received, received, synced), max(n.disk.synced, synced)
}

func (n *Node) synced(e Synced) {
	u := &n.up
	n.note(e.Incoming, 0, e.Synced)
	if e.History != nil && !e.Incoming {
		n.disk.history = e.History
	}
	if in := n.disk.incoming; e.History != nil && e.Incoming && in != nil {
		in.History = e.History
	}
	if !u.settled || e.Incoming != u.incoming {
		return
	}
	u.received, u.synced = max(u.received, e.Synced), e.Synced
	if !u.attached && u.synced < u.voterAt && n.now-u.toldAt >= time.Second {
		n.tellProgress()
	}
	n.caughtUp()
	n.sendAck()
}

// caughtUp has this node vote, or its incoming/ take the store's place, once it holds all that there was when it attached.
func (n *Node) caughtUp() {
	u, d, rule := &n.up, &n.disk, "caught-up"
	if u.incoming {
		rule = "switch"
	}
	if u.synced < u.voterAt && !n.weak(rule) || u.votes {
		return
	}
	if !u.attached && n.phase == seeking {
		n.tellProgress()
	}
	if u.incoming {
		if n.phase == seeking {
			n.phase = switching
			n.hangUp()
			n.do(Switch{})
		}
		return
	}
	if !u.attached {
		u.attached = true
		n.settled()
		n.tell(Info, "Attached")
		n.tell(Info, "Replica started")
	}
	if !d.meta.Voter {
		u.votes = true
		yes := true
		n.do(Remember{ID: voterID, Voter: &yes})
	}
}

// sendAck says how far this node holds the log.
func (n *Node) sendAck() {
	u := &n.up
	if !u.settled || u.link == 0 {
		return
	}
	n.do(Send{u.link, Ack{Epoch: u.epoch, Received: u.received, Synced: u.synced, Applied: n.disk.applied,
		Voter: n.disk.meta.Voter && (!u.incoming || n.weak("incoming")), Incoming: u.incoming, Full: u.halted}})
}

// tellProgress writes how much of what the master had when this node attached is here. A file is here when the next has begun.
func (n *Node) tellProgress() {
	u := &n.up
	if u.voterAt <= u.from {
		return
	}
	u.toldAt = n.now
	files := min(max(u.filesNow-max(u.filesAt, 1), 0), u.files)
	if u.synced >= u.voterAt {
		files = u.files
	}
	at := min(u.synced, u.voterAt)
	n.tell(Info, fmt.Sprintf("Attaching... Downloaded %.2f/%.2f kb and %d/%d files", float64(at-u.from)/1024, float64(u.voterAt-u.from)/1024, files, u.files))
}

func (n *Node) appliedTo(e Applied) {
	if !e.Incoming {
		n.disk.applied = e.Applied
		n.disk.start = max(n.disk.start, e.Start)
	}
}

// opened takes in what the store holds after it was opened anew.
func (n *Node) opened(b Boot) {
	n.takeBoot(b)
	n.pending = 0
	n.up = uplink{lostAt: n.now, dialAt: n.now}
	switch n.phase {
	case switching:
		n.phase = seeking
	case yielding:
		n.yielded()
	}
}

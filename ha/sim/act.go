package sim

import (
	"time"

	"github.com/havenmq/havenmq/ha"
)

func (n *node) act(a ha.Action) {
	switch a := a.(type) {
	case ha.Commit:
		n.commit(a)
	case ha.Send:
		n.send(a.Link, a.Frame)
	case ha.Stream:
		if e := n.links[a.Link]; e != nil {
			e.stream, e.next = &a, count(a.From)
			n.pump()
		}
	case ha.Hang:
		if e := n.links[a.Link]; e != nil {
			n.tellLost(a.Link, e)
			delete(n.links, a.Link)
			n.mine(0, func() { n.step(ha.Lost{Link: a.Link, Reason: "hung up"}) })
		}
	case ha.Dial:
		n.dial(a.Addr)
	case ha.Listen:
		n.listening = true
	case ha.Unlisten:
		n.listening = false
		for _, l := range n.sorted() {
			e := n.links[l]
			n.tellLost(l, e)
			delete(n.links, l)
			n.mine(0, func() { n.step(ha.Lost{Link: l, Reason: "closed"}) })
		}
	case ha.Transact:
		n.transact(a)
	case ha.Serve:
		n.serving = true
		n.w.served(n)
		n.mine(0, func() { n.step(ha.Served(a)) })
	case ha.StopServing:
		n.serving = false
		n.mine(n.w.delay(time.Millisecond), func() { n.step(ha.Withdrawn{}) })
	case ha.Exit:
		n.kill(false)
	default:
		n.onDiskAct(a)
	}
}

func (n *node) onDiskAct(a ha.Action) {
	d := n.disk
	switch a := a.(type) {
	case ha.Promise:
		n.onDisk(func() {
			d.meta.Promised = max(d.meta.Promised, a.Epoch)
			n.step(ha.Promised(a))
		})
	case ha.Remember:
		n.onDisk(func() { n.remember(a) })
	case ha.Write:
		n.onDisk(func() { n.write(a) })
	case ha.Sync:
		n.onDisk(func() {
			d.synced = len(d.log)
			n.step(ha.Synced{Synced: pos(d.synced), History: d.history()})
		})
	case ha.Truncate:
		n.onDisk(func() { n.truncate(a) })
	case ha.Lead:
		n.onDisk(func() { n.lead(a.Epoch) })
	case ha.Reopen:
		n.leading = false
		n.onDisk(func() {
			d.synced = len(d.log)
			n.confirm = 0
			n.step(ha.Opened{Boot: n.boot()})
		})
	}
}

func (n *node) remember(a ha.Remember) {
	m := &n.disk.meta
	if !a.ClusterID.IsZero() {
		m.ClusterID = a.ClusterID
	}
	if a.Addr != "" {
		m.ReplAddr = a.Addr
	}
	if a.MasterAddr != "" {
		m.MasterAddr = a.MasterAddr
	}
	if a.Voter != nil {
		m.Voter = *a.Voter
	}
	if a.Drained != nil {
		m.Drained = *a.Drained
	}
	if a.Config != nil {
		m.Config = a.Config
	}
	n.step(ha.Remembered{ID: a.ID})
}

func (n *node) write(a ha.Write) {
	d := n.disk
	if count(a.Base) != len(d.log) {
		n.step(ha.Wrote{Received: pos(len(d.log)), Misfit: true})
		return
	}
	d.log = append(d.log, decode(a.Batches)...)
	n.apply()
	n.step(ha.Wrote{Received: pos(len(d.log))})
}

func (n *node) truncate(a ha.Truncate) {
	d := n.disk
	if count(a.Cut) < d.commit {
		n.w.fail("I8: node %d cuts its log at %d, and %d are committed", n.no, count(a.Cut), d.commit)
	}
	if count(a.Cut) < len(d.log) {
		n.w.faults.truncations++
	}
	d.log = d.log[:min(count(a.Cut), len(d.log))]
	d.synced = len(d.log)
	n.step(ha.Truncated{Cut: pos(len(d.log)), History: d.history()})
}

func (n *node) lead(epoch uint64) {
	d := n.disk
	if epoch < d.meta.Promised {
		n.w.fail("node %d leads epoch %d and has promised %d", n.no, epoch, d.meta.Promised)
	}
	d.log = append(d.log, entry{epoch, 0})
	d.synced = len(d.log)
	n.leading, n.epoch = true, epoch
	n.step(ha.Led{Epoch: epoch, Barrier: pos(len(d.log))})
	n.step(ha.Advanced{Received: pos(len(d.log)), Synced: pos(d.synced)})
	n.pump()
}

// commit is what the store is told: what of it is here counts.
func (n *node) commit(a ha.Commit) {
	d := n.disk
	n.confirm = max(n.confirm, a.Commit)
	n.apply()
	if n.leading {
		n.w.confirm(n, min(count(a.Confirm), len(d.log)))
	}
}

func (n *node) apply() {
	d := n.disk
	to := min(count(n.confirm), len(d.log))
	if to > d.commit {
		d.commit = to
		n.w.committed(n, to)
		n.mine(n.w.delay(time.Millisecond), func() { n.step(ha.Applied{Applied: pos(n.disk.commit)}) })
	}
}

// append is what a producer does.
func (n *node) append(id uint64) {
	d := n.disk
	if !n.serving || !n.leading {
		return
	}
	d.log = append(d.log, entry{n.epoch, id})
	n.pump()
	n.onDisk(func() {
		if n.leading {
			d.synced = len(d.log)
			n.step(ha.Advanced{Received: pos(len(d.log)), Synced: pos(d.synced)})
		}
	})
}

// transact asks the arbiter. The answer may get lost, before or after it was done.
func (n *node) transact(a ha.Transact) {
	w := n.w
	n.lastAsk = max(n.lastAsk, w.now) + w.delay(10*time.Millisecond)
	n.mine(n.lastAsk-w.now, func() {
		lost := w.rng.IntN(30)
		if n.offline || lost == 0 {
			n.mine(w.delay(50*time.Millisecond), func() { n.step(ha.Answered{ID: a.ID, Outcome: ha.Unknown}) })
			return
		}
		outcome := w.arbiter.do(n.session, &a.Txn)
		w.elected(a.Txn.SetMandate, outcome)
		w.changed()
		if lost == 1 {
			outcome = ha.Unknown
		}
		n.mine(w.delay(5*time.Millisecond), func() { n.step(ha.Answered{ID: a.ID, Outcome: outcome, View: w.arbiter.view(n.session)}) })
	})
}

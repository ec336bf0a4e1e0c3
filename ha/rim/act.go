package rim

import (
	"fmt"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// act sees to one action. mu is held: nothing here waits.
func (r *Rim) act(a ha.Action) {
	switch a := a.(type) {
	case ha.Commit:
		r.advance(a)
	case ha.Send:
		if p := r.peers[a.Link]; p != nil {
			p.send(r.complete(a.Frame))
		}
	case ha.Acked:
		if p := r.peers[a.Link]; p != nil {
			p.moveWindow(a.Pos)
		}
	case ha.Stream:
		r.startStream(a)
	case ha.Unstream:
		if p := r.peers[a.Link]; p != nil {
			p.unstream()
		}
	case ha.Hang:
		if p := r.peers[a.Link]; p != nil {
			p.hang()
		}
	case ha.Dial:
		r.dial(a.Addr)
	case ha.Listen:
		r.listen()
	case ha.Unlisten:
		r.unlisten()
	case ha.Transact:
		r.asks.put(a)
	default:
		r.actAtHome(a)
	}
}

// actAtHome sees to what concerns the disk and the node itself.
func (r *Rim) actAtHome(a ha.Action) {
	switch a := a.(type) {
	case ha.Write:
		if r.lent != nil {
			r.lent.refs.Add(1)
		}
		r.disk.put(diskWork{action: a, buffer: r.lent})
	case ha.Serve:
		r.serving = a.Epoch
		r.roles.put(func() { r.serve(a.Epoch) })
	case ha.Pause:
		if r.serving != 0 {
			r.roles.put(func() { r.o.Roles.Pause(a.On) })
		}
	case ha.StopServing:
		served := r.serving != 0
		r.serving = 0
		r.roles.put(func() { r.stopServing(a, served) })
	case ha.Exit:
		go r.end(Exit{Code: a.Code, Reason: a.Reason})
	case ha.Tell:
		if r.tells.size() < maxTells {
			r.tells.put(a)
		}
	case ha.Reopen, ha.Switch:
		r.leading = false
		r.disk.put(diskWork{action: a})
	default:
		r.disk.put(diskWork{action: a})
	}
}

// complete adds to an ATTACH what only the store knows: how many segments it is about and, if it restarts, the header of the log's first. It
// reads a page, seldom.
func (r *Rim) complete(f ha.Frame) ha.Frame {
	a, ok := f.(ha.Attach)
	s := r.store.Load()
	if !ok || s == nil {
		return f
	}
	a.Files = uint32(s.Files(a.Cut))
	if !a.Restart || a.Header != nil {
		return a
	}
	header, err := s.SegmentHeader(a.Cut)
	if err != nil { // trimmed meanwhile: the replica finds no header and says hello again
		r.tells.put(ha.Tell{Level: ha.Warn, Text: fmt.Sprintf("reading the header of the log's first segment: %v", err)})
		return a
	}
	a.Header = header
	return a
}

// maxTells is how many lines wait for an operator's log that blocks, before more are dropped.
const maxTells = 1000

// advance passes a commit position on to the store.
func (r *Rim) advance(a ha.Commit) {
	if a.Incoming {
		if in := r.incoming.Load(); in != nil {
			in.Advance(a.Commit, a.Confirm)
		}
		return
	}
	r.commit, r.confirm = max(r.commit, a.Commit), max(r.confirm, a.Confirm)
	r.commitAt.Store(uint64(r.commit))
	s := r.store.Load()
	if s == nil {
		return
	}
	if !r.answering {
		s.Advance(a.Commit, a.Confirm)
	}
	if r.leading && r.serving == 0 && !r.awaiting { // who takes over waits for its index
		r.awaiting = true
		s.Await(a.Commit, (*indexWaiter)(r))
	}
}

// indexWaiter is told by the store that the index has reached what is committed.
type indexWaiter Rim

// Advanced runs on the store's goroutine.
func (w *indexWaiter) Advanced() {
	r := (*Rim)(w)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.awaiting = false
	r.tellApplied()
	if s := r.store.Load(); s != nil && r.leading && r.serving == 0 && !r.closed && s.Committed() < r.commit {
		r.awaiting = true
		s.Await(r.commit, w)
	}
}

// tellApplied steps Applied if the index has moved. mu is held.
func (r *Rim) tellApplied() {
	s := r.store.Load()
	if s == nil {
		return
	}
	if p, start := s.Committed(), s.Start(); p != r.applied || start != r.start {
		r.applied, r.start = p, start
		r.stepLocked(ha.Applied{Applied: p, Start: start})
	}
}

// roomTime is how long a disk that was full must have room before that is believed: a store that is opened anew has not
// looked yet.
const roomTime = 2 * time.Second

// tellRoom steps DiskFull if that has changed. mu is held.
func (r *Rim) tellRoom() {
	full := false
	for _, s := range []*persist.Store{r.store.Load(), r.incoming.Load()} {
		full = full || s != nil && s.NoRoom()
	}
	now := r.now()
	if full {
		r.roomyAt = now
	}
	if full == r.full || !full && now-r.roomyAt < roomTime {
		return
	}
	r.full = full
	r.stepLocked(ha.DiskFull{On: full})
}

// progress feeds the machine with the master's own log.
type progress Rim

// Advanced runs on the committer's goroutine: what the machine answers needs no way back.
func (p *progress) Advanced(received, synced persist.Pos) (commit, confirm persist.Pos) {
	r := (*Rim)(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.leading {
		return 0, 0
	}
	r.answering = true
	r.stepLocked(ha.Advanced{Received: received, Synced: synced})
	r.answering = false
	return r.commit, r.confirm
}

// fatal is told by the store, from any goroutine of its own, that it has failed.
func (r *Rim) fatal(err error) {
	go r.end(Exit{Code: 1, Reason: fmt.Sprintf("the disk has failed, and nothing of it may be trusted until the next start: %v", err)})
}

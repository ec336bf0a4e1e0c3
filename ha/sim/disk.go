package sim

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

const (
	storeDir     = "d"
	reserveBytes = 2 << 10
)

// disk is what is left of a node without a process: its files, and what the simulation knows of them beside.
type disk struct {
	fs        *persist.MemFS
	boots     int    // of the machine: names the present one
	log       ledger // of the store
	in        ledger // of incoming/
	synced    persist.Mark
	committed persist.Pos // the highest hint on it
	promised  uint64
	id        persist.ID
	voter     bool
	full      bool
	rot       persist.Pos // a bit of the batch that ends here has turned over; 0 none has
	switching bool        // the power went while incoming/ took the store's place: the log is the one or the other
}

// options are those of the store, as ha/rim has them; incoming/ counts nothing by itself.
func (n *node) options() persist.Options {
	o := n.incomingOptions()
	o.Progress, o.Tolerant = (*progress)(n), true
	return o
}

func (n *node) incomingOptions() persist.Options {
	w := n.w
	return persist.Options{Dir: storeDir, FS: n.disk.fs, LogSize: persist.MinLogSize, ReserveBytes: reserveBytes, Sync: n.level, Stepped: true,
		Progress: uncounted{}, Weaken: w.weaken, Fatal: n.fatal, Now: w.wall, Random: w, BootID: fmt.Sprint("boot ", n.disk.boots), Copies: w.replicas}
}

type uncounted struct{}

func (uncounted) Advanced(persist.Pos, persist.Pos) (commit, confirm persist.Pos) { return 0, 0 }

// progress feeds the machine with the master's own log.
type progress node

func (p *progress) Advanced(received, synced persist.Pos) (commit, confirm persist.Pos) {
	n := (*node)(p)
	if !n.leading {
		return 0, 0
	}
	n.answering = true
	n.step(ha.Advanced{Received: received, Synced: synced})
	n.answering = false
	return n.commitAt, n.confirmAt
}

// fatal is told by a store that it has failed.
func (n *node) fatal(err error) {
	if n.failure == nil {
		n.failure = err
	}
}

// sound says that the process goes on after it has done something to its disk. What went wrong ends it, as it ends the
// product's; only what nothing in this world can explain breaks the run.
func (n *node) sound(err error) bool {
	if n.failure != nil { // the first that went wrong
		err = n.failure
	}
	var damage *persist.DamageError
	switch {
	case !n.up:
		return false
	case n.disk.fs.Dead():
		n.w.storage.fuses++
		n.kill(n.w.rng.IntN(3) > 0) // or the process ends in the middle of it
		n.startIn(n.w.delay(2 * time.Second))
		return false
	case err == nil:
		return true
	case errors.As(err, &damage) && n.disk.rot != 0, errors.Is(err, persist.ErrFull), errors.Is(err, syscall.ENOSPC):
	default:
		n.w.fail("node %d: its disk is well, and the store says: %v", n.no, err)
	}
	n.kill(false)
	n.startIn(n.w.delay(2 * time.Second))
	return false
}

// open opens the store, and incoming/ if there is one, and says what they hold. If the process lives and it could not, the disk
// has no room.
func (n *node) open() (b ha.Boot, ok bool) {
	s, err := persist.Open(n.options())
	if errors.Is(err, persist.ErrFull) && !n.disk.fs.Dead() || !n.sound(err) {
		return b, false
	}
	n.store = s
	if n.incoming == nil {
		n.incoming, err = persist.ResumeIncoming(n.incomingOptions())
		if !n.sound(err) {
			return b, false
		}
		if n.incoming != nil {
			n.w.storage.resumes++
		}
	}
	n.found()
	b = boot(s)
	if n.incoming != nil {
		if !n.sound(n.disk.in.read(n.w, n.incoming)) {
			return b, false
		}
		b.Incoming = new(boot(n.incoming))
	}
	n.commitAt, n.confirmAt, n.applied, n.began = b.Committed, b.Committed, b.Committed, b.Start
	n.epoch, n.clients, n.leading = 0, nil, false
	return b, true
}

func boot(s *persist.Store) ha.Boot {
	found := s.Recovery()
	return ha.Boot{Meta: s.Meta(), Damaged: found.Damage != nil, Unclean: found.Unclean, Start: s.Start(),
		Received: s.Received(), Synced: s.Synced(), Committed: s.Committed(), History: s.History()}
}

// noteDisk remembers what is on the disk now: what a power loss must leave.
func (n *node) noteDisk() {
	d, m := n.disk, n.store.Meta()
	d.promised, d.id, d.voter, d.committed = m.Promised, m.NodeID, m.Voter, m.CommitHint
	if p := n.store.Synced(); p != d.synced.End {
		d.synced, _ = d.log.at(p)
	}
	if d.rot <= d.log.start || d.rot <= n.store.Start() || d.rot > d.log.end() {
		d.rot = 0
	}
}

// ask gives the disk something to do, behind all that it was asked for before.
func (n *node) ask(a ha.Action) {
	n.work = append(n.work, a)
	if !n.working {
		n.working = true
		n.diskSoon()
	}
}

func (n *node) diskSoon() { n.mine(n.diskTime(), n.doDisk) }

// doDisk does the first thing that the disk was asked for, or all writes that it begins with at once: they are synced
// and told of a little later.
func (n *node) doDisk() {
	for len(n.work) > 0 {
		a := n.work[0]
		switch a := a.(type) {
		case ha.Write:
			n.writeRun(a.Incoming)
			return
		case ha.Sync:
			n.writeRun(a.Incoming)
			return
		}
		n.work = n.work[1:]
		life := n.life
		again := n.doAlone(a)
		if n.life != life || !n.up {
			return
		}
		if again > 0 {
			n.work = append([]ha.Action{a}, n.work...)
			n.mine(again, n.doDisk)
			return
		}
		if len(n.work) > 0 {
			n.diskSoon()
			return
		}
	}
	n.working = false
}

// writeRun does the Writes that work begins with, and then, if a Sync was among them, syncs once.
func (n *node) writeRun(incoming bool) {
	l, log := n.follower(incoming)
	if l == nil && incoming { // there was no room to begin it
		n.work = n.work[1:]
		n.diskSoon()
		n.step(ha.Wrote{Incoming: true, Full: true})
		return
	}
	if l == nil {
		n.w.fail("node %d: the log to be written is not open", n.no)
		return
	}
	wrote, sync, any, k := ha.Wrote{Incoming: incoming}, false, false, 0
run:
	for ; k < len(n.work); k++ {
		switch a := n.work[k].(type) {
		case ha.Write:
			if a.Incoming != incoming {
				break run
			}
			any = true
			if wrote.Full || wrote.Misfit {
				continue
			}
			_, err := l.Write(a.Base, a.Batches)
			switch {
			case errors.Is(err, persist.ErrFull):
				wrote.Full = true
				n.w.storage.refused++
			case errors.Is(err, persist.ErrMisfit):
				wrote.Misfit = true
			default:
				if !n.sound(err) {
					return
				}
			}
		case ha.Sync:
			if a.Incoming != incoming {
				break run
			}
			sync = true
		default:
			break run
		}
	}
	n.work = n.work[k:]
	if !n.sound(nil) {
		return
	}
	if any {
		log.extend(n, l)
		wrote.Received = l.Received()
		n.applySoon(incoming)
		n.step(wrote)
	}
	if !n.up {
		return
	}
	if sync {
		n.mine(n.diskTime(), func() { n.syncRun(incoming) })
	} else {
		n.diskSoon()
	}
}

// syncRun is a run's other half.
func (n *node) syncRun(incoming bool) {
	l, _ := n.follower(incoming)
	e := ha.Synced{Incoming: incoming, Synced: l.Received()}
	if !n.w.weaken["synced"] {
		if !n.sound(l.Sync()) {
			return
		}
		e.Synced = l.Synced()
	}
	if !incoming {
		n.noteDisk()
	}
	if epoch := l.Epoch(); epoch != n.toldEpoch || incoming != n.toldIn {
		n.toldEpoch, n.toldIn, e.History = epoch, incoming, l.History()
	}
	n.step(e)
	if n.up {
		n.doDisk()
	}
}

func (n *node) follower(incoming bool) (*persist.Store, *ledger) {
	if incoming {
		return n.incoming, &n.disk.in
	}
	return n.store, &n.disk.log
}

package sim

import (
	"errors"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

const (
	sweepPause = 100 * time.Millisecond
	hintSweeps = 5
	roomSweeps = 10
	roomTime   = 2 * time.Second // so long a disk has had room before that is believed
)

// writeSoon has the committer write what was appended, and sync it a little later.
func (n *node) writeSoon() {
	if !n.writing {
		n.writing = true
		n.mine(n.diskTime(), n.commitWrite)
	}
}

func (n *node) commitWrite() {
	s := n.store
	if n.reopening {
		return
	}
	err := s.StepWrite()
	if errors.Is(err, persist.ErrFull) { // a part of it may have found room
		n.disk.log.extend(n, s)
		n.wakeStreams()
		n.w.storage.refused++
		n.mine(roomPause, n.commitWrite)
		return
	}
	if !n.sound(err) {
		return
	}
	n.disk.log.extend(n, s)
	n.wakeStreams()
	n.mine(n.diskTime(), n.commitSync)
}

func (n *node) commitSync() {
	s := n.store
	if n.reopening {
		return
	}
	if !n.sound(s.StepSync()) {
		return
	}
	n.noteDisk()
	n.applySoon(false)
	n.writing = false
	if n.store.Unwritten() {
		n.writeSoon()
	}
}

// advance passes a commit position on to the store.
func (n *node) advance(a ha.Commit) {
	if a.Incoming {
		if n.incoming != nil {
			n.incoming.Advance(a.Commit, a.Confirm)
			n.applySoon(true)
		}
		return
	}
	if a.Confirm > n.confirmAt {
		n.decided = append(n.decided, decision{a.Confirm, n.sights.config})
	}
	n.commitAt, n.confirmAt = max(n.commitAt, a.Commit), max(n.confirmAt, a.Confirm)
	if !n.answering {
		n.store.Advance(a.Commit, a.Confirm)
	}
	n.applySoon(false)
}

// applySoon has the applier look.
func (n *node) applySoon(incoming bool) {
	i := 0
	if incoming {
		i = 1
	}
	s, _ := n.follower(incoming)
	if s == nil || n.applying[i] || !s.Unapplied() && !n.answering {
		return
	}
	n.applying[i] = true
	n.mine(n.w.delay(time.Millisecond), func() {
		n.applying[i] = false
		n.apply(incoming)
	})
}

func (n *node) apply(incoming bool) {
	s, _ := n.follower(incoming)
	if s == nil || n.reopening {
		return
	}
	if s.StepApply(); !n.sound(nil) || incoming {
		return
	}
	n.answerClients()
	if n.leading && n.serving == 0 { // who takes over waits for its index
		n.tellApplied()
	}
}

// tellApplied tells the machine how far the index is, if that has moved.
func (n *node) tellApplied() {
	if p, start := n.store.Committed(), n.store.Start(); p != n.applied || start != n.began {
		n.applied, n.began = p, start
		n.step(ha.Applied{Applied: p, Start: start})
	}
}

// tellRoom tells the machine whether the disk has room, if that has changed.
func (n *node) tellRoom() {
	full := n.store.NoRoom() || n.incoming != nil && n.incoming.NoRoom()
	if full {
		n.roomyAt = n.w.now
	}
	if full == n.full || !full && n.w.now-n.roomyAt < roomTime {
		return
	}
	if n.full = full; full {
		n.w.storage.full++
	}
	n.step(ha.DiskFull{On: full})
}

// keepHouse does what the store's housekeepers do now and then.
func (n *node) keepHouse() {
	n.sweeps++
	if n.reopening {
		n.mine(sweepPause, n.keepHouse)
		return
	}
	if in := n.incoming; in != nil && !n.keep(in) {
		return
	}
	start := n.store.Start()
	if !n.keep(n.store) {
		return
	}
	if n.store.Start() > start {
		n.w.trimmed(n)
	}
	if n.store == nil { // what was looked at was damaged, and the process has ended
		return
	}
	n.noteDisk()
	if n.leading && n.store.Unwritten() {
		n.writeSoon()
	}
	n.mine(sweepPause, n.keepHouse)
}

func (n *node) keep(s *persist.Store) bool {
	err := s.StepKeep()
	if n.sweeps%hintSweeps == 0 && err == nil {
		err = s.StepHint()
	}
	if n.sweeps%roomSweeps == 0 && err == nil {
		s.StepRoom()
	}
	return n.sound(err)
}

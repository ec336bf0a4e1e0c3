package sim

import (
	"errors"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// roomPause is how long who waits for room on a full disk waits before it tries again.
const roomPause = 100 * time.Millisecond

// doAlone does what the disk does by itself. again: it could not be done for want of room; do it once more then.
func (n *node) doAlone(a ha.Action) (again time.Duration) {
	switch a := a.(type) {
	case ha.Promise:
		n.promise(a.Epoch)
	case ha.Remember:
		n.remember(a)
	case ha.Truncate:
		n.truncate(a)
	case ha.Lead:
		return n.lead(a.Epoch)
	case ha.Reopen:
		if n.reopening {
			return n.opened()
		}
		n.reopening = true
		if err := n.store.Close(); errors.Is(err, persist.ErrFull) && !n.disk.fs.Dead() || n.sound(err) {
			return n.opened()
		}
	case ha.StartIncoming:
		n.startIncoming(a.Header)
	case ha.DropIncoming:
		n.dropIncoming()
	case ha.Switch:
		return n.switchOver()
	default:
		n.w.fail("node %d: the disk is asked for %T", n.no, a)
	}
	return 0
}

func (n *node) promise(epoch uint64) {
	if n.sound(n.store.UpdateMeta(func(m *persist.Meta) { m.Promised = max(m.Promised, epoch) })) {
		n.noteDisk()
		n.step(ha.Promised{Epoch: epoch})
	}
}

func (n *node) remember(a ha.Remember) {
	err := n.store.UpdateMeta(a.Change)
	if n.sound(err) {
		n.noteDisk()
		n.step(ha.Remembered{ID: a.ID})
	}
}

func (n *node) truncate(a ha.Truncate) {
	l, log := n.follower(a.Incoming)
	if l == nil {
		n.w.fail("node %d: the log to be truncated is not open", n.no)
		return
	}
	if known := min(n.commitAt, l.Received()); !a.Incoming && a.Cut < known {
		n.w.fail("I8: node %d cuts its log at %d, and it is committed up to %d", n.no, a.Cut, known)
		return
	}
	if a.Cut < l.Received() {
		n.w.faults.truncations++
	}
	if !a.Incoming && a.Cut < n.disk.synced.End { // whatever comes of it, what is cut need not be there any more
		n.disk.synced, _ = n.disk.log.at(a.Cut)
	}
	if !n.sound(l.Truncate(a.Cut)) {
		return
	}
	log.cut(a.Cut)
	n.toldEpoch, n.toldIn = l.Epoch(), a.Incoming
	if !a.Incoming {
		n.noteDisk()
	}
	n.step(ha.Truncated{Incoming: a.Incoming, Cut: a.Cut, History: l.History()})
}

// lead begins an epoch. On a full disk it waits for room.
func (n *node) lead(epoch uint64) (again time.Duration) {
	s := n.store
	if epoch < n.disk.promised {
		n.w.fail("I3: node %d leads epoch %d and has promised %d", n.no, epoch, n.disk.promised)
	}
	var barrier persist.Pos
	var err error
	if n.beginning {
		barrier, err = s.StepLead()
	} else {
		barrier, err = s.Lead(epoch)
	}
	if n.beginning = errors.Is(err, persist.ErrFull); n.beginning {
		n.w.storage.refused++
		s.StepRoom()
		return roomPause
	}
	if !n.sound(err) {
		return 0
	}
	n.disk.log.extend(n, s)
	n.noteDisk()
	n.leading, n.epoch, n.barrier = true, epoch, barrier
	n.step(ha.Led{Epoch: epoch, Barrier: barrier})
	if n.up {
		n.step(ha.Advanced{Received: s.Received(), Synced: s.Synced()})
	}
	n.wakeStreams()
	return 0
}

// opened opens the store anew and tells the machine. For want of room it is to be done again.
func (n *node) opened() (again time.Duration) {
	b, ok := n.open()
	if !ok && n.up {
		return roomPause
	}
	if ok {
		n.reopening, n.toldEpoch = false, 0
		n.step(ha.Opened{Boot: b})
	}
	return 0
}

func (n *node) startIncoming(header []byte) {
	if n.incoming != nil && !n.sound(n.incoming.Close()) {
		return
	}
	n.incoming = nil
	in, err := persist.StartIncoming(n.incomingOptions(), header)
	if errors.Is(err, persist.ErrFull) && !n.disk.fs.Dead() {
		n.step(ha.IncomingStarted{Full: true})
		return
	}
	if !n.sound(err) {
		return
	}
	n.w.storage.blanks++
	n.w.interrupt(n)
	n.incoming = in
	n.disk.in = ledger{start: in.Start()}
	n.step(ha.IncomingStarted{Start: in.Start()})
}

func (n *node) dropIncoming() {
	if n.incoming != nil && !n.sound(n.incoming.Close()) {
		return
	}
	n.incoming = nil
	if n.sound(persist.DropIncoming(n.options())) {
		n.disk.in = ledger{}
		n.step(ha.IncomingDropped{})
	}
}

// switchOver puts incoming/ in the store's place.
func (n *node) switchOver() (again time.Duration) {
	if n.reopening {
		return n.opened()
	}
	s, in := n.store, n.incoming
	if in == nil {
		n.w.fail("node %d: incoming/ is to take the store's place, and is not open", n.no)
		return 0
	}
	n.disk.switching = true
	n.incoming = nil
	if !n.sound(s.SwitchTo(in)) {
		return 0
	}
	n.w.storage.switches++
	n.reopening = true
	return n.opened()
}

package persist

import (
	"errors"
	"fmt"
)

// A stepped store (Options.Stepped) has no goroutines. What they would do, its caller has done, on one goroutine, by the
// same code:
//
//	committer          StepWrite, StepSync      one round's two halves
//	applier            StepApply
//	preparer           at once, within whatever asks it; StepRoom once a second while the disk is full
//	hint, keep         StepHint, StepKeep
//	syncer             StepSync
//
// ErrFull of a step says that the disk has no room: where a goroutine would wait and try again, the caller does.

// Unwritten says that something was appended that is not written.
func (l *Log) Unwritten() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tailEnd > l.taken || len(l.write.work) > 0
}

// Unapplied says that something is committed that is not applied.
func (l *Log) Unapplied() bool {
	return min(l.commitTo.Load(), l.received.Load()) > l.committed.Load() || l.confirmTo.Load() > l.confirmed.Load()
}

// StepWrite writes what was appended; at *_mem levels it tells Progress then.
func (l *Log) StepWrite() error {
	if l.hasFailed() {
		return ErrClosed
	}
	if len(l.write.work) == 0 {
		if !l.Unwritten() {
			return nil
		}
		l.take()
	}
	if err := orFull(l.writeWork()); err != nil {
		return l.failUnless(err, ErrFull)
	}
	if !l.countsSynced() {
		l.report()
	}
	return nil
}

// StepSync syncs what is written, and tells Progress.
func (l *Log) StepSync() error {
	if l.hasFailed() {
		return ErrClosed
	}
	if Pos(l.received.Load()) == l.syncedEnd() {
		return nil
	}
	if err := l.syncActive(); err != nil {
		return l.failUnless(err)
	}
	l.report()
	return nil
}

// StepApply applies what is committed, and publishes it.
func (l *Log) StepApply() {
	l.apply.turn.Lock()
	l.applyHere()
}

// StepHint writes the commit hint, if it moved.
func (s *Store) StepHint() error { return s.failUnless(s.writeHint()) }

// StepKeep does what Keep does, but says nothing of what passes: a full disk, a tail that moved.
func (s *Store) StepKeep() error {
	if err := s.keepHouse(); err != nil && !passing(err) {
		return s.failUnless(fmt.Errorf("keeping the index: %w", err))
	}
	return nil
}

// StepRoom looks again whether a disk that was full has room.
func (s *Store) StepRoom() {
	if s.prep.noRoom.Load() {
		s.prep.ahead()
	}
}

// stepLead goes on with the epoch that is being begun. ErrFull: its beginning is not written; StepLead tries again.
func (l *Log) stepLead() (barrier Pos, err error) {
	b := l.barrier.Load()
	if err := l.StepWrite(); err != nil {
		return 0, err
	}
	if err := l.StepSync(); err != nil {
		return 0, err
	}
	return l.openAt(b)
}

// StepLead goes on with a Lead that has said ErrFull.
func (l *Log) StepLead() (barrier Pos, err error) {
	if l.barrier.Load() == nil {
		return 0, fmt.Errorf("leading epoch %d: it is not being begun", l.epoch)
	}
	return l.stepLead()
}

// stepOut is what the goroutines do when the store closes.
func (s *Store) stepOut() {
	if !s.hasFailed() {
		if err := s.StepWrite(); err == nil || errors.Is(err, ErrFull) { // of a full disk Close tells; any other has ended the store
			_ = s.StepSync() // its error has too
		}
		s.StepApply()
	}
	s.closeReader()
	s.prep.stop()
}

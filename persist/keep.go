package persist

import (
	"errors"
	"fmt"
	"time"
)

// runHint writes the commit hint whenever it moved (ha.md 4.1: within 1 s).
func (s *Store) runHint() {
	defer close(s.hintDone)
	tick := time.NewTicker(keepPause)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			if err := s.writeHint(); err != nil {
				s.fail(err)
				return
			}
		}
	}
}

func (s *Store) writeHint() error {
	hint := s.hint()
	if hint <= s.meta.get().CommitHint {
		return nil
	}
	return s.meta.update(func(m *Meta) { m.CommitHint = max(m.CommitHint, hint) })
}

// hint is what no later recovery may find missing.
func (s *Store) hint() Pos { return min(Pos(s.commitTo.Load()), s.syncedEnd()) }

// runKeep has the index do what must be done now and then.
func (s *Store) runKeep() {
	defer close(s.keepDone)
	tick := time.NewTicker(sweepPause)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			if err := s.keepHouse(); err != nil && !passing(err) && !s.gaveUp() {
				s.fail(fmt.Errorf("keeping the index: %w", err))
				return
			}
		}
	}
}

// passing says that the next try may well succeed, or that there is none.
func passing(err error) bool {
	return errors.Is(err, ErrClosed) || errors.Is(err, ErrFull) || errors.Is(err, errTailMoved)
}

// Keep does now what is due now and then: it flushes the index, relocates and trims a segment's worth. It reads and writes
// the disk; any goroutine may call. An error may be one that passes (ErrFull, a tail that moved): call it again later.
func (s *Store) Keep() error { return s.keepHouse() }

func (s *Store) keepHouse() error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	s.mu.Lock()
	leading := s.refused == nil
	s.mu.Unlock()
	err := s.index.keep(leading)
	s.lookAtSizes()
	return err
}

func (s *Store) lookAtSizes() {
	_, disk := s.index.sizes()
	s.indexDisk.Store(disk)
}

// dropSegmentsBelow forgets what a committed TRIM made useless: seam.go has the contract. The meta goes first: unlinks
// persist in any order, and a hole in front of log_start is no damage.
func (l *Log) dropSegmentsBelow(p Pos) error {
	if p <= l.logStart() {
		return nil
	}
	if first, _, ok := l.segs.around(p); !ok || first != p {
		return fmt.Errorf("dropping segments below %d: no segment starts there", p)
	}
	if p >= l.syncedEnd() {
		return fmt.Errorf("dropping segments below %d: nothing behind it is synced; a crash would leave no log", p)
	}
	if !l.pins.passes(p, &l.start) {
		return nil // a later look will find it so
	}
	if !l.weaken["start-first"] {
		if err := l.meta.update(func(m *Meta) { m.LogStart = p }); err != nil {
			return err
		}
	}
	var errs []error
	for _, g := range l.segs.takeBelow(p) {
		errs = append(errs, l.fs.Remove(l.segs.name(g.first)))
	}
	if l.weaken["start-first"] {
		errs = append(errs, l.meta.update(func(m *Meta) { m.LogStart = p }))
	}
	return errors.Join(errs...)
}

// Close stops the store: what was appended is written and synced, what is committed is applied and flushed. An error
// says that the next Open will have to recover. ErrFull: what found no room on the disk is gone, and all else is closed well.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return ErrClosed
	}
	s.refused, s.stopping = ErrClosed, true
	wake := s.idle
	s.idle = false
	s.mu.Unlock()
	s.lazy.Stop()
	s.GiveUp()
	if wake {
		s.wake <- struct{}{}
	}
	if s.stepped {
		s.stepOut()
	} else {
		s.join()
	}
	err := s.sayGoodbye()
	return errors.Join(err, s.abandon())
}

// join has the goroutines end, each after those that give it work.
func (s *Store) join() {
	<-s.write.done
	close(s.write.bgStop)
	<-s.write.bgDone
	close(s.stop)
	<-s.hintDone
	<-s.keepDone
	close(s.apply.stop)
	<-s.apply.done
	close(s.prep.requests)
	<-s.prep.done
}

// sayGoodbye makes the next Open quick, if all went well.
func (s *Store) sayGoodbye() error {
	select {
	case <-s.failed:
		return errors.New("the store has failed; the next start recovers it")
	default:
	}
	if s.syncedEnd() != s.Received() {
		return fmt.Errorf("the log was written up to %d and synced up to %d only", s.Received(), s.syncedEnd())
	}
	var full error
	if s.syncedEnd() != s.end() {
		full = fmt.Errorf("%w: what was appended from position %d to %d found no room, and was confirmed to nobody", ErrFull, s.syncedEnd(), s.end())
	}
	if err := s.index.flush(); isFull(err) { // the next start replays what it lacks
		full = errors.Join(full, orFull(err))
	} else if err != nil {
		return err
	}
	err := s.meta.update(func(m *Meta) {
		m.Clean, m.MemAcked, m.CommitHint = true, false, max(m.CommitHint, s.hint())
	})
	if err != nil {
		return err
	}
	return full
}

// abandon closes whatever is open.
func (s *Store) abandon() error {
	var errs []error
	if s.Log != nil {
		if s.index != nil {
			errs = append(errs, s.index.close())
		}
		s.segs.closeAll()
		if s.meta != nil {
			errs = append(errs, s.meta.close())
		}
	}
	if s.unlock != nil {
		errs = append(errs, s.unlock.Close())
	}
	return errors.Join(errs...)
}

package rim

import (
	"errors"
	"fmt"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// diskWork is one action for the disk, and the buffer that it holds.
type diskWork struct {
	action ha.Action
	buffer *buffer
}

// mostPerSync bounds what is written before it is synced and acknowledged.
const mostPerSync = 8 << 20

// runDisk does disk actions in order. After an error it does nothing more: the process ends.
func (r *Rim) runDisk() {
	var work []diskWork
	broken := false
	for {
		if work = r.disk.takeAll(work); work == nil {
			return
		}
		for rest := work; len(rest) > 0; {
			n, err := 1, error(nil)
			if !broken {
				n, err = r.doDisk(rest)
			}
			if err != nil {
				broken = true
				r.fatal(err)
			}
			for _, w := range rest[:n] {
				r.intake.release(w.buffer)
			}
			rest = rest[n:]
		}
		clear(work)
	}
}

// doDisk does the first action, or those at the beginning that can be done as one, and says how many.
func (r *Rim) doDisk(work []diskWork) (int, error) {
	switch a := work[0].action.(type) {
	case ha.Write:
		return r.writeRun(work, a.Incoming)
	case ha.Sync:
		return r.writeRun(work, a.Incoming)
	default:
		return 1, r.doAlone(a)
	}
}

// writeRun does the Writes and Syncs that work begins with: all Writes, then one Sync.
func (r *Rim) writeRun(work []diskWork, incoming bool) (n int, err error) {
	l := r.follower(incoming)
	if l == nil && incoming { // there was no room to begin it, and what came meanwhile has nowhere to go
		r.step(ha.Wrote{Incoming: true, Full: true})
		return 1, nil
	}
	if l == nil {
		return 1, errors.New("the log to be written is not open")
	}
	wrote, sync, bytes := ha.Wrote{Incoming: incoming}, false, 0
	any := false
	for ; n < len(work) && bytes < mostPerSync; n++ {
		switch a := work[n].action.(type) {
		case ha.Write:
			if a.Incoming != incoming {
				return n, r.endRun(l, wrote, any, sync)
			}
			any = true
			bytes += len(a.Batches)
			if wrote.Full || wrote.Misfit { // what follows does not fit either
				continue
			}
			if err := writeBatches(l, a, &wrote); err != nil {
				return n + 1, err
			}
		case ha.Sync:
			if a.Incoming != incoming {
				return n, r.endRun(l, wrote, any, sync)
			}
			sync = true
		default:
			return n, r.endRun(l, wrote, any, sync)
		}
	}
	return n, r.endRun(l, wrote, any, sync)
}

func writeBatches(l follower, a ha.Write, wrote *ha.Wrote) error {
	received, err := l.Write(a.Base, a.Batches)
	switch {
	case errors.Is(err, persist.ErrFull):
		wrote.Full = true
	case errors.Is(err, persist.ErrMisfit):
		wrote.Misfit = true
	case err != nil:
		return fmt.Errorf("writing what the master sent, at position %d: %w", a.Base, err)
	default:
		wrote.Received = received
	}
	return nil
}

// endRun tells of the run's writes, syncs, and tells of that.
func (r *Rim) endRun(l follower, wrote ha.Wrote, any, sync bool) error {
	if any {
		wrote.Received, wrote.Files = l.Received(), l.Files(0)
		r.step(wrote)
	}
	if !sync {
		return nil
	}
	if err := l.Sync(); err != nil {
		return err
	}
	e := ha.Synced{Incoming: wrote.Incoming, Synced: l.Synced()}
	if epoch := l.Epoch(); epoch != r.epoch || wrote.Incoming != r.epochIn {
		r.epoch, r.epochIn, e.History = epoch, wrote.Incoming, l.History()
	}
	r.step(e)
	return nil
}

// doAlone does an action that merges with no other.
func (r *Rim) doAlone(a ha.Action) error {
	switch a := a.(type) {
	case ha.Promise:
		return r.promise(a.Epoch)
	case ha.Remember:
		return r.remember(a)
	case ha.Truncate:
		return r.truncate(a)
	case ha.Lead:
		return r.lead(a.Epoch)
	case ha.Reopen:
		return r.reopen()
	case ha.StartIncoming:
		return r.startIncoming(a.Header)
	case ha.DropIncoming:
		return r.dropIncoming()
	case ha.Switch:
		return r.switchOver()
	}
	return fmt.Errorf("unknown action %T", a)
}

func (r *Rim) promise(epoch uint64) error {
	err := r.store.Load().UpdateMeta(func(m *persist.Meta) { m.Promised = max(m.Promised, epoch) })
	if err != nil {
		return fmt.Errorf("promising epoch %d: %w", epoch, err)
	}
	r.step(ha.Promised{Epoch: epoch})
	return nil
}

func (r *Rim) remember(a ha.Remember) error {
	err := r.store.Load().UpdateMeta(a.Change)
	if err != nil {
		return fmt.Errorf("writing meta: %w", err)
	}
	r.step(ha.Remembered{ID: a.ID})
	return nil
}

func (r *Rim) truncate(a ha.Truncate) error {
	l := r.follower(a.Incoming)
	if l == nil {
		return errors.New("the log to be truncated is not open")
	}
	if err := l.Truncate(a.Cut); err != nil {
		return fmt.Errorf("truncating the log to position %d: %w", a.Cut, err)
	}
	r.epoch, r.epochIn = l.Epoch(), a.Incoming
	r.step(ha.Truncated{Incoming: a.Incoming, Cut: a.Cut, Files: l.Files(0), History: l.History()})
	return nil
}

// lead begins an epoch. What the store reported before the machine hears of Led is reported again after it.
func (r *Rim) lead(epoch uint64) error {
	s := r.store.Load()
	barrier, err := s.Lead(epoch)
	if err != nil {
		return fmt.Errorf("beginning epoch %d: %w", epoch, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leading = true
	r.stepLocked(ha.Led{Epoch: epoch, Barrier: barrier})
	r.stepLocked(ha.Advanced{Received: s.Received(), Synced: s.Synced()})
	return nil
}

package rim

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// follower is a log that a master's batches go into: the store's, or that of incoming/.
type follower interface {
	Write(base persist.Pos, batches []byte) (persist.Pos, error)
	Sync() error
	Truncate(cut persist.Pos) error
	Received() persist.Pos
	Synced() persist.Pos
	History() []persist.EpochStart
	Epoch() uint64
	Files(p persist.Pos) int
}

func (r *Rim) follower(incoming bool) follower {
	s := r.store.Load()
	if incoming {
		s = r.incoming.Load()
	}
	if s == nil {
		return nil
	}
	return s
}

// liveOptions are those of the store, incomingOptions those of incoming/, which counts nothing by itself.
func (r *Rim) liveOptions() persist.Options {
	o := r.o.Store
	o.Progress, o.Written, o.Fatal, o.Tolerant, o.Copies = (*progress)(r), r.written, r.fatal, true, r.o.Node.Replicas
	return o
}

func (r *Rim) incomingOptions() persist.Options {
	o := r.o.Store
	o.Progress, o.Fatal = uncounted{}, r.fatal
	return o
}

// uncounted is the Progress of a log that only follows.
type uncounted struct{}

// Advanced commits nothing.
func (uncounted) Advanced(persist.Pos, persist.Pos) (commit, confirm persist.Pos) { return 0, 0 }

// openStore opens the store, and incoming/ if there is one, and says what they hold.
func (r *Rim) openStore() (ha.Boot, error) {
	s, err := persist.Open(r.liveOptions())
	if err != nil {
		return ha.Boot{}, err
	}
	r.store.Store(s)
	if r.incoming.Load() == nil {
		in, err := persist.ResumeIncoming(r.incomingOptions())
		if err != nil {
			return ha.Boot{}, err
		}
		r.incoming.Store(in)
	}
	b := boot(s)
	if in := r.incoming.Load(); in != nil {
		b.Incoming = new(boot(in))
	}
	return b, nil
}

// boot says what a store holds.
func boot(s *persist.Store) ha.Boot {
	found := s.Recovery()
	return ha.Boot{Meta: s.Meta(), Damaged: found.Damage != nil, Unclean: found.Unclean, Start: s.Start(),
		Received: s.Received(), Synced: s.Synced(), Committed: s.Committed(), History: s.History()}
}

// closeStore closes what is open.
func (r *Rim) closeStore() error {
	return errors.Join(closeOne(&r.incoming), closeOne(&r.store))
}

func closeOne(p *atomic.Pointer[persist.Store]) error {
	if s := p.Swap(nil); s != nil {
		return s.Close()
	}
	return nil
}

// reopen closes the store and opens it again. What is not committed stays as it is.
func (r *Rim) reopen() error {
	if err := closeOne(&r.store); errors.Is(err, persist.ErrFull) {
		r.tell(ha.Warn, "closing the store: %v", err)
	} else if err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return r.opened()
}

// opened opens the store anew and tells the machine. For want of room it tries again, until the rim ends.
func (r *Rim) opened() error {
	boot, err := r.openStore()
	for told := false; errors.Is(err, persist.ErrFull); told = true {
		if !told {
			r.tell(ha.Alarm, "the disk is full, and the store cannot be opened before there is room: %v", err)
		}
		select {
		case <-time.After(openRetry):
		case <-r.ctx.Done():
			return err
		}
		boot, err = r.openStore()
	}
	if err != nil {
		return err
	}
	r.epoch = 0
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leading = false
	r.commit, r.confirm, r.applied, r.awaiting = boot.Committed, boot.Committed, boot.Committed, false
	r.commitAt.Store(uint64(r.commit))
	r.stepLocked(ha.Opened{Boot: boot})
	return nil
}

// openRetry is how often a store is tried to be opened on a full disk.
const openRetry = time.Second

func (r *Rim) startIncoming(header []byte) error {
	if err := closeOne(&r.incoming); err != nil {
		return fmt.Errorf("closing incoming/: %w", err)
	}
	in, err := persist.StartIncoming(r.incomingOptions(), header)
	if errors.Is(err, persist.ErrFull) {
		r.step(ha.IncomingStarted{Full: true})
		return nil
	}
	if err != nil {
		return fmt.Errorf("starting incoming/: %w", err)
	}
	r.incoming.Store(in)
	r.step(ha.IncomingStarted{Start: in.Start()})
	return nil
}

func (r *Rim) dropIncoming() error {
	if err := errors.Join(closeOne(&r.incoming), persist.DropIncoming(r.o.Store)); err != nil {
		return fmt.Errorf("dropping incoming/: %w", err)
	}
	r.step(ha.IncomingDropped{})
	return nil
}

// switchOver puts incoming/ in the store's place.
func (r *Rim) switchOver() error {
	s, in := r.store.Swap(nil), r.incoming.Swap(nil)
	if s == nil || in == nil {
		return errors.New("switching to incoming/: it is not open")
	}
	if err := s.SwitchTo(in); err != nil {
		return err
	}
	return r.opened()
}

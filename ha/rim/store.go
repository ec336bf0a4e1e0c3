package rim

import (
	"fmt"

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

// openStore opens the store and says what it holds.
func (r *Rim) openStore() (ha.Boot, error) {
	o := r.o.Store
	o.Progress, o.Written, o.Fatal = (*progress)(r), r.written, r.fatal
	s, err := persist.Open(o)
	if err != nil {
		return ha.Boot{}, err
	}
	r.store.Store(s)
	return r.boot(s), nil
}

func (r *Rim) boot(s *persist.Store) ha.Boot {
	found := s.Recovery()
	return ha.Boot{Meta: s.Meta(), Unclean: found.Unclean, Start: s.Start(),
		Received: s.Received(), Synced: s.Synced(), Committed: s.Committed(), History: s.History()}
}

func (r *Rim) closeStore() error {
	s := r.store.Swap(nil)
	if s == nil {
		return nil
	}
	return s.Close()
}

// reopen closes the store and opens it again. What is not committed stays as it is.
func (r *Rim) reopen() error {
	if err := r.closeStore(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return r.opened()
}

// opened opens the store anew and tells the machine.
func (r *Rim) opened() error {
	boot, err := r.openStore()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commit, r.confirm, r.applied, r.awaiting = boot.Committed, boot.Committed, boot.Committed, false
	r.commitAt.Store(uint64(r.commit))
	r.leading, r.epoch = false, 0
	r.stepLocked(ha.Opened{Boot: boot})
	return nil
}

func (r *Rim) startIncoming([]byte) error { return fmt.Errorf("no incoming yet") }
func (r *Rim) dropIncoming() error        { return fmt.Errorf("no incoming yet") }
func (r *Rim) switchOver() error          { return fmt.Errorf("no incoming yet") }

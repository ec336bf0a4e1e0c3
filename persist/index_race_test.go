package persist

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// Readers see whole entries in order, whatever the applier, flushes, relocation and trims do meanwhile. What is read from a
// message is the message, unless its entry is gone by then.
func TestIndexReadersBesideTheApplier(t *testing.T) {
	m := newModel(11)
	s := openReal(t, realOptions(NewMemFS()))
	defer func() { _ = s.Close() }()
	var done atomic.Bool
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			for q := QueueID(n + 1); !done.Load(); q = q%12 + 1 {
				if err := readQueue(s, q); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for !done.Load() {
			if err := s.Keep(); err != nil && !passing(err) {
				t.Error(err)
				return
			}
			if err := s.index.flush(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 4000 {
		end, err := m.unit(s)
		if err != nil {
			t.Fatal(err)
		}
		if m.r.IntN(50) == 0 {
			awaitCommit(t, s, end)
		}
	}
	awaitCommit(t, s, s.end())
	done.Store(true)
	wg.Wait()
	awaitCommit(t, s, s.end())
	m.check(t, s)
	sameAsReplay(t, s)
	audit(t, s.index.(*Index))
}

func readQueue(s *Store, q QueueID) error {
	list, err := s.Entries(q, 0, 40, nil)
	if err != nil {
		return err
	}
	for i, e := range list {
		if i > 0 && e.Seq <= list[i-1].Seq {
			return fmt.Errorf("queue %d: %v after %v", q, e.Seq, list[i-1].Seq)
		}
		if id, _, _, err := s.Message(e.Message); err != nil || len(id) == 0 || id[0] != 'm' {
			if _, ok, err := s.Entry(q, e.Seq); ok || err != nil {
				return fmt.Errorf("queue %d: %v: message %q, %v", q, e.Seq, id, err)
			}
		}
	}
	_ = s.Queue(q)
	last := ""
	err = s.Scan(TableRetained, nil, func(k, _ []byte) bool {
		if string(k) <= last {
			last = fmt.Sprintf("%s after %s", k, last)
			return false
		}
		last = string(k)
		return true
	})
	if err != nil || len(last) > 12 {
		return fmt.Errorf("rows: %s, %v", last, err)
	}
	return nil
}

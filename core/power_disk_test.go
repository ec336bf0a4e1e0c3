package core

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// storeDisk is the real store on a file system that forgets what was not synced.
type storeDisk struct {
	tb    testing.TB
	fs    *powerFS
	store *persist.Store
	lives int
	rng   *rand.Rand
}

func newPowerDisk(tb testing.TB, seed uint64) *storeDisk {
	return &storeDisk{tb: tb, fs: &powerFS{MemFS: persist.NewMemFS()}, rng: rand.New(rand.NewPCG(seed, 8))}
}

func (d *storeDisk) open() (Store, error) {
	d.lives++
	s, err := persist.Open(persist.Options{Dir: "data", FS: d.fs, LogSize: persist.MinLogSize, ReserveBytes: 8 << 10, MemoryBytes: 1 << 20,
		BootID: fmt.Sprint("boot ", d.lives)})
	if err != nil {
		var damage *persist.DamageError
		if errors.As(err, &damage) || !d.fs.tripped() {
			d.tb.Errorf("open: %v", err)
		}
		return nil, err
	}
	d.store = s
	barrier, err := s.Lead(s.NextEpoch())
	if err == nil && !d.wait(barrier) {
		err = errors.New("the power went before the first epoch record was committed")
	}
	return s, err
}

func (d *storeDisk) arm(n int) { d.fs.arm(n, d.rng) }

func (d *storeDisk) hold() bool {
	d.arm(1 << 30)
	return !d.fs.tripped()
}

func (d *storeDisk) off(*rand.Rand) {
	after := d.fs.next(d.rng)
	if d.store != nil {
		d.store.Close() // its errors are those of a disk without power
		d.store = nil
	}
	d.fs = &powerFS{MemFS: after}
}

func (d *storeDisk) quiet() bool {
	if d.store == nil {
		return false
	}
	if d.rng.IntN(4) == 0 {
		d.store.Keep() // an error is the power's, or passes
	}
	return d.wait(d.store.Usage().End)
}

// bell rings when the store is as far as it was asked for.
type bell chan struct{}

func (b bell) Advanced() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// wait waits until the log is committed up to pos; false: it will not be, as the power went.
func (d *storeDisk) wait(pos persist.Pos) bool {
	patience := time.NewTimer(powerPatience)
	defer patience.Stop()
	for b := make(bell, 1); d.store.Committed() < pos; {
		d.store.Await(pos, b)
		select {
		case <-b:
		case <-d.fs.gone():
			return false
		case <-patience.C:
			d.tb.Errorf("position %d was not committed in %v; %d is", pos, powerPatience, d.store.Committed())
			return false
		}
	}
	return true
}

// check compares the index with one that is built anew from the log.
func (d *storeDisk) check() error {
	if !d.quiet() || d.store.Usage().End != d.store.Committed() {
		return nil // it went on; there is another time
	}
	live, err := d.store.IndexHash()
	if err != nil {
		return err
	}
	replayed, err := d.store.ReplayHash()
	if err != nil {
		return err
	}
	if live != replayed {
		return fmt.Errorf("the index's hash is %s, and a replay from position %d gives %s", live, d.store.Usage().LogStart, replayed)
	}
	return nil
}

// powerFS is a MemFS whose power goes at the n-th call that changes something.
type powerFS struct {
	*persist.MemFS
	mu    sync.Mutex
	left  int
	rng   *rand.Rand
	after *persist.MemFS
	off   chan struct{}
}

func (f *powerFS) arm(n int, rng *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.rng = n, rand.New(rand.NewPCG(rng.Uint64(), 9))
	if f.off == nil {
		f.off = make(chan struct{})
	}
}

func (f *powerFS) gone() <-chan struct{} { return f.off }

func (f *powerFS) tripped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.after != nil
}

func (f *powerFS) step() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left--; f.left == 0 && f.after == nil {
		f.after = f.Crash(f.rng)
		close(f.off)
	}
}

// next is the file system after the power loss, which happens now if it has not yet.
func (f *powerFS) next(rng *rand.Rand) *persist.MemFS {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.after == nil {
		f.after = f.Crash(rng)
		close(f.off)
	}
	return f.after
}

func (f *powerFS) wrap(file persist.File, err error) (persist.File, error) {
	if err != nil {
		return nil, err
	}
	return &powerFile{file, f}, nil
}

func (f *powerFS) Create(name string) (persist.File, error) {
	f.step()
	return f.wrap(f.MemFS.Create(name))
}

func (f *powerFS) OpenReadWrite(name string) (persist.File, error) {
	return f.wrap(f.MemFS.OpenReadWrite(name))
}

func (f *powerFS) Rename(from, to string) error { f.step(); return f.MemFS.Rename(from, to) }
func (f *powerFS) Remove(name string) error     { f.step(); return f.MemFS.Remove(name) }
func (f *powerFS) SyncDir(dir string) error     { f.step(); return f.MemFS.SyncDir(dir) }

type powerFile struct {
	persist.File
	fs *powerFS
}

func (f *powerFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.step()
	return f.File.WriteAt(p, off)
}
func (f *powerFile) Sync() error               { f.fs.step(); return f.File.Sync() }
func (f *powerFile) Preallocate(n int64) error { f.fs.step(); return f.File.Preallocate(n) }
func (f *powerFile) Truncate(n int64) error    { f.fs.step(); return f.File.Truncate(n) }

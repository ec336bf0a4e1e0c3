package persist

import (
	"math/rand/v2"
	"sync"
)

// tripFS is a MemFS whose power goes at the n-th call that changes something, or whose process is killed there.
type tripFS struct {
	*MemFS
	mu    sync.Mutex
	left  int // calls until then; 0 never
	kill  bool
	rng   *rand.Rand
	after *MemFS
}

// arm lets the power go at the n-th call from now on.
func (t *tripFS) arm(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = n
}

// step counts a call.
func (t *tripFS) step() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left--; t.left == 0 {
		t.trip()
	}
}

func (t *tripFS) trip() {
	if t.kill {
		t.after = t.MemFS.Kill()
	} else {
		t.after = t.MemFS.Crash(t.rng)
	}
}

func (t *tripFS) tripped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.after != nil
}

// next is the file system after the trip, which happens now if it has not yet.
func (t *tripFS) next() *MemFS {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.after == nil {
		t.trip()
	}
	return t.after
}

func (t *tripFS) wrap(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &tripFile{f, t}, nil
}

func (t *tripFS) Create(name string) (File, error) { t.step(); return t.wrap(t.MemFS.Create(name)) }
func (t *tripFS) Open(name string) (File, error)   { return t.wrap(t.MemFS.Open(name)) }
func (t *tripFS) OpenReadWrite(name string) (File, error) {
	return t.wrap(t.MemFS.OpenReadWrite(name))
}
func (t *tripFS) Rename(from, to string) error { t.step(); return t.MemFS.Rename(from, to) }
func (t *tripFS) Remove(name string) error     { t.step(); return t.MemFS.Remove(name) }
func (t *tripFS) SyncDir(dir string) error     { t.step(); return t.MemFS.SyncDir(dir) }

type tripFile struct {
	File
	fs *tripFS
}

func (f *tripFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.step()
	return f.File.WriteAt(p, off)
}
func (f *tripFile) Sync() error               { f.fs.step(); return f.File.Sync() }
func (f *tripFile) Preallocate(n int64) error { f.fs.step(); return f.File.Preallocate(n) }
func (f *tripFile) Truncate(n int64) error    { f.fs.step(); return f.File.Truncate(n) }

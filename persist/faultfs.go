package persist

import (
	"io"
	"path"
	"sync"
)

// FaultOp names what a Fault breaks.
type FaultOp string

const (
	FaultRead        FaultOp = "read"
	FaultWrite       FaultOp = "write"
	FaultSync        FaultOp = "sync"
	FaultCreate      FaultOp = "create"
	FaultOpen        FaultOp = "open"
	FaultRename      FaultOp = "rename"
	FaultRemove      FaultOp = "remove"
	FaultPreallocate FaultOp = "preallocate"
	FaultTruncate    FaultOp = "truncate"
	FaultSyncDir     FaultOp = "syncdir"
)

// Fault is one rule of a FaultFS: the calls of one kind on files whose base name matches fail.
type Fault struct {
	Op      FaultOp
	Pattern string // of path.Match, on the base name
	Skip    int    // so many matching calls pass first
	Times   int    // so many fail then; 0 all
	Err     error  // what they answer, such as syscall.EIO
	Short   bool   // FaultWrite: half of the bytes are written all the same
}

// FaultFS fails as its rules say and passes everything else on. Any goroutine may call.
type FaultFS struct {
	FS
	mu    sync.Mutex
	rules []*Fault
	hits  int
}

// NewFaultFS puts a file system without faults on top of base.
func NewFaultFS(base FS) *FaultFS { return &FaultFS{FS: base} }

// Break adds a rule; Heal drops all of them; Hits counts the calls that failed.
func (f *FaultFS) Break(r Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &r)
}

func (f *FaultFS) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

func (f *FaultFS) Hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

// fault returns the rule that this call falls under, if any.
func (f *FaultFS) fault(op FaultOp, name string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, r := range f.rules {
		if ok, err := path.Match(r.Pattern, path.Base(name)); r.Op != op || err != nil || !ok {
			continue
		}
		if r.Skip > 0 {
			r.Skip--
			continue
		}
		f.hits++
		hit := *r
		if r.Times == 1 {
			f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
		} else if r.Times > 1 {
			r.Times--
		}
		return &hit
	}
	return nil
}

func (f *FaultFS) check(op FaultOp, name string) error {
	if r := f.fault(op, name); r != nil {
		return r.Err
	}
	return nil
}

func (f *FaultFS) Create(name string) (File, error) {
	if err := f.check(FaultCreate, name); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.FS.Create(name))
}

func (f *FaultFS) Open(name string) (File, error) {
	if err := f.check(FaultOpen, name); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.FS.Open(name))
}

func (f *FaultFS) OpenReadWrite(name string) (File, error) {
	if err := f.check(FaultOpen, name); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.FS.OpenReadWrite(name))
}

func (f *FaultFS) wrap(name string) func(File, error) (File, error) {
	return func(file File, err error) (File, error) {
		if err != nil {
			return nil, err
		}
		return &faultFile{File: file, fs: f, name: name}, nil
	}
}

func (f *FaultFS) Rename(from, to string) error {
	if err := f.check(FaultRename, to); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *FaultFS) Remove(name string) error {
	if err := f.check(FaultRemove, name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f *FaultFS) SyncDir(dir string) error {
	if err := f.check(FaultSyncDir, dir); err != nil {
		return err
	}
	return f.FS.SyncDir(dir)
}

func (f *FaultFS) Lock(name string) (io.Closer, error) { return f.FS.Lock(name) }

type faultFile struct {
	File
	fs   *FaultFS
	name string // as it was opened
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.check(FaultRead, f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	r := f.fs.fault(FaultWrite, f.name)
	if r == nil {
		return f.File.WriteAt(p, off)
	}
	if !r.Short {
		return 0, r.Err
	}
	n, err := f.File.WriteAt(p[:len(p)/2], off)
	if err == nil {
		err = r.Err
	}
	return n, err
}

func (f *faultFile) Sync() error {
	if err := f.fs.check(FaultSync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Preallocate(size int64) error {
	if err := f.fs.check(FaultPreallocate, f.name); err != nil {
		return err
	}
	return f.File.Preallocate(size)
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.check(FaultTruncate, f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

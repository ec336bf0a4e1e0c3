package persist

import (
	"io"
	"io/fs"
)

// memFile is an open file of a MemFS; its file system's mutex guards it.
type memFile struct {
	fs       *MemFS
	name     string
	n        *memNode
	readOnly bool
	closed   bool
}

func (f *memFile) enter(op string) error {
	f.fs.mu.Lock()
	changes := op != "read" && op != "size"
	switch {
	case f.closed:
		return f.fs.fail(op, f.name, fs.ErrClosed)
	case f.fs.dead || changes && f.fs.off():
		return f.fs.fail(op, f.name, errPowerOff)
	case f.readOnly && changes:
		return f.fs.fail(op, f.name, fs.ErrPermission)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	err := f.enter("read")
	defer f.fs.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.enter("write")
	defer f.fs.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if end := int(off) + len(p); end > len(f.n.data) {
		if err := f.fs.grow(end - len(f.n.data)); err != nil {
			return 0, f.fs.fail("write", f.name, err)
		}
		f.n.resize(end)
	}
	f.n.touch(int(off), int(off)+len(p))
	return copy(f.n.data[off:], p), nil
}

func (f *memFile) Sync() error {
	err := f.enter("sync")
	defer f.fs.mu.Unlock()
	if err != nil {
		return err
	}
	f.n.disk = sized(f.n.disk, len(f.n.data))
	for p := range f.n.dirty {
		if off := p * memPage; off < len(f.n.data) {
			copy(f.n.disk[off:min(off+memPage, len(f.n.disk))], f.n.data[off:])
		}
	}
	clear(f.n.dirty)
	return nil
}

func (f *memFile) Preallocate(size int64) error {
	err := f.enter("preallocate")
	defer f.fs.mu.Unlock()
	if err != nil || size <= int64(len(f.n.data)) {
		return err
	}
	if err := f.fs.grow(int(size) - len(f.n.data)); err != nil {
		return f.fs.fail("preallocate", f.name, err)
	}
	f.n.resize(int(size))
	return nil
}

func (f *memFile) Truncate(size int64) error {
	err := f.enter("truncate")
	defer f.fs.mu.Unlock()
	if err == nil {
		f.n.resize(int(size))
	}
	return err
}

func (f *memFile) Size() (int64, error) {
	err := f.enter("size")
	defer f.fs.mu.Unlock()
	return int64(len(f.n.data)), err
}

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return f.fs.fail("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func (n *memNode) touch(from, to int) {
	for p := from / memPage; p*memPage < to; p++ {
		n.dirty[p] = true
	}
}

func (n *memNode) resize(size int) {
	old := len(n.data)
	n.data = sized(n.data, size)
	n.touch(min(old, size), max(old, size))
}

// sized returns b at that length, with zeros where it grew.
func sized(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size]
	}
	if size <= cap(b) {
		clear(b[len(b):size])
		return b[:size]
	}
	out := make([]byte, size, max(size, min(2*cap(b), cap(b)+1<<20)))
	copy(out, b)
	return out
}

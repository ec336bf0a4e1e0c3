package persist

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/sys/unix"
)

// OSFS is the machine's own file system.
type OSFS struct{}

func (OSFS) Create(name string) (File, error) {
	return openFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}
func (OSFS) Open(name string) (File, error)          { return openFile(name, os.O_RDONLY) }
func (OSFS) OpenReadWrite(name string) (File, error) { return openFile(name, os.O_RDWR) }
func (OSFS) Rename(from, to string) error            { return os.Rename(from, to) }
func (OSFS) Remove(name string) error                { return os.Remove(name) }

// MkdirAll makes the directories and, unlike the others that change names, has those on disk when it returns.
func (o OSFS) MkdirAll(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := o.MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return o.SyncDir(parent)
}

func (OSFS) List(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	sort.Strings(names)
	return names, nil
}

func (OSFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (OSFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is held by another process: stop it, or use another directory: %w", name, err), f.Close())
	}
	return f, nil
}

type osFile struct{ *os.File }

func openFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (f osFile) Sync() error { return retryEINTR(func() error { return unix.Fdatasync(int(f.Fd())) }) }

func (f osFile) Size() (int64, error) {
	i, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return i.Size(), nil
}

// zeroChunk is how much Preallocate writes between two syncs, so that its burst never stands long in front of a commit's.
const zeroChunk = 4 << 20

var zeros [1 << 20]byte

// Preallocate reserves the blocks and then writes zeros over them. Writing is what counts: blocks that are only reserved
// cost each later sync a change of the file's block map (DESIGN.md has the measurement). It also stands in for a
// reservation on file systems that have none. The size is the file's from the start.
func (f osFile) Preallocate(size int64) error {
	from, err := f.Size()
	if err != nil || from >= size {
		return err
	}
	err = retryEINTR(func() error { return unix.Fallocate(int(f.Fd()), 0, from, size-from) })
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("reserving %d bytes for %s: %w", size, f.Name(), err)
	}
	for at := from; at < size; {
		n := min(size-at, int64(len(zeros)))
		if _, err := f.WriteAt(zeros[:n], at); err != nil {
			return err
		}
		at += n
		if at%zeroChunk == 0 || at == size {
			if err := f.Sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

func retryEINTR(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

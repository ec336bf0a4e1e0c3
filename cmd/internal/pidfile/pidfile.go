package pidfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Name is the file's name in the data directory.
const Name = "havenmq.pid"

// File is a pid file that this process holds.
type File struct{ f *os.File }

// Take writes this process's id into dir's pid file, and holds it until Release or the process's end. It fails if
// another process holds it.
func Take(dir string) (*File, error) {
	path := filepath.Join(dir, Name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid, _ := read(f)
		_ = f.Close() // it was only looked at
		return nil, fmt.Errorf("%s is served by process %d already: stop that with `havenmq stop --data %s`, or name another directory with --data", dir, pid, dir)
	}
	text := fmt.Appendf(nil, "%d\n", os.Getpid())
	if err := errors.Join(f.Truncate(0), writeAt(f, text)); err != nil {
		return nil, errors.Join(fmt.Errorf("pid file: %w", err), f.Close())
	}
	return &File{f}, nil
}

func writeAt(f *os.File, text []byte) error {
	_, err := f.WriteAt(text, 0)
	return err
}

// Release removes the file and gives it up.
func (p *File) Release() error {
	return errors.Join(os.Remove(p.f.Name()), p.f.Close())
}

// Running is the process that holds dir's pid file; ok is false if none does.
func Running(dir string) (pid int, ok bool, err error) {
	f, err := os.Open(filepath.Join(dir, Name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("pid file: %w", err)
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0, false, nil // nobody holds it: it was left behind
	}
	pid, err = read(f)
	return pid, err == nil, err
}

func read(f *os.File) (int, error) {
	text := make([]byte, 32)
	n, err := f.ReadAt(text, 0)
	if n == 0 && err != nil {
		return 0, fmt.Errorf("pid file %s: %w", f.Name(), err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("pid file %s holds no process id", f.Name())
	}
	return pid, nil
}

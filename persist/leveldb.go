package persist

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync/atomic"
	"syscall"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
)

// levelFiles lets LevelDB keep its files in a directory of an FS, so that whatever the FS forgets or breaks, it forgets
// and breaks for LevelDB too.
type levelFiles struct {
	fs  FS
	dir string
	log indexLog // nil: nobody makes room on a full disk

	full atomic.Bool // something was refused for want of room: LevelDB's errors do not wrap those of files
}

const (
	currentName    = "CURRENT"
	currentTmpName = "CURRENT.new"
	rebuildName    = "REBUILD" // stands in a directory that was found to be damaged: it is emptied at the next start
)

func (s *levelFiles) path(fd storage.FileDesc) string { return path.Join(s.dir, fd.String()) }

// Lock always succeeds: the store's own lock keeps others out.
func (s *levelFiles) Lock() (storage.Locker, error) { return levelLock{}, nil }

type levelLock struct{}

func (levelLock) Unlock() {}

func (s *levelFiles) Log(string)   {}
func (s *levelFiles) Close() error { return nil }

// SetMeta names the manifest that counts, all or nothing.
func (s *levelFiles) SetMeta(fd storage.FileDesc) error {
	return s.withRoom(func() error { return s.setMeta(fd) })
}

func (s *levelFiles) setMeta(fd storage.FileDesc) error {
	tmp := path.Join(s.dir, currentTmpName)
	f, err := s.fs.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(fd.String()+"\n"), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.fs.Rename(tmp, path.Join(s.dir, currentName)); err != nil {
		return err
	}
	return s.fs.SyncDir(s.dir)
}

// GetMeta reads it back.
func (s *levelFiles) GetMeta() (storage.FileDesc, error) {
	f, err := s.fs.Open(path.Join(s.dir, currentName))
	if err != nil {
		return storage.FileDesc{}, notThere(err)
	}
	var text [64]byte
	n, err := f.ReadAt(text[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return storage.FileDesc{}, errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return storage.FileDesc{}, err
	}
	fd := parseLevelName(string(text[:max(n-1, 0)]))
	if fd.Type != storage.TypeManifest || text[n-1] != '\n' {
		return storage.FileDesc{}, &storage.ErrCorrupted{Err: fmt.Errorf("%s does not name a manifest", currentName)}
	}
	return fd, nil
}

// notThere is err in the words that LevelDB compares with.
func notThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fs.ErrNotExist
	}
	return err
}

// parseLevelName is the inverse of FileDesc.String; the zero FileDesc if name is none.
func parseLevelName(name string) storage.FileDesc {
	var num int64
	for _, t := range []storage.FileType{storage.TypeManifest, storage.TypeJournal, storage.TypeTable, storage.TypeTemp} {
		form := "%d.log"
		switch t {
		case storage.TypeManifest:
			form = "MANIFEST-%d"
		case storage.TypeTable:
			form = "%d.ldb"
		case storage.TypeTemp:
			form = "%d.tmp"
		}
		if n, err := fmt.Sscanf(name, form, &num); n == 1 && err == nil {
			if fd := (storage.FileDesc{Type: t, Num: num}); fd.String() == name {
				return fd
			}
		}
	}
	return storage.FileDesc{}
}

func (s *levelFiles) List(ft storage.FileType) ([]storage.FileDesc, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return nil, err
	}
	var list []storage.FileDesc
	for _, name := range names {
		if fd := parseLevelName(name); fd.Type&ft != 0 {
			list = append(list, fd)
		}
	}
	return list, nil
}

func (s *levelFiles) Open(fd storage.FileDesc) (storage.Reader, error) {
	f, err := s.fs.Open(s.path(fd))
	if err != nil {
		return nil, notThere(err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return levelReader{io.NewSectionReader(f, 0, size), f}, nil
}

type levelReader struct {
	*io.SectionReader
	f File
}

func (r levelReader) Close() error { return r.f.Close() }

// Create makes a file whose name is on disk before anything relies on it.
func (s *levelFiles) Create(fd storage.FileDesc) (storage.Writer, error) {
	var f File
	err := s.withRoom(func() (err error) {
		f, err = s.fs.Create(s.path(fd))
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &levelWriter{f: f, files: s}, nil
}

// withRoom does what needs room on the disk.
func (s *levelFiles) withRoom(f func() error) (err error) {
	if s.log == nil {
		err = f()
	} else {
		err = s.log.withRoom(f)
	}
	if isFull(err) {
		s.full.Store(true)
	}
	return err
}

type levelWriter struct {
	f     File
	files *levelFiles
	off   int64
}

// Write goes on where a full disk cut it short: LevelDB takes no journal up again that failed once.
func (w *levelWriter) Write(b []byte) (done int, err error) {
	err = w.files.withRoom(func() error {
		n, err := w.f.WriteAt(b[done:], w.off)
		w.off += int64(n)
		done += n
		return err
	})
	return done, err
}

func (w *levelWriter) Sync() error  { return w.f.Sync() }
func (w *levelWriter) Close() error { return w.f.Close() }

func (s *levelFiles) Remove(fd storage.FileDesc) error { return notThere(s.fs.Remove(s.path(fd))) }

func (s *levelFiles) Rename(from, to storage.FileDesc) error {
	if err := s.fs.Rename(s.path(from), s.path(to)); err != nil {
		return err
	}
	return s.fs.SyncDir(s.dir)
}

// diskBytes is what the files take.
func (s *levelFiles) diskBytes() (total uint64, err error) {
	list, err := s.List(storage.TypeAll)
	if err != nil {
		return 0, err
	}
	for _, fd := range list {
		f, err := s.fs.Open(s.path(fd))
		if errors.Is(err, fs.ErrNotExist) {
			continue // compacted away meanwhile
		}
		if err != nil {
			return 0, err
		}
		size, err := f.Size()
		if err = errors.Join(err, f.Close()); err != nil {
			return 0, err
		}
		total += uint64(size)
	}
	return total, nil
}

// clear empties the directory.
func (s *levelFiles) clear() error {
	names, err := s.fs.List(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		names, err = nil, nil
	}
	if err != nil {
		return err
	}
	rebuild := false
	for _, name := range names { // what makes the rest count goes first, the mark of damage last
		if name == currentName {
			err = s.fs.Remove(path.Join(s.dir, name))
		}
		rebuild = rebuild || name == rebuildName
	}
	err = errors.Join(err, s.fs.MkdirAll(s.dir), s.fs.SyncDir(s.dir))
	for _, name := range names {
		if name != currentName && name != rebuildName {
			err = errors.Join(err, s.fs.Remove(path.Join(s.dir, name)))
		}
	}
	if rebuild && err == nil {
		err = s.fs.Remove(path.Join(s.dir, rebuildName))
	}
	return errors.Join(err, s.fs.SyncDir(s.dir))
}

// condemn marks the directory as damaged.
func (s *levelFiles) condemn() error {
	f, err := s.fs.Create(path.Join(s.dir, rebuildName))
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), s.fs.SyncDir(s.dir))
}

// condemned says that the directory was marked, or cannot be looked at.
func (s *levelFiles) condemned() bool {
	f, err := s.fs.Open(path.Join(s.dir, rebuildName))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return f.Close() == nil
}

// openLevel opens LevelDB so that nothing damaged is passed over: an index that is not whole is built anew. A flush brings
// about budget bytes.
func openLevel(files *levelFiles, budget int64) (*leveldb.DB, error) {
	buffer := int(budget / 4)
	db, err := leveldb.Open(files, &opt.Options{
		BlockCacheCapacity:     2 * buffer,
		CompactionTableSize:    buffer,
		CompactionTotalSize:    10 * buffer,
		Filter:                 filter.NewBloomFilter(10),
		OpenFilesCacheCapacity: 64,
		Strict: opt.StrictManifest | opt.StrictJournal | opt.StrictJournalChecksum | opt.StrictBlockChecksum |
			opt.StrictCompaction | opt.StrictReader,
		WriteBuffer: buffer,
	})
	if err != nil && files.full.Swap(false) {
		err = errors.Join(err, syscall.ENOSPC)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the index in %s: %w", files.dir, err)
	}
	return db, nil
}

package persist

import (
	"io"
)

// FS is the file system as the store needs it: the real one, one in memory that forgets (MemFS), one that fails by rule
// (FaultFS). Names are paths with '/'. Creations, renames and removals are on disk for certain only after SyncDir of
// their directory. Any goroutine may call.
type FS interface {
	Create(name string) (File, error)        // empty, readable and writable; an old one of that name is emptied
	Open(name string) (File, error)          // to read
	OpenReadWrite(name string) (File, error) // must exist
	Rename(from, to string) error            // replaces to
	Remove(name string) error
	List(dir string) ([]string, error) // base names, sorted; files and directories
	MkdirAll(dir string) error
	SyncDir(dir string) error
	// Lock holds name against other processes until the result is closed.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt and WriteAt follow io.ReaderAt and io.WriterAt. Any goroutine may call.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error                  // contents and size (fdatasync). After an error the file must not be trusted
	Preallocate(size int64) error // reserves room and makes the size at least that; new bytes read as zero
	Truncate(size int64) error
	Size() (int64, error)
}

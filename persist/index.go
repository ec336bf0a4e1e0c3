package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/syndtr/goleveldb/leveldb"
	lerrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/opt"
)

const (
	minOverlayBytes     = 4 << 20
	maxOverlayBytes     = 32 << 20
	indexCacheBytes     = 16 << 20
	flushTicks          = 50 // calls of keep after which what was applied is written at the latest
	maxInternedNotes    = 1024
	entryOverheadBytes  = 24 // of the log, that an entry keeps alive beside its message
	recordOverheadBytes = 20
)

// Index is what the log says, in a shape that can be looked up: queues' entries, tables' rows. It holds what is applied;
// LevelDB holds that up to what was flushed last, together with the position.
//
//	applier ──► now (overlay) ──freeze──► frozen ──write──► LevelDB
//	readers ◄── now, else frozen, else LevelDB
//
// The applier's goroutine alone changes now; a flush, by any goroutine, moves it to frozen between two batches.
type Index struct {
	log    indexLog
	files  *levelFiles
	budget int64 // bytes of an overlay that is due to be written

	flushing sync.Mutex // one flush at a time; taken before mu

	mu      sync.RWMutex
	db      *leveldb.DB
	now     *overlay
	frozen  *overlay // nil: nothing waits to be written
	still   frozenState
	inBatch bool // now holds a part of a batch: it may not be frozen
	wanted  bool // somebody waits to freeze it
	pos     Pos  // applied
	flushed Pos
	live    uint64
	trim    trimming
	disk    uint64
	broken  error // of the disk; keep and apply answer it

	// The applier's own.
	unit      []byte
	base      Pos
	preparing bool
	notes     map[string]*slotMore

	// keep's own.
	ticks int
	sweep sweep
}

// trimming is the newest TRIM: segments below to may go once the index is flushed past at.
type trimming struct{ to, at Pos }

// frozenState is what is written together with frozen.
type frozenState struct {
	pos  Pos
	live uint64
	trim trimming
}

// openIndex opens the index in dir, or makes an empty one where there is none that can be trusted.
func openIndex(fs FS, dir string, l indexLog, o *Options) (index, error) {
	x := &Index{log: l, files: &levelFiles{fs, dir}, budget: maxOverlayBytes, now: newOverlay(), notes: map[string]*slotMore{}}
	if o.MemoryBytes > 0 {
		x.budget = min(max(o.MemoryBytes/8, minOverlayBytes), maxOverlayBytes)
	}
	if err := fs.MkdirAll(dir); err != nil {
		return nil, err
	}
	if !x.files.condemned() {
		db, err := openLevel(x.files, indexCacheBytes)
		if err == nil {
			x.db = db
			if err = x.loadState(); err == nil {
				return x, x.measure()
			}
			err = errors.Join(err, db.Close())
		}
		o.Logf("the index in %s cannot be read and is built anew: %v", dir, err)
	}
	x.db = nil
	return x, x.reset()
}

// loadState reads what was written with the last flush. An index that was never flushed has none.
func (x *Index) loadState() error {
	v, err := x.db.Get([]byte{keyState}, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f := fields{b: v}
	x.pos, x.live = Pos(f.uvarint()), f.uvarint()
	x.trim = trimming{Pos(f.uvarint()), Pos(f.uvarint())}
	if f.err != "" || len(f.b) != 0 {
		return errBlock
	}
	x.flushed = x.pos
	return nil
}

func (s *frozenState) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(s.pos))
	b = binary.AppendUvarint(b, s.live)
	b = binary.AppendUvarint(b, uint64(s.trim.to))
	return binary.AppendUvarint(b, uint64(s.trim.at))
}

func (x *Index) position() Pos {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.pos
}

// reset drops everything.
func (x *Index) reset() error {
	x.flushing.Lock()
	defer x.flushing.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	var err error
	if x.db != nil {
		err = x.db.Close()
		x.db = nil
	}
	if err = errors.Join(err, x.files.clear()); err != nil {
		return err
	}
	x.now, x.frozen, x.still = newOverlay(), nil, frozenState{}
	x.pos, x.flushed, x.live, x.trim, x.disk = 0, 0, 0, trimming{}, 0
	x.db, err = openLevel(x.files, indexCacheBytes)
	return err
}

// close ends the index without a flush.
func (x *Index) close() error {
	x.flushing.Lock()
	defer x.flushing.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db == nil {
		return nil
	}
	err := x.db.Close()
	x.db = nil
	return err
}

func (x *Index) sizes() (live, disk uint64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.live, x.disk
}

// measure looks at what LevelDB's files take.
func (x *Index) measure() error {
	disk, err := x.files.diskBytes()
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.disk = disk
	x.mu.Unlock()
	return nil
}

// fail keeps the first error of the disk and ends the store: whoever met it may have no way to say so, and what was
// answered instead, such as a queue without places given out, must not find its way into the log. A damaged LevelDB is
// marked, so that the next start builds it anew. mu is not held.
func (x *Index) fail(err error) error {
	if errors.Is(err, leveldb.ErrClosed) {
		return ErrClosed
	}
	if lerrors.IsCorrupted(err) || errors.Is(err, errBlock) {
		err = errors.Join(fmt.Errorf("the index in %s is damaged; the next start builds it anew from the log: %w", x.files.dir, err),
			x.files.condemn())
	}
	x.mu.Lock()
	if x.broken == nil {
		x.broken = err
	}
	err = x.broken
	x.mu.Unlock()
	x.log.fail(err)
	return err
}

// freeze makes what is applied ready to be written. mu is held; no batch is under way.
func (x *Index) freeze() {
	x.wanted = false
	if x.frozen != nil || x.pos == x.flushed {
		return
	}
	x.frozen, x.now = x.now, newOverlay()
	x.still = frozenState{x.pos, x.live, x.trim}
}

// flush writes what is applied, if the log is synced as far. In the middle of a batch it only asks for it to be made
// ready: the next call writes it.
func (x *Index) flush() error {
	x.flushing.Lock()
	defer x.flushing.Unlock()
	x.mu.Lock()
	if x.inBatch {
		x.wanted = true
	} else {
		x.freeze()
	}
	frozen, still, db := x.frozen, x.still, x.db
	x.mu.Unlock()
	if frozen == nil || still.pos > x.log.syncedEnd() {
		return nil
	}
	if db == nil {
		return ErrClosed
	}
	if err := x.write(db, frozen, &still); err != nil {
		return x.fail(fmt.Errorf("writing the index: %w", err))
	}
	x.mu.Lock()
	x.frozen, x.flushed = nil, still.pos
	x.mu.Unlock()
	if err := x.measure(); err != nil {
		return x.fail(err)
	}
	return nil
}

// write puts an overlay and the position that it brings into LevelDB, all or nothing. Nobody changes what is frozen.
func (x *Index) write(db *leveldb.DB, o *overlay, still *frozenState) error {
	b := new(leveldb.Batch)
	var key, value []byte
	for q, c := range o.queues {
		key = queueRowKey(key[:0], q)
		if c.gone {
			b.Delete(key)
		} else {
			value = c.encode(value[:0])
			b.Put(key, value)
		}
		for i := range c.lanes {
			l := &c.lanes[i]
			for _, blk := range l.blocks {
				key = blockKey(key[:0], q, l.class, blk.no)
				switch {
				case blk.live > 0:
					value = blk.encode(value[:0])
					b.Put(key, value)
				case blk.stored:
					b.Delete(key)
				}
			}
		}
	}
	for k, r := range o.rows {
		if r.value != nil {
			b.Put([]byte(k), r.value)
		} else if r.stored {
			b.Delete([]byte(k))
		}
	}
	b.Put([]byte{keyState}, still.encode())
	return db.Write(b, &opt.WriteOptions{Sync: true})
}

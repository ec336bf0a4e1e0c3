package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/syndtr/goleveldb/leveldb"
	lerrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/opt"
)

const (
	minOverlayBytes     = 256 << 10
	maxOverlayBytes     = 32 << 20
	maxInternedNotes    = 1024
	maxSpareBlocks      = 64
	entryOverheadBytes  = 24 // of the log, that an entry keeps alive beside its message
	recordOverheadBytes = 20
	tailOverheadBytes   = 16 // that a class's counter keeps alive
)

// Index is what the log says, in a shape that can be looked up: queues' entries, tables' rows. It holds what is applied;
// LevelDB holds that up to what was flushed last, together with the position.
//
//	applier ──► now (overlay) ──freeze──► frozen ──write──► LevelDB
//	readers ◄── now, else frozen, else LevelDB
//
// The applier's goroutine alone changes now; a flush, by any goroutine, moves it to frozen between two batches. Nothing
// changes what is frozen.
type Index struct {
	log    indexLog
	files  *levelFiles
	budget int64 // bytes of an overlay that is due to be written
	logf   func(format string, args ...any)
	plain  bool // a table takes LevelDB's place
	weaken map[string]bool

	flushing sync.Mutex    // one flush at a time, or none while a cut is made; taken before mu
	boundary chan struct{} // told when what was wanted is frozen

	mu      sync.RWMutex
	db      keyValues
	now     *overlay
	frozen  *overlay // nil: nothing waits to be written
	still   frozenState
	inBatch bool // now holds a part of a batch: it may not be frozen
	wanted  bool // somebody waits to freeze it
	pos     Pos  // applied
	flushed Pos
	live    uint64     // bytes of the log that entries and rows keep alive
	counts  liveCounts // what lives, by segment; halfway through a batch it may be too low
	dead    Pos        // nothing below it lives, as of the last batch's end; 0: the oldest segment is alive
	trim    trimming
	disk    uint64
	broken  error // of the disk; keep and apply answer it

	// The applier's own.
	unit         []byte
	base         Pos
	preparing    bool
	opPos        Pos // of the operation under way
	message      Pos // the last MESSAGE of this unit, and how much is in it
	messageBytes uint32
	notes        map[string]*slotMore
	spare        []*block // empty ones, to be used again
	disobeyed    int      // TRIMs that would have taken what lives

	// keep's own.
	ticks     int
	relocator relocator
}

// trimming is the newest TRIM: segments below to may go once the index is flushed past at.
type trimming struct{ to, at Pos }

// frozenState is what is written together with frozen.
type frozenState struct {
	pos    Pos
	live   uint64
	trim   trimming
	counts liveCounts
}

// openIndex opens the index in dir, or makes an empty one where there is none that can be trusted.
func openIndex(fs FS, dir string, l indexLog, o *Options) (index, error) {
	x := &Index{log: l, files: &levelFiles{fs: fs, dir: dir, log: l}, budget: maxOverlayBytes, now: newOverlay(), notes: map[string]*slotMore{},
		logf: o.Logf, boundary: make(chan struct{}, 1), plain: o.Stepped, weaken: o.Weaken}
	if o.MemoryBytes > 0 {
		x.budget = min(max(o.MemoryBytes/8, minOverlayBytes), maxOverlayBytes)
	}
	if err := fs.MkdirAll(dir); err != nil {
		return nil, err
	}
	if !x.files.condemned() {
		db, err := x.openFiles()
		if err == nil {
			x.db = db
			if err = x.loadState(); err == nil {
				return x, x.measure()
			}
			err = errors.Join(err, db.Close())
		}
		if isFull(err) { // it is as good as it was
			return nil, err
		}
		o.Logf("the index in %s cannot be read and is built anew: %v", dir, err)
	}
	x.db = nil
	return x, x.reset()
}

// openFiles opens what the index is written to.
func (x *Index) openFiles() (keyValues, error) {
	if x.plain {
		t, err := openTable(x.files.fs, x.files.dir)
		if err != nil {
			return nil, err
		}
		return t, nil
	}
	db, err := openLevel(x.files, x.budget)
	if err != nil {
		return nil, err
	}
	return levelDB{db}, nil
}

// loadState reads what was written with the last flush. An index that was never flushed is empty.
func (x *Index) loadState() error {
	v, err := x.db.Get(stateKey, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return x.mustBeEmpty()
	}
	if err != nil {
		return err
	}
	s, err := decodeFrozenState(v)
	if err != nil {
		return err
	}
	x.pos, x.flushed, x.live, x.trim, x.counts, x.dead = s.pos, s.pos, s.live, s.trim, s.counts, s.counts.dead()
	return nil
}

func (x *Index) mustBeEmpty() error {
	it := x.db.NewIterator(nil, nil)
	defer it.Release()
	if it.Next() {
		return errors.New("it was written by another version")
	}
	return it.Error()
}

func (s *frozenState) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(s.pos))
	b = binary.AppendUvarint(b, s.live)
	b = binary.AppendUvarint(b, uint64(s.trim.to))
	b = binary.AppendUvarint(b, uint64(s.trim.at))
	return s.counts.encode(b)
}

func decodeFrozenState(value []byte) (s frozenState, err error) {
	f := fields{b: value}
	s.pos, s.live = Pos(f.uvarint()), f.uvarint()
	s.trim = trimming{Pos(f.uvarint()), Pos(f.uvarint())}
	s.counts = decodeLiveCounts(&f)
	if f.err != "" || len(f.b) != 0 {
		return s, errBlock
	}
	return s, nil
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
	x.pos, x.flushed, x.live, x.trim, x.disk, x.counts, x.dead = 0, 0, 0, trimming{}, 0, nil, 0
	x.inBatch, x.wanted, x.broken = false, false, nil
	x.db, err = x.openFiles()
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

// errIndexDamaged says that what LevelDB holds cannot be read.
var errIndexDamaged = errors.New("the index is damaged; it is built anew from the log by the next start")

// fail is mark for who has no way to return an error: it ends the store, as what was answered instead, such as a queue
// without places given out, must not find its way into the log. mu is not held.
func (x *Index) fail(err error) error {
	if err = x.mark(err); !errors.Is(err, ErrClosed) {
		x.log.fail(err)
	}
	return err
}

// mark keeps the first error of the disk, says where it was, and answers it: an index that met one changes no more. A damaged LevelDB is marked as such, so
// that it is built anew. mu is not held.
func (x *Index) mark(err error) error {
	if errors.Is(err, leveldb.ErrClosed) || errors.Is(err, ErrClosed) {
		return ErrClosed
	}
	if !errors.Is(err, errIndexDamaged) {
		damaged := damagedIndex(err)
		if err = fmt.Errorf("the index in %s: %w", x.files.dir, err); damaged {
			err = errors.Join(fmt.Errorf("%w: %w", errIndexDamaged, err), x.files.condemn())
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.broken == nil {
		x.broken = err
	}
	return x.broken
}

func (x *Index) distrust() error { return x.files.condemn() }

func damagedIndex(err error) bool { return lerrors.IsCorrupted(err) || errors.Is(err, errBlock) }

// freeze makes what is applied ready to be written. mu is held; no batch is under way.
func (x *Index) freeze() {
	x.wanted = false
	if x.frozen != nil || x.pos == x.flushed {
		return
	}
	x.frozen, x.now = x.now, newOverlay()
	x.still = frozenState{x.pos, x.live, x.trim, slices.Clone(x.counts)}
}

// flush writes what is applied, if the log is synced as far. In the middle of a batch it only asks for it to be made
// ready: the next call writes it.
func (x *Index) flush() error {
	x.flushing.Lock()
	defer x.flushing.Unlock()
	for {
		x.mu.Lock()
		waited := x.frozen != nil
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
		if err := x.write(db, frozen, &still); errors.Is(err, ErrFull) { // of a stepped store: nothing has changed
			return err
		} else if err != nil {
			return x.mark(fmt.Errorf("writing it: %w", err))
		}
		x.mu.Lock()
		x.frozen, x.flushed = nil, still.pos
		x.mu.Unlock()
		if !waited { // else what was applied since it was frozen is written too
			break
		}
	}
	if err := x.measure(); err != nil {
		return x.mark(err)
	}
	return nil
}

// write puts an overlay and the position that it brings into LevelDB, all or nothing. Nobody changes what is frozen.
func (x *Index) write(db keyValues, o *overlay, still *frozenState) error {
	b := new(leveldb.Batch)
	var key, value []byte
	for q, c := range o.queues {
		key = queueRowKey(key[:0], q)
		switch {
		case !c.gone && !c.blank():
			value = c.encode(value[:0])
			b.Put(key, value)
		case c.stored:
			b.Delete(key)
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
	b.Put(stateKey, still.encode())
	return db.Write(b, &opt.WriteOptions{Sync: true})
}

package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// openBatchBytes seals a batch that is being filled: a larger one only delays what waits in it. So does a segment's
	// size: only a unit that is larger makes a segment larger.
	openBatchBytes = 4 << 20
	// keepBatchBytes is the largest buffer that is kept for the next batch, keepBatches how many are.
	keepBatchBytes = 8 << 20
	keepBatches    = 8

	// MaxUncommittedBytes bounds what is appended but not committed, and so held in memory: units that make the store
	// grow are refused at a quarter of it, all at the whole. Whoever heeds Usage.UncommittedSize never meets it.
	MaxUncommittedBytes = 1 << 30
)

// Progress decides what counts (rule 2): ha's master machine, or alone. Calls come one at a time, from the committer's
// goroutine (at *_mem levels also from the background syncer's).
type Progress interface {
	// Advanced says how far this node's own log is received and synced, and answers how far the log is committed and
	// confirmed now.
	Advanced(received, synced Pos) (commit, confirm Pos)
}

// Log is the append-only half of a store: segments, the tail in memory, and the goroutines that write, sync and apply it.
// Lock order: mu, then waiters' lock, segments' lock; none is held over I/O or a call upwards.
type Log struct {
	fs       FS
	dir      string
	segs     segmentSet
	prep     preparer
	meta     *metaFile
	index    index
	progress Progress
	sync     Sync
	limit    uint64 // storeUsage; 0 none
	weaken   map[string]bool
	// batchLimit is the most that a batch of more than one unit takes.
	batchLimit int
	now        func() time.Time
	logf       func(format string, args ...any)
	fatal      func(error)
	written    func()
	pins       pinSet
	stepped    bool // no goroutines: nothing waits for one
	tolerant   bool // others have the log too: Options.Tolerant

	mu        sync.Mutex
	tail      []*logBatch // appended and not applied, or held; only the last may be open
	nextApply int         // in tail: those before are applied and held for the relocator
	nextWrite int         // in tail: those before were handed to the committer
	free      []*logBatch
	tailEnd   Pos
	units     uint64 // appended in all
	messages  uint64 // of these, such as make the store grow
	holding   bool
	heldFrom  Pos
	epoch     uint64
	history   []EpochStart
	refused   error // why Append refuses everything; nil while leading
	taken     Pos   // appended up to here and handed to the committer
	wanted    Pos   // somebody waits for the log to count up to here
	due       bool  // what nobody waits for has waited long enough
	lazy      *time.Timer
	lazyArmed bool
	idle      bool // the committer waits for wake
	stopping  bool

	received  atomic.Uint64 // written to the file
	synced    atomic.Uint64
	commitTo  atomic.Uint64 // committed, as far as is known
	confirmTo atomic.Uint64
	committed atomic.Uint64 // committed and applied
	confirmed atomic.Uint64
	start     atomic.Uint64 // log_start
	roomEnd   atomic.Uint64 // where the last segment is full
	serving   atomic.Bool   // the store's goroutines run
	opened    atomic.Bool   // the store is open: what the start looks at has been looked at
	indexDisk atomic.Uint64 // the index's files, as last looked at
	stats     logStats
	barrier   atomic.Pointer[barrier]
	failed    chan struct{} // closed when the log has failed

	reportMu sync.Mutex // one Progress call at a time
	write    writer
	apply    applier
	waiters  waitList
	wake     chan struct{} // to the committer
	failOnce sync.Once
}

// logStats counts since the start.
type logStats struct{ batches, units, syncs, bytes atomic.Uint64 }

// barrier is the end of an epoch's beginning: it is synced whatever the level, before anything else is appended.
type barrier struct {
	end  Pos
	done chan struct{}
}

// logBatch is a batch in memory. Once sealed nobody changes it but the committer, which fills in its header.
type logBatch struct {
	base   Pos
	epoch  uint64
	buf    []byte // room for the header, then units
	units  uint32
	sealed bool
}

func (b *logBatch) end() Pos { return b.base + Pos(len(b.buf)) }

// Append puts a unit at the log's tail; core.Store has the contract. What nobody awaits is written within lazyPause. Any
// goroutine.
func (l *Log) Append(u *Unit) (base, end Pos, err error) {
	l.mu.Lock()
	base, end, err = l.appendLocked(u)
	wake := l.rouse()
	l.mu.Unlock()
	if wake {
		l.wake <- struct{}{}
	}
	return base, end, err
}

func (l *Log) appendLocked(u *Unit) (base, end Pos, err error) {
	if err := l.admit(u); err != nil {
		return 0, 0, err
	}
	if len(u.buf) == 0 {
		return l.tailEnd, l.tailEnd, nil
	}
	base, end = l.put(u)
	return base, end, nil
}

// put copies the unit into the open batch. mu is held.
func (l *Log) put(u *Unit) (base, end Pos) {
	b := l.open(len(u.buf))
	b.units++
	l.units++
	if u.grows {
		l.messages++
	}
	b.buf = appendUvarint(b.buf, uint64(len(u.buf)))
	base = b.end()
	b.buf = append(b.buf, u.buf...)
	l.tailEnd = b.end()
	return base, l.tailEnd
}

func appendUvarint(b []byte, v uint64) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// admit says whether the unit may be appended now. mu is held.
func (l *Log) admit(u *Unit) error {
	uncommitted := uint64(l.tailEnd) - min(l.committed.Load(), uint64(l.tailEnd))
	switch {
	case l.refused != nil:
		return l.refused
	case u.tooLarge || len(u.buf) > MaxUnitBytes:
		return ErrTooLarge
	case u.invalid:
		return ErrInvalid
	case u.grows && l.full(uint64(len(u.buf))):
		return ErrFull
	case uncommitted > MaxUncommittedBytes || u.grows && uncommitted > MaxUncommittedBytes/4:
		return ErrFull
	}
	return nil
}

// full says that more would pass storeUsage, or that the disk is full and what is left of the last segment is for acks.
func (l *Log) full(more uint64) bool {
	used := uint64(l.tailEnd) - l.start.Load() + l.indexDisk.Load() + more
	if l.limit != 0 && used > l.limit {
		return true
	}
	forAcks := uint64(min(l.prep.size/2, l.prep.reserve))
	return l.prep.noRoom.Load() && uint64(l.tailEnd)+more+forAcks > l.roomEnd.Load()
}

// NoRoom says that the disk had no room for another segment, or for the reserve, when it was asked last: about each second
// while it is so. Any goroutine.
func (l *Log) NoRoom() bool { return l.prep.noRoom.Load() }

// open returns the batch that takes the next unit, of n bytes. mu is held.
func (l *Log) open(n int) *logBatch {
	if k := len(l.tail); k > 0 && !l.tail[k-1].sealed {
		b := l.tail[k-1]
		if len(b.buf)+n+binary.MaxVarintLen32 <= l.batchLimit {
			return b
		}
		b.sealed = true
	}
	b := l.recycled()
	b.base, b.epoch, b.units, b.sealed = l.tailEnd, l.epoch, 0, false
	b.buf = append(b.buf[:0], emptyHeader[:]...)
	l.tail = append(l.tail, b)
	return b
}

var emptyHeader [batchHeaderBytes]byte

func (l *Log) recycled() *logBatch {
	if n := len(l.free); n > 0 {
		b := l.free[n-1]
		l.free = l.free[:n-1]
		return b
	}
	return &logBatch{}
}

// drop forgets the batches of tail before n. mu is held.
func (l *Log) drop(n int) {
	for _, b := range l.tail[:n] {
		if cap(b.buf) <= keepBatchBytes && len(l.free) < keepBatches {
			l.free = append(l.free, b)
		}
	}
	rest := copy(l.tail, l.tail[n:])
	clear(l.tail[rest:])
	l.tail = l.tail[:rest]
	l.nextApply -= n
	l.nextWrite -= n
}

// Committed, Confirmed, Await: see core.Store.
func (l *Log) Committed() Pos { return Pos(l.committed.Load()) }
func (l *Log) Confirmed() Pos { return Pos(l.confirmed.Load()) }

// Await has w called, by the applier's goroutine, once Committed or Confirmed has reached pos.
func (l *Log) Await(pos Pos, w Waiter) {
	l.waiters.add(pos, w)
	if l.Committed() >= pos || l.Confirmed() >= pos {
		l.apply.kick()
		return
	}
	l.mu.Lock()
	l.wanted = max(l.wanted, pos)
	wake := l.rouse()
	l.mu.Unlock()
	if wake {
		l.wake <- struct{}{}
	}
}

// Advance says that positions have moved for a reason other than this node's own writing: another's acknowledgement.
// Neither ever goes back. Any goroutine.
func (l *Log) Advance(commit, confirm Pos) {
	a := raise(&l.commitTo, commit)
	b := raise(&l.confirmTo, confirm)
	if a || b {
		l.apply.kick()
	}
}

func raise(v *atomic.Uint64, to Pos) bool {
	for {
		old := v.Load()
		if uint64(to) <= old {
			return false
		}
		if v.CompareAndSwap(old, uint64(to)) {
			return true
		}
	}
}

// report tells Progress how far this node is, and notes what it answers. Somebody must apply it then.
func (l *Log) report() {
	l.reportMu.Lock()
	commit, confirm := l.progress.Advanced(Pos(l.received.Load()), Pos(l.synced.Load()))
	l.reportMu.Unlock()
	raise(&l.commitTo, commit)
	raise(&l.confirmTo, confirm)
}

// fail ends the log for good: what was written may not be what is on disk, and asking again would not tell (a second
// fsync after a failed one succeeds without having written anything).
func (l *Log) fail(err error) {
	l.failOnce.Do(func() {
		l.mu.Lock()
		l.refused = ErrClosed
		close(l.failed)
		l.mu.Unlock()
		l.logf("the store has failed and takes nothing more: %v", err)
		if l.fatal != nil {
			l.fatal(err)
		}
	})
}

// damaged answers damage that was found while the store is open. A member of a cluster ends because of it: others have the log
// whole, and with what it cannot read it must neither vote nor lead. Its next start reads all of the log, finds the damage, and
// sets the log aside. A store that is alone goes on with what it can read.
func (l *Log) damaged(err *DamageError) error {
	if l.tolerant && l.opened.Load() {
		l.fail(errors.Join(err, l.index.distrust()))
	}
	return err
}

// alone is the Progress of a node without others: what it holds counts.
type alone struct{ disk bool }

func (a alone) Advanced(received, synced Pos) (commit, confirm Pos) {
	if a.disk {
		return synced, synced
	}
	return received, received
}

// lead opens the log for appends of an epoch, once its beginning is on this disk.
func (l *Log) lead(epoch uint64) (Pos, error) {
	var u Unit
	u.EpochBegin(epoch)
	b := &barrier{done: make(chan struct{})}
	l.mu.Lock()
	if err := l.mayLead(epoch); err != nil {
		l.mu.Unlock()
		return 0, err
	}
	l.epoch = epoch
	l.history = newest(append(l.history, EpochStart{epoch, l.tailEnd}))
	_, end := l.put(&u)
	l.tail[len(l.tail)-1].sealed = true
	b.end, l.wanted = end, max(l.wanted, end)
	l.barrier.Store(b)
	wake := l.rouse()
	l.mu.Unlock()
	if wake {
		l.wake <- struct{}{}
	}
	if l.stepped {
		return l.stepLead()
	}
	return l.openAt(b)
}

// openAt takes appends once the epoch's beginning is synced.
func (l *Log) openAt(b *barrier) (Pos, error) {
	select {
	case <-b.done:
	case <-l.failed:
		return 0, ErrClosed
	case <-l.write.giveUp:
		return 0, ErrClosed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping || l.hasFailed() {
		return 0, ErrClosed
	}
	l.refused = nil
	return b.end, nil
}

// mayLead says whether an epoch may begin now. mu is held.
func (l *Log) mayLead(epoch uint64) error {
	switch {
	case l.stopping || l.hasFailed():
		return ErrClosed
	case l.refused == nil:
		return fmt.Errorf("leading epoch %d: epoch %d is led already", epoch, l.epoch)
	case epoch <= l.epoch:
		return fmt.Errorf("leading epoch %d: the log has epoch %d", epoch, l.epoch)
	}
	return nil
}

// The index half's view of the log: seam.go.

func (l *Log) end() Pos {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tailEnd
}

func (l *Log) syncedEnd() Pos { return Pos(l.synced.Load()) }
func (l *Log) logStart() Pos  { return Pos(l.start.Load()) }

func (l *Log) head() (first, end Pos, sealed bool) {
	first, end, _ = l.segs.around(l.logStart())
	return first, end, end != maxPos
}

func (l *Log) segmentOf(p Pos) Pos {
	first, _, _ := l.segs.around(p)
	return first
}

func (l *Log) holdTail() (from Pos) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holding = true
	l.heldFrom = Pos(l.committed.Load())
	if len(l.tail) > 0 {
		l.heldFrom = min(l.heldFrom, l.tail[0].base)
	}
	return l.heldFrom
}

func (l *Log) releaseTail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holding = false
	l.drop(l.nextApply)
}

var errTailMoved = errors.New("what was appended before is not in memory any more; try again")

func (l *Log) appendAgainst(see func(op *Op), build func() *Unit) (base, end Pos, err error) {
	l.mu.Lock()
	base, end, err = l.appendAgainstLocked(see, build)
	wake := l.rouse()
	l.mu.Unlock()
	if wake {
		l.wake <- struct{}{}
	}
	return base, end, err
}

func (l *Log) appendAgainstLocked(see func(op *Op), build func() *Unit) (base, end Pos, err error) {
	if l.refused != nil {
		return 0, 0, l.refused
	}
	if from := l.tailEnd; len(l.tail) > 0 && l.tail[0].base > l.heldFrom || len(l.tail) == 0 && from > l.heldFrom {
		return 0, 0, errTailMoved // recovered and not applied yet: it was never in memory
	}
	for _, b := range l.tail {
		if err := eachOp(b.buf[batchHeaderBytes:], b.base+batchHeaderBytes, see); err != nil {
			return 0, 0, err
		}
	}
	return l.appendLocked(build())
}

// eachOp decodes all operations of a batch's units, which begin at position p.
func eachOp(units []byte, p Pos, f func(op *Op)) error {
	var d Decoder
	var op Op
	for it := (unitReader{rest: units}); len(it.rest) > 0; {
		if !it.next() {
			return &formatError{"a unit that passes its batch", p}
		}
		d.Reset(it.unit, p+Pos(it.off))
		for {
			more, err := d.Next(&op)
			if err != nil {
				return err
			}
			if !more {
				break
			}
			f(&op)
		}
	}
	return nil
}

const _ = uint32(math.MaxUint32 - MaxUnitBytes - openBatchBytes) // a batch's length fits its field

package persist

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
	"time"
)

const (
	lockName  = "lock"
	indexName = "index"

	// keepPause is how often the commit hint is written, if it moved; sweepPause how often the index's housekeeping runs.
	keepPause  = 500 * time.Millisecond
	sweepPause = 100 * time.Millisecond
)

// Store is one node's log and index: core.Store, alone or under ha. All methods may be called from any goroutine.
type Store struct {
	*Log
	o        Options
	unlock   io.Closer
	recovery Recovery
	stop     chan struct{} // ends the housekeeping
	hintDone chan struct{}
	keepDone chan struct{}
	keeping  sync.Mutex // one keep at a time
}

// Recovery is what Open found.
type Recovery struct {
	Blank        bool  // there was no log
	Unclean      bool  // bytes that counted may be gone: they were not synced when the machine went down
	CutBytes     int64 // half-written bytes that were cut off behind the end
	End          Pos   // of the log
	Committed    Pos   // known to be committed
	IndexRebuilt bool  // it was missing or did not belong to the log, and was read anew
	ReplayedFrom Pos
	Damage       error // Tolerant: why the log was set aside
}

// Open recovers the store in o.Dir, or makes a new one. It takes no appends until Lead. A *DamageError says that the
// directory does not hold what was confirmed. ErrFull: there was no room for what an opening writes; nothing is lost by it.
func Open(o Options) (_ *Store, err error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	s := &Store{o: o, stop: make(chan struct{}), hintDone: make(chan struct{}), keepDone: make(chan struct{})}
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening the store in %s: %w", o.Dir, errors.Join(orFull(err), s.abandon()))
		}
	}()
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return nil, err
	}
	if s.unlock, err = o.FS.Lock(path.Join(o.Dir, lockName)); err != nil {
		return nil, err
	}
	s.Log = newLog(&o)
	if err := finishSwitch(o.FS, o.Dir, o.Weaken["index-kept"]); err != nil {
		return nil, err
	}
	if err := s.openMeta(); err != nil {
		return nil, err
	}
	if err := s.recoverOrSetAside(); err != nil {
		return nil, err
	}
	s.opened.Store(true)
	if s.stepped {
		s.prep.refillReserve()
		return s, nil
	}
	s.startGoroutines()
	return s, nil
}

func newLog(o *Options) *Log {
	l := &Log{fs: o.FS, dir: o.Dir, progress: o.Progress, sync: o.Sync, limit: o.StoreUsage, weaken: o.Weaken,
		batchLimit: int(min(openBatchBytes, o.LogSize-segmentHeaderBytes)), stepped: o.Stepped, tolerant: o.Tolerant, now: o.Now, logf: o.Logf,
		fatal: o.Fatal, written: o.Written, refused: ErrClosed, wake: make(chan struct{}, 1), failed: make(chan struct{})}
	l.lazy = time.AfterFunc(time.Hour, l.lazyDue)
	l.lazy.Stop()
	l.segs = segmentSet{fs: o.FS, dir: o.Dir}
	l.write.pace.copies = time.Duration(min(max(o.Copies, 1), maxCopies))
	l.prep = preparer{fs: o.FS, dir: o.Dir, size: o.LogSize, reserve: o.ReserveBytes, failed: l.fail,
		requests: make(chan prepareRequest, 4), done: make(chan struct{})}
	l.write.giveUp, l.write.done = make(chan struct{}), make(chan struct{})
	l.write.bgStop, l.write.bgDone = make(chan struct{}), make(chan struct{})
	l.apply.signal, l.apply.stop, l.apply.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	return l
}

// openMeta reads the meta or, in a directory without log and meta, makes one.
func (s *Store) openMeta() (err error) {
	if s.meta, err = openMeta(s.fs, s.dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := parseSegmentName(name); ok {
			return &DamageError{File: path.Join(s.dir, metaName), Expected: "a meta file beside the log " + name,
				Advice: "restore it; without it nobody knows what was promised and committed"}
		}
	}
	node, err := NewID(s.o.Random)
	if err != nil {
		return err
	}
	s.meta, err = createMeta(s.fs, s.dir, Meta{NodeID: node, ReplAddr: s.o.ReplAddr, BootID: s.o.BootID, Clean: true})
	return err
}

// recoverOrSetAside recovers; a damaged log is set aside where that is wanted.
func (s *Store) recoverOrSetAside() error {
	err := s.recover()
	var damage *DamageError
	if !s.o.Tolerant || !errors.As(err, &damage) {
		return err
	}
	s.closeReader()
	s.segs.closeAll()
	s.segs.list = nil
	if s.index != nil {
		if err := s.index.close(); err != nil {
			return err
		}
		s.index = nil
	}
	if err := errors.Join(s.setAside(damage), removeTree(s.fs, path.Join(s.dir, indexName))); err != nil {
		return err
	}
	if err := s.recover(); err != nil {
		return err
	}
	s.recovery.Damage = damage
	return nil
}

// recover brings log, meta and index into one line.
func (s *Store) recover() (err error) {
	open := s.o.openIndex
	if s.index, err = open(s.fs, path.Join(s.dir, indexName), s.Log, &s.o); err != nil {
		return err
	}
	m := s.meta.get()
	if p := s.index.position(); p != 0 && p < m.LogStart && !s.weaken["index-place"] { // what led from there on was trimmed away
		s.logf("the index at position %d is older than the log, which starts at %d: it is built anew", p, m.LogStart)
		if err := s.index.reset(); err != nil {
			return err
		}
	}
	s.recovery.Unclean = m.unclean(s.o.BootID) && !(s.weaken["unclean"] && s.o.Sync.Disk())
	if s.o.begin != nil {
		return s.beginAt(s.o.begin)
	}
	known, unclean := m, s.recovery.Unclean
	if s.weaken["damage"] {
		known.CommitHint, unclean = 0, true
	}
	r, err := recoverLog(s.fs, s.dir, known, unclean, s.index.position())
	if err == nil && !s.weaken["index-place"] && (r.offIndex || len(r.segments) == 0 && s.index.position() != 0) {
		s.logf("the index at position %d does not belong to the log, which ends at %d: it is built anew", s.index.position(), r.pos)
		cut := r.cut
		if err = s.index.reset(); err == nil {
			r, err = recoverLog(s.fs, s.dir, m, s.recovery.Unclean, 0)
		}
		r.cut += cut
	}
	if err != nil {
		return s.refuse(err)
	}
	return s.adopt(&r, m)
}

// beginAt makes an empty log that begins where a segment of another's does.
func (s *Store) beginAt(h *segmentHeader) error {
	if err := s.meta.update(func(m *Meta) { m.ClusterID, m.LogStart = h.cluster, h.first }); err != nil {
		return err
	}
	r := recovered{chain: h.begin()}
	s.write.chain = r.chain
	return s.adopt(&r, s.meta.get())
}

// refuse makes sure that a node whose log is damaged does not vote.
func (s *Store) refuse(err error) error {
	var damage *DamageError
	if errors.As(err, &damage) {
		err = errors.Join(err, s.meta.update(func(m *Meta) { m.Voter = false }))
	}
	return err
}

// adopt takes over what recovery found, writes the meta of this boot, and replays what the index lacks.
func (s *Store) adopt(r *recovered, m Meta) error {
	l := s.Log
	from := max(s.index.position(), m.LogStart)
	s.recovery = Recovery{Blank: len(r.segments) == 0, CutBytes: r.cut, End: r.pos, Committed: max(r.commit, from), ReplayedFrom: from,
		IndexRebuilt: s.index.position() < m.LogStart || s.index.position() == 0 && r.pos > 0, Unclean: s.recovery.Unclean}
	if err := l.openSegments(r); err != nil {
		return err
	}
	err := l.meta.update(func(m *Meta) {
		m.Voter = m.Voter && !s.recovery.Unclean
		m.BootID, m.Clean, m.MemAcked = s.o.BootID, false, false // openSegments has synced all that is left
	})
	if err != nil {
		return err
	}
	l.tailEnd, l.taken, l.epoch, l.history = r.pos, r.pos, r.epoch, append([]EpochStart(nil), r.history...)
	l.received.Store(uint64(r.pos))
	l.synced.Store(uint64(r.pos))
	l.start.Store(uint64(m.LogStart))
	l.apply.pos = from
	l.committed.Store(uint64(from))
	l.confirmed.Store(uint64(from))
	l.commitTo.Store(uint64(s.recovery.Committed))
	l.confirmTo.Store(uint64(s.recovery.Committed))
	err = l.applyCommitted()
	if errors.Is(err, errIndexDamaged) {
		err = s.replayAnew(m.LogStart)
	}
	if err != nil {
		return s.refuse(err)
	}
	l.closeReader()
	s.lookAtSizes()
	return nil
}

// replayAnew drops an index that turned out to be damaged, and reads all of the log.
func (s *Store) replayAnew(from Pos) error {
	s.logf("the index in %s is damaged and is built anew", path.Join(s.dir, indexName))
	if err := s.index.reset(); err != nil {
		return err
	}
	s.recovery.IndexRebuilt, s.recovery.ReplayedFrom = true, from
	s.closeReader()
	s.Log.apply.pos = from
	s.committed.Store(uint64(from))
	return s.applyCommitted()
}

// openSegments makes the set of files that recovery found, and the last one the writer's.
func (l *Log) openSegments(r *recovered) error {
	l.write.chain = r.chain
	for i, g := range r.segments {
		if i < len(r.segments)-1 {
			l.segs.add(g.first, g.size, nil)
			continue
		}
		f, err := l.fs.OpenReadWrite(l.segs.name(g.first))
		if err != nil {
			return err
		}
		l.write.active, l.write.file, l.write.room = l.segs.add(g.first, g.size, f), f, g.limit()
		if err := errors.Join(f.Sync(), l.fs.SyncDir(l.dir)); err != nil {
			return fmt.Errorf("syncing %s: %w", l.segs.name(g.first), err)
		}
		l.roomEnd.Store(uint64(g.limit()))
	}
	return nil
}

func (s *Store) startGoroutines() {
	s.serving.Store(true)
	go s.prep.run(&s.segs)
	go s.runCommitter()
	go s.runApplier()
	go s.runHint()
	go s.runKeep()
	if s.sync.Disk() {
		close(s.write.bgDone)
		return
	}
	go s.runBackgroundSync()
}

// Recovery says what Open found.
func (s *Store) Recovery() Recovery { return s.recovery }

// Meta is what the node remembers beside its log.
func (s *Store) Meta() Meta { return s.meta.get() }

// UpdateMeta changes it, and returns once the change is on disk. It blocks on the disk. CommitHint, LogStart, Clean,
// MemAcked and BootID are the store's own.
func (s *Store) UpdateMeta(change func(*Meta)) error {
	return s.meta.update(func(m *Meta) {
		own := *m
		change(m)
		m.CommitHint, m.LogStart, m.TrimAt, m.Clean, m.MemAcked, m.BootID =
			own.CommitHint, own.LogStart, own.TrimAt, own.Clean, own.MemAcked, own.BootID
	})
}

// NextEpoch is one that nothing here knows of yet: what a node without others leads next.
func (s *Store) NextEpoch() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.meta.get().Promised, s.epoch) + 1
}

// Lead begins an epoch and opens the store for appends. It returns once the beginning is synced on this node: barrier is
// the position behind it. Nothing counts as committed before the barrier does (ha.md 4.4). The epoch must not be below
// what was promised and must be above every one in the log.
func (s *Store) Lead(epoch uint64) (barrier Pos, err error) {
	s.mu.Lock()
	err = s.mayLead(epoch)
	s.mu.Unlock()
	promised := s.meta.get().Promised
	if err == nil && epoch < promised {
		err = fmt.Errorf("leading epoch %d: epoch %d was promised", epoch, promised)
	}
	if err != nil {
		return 0, err
	}
	if epoch > promised {
		if err := s.meta.update(func(m *Meta) { m.Promised = epoch }); err != nil {
			s.fail(err)
			return 0, err
		}
	}
	return s.lead(epoch)
}

// History says where each epoch in the log began, oldest first: the newest MaxHistory of them.
func (s *Store) History() []EpochStart {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]EpochStart(nil), s.history...)
}

// Epoch is that of the log's last batch, 0 in an empty log.
func (l *Log) Epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// Stats says what the log has written since Open.
func (s *Store) Stats() Stats {
	return Stats{Batches: s.stats.batches.Load(), Units: s.stats.units.Load(), Syncs: s.stats.syncs.Load(), Bytes: s.stats.bytes.Load()}
}

// Stats counts.
type Stats struct{ Batches, Units, Syncs, Bytes uint64 }

// Queries: see core.Store.

func (s *Store) Queue(q QueueID) QueueState { return s.index.queue(q) }

func (s *Store) Entries(q QueueID, from Seq, max int, dst []Entry) ([]Entry, error) {
	return s.index.entries(q, from, max, dst)
}

func (s *Store) Entry(q QueueID, at Seq) (Entry, bool, error) { return s.index.entry(q, at) }

func (s *Store) Get(t Table, key []byte) ([]byte, bool, error) { return s.index.get(t, key) }

func (s *Store) Scan(t Table, prefix []byte, f func(key, value []byte) bool) error {
	return s.index.scan(t, prefix, f)
}

// Message reads a message by the first position of its record. If it is relocated meanwhile, the second look finds it.
func (s *Store) Message(p Pos) (id, header, body []byte, err error) {
	at := s.index.locate(p)
	id, header, body, err = s.message(at)
	if err != nil {
		if now := s.index.locate(p); now != at {
			return s.message(now)
		}
	}
	return id, header, body, err
}

// Usage says what the store holds.
func (s *Store) Usage() Usage {
	live, disk := s.index.sizes()
	files := s.segs.diskBytes() + disk
	s.mu.Lock()
	defer s.mu.Unlock()
	committed := s.Committed()
	return Usage{LogStart: s.logStart(), End: s.tailEnd, Committed: committed, LiveBytes: live,
		UncommittedSize: uint64(max(s.tailEnd, committed) - committed), DiskBytes: files, LimitBytes: s.limit, Full: s.full(0)}
}

package persist

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// The side of a log that follows a master: batches come whole, as they stand in the master's log, and go to the file as
// they are. Write, Sync and Truncate are for one goroutine, and not while the store leads.

// Received is the position up to which the log is written to its file, Synced that up to which it is on disk, Start the
// one that it begins with. Any goroutine.
func (l *Log) Received() Pos { return Pos(l.received.Load()) }
func (l *Log) Synced() Pos   { return l.syncedEnd() }
func (l *Log) Start() Pos    { return l.logStart() }

// errLeads is a fault of the caller's.
var errLeads = errors.New("the store leads: its log is its own")

// Write appends batches of a master, the first of which stands at base, and says how far the log is written then. They
// are not synced, and count only at *_mem levels, for which the node remembers mem_acked first. ErrMisfit: the batches do
// not continue this log, or are damaged. ErrFull: the disk has no room; what lies below the position is written. Any
// other error is one of the disk, and ends the store. The batches are the caller's again when it returns.
func (l *Log) Write(base Pos, batches []byte) (received Pos, err error) {
	if err := l.mayFollow(); err != nil {
		return l.Received(), err
	}
	if base != l.write.pos {
		return l.write.pos, fmt.Errorf("%w: it ends at position %d, not %d", ErrMisfit, l.write.pos, base)
	}
	l.write.hasty = true
	defer func() { l.write.hasty = false }()
	for len(batches) > 0 {
		n, err := l.writeRaw(batches)
		if errors.Is(err, ErrFull) {
			l.prep.noRoom.Store(true)
		}
		if err != nil {
			return l.write.pos, l.failUnless(err, ErrMisfit, ErrFull)
		}
		batches = batches[n:]
	}
	return l.write.pos, nil
}

func (l *Log) mayFollow() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stopping || l.hasFailed():
		return ErrClosed
	case l.refused == nil || len(l.tail) > l.nextWrite:
		return errLeads
	}
	return nil
}

// failUnless ends the store because of an error that is none of those.
func (l *Log) failUnless(err error, passing ...error) error {
	if err != nil && !slices.ContainsFunc(passing, func(p error) bool { return errors.Is(err, p) }) {
		l.fail(err)
	}
	return err
}

// writeRaw appends the first of the batches, and says how long it is.
func (l *Log) writeRaw(batches []byte) (n int, err error) {
	w := &l.write
	h, why := batchHeader{}, "a whole batch"
	if len(batches) >= batchHeaderBytes {
		h, why = parseBatchHeader(batches, w.pos)
	}
	if why == "" && int64(h.length) > int64(len(batches)) {
		why = "a whole batch"
	}
	if why != "" {
		return 0, l.misfit(why)
	}
	b := &logBatch{base: h.base, epoch: h.epoch, buf: batches[:h.length]}
	if why = checkBatch(&h, b.buf); why != "" {
		return 0, l.misfit(why)
	}
	starts := h.flags&batchStartsSegment != 0
	first := h.base
	if w.active != nil && !starts {
		first = w.active.first
	}
	if why = w.check(&h, first); why != "" || w.active == nil && !starts {
		return 0, l.misfit(why)
	}
	if !Sync(h.flags & syncAll).Disk() {
		if err := l.noteMemAck(); err != nil {
			return 0, err
		}
	}
	if starts && (w.active == nil || w.active.first != h.base) {
		if err := l.rotate(b); err != nil {
			return 0, orFull(err)
		}
	}
	if _, err := w.file.WriteAt(b.buf, segmentHeaderBytes+int64(b.base-w.active.first)); err != nil {
		return 0, orFull(fmt.Errorf("writing %s: %w", l.segs.name(w.active.first), err))
	}
	l.wrote(&h)
	return len(b.buf), nil
}

func (l *Log) misfit(why string) error {
	return fmt.Errorf("%w: expected %s at position %d", ErrMisfit, why, l.write.pos)
}

// orFull is ErrFull for want of room: the caller is told, and waits in its own way.
func orFull(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// wrote takes in a batch of which all is in the file.
func (l *Log) wrote(h *batchHeader) {
	w := &l.write
	w.take(h)
	if w.pos > w.room { // the master's segments may be larger than this node's
		w.room = w.pos
		l.segs.setBytes(w.active, segmentHeaderBytes+int64(w.pos-w.active.first))
		l.roomEnd.Store(uint64(w.room))
	}
	l.mu.Lock()
	l.tailEnd, l.taken, l.epoch = w.pos, w.pos, w.epoch
	if n := len(w.history); len(l.history) == 0 || l.history[len(l.history)-1] != w.history[n-1] {
		l.history = slices.Clone(w.history)
	}
	l.mu.Unlock()
	l.stats.batches.Add(1)
	l.stats.units.Add(uint64(h.units))
	l.stats.bytes.Add(uint64(h.length))
	l.received.Store(uint64(w.pos))
	if l.commitTo.Load() >= uint64(w.pos) { // known before it came: nobody says it again
		l.apply.kick()
	}
	l.askAhead()
}

// Sync makes what was written durable. An error ends the store.
func (l *Log) Sync() error {
	if err := l.mayFollow(); err != nil {
		return err
	}
	if l.write.file == nil || l.syncedEnd() == l.Received() {
		return nil
	}
	return l.failUnless(l.syncActive())
}

// Truncate cuts the log at a batch's end, or at a segment's beginning: what lies behind is gone, and the file reads as
// zeros there, synced, before it returns. A last segment without a batch goes too. Nothing that is committed is cut: that is an error, and ends the store, as any other does.
func (l *Log) Truncate(cut Pos) error {
	if err := l.mayFollow(); err != nil {
		return err
	}
	l.apply.turn.Lock()
	defer l.apply.turn.Unlock()
	if cut == l.write.pos && !l.endsEmpty() {
		return nil
	}
	return l.failUnless(l.truncate(cut))
}

// endsEmpty says that the last segment holds no batch, and another stands before it: a power loss left it, or a full disk. The
// master's log may go on in the one before.
func (l *Log) endsEmpty() bool {
	w := &l.write
	return w.active != nil && w.active.first == w.pos && w.pos > l.logStart()
}

func (l *Log) truncate(cut Pos) error {
	if floor := max(min(Pos(l.commitTo.Load()), l.write.pos), l.meta.get().CommitHint, l.logStart()); cut < floor || cut > l.write.pos {
		return fmt.Errorf("truncating the log at position %d: it is committed up to %d and ends at %d", cut, floor, l.write.pos)
	}
	l.closeReader() // it may have a segment that goes
	c, err := l.chainAt(cut)
	if err != nil {
		return err
	}
	fence := make(chan struct{}) // a segment that is still to be cut to size must not be, once it is written again
	l.askPreparer(prepareRequest{fence: fence})
	<-fence
	gone := l.segs.takeFrom(cut)
	for i := len(gone) - 1; i >= 0; i-- { // the last first: what is left is always one log
		if err := l.fs.Remove(l.segs.name(gone[i].first)); err != nil {
			return err
		}
		if err := l.fs.SyncDir(l.dir); err != nil {
			return err
		}
	}
	if err := l.clearFrom(cut); err != nil {
		return err
	}
	l.write.chain = c
	l.received.Store(uint64(cut))
	l.synced.Store(uint64(cut))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tailEnd, l.taken, l.epoch, l.history = cut, cut, c.epoch, slices.Clone(c.history)
	return nil
}

// chainAt reads what a batch at position p must continue.
func (l *Log) chainAt(p Pos) (c chain, err error) {
	if p == 0 {
		return chain{}, nil
	}
	g, f, err := l.segs.pin(p - 1)
	if p == l.logStart() || errors.Is(err, ErrNotFound) {
		g, f, err = l.segs.pin(p)
	}
	if err != nil {
		return c, err
	}
	defer l.segs.unpin(g)
	head := make([]byte, segmentHeaderBytes)
	if _, err := f.ReadAt(head, 0); err != nil {
		return c, fmt.Errorf("reading %s: %w", l.segs.name(g.first), err)
	}
	h, why := decodeSegmentHeader(head)
	if why != "" {
		return c, l.damaged(&DamageError{File: l.segs.name(g.first), Pos: g.first, Expected: why, Advice: damageAdvice})
	}
	c = h.begin()
	for br := newBatchReader(f, g.first, g.first, min(l.Received(), l.endOf(g))); c.pos < p; {
		b, _, why, err := br.next()
		if why == "" {
			why = c.check(&b, g.first)
		}
		if why != "" {
			if err == nil || errors.Is(err, io.EOF) {
				err = l.damaged(damageAt(l.segs.name(g.first), g.first, c.pos, why))
			}
			return c, err
		}
		c.take(&b)
	}
	if c.pos != p {
		return c, fmt.Errorf("truncating the log at position %d: no batch ends there", p)
	}
	return c, nil
}

// clearFrom makes the segment that ends with cut, or the first one, the last, and clears what stands behind cut.
func (l *Log) clearFrom(cut Pos) (err error) {
	w := &l.write
	w.asked = false
	g := l.segs.last()
	if g == nil {
		w.active, w.file, w.room = nil, nil, 0
		l.roomEnd.Store(0)
		return nil
	}
	f, err := l.fs.OpenReadWrite(l.segs.name(g.first))
	if err != nil {
		return err
	}
	l.segs.reopen(g, f)
	size, err := f.Size()
	if err == nil {
		_, err = zeroFrom(f, segmentHeaderBytes+int64(cut-g.first), size)
	}
	if err = errors.Join(err, f.Sync()); err != nil {
		return fmt.Errorf("clearing %s: %w", l.segs.name(g.first), err)
	}
	w.active, w.file, w.room = g, f, g.first+Pos(size-segmentHeaderBytes)
	l.roomEnd.Store(uint64(w.room))
	return nil
}

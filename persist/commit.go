package persist

import (
	"fmt"
	"time"
)

const (
	// backgroundSync is how long bytes stay unsynced at the *_mem levels, at most.
	backgroundSync = 200 * time.Millisecond
	// roomPause is how long the committer waits before it asks a full disk again.
	roomPause = 100 * time.Millisecond
)

// writer is what the committer's goroutine owns: the place where the next batch goes.
type writer struct {
	chain
	active   *segment
	file     File
	room     Pos // positions up to here fit into the active segment
	work     []*logBatch
	asked    bool // for the next segment
	memAcked bool
	giveUp   chan struct{} // closed by Close: wait for no more room
	done     chan struct{}
	bgStop   chan struct{}
	bgDone   chan struct{}
}

// runCommitter writes and syncs what was appended, many units at a time, until the log stops. Each round takes all that
// came in during the one before: that is the group commit.
func (l *Log) runCommitter() {
	defer close(l.write.done)
	for {
		more := l.takeWork()
		if len(l.write.work) == 0 && !more {
			if Pos(l.received.Load()) > l.syncedEnd() && l.syncActive() {
				l.report()
			}
			return
		}
		if len(l.write.work) > 0 && !l.round() {
			return
		}
	}
}

// takeWork moves what is to be written into write.work; it waits until there is something, or the log stops (false).
func (l *Log) takeWork() (more bool) {
	w := &l.write
	w.work = w.work[:0]
	l.mu.Lock()
	if n := len(l.tail); n > l.nextWrite {
		l.tail[n-1].sealed = true
		w.work = append(w.work, l.tail[l.nextWrite:]...)
		l.nextWrite = n
		l.mu.Unlock()
		return true
	}
	stopping := l.stopping
	l.idle = !stopping
	l.mu.Unlock()
	if !stopping {
		<-l.wake
	}
	return !stopping
}

// round writes the work, syncs it if it counts only then, and reports. false ends the committer.
func (l *Log) round() bool {
	for _, b := range l.write.work {
		if err := l.writeBatch(b); err != nil {
			l.fail(err)
			return false
		}
	}
	if l.sync.Disk() || l.barrier.Load() != nil {
		if !l.syncActive() {
			return false
		}
	} else if !l.noteMemAck() {
		return false
	}
	l.report()
	return true
}

// noteMemAck makes the node remember that it counted bytes before they were synced (ha.md 4.2, mem_acked).
func (l *Log) noteMemAck() bool {
	if l.write.memAcked {
		return true
	}
	if err := l.meta.update(func(m *Meta) { m.MemAcked = true }); err != nil {
		l.fail(err)
		return false
	}
	l.write.memAcked = true
	return true
}

func (l *Log) syncActive() bool {
	end := Pos(l.received.Load())
	if err := l.write.file.Sync(); err != nil {
		l.fail(fmt.Errorf("syncing %s: %w", l.segs.name(l.write.active.first), err))
		return false
	}
	l.stats.syncs.Add(1)
	raise(&l.synced, end)
	if b := l.barrier.Load(); b != nil && b.end <= end {
		l.barrier.Store(nil)
		close(b.done)
	}
	return true
}

// writeBatch gives the batch its header and writes it, into a new segment if it does not fit the last one.
func (l *Log) writeBatch(b *logBatch) error {
	w := &l.write
	h := batchHeader{
		flags: uint16(l.sync), epoch: b.epoch, base: b.base, commit: min(Pos(l.commitTo.Load()), b.base), timeMs: l.now().UnixMilli(),
		length: uint32(len(b.buf)), units: b.units, prevCRC: w.crc,
	}
	if b.end() > w.room {
		if err := l.rotate(b); err != nil {
			return err
		}
	}
	if b.base == w.active.first {
		h.flags |= batchStartsSegment
	}
	h.seal(b.buf)
	err := l.untilRoom(func() error {
		_, err := w.file.WriteAt(b.buf, segmentHeaderBytes+int64(b.base-w.active.first))
		return err
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", l.segs.name(w.active.first), err)
	}
	w.take(&h)
	l.stats.batches.Add(1)
	l.stats.units.Add(uint64(b.units))
	l.stats.bytes.Add(uint64(len(b.buf)))
	l.received.Store(uint64(w.pos)) // b may be applied, and used again, from here on
	l.askAhead()
	return nil
}

// askAhead has the next segment made ready once the active one is half full: early enough to be there in time, late
// enough not to keep two empty files on disk.
func (l *Log) askAhead() {
	w := &l.write
	if !w.asked && w.pos-w.active.first > (w.room-w.active.first)/2 {
		w.asked = true
		l.prep.requests <- prepareRequest{}
	}
}

// untilRoom repeats what fails for want of room until there is some, or the log is closed. What failed has confirmed
// nothing, so that writing it again rewrites nothing.
func (l *Log) untilRoom(f func() error) error {
	for said := false; ; said = true {
		err := f()
		if !isFull(err) {
			return err
		}
		l.prep.noRoom.Store(true)
		if !said {
			l.logf("the disk is full; waiting for room: %v", err)
		}
		select {
		case <-l.write.giveUp:
			return err
		case <-time.After(roomPause):
		}
	}
}

// rotate makes the segment that begins with b. The one before is synced first, so that damage in it is never taken for
// a torn tail; the new one's name is on disk before anything in it counts.
func (l *Log) rotate(b *logBatch) error {
	w := &l.write
	if w.file != nil && l.syncedEnd() < w.pos && !l.syncActive() {
		return ErrClosed
	}
	var next prepared
	err := l.untilRoom(func() error {
		reply := make(chan prepared, 1)
		l.prep.requests <- prepareRequest{need: segmentHeaderBytes + int64(len(b.buf)), reply: reply}
		next = <-reply
		return next.err
	})
	if err != nil {
		return err
	}
	head := segmentHeader{cluster: l.meta.get().ClusterID, first: b.base, prevCRC: w.crc, history: w.history}
	if err := l.install(next.file, &head); err != nil {
		return err
	}
	if w.active != nil {
		l.prep.requests <- prepareRequest{shrink: w.active, shrinkTo: segmentHeaderBytes + int64(b.base-w.active.first)}
	}
	w.file, w.asked = next.file, false
	w.active = l.segs.add(b.base, next.size, next.file)
	w.room = b.base + Pos(next.size-segmentHeaderBytes)
	l.roomEnd.Store(uint64(w.room))
	return nil
}

// install writes the header and gives the prepared file its name.
func (l *Log) install(f File, head *segmentHeader) error {
	name := l.segs.name(head.first)
	err := l.untilRoom(func() error {
		_, err := f.WriteAt(head.encode(), 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := l.fs.Rename(l.prep.path(nextName), name); err != nil {
		return fmt.Errorf("naming %s: %w", name, err)
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return fmt.Errorf("syncing the directory of %s: %w", name, err)
	}
	return nil
}

// runBackgroundSync bounds how long bytes that count already stay unsynced, at the *_mem levels.
func (l *Log) runBackgroundSync() {
	defer close(l.write.bgDone)
	tick := time.NewTicker(backgroundSync)
	defer tick.Stop()
	for {
		select {
		case <-l.write.bgStop:
			return
		case <-tick.C:
			if !l.syncBehind() {
				return
			}
		}
	}
}

// syncBehind syncs what was received. Whatever lies in earlier segments was synced when they were left.
func (l *Log) syncBehind() bool {
	end := Pos(l.received.Load())
	if end <= l.syncedEnd() {
		return true
	}
	g, f, err := l.segs.pin(end - 1)
	if err == nil {
		err = f.Sync()
		l.segs.unpin(g)
	}
	if err != nil {
		l.fail(fmt.Errorf("syncing %s in the background: %w", l.dir, err))
		return false
	}
	l.stats.syncs.Add(1)
	if raise(&l.synced, end) {
		l.report()
	}
	return true
}

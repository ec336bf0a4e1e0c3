package persist

import (
	"fmt"
	"sync"
	"time"
)

// writer is what the committer's goroutine owns: the place where the next batch goes.
type writer struct {
	chain
	active   *segment
	file     File
	room     Pos // positions up to here fit into the active segment
	work     []*logBatch
	asked    bool // for the next segment
	hasty    bool // for want of room nothing waits: the master's batches are refused
	memAcked bool
	units    uint64 // taken, in all
	messages uint64 // of these, such as make the store grow
	pace     pace
	giveUp   chan struct{} // closed by GiveUp: wait for no more room
	givenUp  sync.Once
	done     chan struct{}
	bgStop   chan struct{}
	bgDone   chan struct{}
}

// runCommitter writes and syncs what was appended, many units at a time, until the log stops or fails. Each round takes
// all that came in during the one before: that is the group commit.
func (l *Log) runCommitter() {
	defer close(l.write.done)
	for l.awaitWork() {
		l.linger()
		l.take()
		err := l.round()
		if isFull(err) && l.gaveUp() {
			break
		}
		if err != nil {
			l.fail(err)
			return
		}
	}
	if Pos(l.received.Load()) > l.syncedEnd() && !l.hasFailed() {
		if err := l.syncActive(); err != nil {
			l.fail(err)
			return
		}
		l.report()
		l.apply.kick()
	}
}

// GiveUp has nobody wait for room on a full disk any more: what waits, a Lead too, ends with an error. For who is about to Close
// the store, and waits for whoever uses it before. Any goroutine.
func (l *Log) GiveUp() { l.write.givenUp.Do(func() { close(l.write.giveUp) }) }

// gaveUp says that nobody waits for room any more.
func (l *Log) gaveUp() bool {
	select {
	case <-l.write.giveUp:
		return true
	default:
		return false
	}
}

// awaitWork waits until there is something to be written now. false: the log has stopped and all is written, or it has
// failed.
func (l *Log) awaitWork() bool {
	for !l.hasFailed() {
		l.mu.Lock()
		if l.tailEnd > l.taken && (l.urgent() || l.due || l.stopping) {
			l.mu.Unlock()
			return true
		}
		stopping := l.stopping
		l.idle = !stopping
		l.rouse()
		l.mu.Unlock()
		if stopping {
			return false
		}
		<-l.wake
	}
	return false
}

// linger waits for more units, if that pays, until enough are there. In the first step come most of those whose senders
// have just had an answer; in the later ones, those of senders that do not wait for any.
func (l *Log) linger() {
	l.mu.Lock()
	units, now := l.units-l.write.units, l.due || l.stopping || l.barrier.Load() != nil
	l.mu.Unlock()
	if now || !l.sync.Disk() {
		return
	}
	d := l.write.pace.linger(int(units))
	if d == 0 {
		return
	}
	first := uint64(0)
	for step := range lingerSyncs {
		sleep(d / lingerSyncs)
		l.mu.Lock()
		units, messages := l.units-l.write.units, l.messages
		l.mu.Unlock()
		if units >= lingerUnits {
			return
		}
		if step == 0 {
			first = messages
		}
		if step == lingerSyncs-1 {
			l.write.pace.brought(int(first-l.write.messages), int(messages-first))
		}
	}
}

// take moves all that is appended into write.work.
func (l *Log) take() {
	w := &l.write
	l.mu.Lock()
	messages := l.messages - w.messages
	w.units, w.messages = l.units, l.messages
	l.taken, l.due = l.tailEnd, false
	l.tail[len(l.tail)-1].sealed = true
	w.work = append(w.work[:0], l.tail[l.nextWrite:]...)
	l.nextWrite = len(l.tail)
	l.mu.Unlock()
	w.pace.took(time.Now(), int(messages))
}

func (l *Log) hasFailed() bool {
	select {
	case <-l.failed:
		return true
	default:
		return false
	}
}

// round writes the work, syncs it if it counts only then, and reports.
func (l *Log) round() error {
	disk := l.countsSynced()
	if err := l.writeWork(); err != nil {
		return err
	}
	if disk {
		start := time.Now()
		if err := l.syncActive(); err != nil {
			return err
		}
		l.write.pace.synced(time.Since(start))
	}
	l.report()
	l.settle()
	return nil
}

// countsSynced says that what is written counts only once it is synced.
func (l *Log) countsSynced() bool { return l.sync.Disk() || l.barrier.Load() != nil }

// writeWork writes the work. What an error leaves may be tried again.
func (l *Log) writeWork() error {
	w := &l.write
	if !l.countsSynced() {
		if err := l.noteMemAck(); err != nil {
			return err
		}
	}
	for i, b := range w.work {
		if err := l.writeBatch(b); err != nil {
			w.work = w.work[i:]
			return err
		}
	}
	w.work = w.work[:0]
	if l.written != nil {
		l.written()
	}
	return nil
}

// settle has applied what the round made count: here, if nothing is to be written meanwhile, so that a message on its own
// costs one wake-up less; else by the applier, while the next round is under way.
func (l *Log) settle() {
	l.mu.Lock()
	busy := l.urgent()
	l.mu.Unlock()
	if busy && (!l.sync.Disk() || l.write.pace.streams() == 0) || !l.apply.turn.TryLock() {
		l.apply.kick()
		return
	}
	l.applyHere()
}

// noteMemAck makes the node remember, before it does, that it counts bytes which are not synced (ha.md 4.2, mem_acked).
func (l *Log) noteMemAck() error {
	if l.write.memAcked {
		return nil
	}
	if err := l.meta.update(func(m *Meta) { m.MemAcked = true }); err != nil {
		return err
	}
	l.write.memAcked = true
	return nil
}

func (l *Log) syncActive() error {
	end := Pos(l.received.Load())
	if err := l.write.file.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", l.segs.name(l.write.active.first), err)
	}
	l.stats.syncs.Add(1)
	raise(&l.synced, end)
	if b := l.barrier.Load(); b != nil && b.end <= end {
		l.barrier.Store(nil)
		close(b.done)
	}
	return nil
}

// writeBatch gives the batch its header and writes it, into a new segment if it does not fit the last one.
func (l *Log) writeBatch(b *logBatch) error {
	w := &l.write
	if b.end() > w.room {
		if err := l.rotate(b); err != nil {
			return err
		}
	}
	h := batchHeader{
		flags: uint16(l.sync), epoch: b.epoch, base: b.base, commit: min(Pos(l.commitTo.Load()), b.base), timeMs: l.now().UnixMilli(),
		length: uint32(len(b.buf)), units: b.units, prevCRC: w.crc,
	}
	if b.base == w.active.first {
		h.flags |= batchStartsSegment
	}
	h.seal(b.buf)
	err := l.orWait(func() error {
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

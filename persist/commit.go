package persist

import (
	"fmt"
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
	memAcked bool
	taken    uint64 // units handed over to be written, in all
	pace     pace
	giveUp   chan struct{} // closed by Close: wait for no more room
	done     chan struct{}
	bgStop   chan struct{}
	bgDone   chan struct{}
}

// runCommitter writes and syncs what was appended, many units at a time, until the log stops or fails. Each round takes
// all that came in during the one before: that is the group commit.
func (l *Log) runCommitter() {
	defer close(l.write.done)
	for l.takeWork() {
		if err := l.round(); err != nil {
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

// takeWork moves what is to be written into write.work; it waits until there is something. false: the log has stopped
// and all is written, or it has failed.
func (l *Log) takeWork() bool {
	for !l.hasFailed() {
		l.mu.Lock()
		if n := len(l.tail); n > l.nextWrite {
			l.write.taken = l.units
			l.tail[n-1].sealed = true
			l.write.work = append(l.write.work[:0], l.tail[l.nextWrite:]...)
			l.nextWrite = n
			l.mu.Unlock()
			return true
		}
		stopping := l.stopping
		l.idle = !stopping
		l.mu.Unlock()
		if stopping {
			return false
		}
		<-l.wake
	}
	return false
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
	disk := l.sync.Disk() || l.barrier.Load() != nil
	if !disk {
		if err := l.noteMemAck(); err != nil {
			return err
		}
	}
	for _, b := range l.write.work {
		if err := l.writeBatch(b); err != nil {
			return err
		}
	}
	if disk {
		if err := l.pacedSync(); err != nil {
			return err
		}
	}
	l.report()
	l.settle(disk)
	return nil
}

// pacedSync syncs, and takes note of what happened meanwhile.
func (l *Log) pacedSync() error {
	before, start := l.waiting(), time.Now()
	if err := l.syncActive(); err != nil {
		return err
	}
	l.write.pace.synced(time.Since(start), l.waiting()-before)
	return nil
}

// waiting is how many units are appended and not taken yet.
func (l *Log) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.units - l.write.taken)
}

// settle applies what the round made count. If nothing else is to be done meanwhile, it does so here: a message on its own
// then costs one wake-up less. Else the applier does, while the next round is under way.
func (l *Log) settle(disk bool) {
	units := l.waiting()
	var d time.Duration
	if disk {
		d = l.write.pace.linger(units)
	}
	if units > 0 && d == 0 || !l.apply.turn.TryLock() {
		l.apply.kick()
	} else {
		l.applyHere()
	}
	if d > 0 {
		l.linger(d)
	}
}

// linger waits for more units, in two steps: in the first come those of senders that have just had their answer, whether
// they send without pause or not; in the second only those of senders that do.
func (l *Log) linger(d time.Duration) {
	first := d / lingerSyncs
	sleep(first)
	units := l.waiting()
	if units < lingerUnits {
		sleep(d - first)
		l.write.pace.brought(l.waiting() - units)
	}
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

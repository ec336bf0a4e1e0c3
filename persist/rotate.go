package persist

import (
	"fmt"
	"time"
)

// roomPause is how long the committer waits before it asks a full disk again.
const roomPause = 100 * time.Millisecond

// askAhead has the next segment made ready once the active one is half full: early enough to be there in time, late
// enough not to keep two empty files on disk.
func (l *Log) askAhead() {
	w := &l.write
	if !w.asked && w.pos-w.active.first > (w.room-w.active.first)/2 {
		w.asked = true
		l.askPreparer(prepareRequest{})
	}
}

// askPreparer hands a request to the preparer's goroutine; without one it is served at once.
func (l *Log) askPreparer(r prepareRequest) {
	if l.stepped {
		l.prep.serve(r, &l.segs)
		return
	}
	l.prep.requests <- r
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
		case <-l.failed:
			return err
		case <-time.After(roomPause):
		}
	}
}

// withRoom is for the index: seam.go has the contract. Consumers that drain a full disk write the index, and only then may
// segments go.
func (l *Log) withRoom(f func() error) error {
	err := f()
	if !isFull(err) {
		return err
	}
	l.prep.noRoom.Store(true)
	l.prep.release()
	if err = f(); !isFull(err) || !l.serving.Load() {
		return err
	}
	return l.untilRoom(func() error {
		err := f()
		if isFull(err) {
			l.prep.release() // it was filled again meanwhile
		}
		return err
	})
}

// orWait does f for the writer, which waits for room unless it writes what a master sent, or is stepped.
func (l *Log) orWait(f func() error) error {
	if l.write.hasty || l.stepped {
		return f()
	}
	return l.untilRoom(f)
}

// rotate makes the segment that begins with b. The one before is synced first, so that damage in it is never taken for
// a torn tail; the new one's name is on disk before anything in it counts.
func (l *Log) rotate(b *logBatch) error {
	w := &l.write
	if w.file != nil && l.syncedEnd() < w.pos {
		if err := l.syncActive(); err != nil {
			return err
		}
	}
	var next prepared
	err := l.orWait(func() error {
		reply := make(chan prepared, 1)
		l.askPreparer(prepareRequest{need: segmentHeaderBytes + int64(len(b.buf)), reply: reply})
		next = <-reply
		return next.err
	})
	if err != nil {
		return err
	}
	if err := l.install(&next, b.base); err != nil {
		if isFull(err) {
			next.file.Close() // it holds nothing; what is left of it the next start removes
			l.fs.Remove(next.name)
		}
		return fmt.Errorf("making %s: %w", l.segs.name(b.base), err)
	}
	if w.active != nil {
		l.askPreparer(prepareRequest{shrink: w.active, shrinkTo: segmentHeaderBytes + int64(b.base-w.active.first)})
	}
	w.file, w.asked = next.file, false
	w.active = l.segs.add(b.base, next.size, next.file)
	w.room = b.base + Pos(next.size-segmentHeaderBytes)
	l.roomEnd.Store(uint64(w.room))
	return nil
}

// install writes the header and gives the prepared file its name.
func (l *Log) install(next *prepared, first Pos) error {
	head := segmentHeader{cluster: l.meta.get().ClusterID, first: first, prevCRC: l.write.crc, history: l.write.history}
	steps := []func() error{
		func() error { _, err := next.file.WriteAt(head.encode(), 0); return err },
		func() error { return l.fs.Rename(next.name, l.segs.name(first)) },
		func() error { return l.fs.SyncDir(l.dir) },
	}
	for _, step := range steps {
		if err := l.orWait(step); err != nil {
			return err
		}
	}
	return nil
}

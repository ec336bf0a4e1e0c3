package persist

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// applier is what whoever applies owns: it applies what is committed to the index, in order, then publishes the positions,
// then tells the waiters. That is the applier's goroutine, or the committer when it has nothing better to do.
type applier struct {
	turn   sync.Mutex // held by whoever applies; guards what follows done
	signal chan struct{}
	stop   chan struct{}
	done   chan struct{}
	pos    Pos // applied up to here
	op     Op
	dec    Decoder
	reader *batchReader // of what is not in memory
	pinned *segment
}

// kick makes the applier look again.
func (a *applier) kick() {
	select {
	case a.signal <- struct{}{}:
	default:
	}
}

// runApplier runs until stop is closed, and then applies what is still committed.
func (l *Log) runApplier() {
	defer close(l.apply.done)
	for stopping := false; !stopping; {
		select {
		case <-l.apply.signal:
		case <-l.apply.stop:
			stopping = true
		}
		l.apply.turn.Lock()
		if !l.applyHere() {
			break
		}
	}
	l.closeReader()
}

// applyHere applies on this goroutine, which has taken its turn, and ends the turn.
func (l *Log) applyHere() bool {
	defer l.apply.turn.Unlock()
	err := l.applyCommitted()
	if err != nil {
		l.fail(fmt.Errorf("applying the log to the index at position %d: %w", l.apply.pos, err))
	}
	return err == nil
}

// applyCommitted applies all whole batches up to the commit position and publishes after each.
func (l *Log) applyCommitted() error {
	for {
		more, err := l.applyNext()
		if err != nil {
			return err
		}
		l.publish()
		if !more {
			return nil
		}
	}
}

// publish shows how far things are. A confirmation that runs ahead of the commit (local and remote levels) need not wait
// for the index; any other comes with what it covers applied.
func (l *Log) publish() {
	raise(&l.committed, l.apply.pos)
	confirm := Pos(l.confirmTo.Load())
	if confirm <= Pos(l.commitTo.Load()) {
		confirm = min(confirm, l.apply.pos)
	}
	raise(&l.confirmed, confirm)
	l.waiters.wake(max(l.Committed(), l.Confirmed()))
}

// applyNext applies one batch, if the next one is committed.
func (l *Log) applyNext() (bool, error) {
	to := min(Pos(l.commitTo.Load()), Pos(l.received.Load()))
	if l.apply.pos >= to {
		return false, nil
	}
	b := l.nextInMemory()
	if b == nil {
		return l.applyFromFile(to)
	}
	if b.end() > to {
		return false, nil
	}
	l.closeReader() // whoever followed leads now: the segment that it read last must not be kept from going
	if err := l.applyBatch(b.buf, b.base); err != nil {
		return false, err
	}
	l.mu.Lock()
	l.nextApply++
	if !l.holding {
		l.drop(l.nextApply)
	}
	l.mu.Unlock()
	return true, nil
}

// nextInMemory is the batch at the applier's position, nil if it must be read from its file.
func (l *Log) nextInMemory() *logBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nextApply < len(l.tail) && l.tail[l.nextApply].base == l.apply.pos {
		return l.tail[l.nextApply]
	}
	return nil
}

func (l *Log) applyBatch(batch []byte, base Pos) error {
	a := &l.apply
	p := base + batchHeaderBytes
	for it := (unitReader{rest: batch[batchHeaderBytes:]}); len(it.rest) > 0; {
		if !it.next() {
			return &formatError{"a unit that passes its batch", p}
		}
		at := p + Pos(it.off)
		l.index.beginUnit(it.unit, at)
		a.dec.Reset(it.unit, at)
		for {
			more, err := a.dec.Next(&a.op)
			if err != nil {
				return err
			}
			if !more {
				break
			}
			if err := l.index.apply(&a.op); err != nil {
				return err
			}
		}
	}
	a.pos = base + Pos(len(batch))
	return l.index.applied(a.pos)
}

// applyFromFile applies one batch that was recovered, not appended. Its checksum is looked at again on the way.
func (l *Log) applyFromFile(to Pos) (bool, error) {
	a := &l.apply
	for range 2 {
		if a.reader == nil {
			if err := l.openReader(); err != nil {
				return false, err
			}
		}
		a.reader.limit = min(Pos(l.received.Load()), l.endOf(a.pinned))
		h, batch, why, err := a.reader.next()
		if why == "" {
			if h.end() > to {
				a.reader.pos = h.base
				return false, nil
			}
			return true, l.applyBatch(batch, h.base)
		}
		atEnd := a.reader.pos == a.reader.limit
		first := a.reader.first
		l.closeReader()
		if !atEnd { // of the segment: the next one has it
			if err == nil || errors.Is(err, io.EOF) {
				err = l.damaged(damageAt(l.segs.name(first), first, a.pos, why))
			}
			return false, err
		}
	}
	return false, fmt.Errorf("the log ends at position %d, below %d", a.pos, to)
}

func (l *Log) openReader() error {
	g, f, err := l.segs.pin(l.apply.pos)
	if err != nil {
		return err
	}
	l.apply.pinned = g
	l.apply.reader = newBatchReader(f, g.first, l.apply.pos, l.endOf(g))
	return nil
}

func (l *Log) closeReader() {
	if l.apply.pinned != nil {
		l.segs.unpin(l.apply.pinned)
		l.apply.pinned, l.apply.reader = nil, nil
	}
}

func (l *Log) endOf(g *segment) Pos {
	l.segs.mu.Lock()
	defer l.segs.mu.Unlock()
	return g.end
}

package persist

import (
	"fmt"
	"sync"
)

// fakeIndex is an index that remembers what it was told, and, of that, what it flushed.
type fakeIndex struct {
	log     indexLog
	disk    *fakeDisk
	mu      sync.Mutex
	pos     Pos
	seen    []string // a line an operation, those of whole batches only
	batch   []string
	failing error
	keeps   int
}

// fakeDisk is what outlives a fakeIndex.
type fakeDisk struct {
	mu     sync.Mutex
	pos    Pos
	seen   []string
	resets int
}

func (d *fakeDisk) open(_ FS, _ string, l indexLog, _ *Options) (index, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &fakeIndex{log: l, disk: d, pos: d.pos, seen: append([]string(nil), d.seen...)}, nil
}

func (x *fakeIndex) beginUnit(unit []byte, base Pos) {}

func (x *fakeIndex) apply(op *Op) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if op.Code == CodeMessage {
		x.batch = append(x.batch, string(op.ID))
	}
	return x.failing
}

func (x *fakeIndex) applied(end Pos) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if end <= x.pos {
		return fmt.Errorf("applied %d after %d", end, x.pos)
	}
	x.pos, x.seen, x.batch = end, append(x.seen, x.batch...), x.batch[:0]
	return nil
}

func (x *fakeIndex) position() Pos {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.pos
}

// flush keeps the whole state if the log's synced end allows it.
func (x *fakeIndex) flush() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.disk.mu.Lock()
	defer x.disk.mu.Unlock()
	if x.pos <= x.log.syncedEnd() {
		x.disk.pos, x.disk.seen = x.pos, append([]string(nil), x.seen...)
	}
	return nil
}

func (x *fakeIndex) reset() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.disk.mu.Lock()
	defer x.disk.mu.Unlock()
	x.pos, x.seen, x.disk.pos, x.disk.seen = 0, nil, 0, nil
	x.disk.resets++
	return nil
}

func (x *fakeIndex) close() error { return nil }

func (x *fakeIndex) keep(bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.keeps++
	return nil
}

func (x *fakeIndex) distrust() error            { return nil }
func (x *fakeIndex) sizes() (live, disk uint64) { return 1, 2 }
func (x *fakeIndex) locate(first Pos) Pos       { return first }
func (x *fakeIndex) queue(QueueID) QueueState   { return QueueState{Depth: 7} }

func (x *fakeIndex) entries(_ QueueID, _ Seq, _ int, dst []Entry) ([]Entry, error) {
	return append(dst, Entry{Attempts: 1}), nil
}

func (x *fakeIndex) entry(QueueID, Seq) (Entry, bool, error) { return Entry{Attempts: 2}, true, nil }

func (x *fakeIndex) get(_ Table, key []byte) ([]byte, bool, error) { return key, true, nil }

func (x *fakeIndex) scan(_ Table, prefix []byte, f func(key, value []byte) bool) error {
	f(prefix, nil)
	return nil
}

func (x *fakeIndex) messages() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]string(nil), x.seen...)
}

package persist

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// ReadBatches appends to dst whole batches as they stand in the file, from the batch at from on: as many as fit into
// most bytes, but at least one, of one segment. None if the log ends there. What it reads is written, synced or not. Each
// batch's checksum is looked at: a *DamageError says that this node's log is not what it wrote. ErrNotFound: the log
// begins later. Any goroutine.
func (l *Log) ReadBatches(from Pos, most int, dst []byte) ([]byte, error) {
	received := l.Received()
	if from == received {
		return dst, nil
	}
	g, f, err := l.segs.pin(from)
	if err != nil {
		return dst, err
	}
	defer l.segs.unpin(g)
	limit := min(received, l.endOf(g))
	at, want := len(dst), max(most, batchHeaderBytes)
	for {
		want = int(min(uint64(want), uint64(limit-from)))
		dst = roomFor(dst[:at], want)
		if _, err := f.ReadAt(dst[at:], segmentHeaderBytes+int64(from-g.first)); err != nil && !errors.Is(err, io.EOF) {
			return dst[:at], fmt.Errorf("reading %s: %w", l.segs.name(g.first), err)
		}
		whole, next, why := wholeBatches(dst[at:], from)
		if why == "" && whole == 0 && next > want && Pos(next) <= limit-from {
			want = next
			continue
		}
		if why != "" || whole == 0 {
			return dst[:at], damageAt(l.segs.name(g.first), g.first, from+Pos(whole), cmp.Or(why, "a batch"))
		}
		return dst[:at+whole], nil
	}
}

// roomFor makes dst longer by n bytes, of whatever content.
func roomFor(dst []byte, n int) []byte {
	if cap(dst)-len(dst) < n {
		larger := make([]byte, len(dst), len(dst)+n)
		copy(larger, dst)
		dst = larger
	}
	return dst[:len(dst)+n]
}

// wholeBatches says how much of b are whole batches, and how long the one is that is not.
func wholeBatches(b []byte, p Pos) (whole, next int, why string) {
	for len(b)-whole >= batchHeaderBytes {
		h, why := parseBatchHeader(b[whole:], p+Pos(whole))
		if why != "" {
			return whole, 0, why
		}
		next = int(h.length)
		if whole+next > len(b) {
			return whole, next, ""
		}
		if batchCRC(b[whole:whole+next]) != h.crc {
			return whole, 0, "a batch's checksum"
		}
		whole += next
	}
	return whole, next, ""
}

// SegmentHeader is the header of the segment that begins at first, as it stands in the file. It reads the disk. ErrNotFound: none
// begins there. Any goroutine.
func (l *Log) SegmentHeader(first Pos) ([]byte, error) {
	g, f, err := l.segs.pin(first)
	if err != nil {
		return nil, err
	}
	defer l.segs.unpin(g)
	if g.first != first {
		return nil, ErrNotFound
	}
	b := make([]byte, segmentHeaderBytes)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("reading %s: %w", l.segs.name(first), err)
	}
	return b, nil
}

// pinSet holds the log against trimming: nothing at or above the lowest pin is dropped. Any goroutine.
type pinSet struct {
	mu   sync.Mutex
	pins map[*Pin]Pos
}

// Pin keeps the log from a position on, until it is released. Any goroutine.
type Pin struct{ set *pinSet }

// Files is how many segments of the log have something behind p. Any goroutine.
func (l *Log) Files(p Pos) int { return l.segs.countFrom(p) }

// Pin keeps the log from p on. ErrNotFound: it begins later already.
func (l *Log) Pin(p Pos) (*Pin, error) {
	l.pins.mu.Lock()
	defer l.pins.mu.Unlock()
	if p < l.logStart() {
		return nil, ErrNotFound
	}
	if l.pins.pins == nil {
		l.pins.pins = map[*Pin]Pos{}
	}
	pin := &Pin{&l.pins}
	l.pins.pins[pin] = p
	return pin, nil
}

// Pins is how many hold the log. Any goroutine.
func (l *Log) Pins() int {
	l.pins.mu.Lock()
	defer l.pins.mu.Unlock()
	return len(l.pins.pins)
}

// Move raises the pin to p.
func (p *Pin) Move(to Pos) {
	p.set.mu.Lock()
	defer p.set.mu.Unlock()
	if at, ok := p.set.pins[p]; ok {
		p.set.pins[p] = max(at, to)
	}
}

// Release lets go. Doing it twice does no harm.
func (p *Pin) Release() {
	p.set.mu.Lock()
	defer p.set.mu.Unlock()
	delete(p.set.pins, p)
}

// passes moves the log's start to p, unless something below is pinned.
func (s *pinSet) passes(p Pos, start *atomic.Uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.pins {
		if at < p {
			return false
		}
	}
	start.Store(uint64(p))
	return true
}

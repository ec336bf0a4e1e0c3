package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

// readAhead is what is read at a record's position before its length is known: most messages are whole in it.
const readAhead = 4096

var readBuffers = sync.Pool{New: func() any { b := make([]byte, 0, readAhead); return &b }}

// readRecord decodes the MESSAGE or RELOCATE_MESSAGE record at p: seam.go has the contract.
func (l *Log) readRecord(p Pos, op *Op, buf []byte) ([]byte, error) {
	if p >= Pos(l.received.Load()) {
		if out, ok := l.copyTail(p, buf); ok {
			return out, decodeContent(out, p, op)
		}
	}
	g, f, err := l.segs.pin(p)
	if err != nil {
		return buf, err
	}
	defer l.segs.unpin(g)
	buf, err = readFile(f, segmentHeaderBytes+int64(p-g.first), p, buf)
	if err == nil {
		err = decodeContent(buf, p, op)
	}
	var bad *formatError
	if errors.As(err, &bad) {
		err = l.damaged(damageAt(l.segs.name(g.first), g.first, p, "a message, but found "+bad.what))
	}
	return buf, err
}

// decodeContent decodes one record that must hold a message.
func decodeContent(record []byte, p Pos, op *Op) error {
	var d Decoder
	d.Reset(record, p)
	more, err := d.Next(op)
	if err == nil && (!more || op.Code != CodeMessage && op.Code != CodeRelocateMessage) {
		err = &formatError{"no message", p}
	}
	if err == nil && op.Sum != contentSum(op) {
		err = &formatError{"a message whose checksum does not hold", p}
	}
	return err
}

func contentSum(op *Op) uint32 {
	sum := crc32.Update(crc32.Checksum(op.ID, castagnoli), castagnoli, op.Header)
	return crc32.Update(sum, castagnoli, op.Body)
}

// copyTail copies the record at p out of what is not written yet.
func (l *Log) copyTail(p Pos, buf []byte) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.tail {
		if p < b.base+batchHeaderBytes || p >= b.end() {
			continue
		}
		rest := b.buf[p-b.base:]
		n := recordBytes(rest)
		if n == 0 || n > uint64(len(rest)) {
			return buf, false
		}
		return append(buf[:0], rest[:n]...), true
	}
	return buf, false
}

// recordBytes is the whole size of the record that b begins with, 0 if b does not say.
func recordBytes(b []byte) uint64 {
	if len(b) < 2 {
		return 0
	}
	n, k := binary.Uvarint(b[1:min(len(b), maxRecordHeader)])
	if k <= 0 || n > MaxUnitBytes {
		return 0
	}
	return n + 1 + uint64(k)
}

// readFile reads the record at p, which stands at offset off of its segment's file, into buf.
func readFile(f File, off int64, p Pos, buf []byte) ([]byte, error) {
	buf = grown(buf, readAhead)
	got, err := f.ReadAt(buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return buf[:0], err
	}
	n := int(recordBytes(buf[:got]))
	if n == 0 {
		return buf[:0], &formatError{"no record", p}
	}
	if n > got {
		size, err := f.Size()
		if err != nil || off+int64(n) > size {
			return buf[:0], errors.Join(err, &formatError{"a record that passes its segment", p})
		}
		head := buf[:got]
		buf = grown(buf, n)
		copy(buf[:got], head)
		if _, err := f.ReadAt(buf[got:n], off+int64(got)); err != nil {
			return buf[:0], err
		}
	}
	return buf[:n], nil
}

// grown returns a buffer of length n, buf itself if it is large enough. Its content is lost.
func grown(buf []byte, n int) []byte {
	if cap(buf) >= n {
		return buf[:n]
	}
	return make([]byte, n)
}

// scanSegment decodes the operations of one segment: seam.go has the contract.
func (l *Log) scanSegment(first, from Pos, f func(op *Op) bool) (stopped Pos, err error) {
	g, file, err := l.segs.pin(first)
	if err != nil {
		return from, err
	}
	defer l.segs.unpin(g)
	if g.first != first {
		return from, fmt.Errorf("reading the segment at %d: %w", first, ErrNotFound)
	}
	br := newBatchReader(file, first, from, min(Pos(l.received.Load()), l.endOf(g)))
	for br.pos < br.limit {
		h, batch, why, err := br.next()
		if why != "" {
			if err == nil || errors.Is(err, io.EOF) {
				err = l.damaged(damageAt(l.segs.name(first), first, br.pos, why))
			}
			return br.pos, err
		}
		more := true
		err = eachOp(batch[batchHeaderBytes:], h.base+batchHeaderBytes, func(op *Op) { more = more && f(op) })
		if err != nil || !more {
			return h.base, err
		}
	}
	return br.pos, nil
}

// message reads a message by where it lies now. The slices are the caller's.
func (l *Log) message(p Pos) (id, header, body []byte, err error) {
	pooled := readBuffers.Get().(*[]byte)
	var op Op
	buf, err := l.readRecord(p, &op, *pooled)
	if err == nil {
		n := len(op.ID) + len(op.Header) + len(op.Body)
		all := append(append(append(make([]byte, 0, n), op.ID...), op.Header...), op.Body...)
		i, h := len(op.ID), len(op.ID)+len(op.Header)
		id, header, body = all[:i:i], all[i:h:h], all[h:]
	}
	if cap(buf) <= keepUnitBytes {
		*pooled = buf[:0]
	}
	readBuffers.Put(pooled)
	return id, header, body, err
}

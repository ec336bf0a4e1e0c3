package persist

import (
	"encoding/binary"
	"errors"
	"io"
)

// readerWindow is how much of a segment a batchReader reads at once.
const readerWindow = 256 << 10

// batchReader reads one segment's batches in order. One goroutine.
type batchReader struct {
	file  File
	first Pos // of the segment
	pos   Pos // of the next batch
	limit Pos // nothing is read from there on
	win   []byte
	winAt Pos
}

func newBatchReader(f File, first, from, limit Pos) *batchReader {
	return &batchReader{file: f, first: first, pos: from, limit: limit, winAt: from}
}

// peek returns n bytes from p on, fewer where limit or the file ends. They are good until the next call.
func (r *batchReader) peek(p Pos, n int) ([]byte, error) {
	if p >= r.limit {
		return nil, nil
	}
	n = int(min(Pos(n), r.limit-p))
	if p >= r.winAt && p+Pos(n) <= r.winAt+Pos(len(r.win)) {
		return r.win[p-r.winAt:][:n], nil
	}
	want := int(min(Pos(max(n, readerWindow)), r.limit-p))
	if cap(r.win) < want {
		r.win = make([]byte, want)
	}
	r.win, r.winAt = r.win[:want], p
	got, err := r.file.ReadAt(r.win, segmentHeaderBytes+int64(p-r.first))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	r.win = r.win[:got]
	return r.win[:min(n, got)], err
}

// next reads the next batch; both results are good until the call after. why is not empty, and the reader stands still,
// where no whole batch stands: io.EOF as the error says that nothing but zeros or the limit comes there.
func (r *batchReader) next() (h batchHeader, batch []byte, why string, err error) {
	b, err := r.peek(r.pos, batchHeaderBytes)
	if err != nil {
		return h, nil, "a batch", err
	}
	if len(b) < batchHeaderBytes || allZero(b) {
		if allZero(b) {
			err = io.EOF
		}
		return h, nil, "a batch", err
	}
	if h, why = parseBatchHeader(b, r.pos); why != "" {
		return h, nil, why, nil
	}
	if h.end() > r.limit {
		return h, nil, "a batch that ends within its segment", nil
	}
	if batch, err = r.peek(r.pos, int(h.length)); err != nil {
		return h, nil, "a batch", err
	}
	if len(batch) < int(h.length) {
		return h, nil, "a batch that ends within its file", nil
	}
	if why = checkBatch(&h, batch); why == "" {
		r.pos = h.end()
	}
	return h, batch, why, nil
}

func allZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

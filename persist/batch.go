package persist

import (
	"encoding/binary"
	"hash/crc32"
)

// A batch is what is written to the log at once; doc.go draws it.
const (
	batchHeaderBytes = 56
	batchMagic       = 0x514d7648 // "HvMQ" on disk
	batchVersion     = 1

	batchSyncMask      = syncAll
	batchStartsSegment = 1 << 8 // its first byte is the first of its segment
	batchFlags         = batchSyncMask | batchStartsSegment
)

// whyVersion is what parseBatchHeader says of a batch that another version wrote: it must not be taken for a tear.
const whyVersion = "a batch of a version that this program knows"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batchHeader is a batch's fixed beginning.
type batchHeader struct {
	flags   uint16
	epoch   uint64
	base    Pos // of the header's own first byte
	commit  Pos // that the master knew when it wrote the batch
	timeMs  int64
	length  uint32 // header and units
	units   uint32
	prevCRC uint32 // of the batch before; 0 before the first
	crc     uint32
}

func (h *batchHeader) end() Pos { return h.base + Pos(h.length) }

// seal writes the header into the room at the start of batch and returns the checksum, which covers all else.
func (h *batchHeader) seal(batch []byte) uint32 {
	le := binary.LittleEndian
	le.PutUint32(batch[0:], batchMagic)
	batch[4], batch[5] = batchVersion, 0
	le.PutUint16(batch[6:], h.flags)
	le.PutUint64(batch[8:], h.epoch)
	le.PutUint64(batch[16:], uint64(h.base))
	le.PutUint64(batch[24:], uint64(h.commit))
	le.PutUint64(batch[32:], uint64(h.timeMs))
	le.PutUint32(batch[40:], h.length)
	le.PutUint32(batch[44:], h.units)
	le.PutUint32(batch[48:], h.prevCRC)
	h.crc = batchCRC(batch)
	le.PutUint32(batch[52:], h.crc)
	return h.crc
}

func batchCRC(batch []byte) uint32 {
	return crc32.Update(crc32.Checksum(batch[:52], castagnoli), castagnoli, batch[batchHeaderBytes:])
}

// parseBatchHeader reads a header that is said to stand at position p. Its checksum is not looked at: checkBatch does.
// why is empty when it may be one.
func parseBatchHeader(b []byte, p Pos) (h batchHeader, why string) {
	le := binary.LittleEndian
	h = batchHeader{
		flags: le.Uint16(b[6:]), epoch: le.Uint64(b[8:]), base: Pos(le.Uint64(b[16:])), commit: Pos(le.Uint64(b[24:])),
		timeMs: int64(le.Uint64(b[32:])), length: le.Uint32(b[40:]), units: le.Uint32(b[44:]),
		prevCRC: le.Uint32(b[48:]), crc: le.Uint32(b[52:]),
	}
	switch {
	case le.Uint32(b) != batchMagic:
		why = "a batch's magic"
	case b[4] == 0: // never written: a page ended behind the magic, and the power went between the two
		why = "a batch's version"
	case b[4] != batchVersion || b[5] != 0:
		why = whyVersion
	case h.flags&^batchFlags != 0:
		why = "a batch's flags"
	case h.base != p:
		why = "a batch that knows its own position"
	case h.length <= batchHeaderBytes || h.units == 0 || h.base > maxPos || h.commit > h.base:
		why = "a batch's header within its bounds"
	}
	return h, why
}

// maxPos keeps sums of positions and lengths far from overflow.
const maxPos = 1 << 62

// checkBatch looks at a whole batch whose header parsed: checksum, and units that fill it exactly.
func checkBatch(h *batchHeader, batch []byte) (why string) {
	if batchCRC(batch) != h.crc {
		return "a batch's checksum"
	}
	n := uint32(0)
	for it := (unitReader{rest: batch[batchHeaderBytes:]}); len(it.rest) > 0; n++ {
		if !it.next() {
			return "units that fill their batch"
		}
	}
	if n != h.units {
		return "as many units as the batch says"
	}
	return ""
}

// unitReader walks the units of a batch. off is the unit's offset in what rest was at first.
type unitReader struct {
	rest []byte
	unit []byte
	off  int
	read int
}

func (r *unitReader) next() bool {
	n, k := binary.Uvarint(r.rest)
	if k <= 0 || n == 0 || n > uint64(len(r.rest)-k) {
		return false
	}
	r.off = r.read + k
	r.unit = r.rest[k : k+int(n) : k+int(n)]
	r.rest = r.rest[k+int(n):]
	r.read = r.off + int(n)
	return true
}

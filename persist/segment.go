package persist

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// A segment is a file of the log: a header that takes no positions, then the bytes of positions [first, …).
const (
	segmentHeaderBytes = 4096
	segmentMagic       = "HavenLog"
	segmentVersion     = 1
	segmentSuffix      = ".log"

	// MaxHistory is how many epochs a segment's header names: the newest. A node that has none of another's epochs in
	// it starts over from log_start, which is always safe.
	MaxHistory = (segmentHeaderBytes - 48 - 16) / 16
)

// EpochStart says at which position an epoch's first batch stands.
type EpochStart struct {
	Epoch uint64
	Start Pos
}

// segmentHeader is what a node needs to start reading at a segment. All of it follows from the log's bytes, so that it is
// the same on every node.
type segmentHeader struct {
	cluster ID
	first   Pos
	prevCRC uint32       // of the batch before the segment's first
	history []EpochStart // before the segment's first batch, oldest first
}

func (h *segmentHeader) encode() []byte {
	b := make([]byte, segmentHeaderBytes)
	le := binary.LittleEndian
	copy(b, segmentMagic)
	le.PutUint32(b[8:], segmentVersion)
	history := newest(h.history)
	le.PutUint32(b[12:], uint32(len(history)))
	copy(b[16:32], h.cluster[:])
	le.PutUint64(b[32:], uint64(h.first))
	le.PutUint32(b[40:], h.prevCRC)
	for i, e := range history {
		le.PutUint64(b[48+16*i:], e.Epoch)
		le.PutUint64(b[56+16*i:], uint64(e.Start))
	}
	sealHeader(b)
	return b
}

func sealHeader(b []byte) {
	binary.LittleEndian.PutUint32(b[segmentHeaderBytes-4:], crc32.Checksum(b[:segmentHeaderBytes-4], castagnoli))
}

func newest(h []EpochStart) []EpochStart { return h[max(0, len(h)-MaxHistory):] }

// wholeSegmentHeader says whether b is a header as somebody wrote it, of whatever version: not a torn one.
func wholeSegmentHeader(b []byte) (why string) {
	le := binary.LittleEndian
	switch {
	case len(b) < segmentHeaderBytes:
		return "a segment's header of 4096 bytes"
	case string(b[:8]) != segmentMagic:
		return "a segment's magic"
	case le.Uint32(b[segmentHeaderBytes-4:]) != crc32.Checksum(b[:segmentHeaderBytes-4], castagnoli):
		return "a segment header's checksum"
	}
	return ""
}

// decodeSegmentHeader reads b. why says what is wrong, if anything.
func decodeSegmentHeader(b []byte) (h segmentHeader, why string) {
	if why = wholeSegmentHeader(b); why != "" {
		return h, why
	}
	le := binary.LittleEndian
	count := le.Uint32(b[12:])
	switch {
	case le.Uint32(b[8:]) != segmentVersion:
		return h, "a segment of a version that this program knows"
	case count > MaxHistory:
		return h, "a segment header's epochs within their bound"
	}
	copy(h.cluster[:], b[16:32])
	h.first, h.prevCRC = Pos(le.Uint64(b[32:])), le.Uint32(b[40:])
	for i := range int(count) {
		e := EpochStart{le.Uint64(b[48+16*i:]), Pos(le.Uint64(b[56+16*i:]))}
		if i > 0 && (e.Epoch <= h.history[i-1].Epoch || e.Start <= h.history[i-1].Start) || e.Start >= h.first {
			return h, "a segment header's epochs in order"
		}
		h.history = append(h.history, e)
	}
	if h.first > maxPos {
		return h, "a segment's first position within its bound"
	}
	return h, ""
}

func segmentName(first Pos) string { return fmt.Sprintf("%016x%s", uint64(first), segmentSuffix) }

func parseSegmentName(name string) (first Pos, ok bool) {
	hex, found := strings.CutSuffix(name, segmentSuffix)
	if !found || len(hex) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(hex, 16, 64)
	return Pos(n), err == nil && segmentName(Pos(n)) == name
}

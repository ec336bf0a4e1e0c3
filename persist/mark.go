package persist

import "fmt"

// Mark says where a batch stands and what its checksum is. That covers the checksum of the batch before it: two logs that have
// a mark in common are the same up to its end.
type Mark struct {
	Base, End Pos
	Epoch     uint64
	Sum       uint32
	Starts    bool // a segment's first batch
}

// Marks appends the marks of whole batches, the first of which stands at base. An error says that they are not.
func Marks(base Pos, batches []byte, dst []Mark) ([]Mark, error) {
	for len(batches) > 0 {
		if len(batches) < batchHeaderBytes {
			return dst, fmt.Errorf("reading batches: expected a header at position %d", base)
		}
		h, why := parseBatchHeader(batches, base)
		if why == "" && int64(h.length) > int64(len(batches)) {
			why = "a whole batch"
		}
		if why != "" {
			return dst, fmt.Errorf("reading batches: expected %s at position %d", why, base)
		}
		dst = append(dst, Mark{Base: base, End: h.end(), Epoch: h.epoch, Sum: h.crc, Starts: h.flags&batchStartsSegment != 0})
		base, batches = h.end(), batches[h.length:]
	}
	return dst, nil
}

// SegmentFile is the name, within the store's directory, of the file of the segment that begins at first, and the offset in it
// at which the byte of that position stands.
func SegmentFile(first Pos) (name string, offset int64) {
	return segmentName(first), segmentHeaderBytes
}

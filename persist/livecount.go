package persist

import (
	"encoding/binary"
	"sort"
)

// liveCount says how many things that live have their record in a segment: entries, by their message's place unless that
// was relocated; relocated messages, rows and prepared transactions, by the place of their newest record.
type liveCount struct {
	first Pos
	live  uint64
}

// liveCounts are those of the log's segments, oldest first: a segment that holds nothing needs no look to be trimmed.
type liveCounts []liveCount

// begin makes sure that the segment that starts at first is the last one known.
func (c *liveCounts) begin(first Pos) {
	if n := len(*c); n == 0 || (*c)[n-1].first < first {
		*c = append(*c, liveCount{first: first})
	}
}

// add counts things whose record is at p. What lies before the first segment does not count.
func (c liveCounts) add(p Pos, by int) {
	n := len(c)
	if n == 0 || p < c[0].first {
		return
	}
	i := n - 1
	if p < c[i].first {
		i = sort.Search(n, func(i int) bool { return c[i].first > p }) - 1
	}
	c[i].live += uint64(by)
}

// dead is the position below which nothing lives: a segment's first. The last segment always counts as alive.
func (c liveCounts) dead() Pos {
	i := 0
	for i < len(c)-1 && c[i].live == 0 {
		i++
	}
	if i == 0 {
		return 0
	}
	return c[i].first
}

// total is what lives in all segments.
func (c liveCounts) total() (n uint64) {
	for i := range c {
		n += c[i].live
	}
	return n
}

// dropBelow forgets the segments before p. It refuses, and changes nothing, if one of them is alive.
func (c *liveCounts) dropBelow(p Pos) bool {
	n := 0
	for n < len(*c) && (*c)[n].first < p {
		if (*c)[n].live != 0 {
			return false
		}
		n++
	}
	*c = append((*c)[:0], (*c)[n:]...)
	return true
}

func (c liveCounts) encode(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c)))
	last := Pos(0)
	for _, s := range c {
		dst = binary.AppendUvarint(dst, uint64(s.first-last))
		dst = binary.AppendUvarint(dst, s.live)
		last = s.first
	}
	return dst
}

func decodeLiveCounts(f *fields) (c liveCounts) {
	last := Pos(0)
	for n := f.uvarint(); n > 0 && f.err == ""; n-- {
		s := liveCount{first: last + Pos(f.uvarint())}
		s.live = f.uvarint()
		if len(c) > 0 && s.first <= last {
			f.fail("segments out of order")
		}
		c, last = append(c, s), s.first
	}
	return c
}

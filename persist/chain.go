package persist

// chain is what one batch must have of the batches before it.
type chain struct {
	pos     Pos // where the next batch stands
	crc     uint32
	epoch   uint64
	history []EpochStart
	commit  Pos // highest that a batch has named
}

// check says what is wrong with a batch that stands next; first is its segment's first position.
func (c *chain) check(h *batchHeader, first Pos) (why string) {
	switch {
	case h.prevCRC != c.crc:
		return "a batch that follows the one before it (checksum chain)"
	case h.epoch < c.epoch:
		return "a batch of the same epoch as the one before it, or a later one"
	case h.flags&batchStartsSegment != 0 != (h.base == first):
		return "a batch that starts a segment just where a segment starts"
	}
	return ""
}

// take moves on behind a batch.
func (c *chain) take(h *batchHeader) {
	if h.epoch > c.epoch || len(c.history) == 0 {
		c.epoch = h.epoch
		c.history = newest(append(c.history, EpochStart{h.epoch, h.base}))
	}
	c.pos, c.crc, c.commit = h.end(), h.crc, max(c.commit, h.commit)
}

// begin makes the chain that a segment's header promises.
func (h *segmentHeader) begin() chain {
	c := chain{pos: h.first, crc: h.prevCRC, history: h.history}
	if n := len(h.history); n > 0 {
		c.epoch = h.history[n-1].Epoch
	}
	return c
}

package persist

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
)

// Report is what Check found.
type Report struct {
	Meta       Meta
	LogStart   Pos
	End        Pos // behind the last whole batch
	Committed  Pos // at least
	Epochs     []EpochStart
	Segments   []SegmentReport
	Batches    uint64
	Units      uint64
	Operations map[Code]uint64
	TornBytes  int64          // half written behind End: the next start cuts them off, and nothing confirmed is among them
	Damage     []*DamageError // none: the log is sound
}

// SegmentReport is one file of the log.
type SegmentReport struct {
	File       string
	First, End Pos
	FileBytes  int64
	Batches    uint64
}

// checkStep is how many bytes are read between two reports of progress.
const checkStep = 1 << 20

// Check reads the whole log in dir, changes nothing, and looks at every checksum, at the chain of batches, and at every
// operation. progress, if any, is told how many of the log's bytes are done. An error says that the store could not be
// looked at: a process has it open, or it cannot be read. Damage is in the report.
func Check(fsys FS, dir string, progress func(done, total int64)) (r Report, err error) {
	names, err := fsys.List(dir)
	if err != nil {
		return r, err
	}
	if slices.Contains(names, lockName) {
		unlock, err := fsys.Lock(path.Join(dir, lockName))
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, unlock.Close()) }()
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	c := check{Report: &r, progress: progress, recovery: recovery{fs: fsys, dir: dir, readOnly: true}}
	r.Operations = map[Code]uint64{}
	return r, c.note(c.run())
}

// check is a Check under way. It judges as recovery does.
type check struct {
	*Report
	recovery
	progress    func(done, total int64)
	done, total int64
	told        int64
}

// note keeps damage for the report; any other error is the result.
func (c *check) note(err error) error {
	var damage *DamageError
	if errors.As(err, &damage) {
		c.Damage = append(c.Damage, damage)
		return nil
	}
	return err
}

func (c *check) run() error {
	f, err := c.fs.Open(path.Join(c.dir, metaName))
	if err != nil {
		return err
	}
	c.meta, _, err = readMeta(f, path.Join(c.dir, metaName))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	c.Report.Meta, c.LogStart = c.meta, c.meta.LogStart
	c.unclean = c.meta.unclean(bootID())
	if err := c.list(); err != nil {
		return err
	}
	if err := c.headers(); err != nil {
		return err
	}
	for i := range c.out.segments {
		c.total += max(c.out.segments[i].size-segmentHeaderBytes, 0)
	}
	for i := range c.out.segments {
		if err := c.note(c.segment(i)); err != nil {
			return err
		}
	}
	c.progress(c.total, c.total)
	c.End, c.Epochs = c.out.pos, c.out.history
	c.Committed = min(max(c.meta.CommitHint, c.out.chain.commit), c.End)
	return nil
}

// segment reads one file. Behind damage the next segment's header is where to go on.
func (c *check) segment(i int) error {
	g := &c.out.segments[i]
	last := i == len(c.out.segments)-1
	if g.torn != "" {
		c.TornBytes += g.size
		return c.with(g.first, func(f File) error { return c.judge(f, g, g.torn) })
	}
	begin := g.head.begin()
	broken := i > 0 && len(c.Damage) == 0 && (begin.pos != c.out.pos || begin.crc != c.out.crc || begin.epoch != c.out.epoch)
	c.out.chain = begin
	c.Segments = append(c.Segments, SegmentReport{File: c.name(g.first), First: g.first, FileBytes: g.size})
	err := c.with(g.first, func(f File) error {
		why, err := c.batches(f, g)
		c.Segments[len(c.Segments)-1].End = c.out.pos
		switch {
		case err != nil:
			return err
		case last:
			return c.judge(f, g, why)
		case c.out.pos != c.out.segments[i+1].first:
			return c.damage(g.first, c.out.pos, why+", or the file "+segmentName(c.out.pos))
		}
		return nil
	})
	if broken && err == nil {
		err = c.badHeader(g.first, "a header that continues the segment before")
	}
	return err
}

// batches reads what is whole and chained in one segment; why says what comes then.
func (c *check) batches(f File, g *segmentFile) (why string, err error) {
	br := newBatchReader(f, g.first, g.first, g.limit())
	from := c.done
	for {
		h, batch, why, err := br.next()
		if why == "" && err == nil {
			why = c.out.check(&h, g.first)
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if why != "" || err != nil {
			c.done = from + max(g.size-segmentHeaderBytes, 0)
			return why, err
		}
		if err := c.batch(&h, batch); err != nil {
			return "", c.damage(g.first, h.base, "operations that this program knows, but found "+err.Error())
		}
		c.out.take(&h)
		c.Segments[len(c.Segments)-1].Batches++
		c.done = from + int64(h.end()-g.first)
		if c.done-c.told >= checkStep {
			c.told = c.done
			c.progress(c.done, c.total)
		}
	}
}

func (c *check) batch(h *batchHeader, batch []byte) error {
	c.Batches++
	c.Units += uint64(h.units)
	bad := Pos(0)
	err := eachOp(batch[batchHeaderBytes:], h.base+batchHeaderBytes, func(op *Op) {
		c.Operations[op.Code]++
		if (op.Code == CodeMessage || op.Code == CodeRelocateMessage) && op.Sum != contentSum(op) {
			bad = op.Pos
		}
	})
	if err == nil && bad != 0 {
		err = &formatError{"a message whose checksum does not hold", bad}
	}
	return err
}

// judge says whether what stands behind the last whole batch is damage; if not, it is counted as torn.
func (c *check) judge(f File, g *segmentFile, why string) error {
	known, err := c.known(f, g)
	if err != nil {
		return fmt.Errorf("reading %s: %w", c.name(g.first), err)
	}
	if known > c.out.pos || why == whyVersion {
		return c.damage(g.first, c.out.pos, fmt.Sprintf("%s, as the log was committed up to position %d", why, known))
	}
	if g.torn == "" {
		n, err := lastByte(f, segmentHeaderBytes+int64(c.out.pos-g.first), g.size)
		c.TornBytes += n
		return err
	}
	return nil
}

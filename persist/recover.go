package persist

import (
	"errors"
	"fmt"
	"io"
	"path"
)

// recovered is what a log turned out to be.
type recovered struct {
	chain
	segments []segmentFile
	stale    []string // files below log_start, unlinked once the rest is known to be good
	commit   Pos      // known to be committed, at most end
	cut      int64    // bytes that were thrown away behind the end
	offIndex bool     // the index's position is no batch's end: it does not belong to this log
}

// segmentFile is a segment as it was found. torn says why its header is none that was written whole.
type segmentFile struct {
	first Pos
	size  int64 // of the file
	head  segmentHeader
	torn  string
}

func (g *segmentFile) limit() Pos { return g.first + Pos(max(g.size-segmentHeaderBytes, 0)) }

// recovery reads a log after a stop of any kind (ha.md 4.2). It reads batches from the segment on that holds the index's
// position; of those before, headers and sizes.
type recovery struct {
	fs      FS
	dir     string
	meta    Meta
	unclean bool // commit positions may have covered bytes that the power loss took: only the hint proves anything
	index   Pos
	out     recovered

	readOnly bool // for Check
}

// recoverLog finds the log's end and cuts off what a crash left half written behind it: nothing that may have been
// committed. A *DamageError is an end that cannot be right.
func recoverLog(fsys FS, dir string, m Meta, unclean bool, index Pos) (recovered, error) {
	r := recovery{fs: fsys, dir: dir, meta: m, unclean: unclean, index: index}
	if err := r.list(); err != nil {
		return r.out, err
	}
	if err := r.headers(); err != nil {
		return r.out, err
	}
	if err := r.scan(); err != nil {
		return r.out, err
	}
	r.out.commit = min(max(m.CommitHint, r.out.chain.commit), r.out.pos)
	return r.out, r.tidy()
}

func (r *recovery) name(first Pos) string { return path.Join(r.dir, segmentName(first)) }

func (r *recovery) list() error {
	names, err := r.fs.List(r.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		first, ok := parseSegmentName(name)
		switch {
		case isNextName(name) || ok && first < r.meta.LogStart:
			r.out.stale = append(r.out.stale, path.Join(r.dir, name))
		case ok:
			r.out.segments = append(r.out.segments, segmentFile{first: first})
		}
	}
	if len(r.out.segments) == 0 && (r.meta.LogStart != 0 || r.meta.CommitHint != 0) ||
		len(r.out.segments) > 0 && r.out.segments[0].first != r.meta.LogStart {
		return r.damage(r.meta.LogStart, r.meta.LogStart, "the segment that the log starts with")
	}
	return nil
}

// tidy removes what lies below log_start: a trim that a crash cut short.
func (r *recovery) tidy() error {
	for _, name := range r.out.stale {
		if err := r.fs.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// headers reads each segment's. The last one's may be torn; one that is whole and not ours is never cut.
func (r *recovery) headers() error {
	for i := range r.out.segments {
		g := &r.out.segments[i]
		var why string
		err := r.with(g.first, func(f File) (err error) {
			why, err = r.header(f, g)
			return err
		})
		if err != nil {
			return fmt.Errorf("reading %s: %w", r.name(g.first), err)
		}
		if g.torn != "" && i < len(r.out.segments)-1 {
			why = g.torn
		}
		if why != "" {
			return r.badHeader(g.first, why)
		}
	}
	return nil
}

func (r *recovery) badHeader(first Pos, why string) error {
	return &DamageError{File: r.name(first), Pos: first, Expected: why, Advice: damageAdvice}
}

func (r *recovery) header(f File, g *segmentFile) (why string, err error) {
	if g.size, err = f.Size(); err != nil {
		return "", err
	}
	b := make([]byte, segmentHeaderBytes)
	n, err := f.ReadAt(b, 0)
	if err = ignoreEOF(err); err != nil {
		return "", err
	}
	if g.torn = wholeSegmentHeader(b[:n]); g.torn != "" {
		return "", nil
	}
	switch g.head, why = decodeSegmentHeader(b); {
	case why != "":
	case g.head.first != g.first:
		why = "a header that says the position that the file is named after"
	case !g.head.cluster.IsZero() && !r.meta.ClusterID.IsZero() && g.head.cluster != r.meta.ClusterID:
		why = "a segment of cluster " + r.meta.ClusterID.String()
	}
	return why, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// with opens a segment's file for the time of f.
func (r *recovery) with(first Pos, f func(File) error) error {
	open := r.fs.OpenReadWrite
	if r.readOnly {
		open = r.fs.Open
	}
	file, err := open(r.name(first))
	if err != nil {
		return err
	}
	return errors.Join(f(file), file.Close())
}

func (r *recovery) damage(first, p Pos, expected string) error {
	return damageAt(r.name(first), first, p, expected)
}

// scan walks the batches of all segments from the one on that the index's position lies in.
func (r *recovery) scan() error {
	segs := r.out.segments
	if len(segs) == 0 {
		return nil
	}
	start := 0
	for start < len(segs)-1 && segs[start+1].torn == "" && segs[start+1].first <= r.index {
		if g := &segs[start]; g.limit() < segs[start+1].first {
			return r.damage(g.first, g.limit(), "a file as long as its positions, or the file "+segmentName(g.limit()))
		}
		start++
	}
	if segs[start].torn == "" {
		r.out.chain = segs[start].head.begin()
	}
	r.out.offIndex = r.index != 0 && r.index != segs[start].first
	for i := start; i < len(segs); i++ {
		if err := r.segment(i); err != nil {
			return err
		}
	}
	return nil
}

func (r *recovery) segment(i int) error {
	g := &r.out.segments[i]
	if g.torn != "" {
		return r.tornSegment(i)
	}
	if begin := g.head.begin(); begin.pos != r.out.pos || begin.crc != r.out.crc || begin.epoch != r.out.epoch {
		return r.badHeader(g.first, "a header that continues the segment before")
	}
	return r.with(g.first, func(f File) error {
		last := i == len(r.out.segments)-1
		limit := g.limit()
		if !last {
			limit = min(limit, r.out.segments[i+1].first)
		}
		why, err := r.batches(newBatchReader(f, g.first, g.first, limit))
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("reading %s: %w", r.name(g.first), err)
		case last:
			return r.tail(f, g, why)
		case r.out.pos != r.out.segments[i+1].first:
			return r.damage(g.first, r.out.pos, why+", or the file "+segmentName(r.out.pos))
		}
		return nil
	})
}

// tornSegment judges a last segment without a header. One that never had anything synced in it is removed.
func (r *recovery) tornSegment(i int) error {
	g := &r.out.segments[i]
	if g.first != r.out.pos { // no rotation has made it, as that syncs what lies before
		return r.badHeader(g.first, g.torn)
	}
	err := r.with(g.first, func(f File) error {
		known, err := r.known(f, g)
		if err == nil && (known > g.first || i == 0 && g.first != 0) {
			err = r.badHeader(g.first, g.torn)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.out.cut += g.size
	r.out.segments = r.out.segments[:i]
	if err := r.fs.Remove(r.name(g.first)); err != nil {
		return err
	}
	return r.fs.SyncDir(r.dir)
}

// batches takes what is whole and chained; why says what comes then.
func (r *recovery) batches(br *batchReader) (why string, err error) {
	for {
		h, _, why, err := br.next()
		if why == "" && err == nil {
			why = r.out.check(&h, br.first)
		}
		if why != "" || err != nil {
			return why, err
		}
		r.out.take(&h)
		if r.out.pos == r.index {
			r.out.offIndex = false
		}
	}
}

// tail judges what stands behind the log's last whole batch: damage if something committed must have stood there, or
// else the remains of what a crash cut off, which are overwritten with zeros before anything is appended.
func (r *recovery) tail(f File, g *segmentFile, why string) error {
	p := r.out.pos
	known, err := r.known(f, g)
	if err != nil {
		return fmt.Errorf("reading %s: %w", r.name(g.first), err)
	}
	if known > p {
		return r.damage(g.first, p, fmt.Sprintf("%s, as the log was committed up to position %d", why, known))
	}
	if why == whyVersion {
		return r.damage(g.first, p, why)
	}
	cut, err := zeroFrom(f, segmentHeaderBytes+int64(p-g.first), g.size)
	if err != nil {
		return fmt.Errorf("clearing %s: %w", r.name(g.first), err)
	}
	r.out.cut += cut
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", r.name(g.first), err)
	}
	return r.fs.SyncDir(r.dir)
}

// known is the highest position that the log is known to have been committed to. g is its last segment.
func (r *recovery) known(f File, g *segmentFile) (Pos, error) {
	if r.unclean {
		return r.meta.CommitHint, nil
	}
	later, err := r.laterCommit(f, g)
	return max(r.meta.CommitHint, later), err
}

// laterCommit is the highest commit position in whole batches behind the bad one where the log ends. Only those count
// that hang on its header by the checksum chain: a body may hold bytes that look like a batch.
func (r *recovery) laterCommit(f File, g *segmentFile) (commit Pos, err error) {
	br := newBatchReader(f, g.first, r.out.pos, g.limit())
	bad, err := headerAt(br, r.out.pos)
	for bad.length != 0 && err == nil && bad.end() < br.limit {
		var h batchHeader
		br.pos = bad.end()
		if h, err = headerAt(br, br.pos); err != nil || h.length == 0 || h.prevCRC != bad.crc {
			break
		}
		var why string
		if _, _, why, err = br.next(); why == "" && err == nil {
			commit = max(commit, h.commit)
		}
		bad = h
	}
	return commit, ignoreEOF(err)
}

// headerAt reads a header without its batch; its length is 0 if none stands there.
func headerAt(br *batchReader, p Pos) (batchHeader, error) {
	b, err := br.peek(p, batchHeaderBytes)
	if err != nil || len(b) < batchHeaderBytes {
		return batchHeader{}, err
	}
	if h, why := parseBatchHeader(b, p); why == "" {
		return h, nil
	}
	return batchHeader{}, nil
}

// zeroFrom clears a file from an offset on and says how far from there the last byte lay that was not zero.
func zeroFrom(f File, off, size int64) (cut int64, err error) {
	return nonZero(f, off, size, func(b []byte, at int64) error {
		clear(b)
		_, err := f.WriteAt(b, at)
		return err
	})
}

// lastByte says the same and changes nothing.
func lastByte(f File, off, size int64) (n int64, err error) {
	return nonZero(f, off, size, func([]byte, int64) error { return nil })
}

func nonZero(f File, off, size int64, found func(b []byte, at int64) error) (last int64, err error) {
	b := make([]byte, readerWindow)
	for at := off; at < size; at += int64(len(b)) {
		b = b[:min(int64(cap(b)), size-at)]
		n, err := f.ReadAt(b, at)
		if err = ignoreEOF(err); err != nil {
			return last, err
		}
		if allZero(b[:n]) {
			continue
		}
		last = at + int64(n) - off
		for b[last-1+off-at] == 0 {
			last--
		}
		if err := found(b[:n], at); err != nil {
			return last, err
		}
	}
	return last, nil
}

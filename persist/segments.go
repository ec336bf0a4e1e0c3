package persist

import (
	"path"
	"sort"
	"sync"
)

// maxOpenSegments bounds how many segment files are kept open for reading.
const maxOpenSegments = 64

// segment is one file of the log. Its set's lock guards what changes.
type segment struct {
	first Pos
	end   Pos    // of its positions; maxPos while it is the last
	bytes int64  // of the file
	file  File   // nil while closed
	old   []File // handles that file replaced; closed with it
	pins  int    // users of file
	used  uint64
	held  bool // pinned by the committer, which writes it
	gone  bool // unlinked: close it with the last pin
}

// segmentSet knows the log's files, oldest first, without holes. Any goroutine may call; the lock is never held over I/O
// but for closing a file that was only read.
type segmentSet struct {
	fs  FS
	dir string

	mu   sync.Mutex
	list []*segment
	open int
	tick uint64
}

func (s *segmentSet) name(first Pos) string { return path.Join(s.dir, segmentName(first)) }

// find returns the segment that p lies in, nil if none. The lock is held.
func (s *segmentSet) find(p Pos) *segment {
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].first > p }) - 1
	if i < 0 || p >= s.list[i].end {
		return nil
	}
	return s.list[i]
}

// pin finds the segment of p and opens its file; unpin gives it back. ErrNotFound if the log does not hold p.
func (s *segmentSet) pin(p Pos) (*segment, File, error) {
	s.mu.Lock()
	g := s.find(p)
	if g == nil {
		s.mu.Unlock()
		return nil, nil, ErrNotFound
	}
	g.pins++
	s.tick++
	g.used = s.tick
	f := g.file
	s.mu.Unlock()
	if f != nil {
		return g, f, nil
	}
	f, err := s.fs.Open(s.name(g.first))
	if err != nil {
		s.unpin(g)
		return nil, nil, err
	}
	return g, s.install(g, f), nil
}

// install keeps f as the segment's file, unless another reader was faster.
func (s *segmentSet) install(g *segment, f File) File {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.file != nil {
		f.Close() // opened to read and not read from: nothing can be lost
		return g.file
	}
	g.file = f
	s.opened()
	return f
}

// opened counts a file and closes another, if there are too many now.
func (s *segmentSet) opened() {
	s.open++
	for s.open > maxOpenSegments && s.evict() {
	}
}

// evict closes the file that was used least recently, if any is not in use.
func (s *segmentSet) evict() bool {
	var old *segment
	for _, g := range s.list {
		if g.file != nil && g.pins == 0 && (old == nil || g.used < old.used) {
			old = g
		}
	}
	if old != nil {
		s.shut(old)
	}
	return old != nil
}

// shut closes a file that nobody uses. Nothing unsynced can hang on it, so its error means nothing.
func (s *segmentSet) shut(g *segment) {
	for _, f := range g.old {
		f.Close()
	}
	g.old = nil
	if g.file != nil {
		g.file.Close()
		g.file = nil
		s.open--
	}
}

func (s *segmentSet) unpin(g *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.pins--
	if g.pins == 0 && g.gone {
		s.shut(g)
	}
}

// add puts a new last segment behind the others; the one before ends where it begins. f, if it is open, stays pinned
// until the next add.
func (s *segmentSet) add(first Pos, bytes int64, f File) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.list); n > 0 {
		last := s.list[n-1]
		last.end = first
		if last.held {
			last.held = false
			last.pins--
		}
	}
	g := &segment{first: first, end: maxPos, bytes: bytes, file: f}
	s.list = append(s.list, g)
	if f != nil {
		g.held, g.pins = true, 1
		s.opened()
	}
	return g
}

// takeBelow removes from the set, and returns, the segments that end at or below p. The last one stays.
func (s *segmentSet) takeBelow(p Pos) []*segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.list)-1 && s.list[n].end <= p {
		n++
	}
	out := append([]*segment(nil), s.list[:n]...)
	s.list = append(s.list[:0], s.list[n:]...)
	for _, g := range out {
		g.gone = true
		if g.pins == 0 {
			s.shut(g)
		}
	}
	return out
}

// takeFrom removes from the set, and returns, the segments that begin at or behind p. The first one stays, unless p is 0.
func (s *segmentSet) takeFrom(p Pos) []*segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.list)
	for n > 0 && s.list[n-1].first >= p && (n > 1 || p == 0) {
		n--
	}
	out := append([]*segment(nil), s.list[n:]...)
	s.list = s.list[:n]
	for _, g := range out {
		g.gone = true
		if g.held {
			g.held = false
			g.pins--
		}
		if g.pins == 0 {
			s.shut(g)
		}
	}
	return out
}

// last is the segment that is being written, nil in an empty log.
func (s *segmentSet) last() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return nil
	}
	return s.list[len(s.list)-1]
}

// reopen makes g, the last segment, the one that f writes.
func (s *segmentSet) reopen(g *segment, f File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.end = maxPos
	if g.file != nil {
		g.old = append(g.old, g.file)
	} else {
		s.opened()
	}
	g.file = f
	if !g.held {
		g.held = true
		g.pins++
	}
}

// around returns the bounds of the segment that p lies in.
func (s *segmentSet) around(p Pos) (first, end Pos, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.find(p); g != nil {
		return g.first, g.end, true
	}
	return 0, 0, false
}

func (s *segmentSet) setBytes(g *segment, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.bytes = n
}

// countFrom is how many segments have something behind p.
func (s *segmentSet) countFrom(p Pos) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p == 0 {
		return len(s.list)
	}
	for i := range s.list {
		if i+1 == len(s.list) || s.list[i+1].first > p {
			n++
		}
	}
	return n
}

func (s *segmentSet) diskBytes() (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.list {
		n += uint64(g.bytes)
	}
	return n
}

func (s *segmentSet) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.list {
		s.shut(g)
	}
}

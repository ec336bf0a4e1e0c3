package persist

import (
	"errors"
	"fmt"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The next segment is made ready under a name of nextPattern while the one before is being filled. Each has a name of its
// own: the committer may not have renamed the one before yet.
const (
	nextPattern = "next.%d.tmp"
	reserveName = "reserve"

	retryRoom = time.Second // how often a full disk is tried again
)

// preparer makes segments' files in the background, so that a rotation waits for none, and gives back the room behind a
// segment's end. One goroutine runs it and owns all but noRoom and what release touches.
type preparer struct {
	fs       FS
	dir      string
	size     int64 // of a segment's file, header included
	reserve  int64
	requests chan prepareRequest
	done     chan struct{}
	noRoom   atomic.Bool // the disk was full when it was last asked
	failed   func(error)

	ready prepared // made ahead; no file if there is none
	made  int      // how many files were

	keeping  sync.Mutex // guards reserved and its file's name
	reserved bool
}

// prepareRequest asks for one of four things: with fence, that it be closed when all before it is done; with reply, a file of at least need bytes; with shrink, that the segment
// gives back what lies behind shrinkTo; with neither, that a file is made ready for later.
type prepareRequest struct {
	need     int64
	reply    chan<- prepared
	shrink   *segment
	shrinkTo int64
	fence    chan<- struct{}
}

type prepared struct {
	file File
	name string
	size int64
	err  error
}

func isNextName(name string) bool {
	n := 0
	_, err := fmt.Sscanf(name, nextPattern, &n)
	return err == nil && name == fmt.Sprintf(nextPattern, n)
}

func (p *preparer) path(name string) string { return path.Join(p.dir, name) }

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// run serves requests until their channel is closed.
func (p *preparer) run(segs *segmentSet) {
	defer close(p.done)
	retry := time.NewTicker(retryRoom)
	defer retry.Stop()
	p.refillReserve()
	for {
		select {
		case r, open := <-p.requests:
			if !open {
				p.stop()
				return
			}
			p.serve(r, segs)
		case <-retry.C:
			if p.noRoom.Load() {
				p.ahead()
			}
		}
	}
}

func (p *preparer) stop() {
	if p.ready.file != nil {
		p.discard()
	}
}

// discard drops the file made ready. It holds nothing, so that an error costs room at most until the next start.
func (p *preparer) discard() {
	p.ready.file.Close()
	p.fs.Remove(p.ready.name)
	p.ready = prepared{}
}

func (p *preparer) serve(r prepareRequest, segs *segmentSet) {
	switch {
	case r.fence != nil:
		close(r.fence)
	case r.reply != nil:
		r.reply <- p.take(r.need)
	case r.shrink != nil:
		p.shrink(r.shrink, r.shrinkTo, segs)
	default:
		p.ahead()
	}
}

// shrink is not synced: a crash that forgets it leaves zeros behind the segment's end, which nothing reads.
func (p *preparer) shrink(g *segment, size int64, segs *segmentSet) {
	f, err := p.fs.OpenReadWrite(segs.name(g.first))
	if err != nil {
		return // trimmed away meanwhile
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err == nil {
		segs.setBytes(g, size)
	}
}

// ahead makes a file ready, if none is. On a disk that was full the reserve comes first: new messages would fill the file.
func (p *preparer) ahead() {
	if p.noRoom.Load() && !p.refillReserve() {
		return
	}
	if p.ready.file == nil {
		made := p.create(p.size)
		p.noRoom.Store(isFull(made.err))
		if made.err != nil {
			if !isFull(made.err) {
				p.failed(made.err)
			}
			return
		}
		p.ready = made
	}
	p.noRoom.Store(false)
	p.refillReserve()
}

// take hands over a file of at least need bytes. On a full disk the reserve makes room for a small one.
func (p *preparer) take(need int64) prepared {
	if p.ready.file != nil && p.ready.size >= need {
		out := p.ready
		p.ready = prepared{}
		return out
	}
	if p.ready.file != nil {
		p.discard()
	}
	out := p.create(max(p.size, need))
	if isFull(out.err) {
		p.noRoom.Store(true)
		p.release()
		out = p.create(max(need, min(p.size, p.reserve/2)))
	}
	return out
}

func (p *preparer) create(size int64) prepared {
	p.made++
	name := p.path(fmt.Sprintf(nextPattern, p.made))
	f, err := p.fs.Create(name)
	if err != nil {
		return prepared{err: fmt.Errorf("creating %s: %w", name, err)}
	}
	if err = f.Preallocate(size); err == nil {
		err = f.Sync()
	}
	if err != nil {
		err = fmt.Errorf("preallocating %s: %w", name, err)
		return prepared{err: errors.Join(err, f.Close(), p.fs.Remove(name))}
	}
	return prepared{file: f, name: name, size: size}
}

// release gives the reserve's room to whoever drains the store. Any goroutine may call. The file may be of the run before.
func (p *preparer) release() {
	p.keeping.Lock()
	defer p.keeping.Unlock()
	p.reserved = false
	p.fs.Remove(p.path(reserveName)) // if that fails, it was not there, or its room is still taken and the next write says so
}

// refillReserve keeps room aside for acks and trims on a full disk, and says whether there is some. Without it the store
// works, as long as there is room.
func (p *preparer) refillReserve() bool {
	if p.reserve == 0 {
		return true
	}
	p.keeping.Lock()
	defer p.keeping.Unlock()
	if p.reserved {
		return true
	}
	f, err := p.fs.OpenReadWrite(p.path(reserveName)) // of the run before
	if err != nil {
		f, err = p.fs.Create(p.path(reserveName))
	}
	if err != nil {
		p.noRoom.Store(p.noRoom.Load() || isFull(err))
		return false
	}
	p.reserved = errors.Join(f.Preallocate(p.reserve), f.Sync(), f.Close()) == nil
	if !p.reserved {
		p.fs.Remove(p.path(reserveName)) // as in release
		p.noRoom.Store(true)
	}
	return p.reserved
}

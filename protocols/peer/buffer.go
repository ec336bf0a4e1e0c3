package peer

import "sync"

// Sizes of buffers. A read takes at most readBytes; half a frame that waits for its rest stays in smallBytes if it fits.
const (
	smallBytes    = 2 << 10
	readBytes     = 64 << 10
	maxKeptBytes  = 512 << 10 // a larger output buffer is left to the garbage collector
	firstOutBytes = 4 << 10
)

// buffer is a slice that pools can hold without allocating.
type buffer struct{ b []byte }

var (
	smallPool = sync.Pool{New: func() any { return &buffer{make([]byte, smallBytes)} }}
	readPool  = sync.Pool{New: func() any { return &buffer{make([]byte, readBytes)} }}
	outPool   = sync.Pool{New: func() any { return &buffer{make([]byte, 0, firstOutBytes)} }}
)

// input holds what was read and not yet decoded: buf.b[from:to]. The reader's goroutine owns it.
type input struct {
	buf      *buffer // nil: it holds nothing
	from, to int
	need     int // bytes of the frame that has begun; 0 not known

	allowance *Allowance
	charged   int // of allowance: a buffer's size above readBytes
}

func (in *input) bytes() []byte {
	if in.buf == nil {
		return nil
	}
	return in.buf.b[in.from:in.to]
}

func (in *input) take(n int) { in.from += n }

func (in *input) release() {
	if in.buf != nil {
		giveBack(in.buf)
	}
	in.buf, in.from, in.to = nil, 0, 0
	in.charge(0)
}

// charge has a buffer of so many bytes counted; false: there is no allowance for it.
func (in *input) charge(size int) bool {
	if size <= readBytes {
		size = 0
	}
	return in.allowance.resize(&in.charged, size)
}

// giveBack returns an input buffer to the pool of its size; others are left to the garbage collector.
func giveBack(b *buffer) {
	switch len(b.b) {
	case smallBytes:
		smallPool.Put(b)
	case readBytes:
		readPool.Put(b)
	}
}

// move puts what is held into another buffer.
func (in *input) move(to *buffer) {
	n := copy(to.b, in.bytes())
	if in.buf != nil {
		giveBack(in.buf)
	}
	in.buf, in.from, in.to = to, 0, n
	in.charge(len(to.b)) // a larger one was allowed before it was made
}

// prepare makes room for a read: in a pooled buffer while that is enough, else in one of at most twice what is held, and
// of no more than most bytes. It fails when there is no allowance for it.
func (in *input) prepare(most int) error {
	held := in.to - in.from
	switch {
	case in.buf == nil, len(in.buf.b) < readBytes, len(in.buf.b) > readBytes && held < readBytes && in.need <= readBytes:
		in.move(readPool.Get().(*buffer))
	case held == len(in.buf.b):
		if in.need > held {
			most = min(most, in.need)
		}
		size := max(min(2*held, most), held+1)
		if !in.charge(size) {
			return errNoAllowance
		}
		in.move(&buffer{make([]byte, size)})
	case held == 0 || len(in.buf.b)-in.to < readBytes/4:
		in.from, in.to = 0, copy(in.buf.b, in.bytes())
	}
	return nil
}

// prepareToBlock makes room for a read that holds its buffer while it waits: a small one, unless the last read filled it.
func (in *input) prepareToBlock(most int) error {
	switch held := in.to - in.from; {
	case in.buf == nil || held == 0 && in.to < len(in.buf.b):
		in.release()
		in.buf = smallPool.Get().(*buffer)
	case in.to == len(in.buf.b):
		return in.prepare(most)
	}
	return nil
}

// park gives the large buffer back before a wait, if what is held fits a small one.
func (in *input) park() {
	switch held := in.to - in.from; {
	case held == 0:
		in.release()
	case held <= smallBytes && len(in.buf.b) > smallBytes:
		in.move(smallPool.Get().(*buffer))
	}
}

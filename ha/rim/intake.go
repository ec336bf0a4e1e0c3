package rim

import (
	"sync"
	"sync/atomic"
)

// keepBuffers is how many buffers wait to be used again, keepBufferBytes the largest of them, roomyBytes what one has at least
// that may be among them.
const (
	keepBuffers     = 4
	keepBufferBytes = 2 << 20
	roomyBytes      = 64 << 10
)

// intake is the memory for what a master sends until the disk has written it: bounded, and used again.
type intake struct {
	mu     sync.Mutex
	room   sync.Cond
	free   []*buffer
	held   int64 // bytes of buffers in use
	most   int64
	closed bool
}

// buffer holds one APPEND's body. refs counts its users: the reader, and each Write action.
type buffer struct {
	bytes []byte
	held  int64 // as counted in intake
	refs  atomic.Int32
}

func newIntake(most int64) *intake {
	in := &intake{most: most}
	in.room.L = &in.mu
	return in
}

// take gives the caller a buffer of at least n bytes. It waits while too much is in use; nil: the intake is closed. One buffer
// is always given, however large.
func (in *intake) take(n int) *buffer {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.held > 0 && in.held+int64(n) > in.most && !in.closed {
		in.room.Wait()
	}
	if in.closed {
		return nil
	}
	b := &buffer{}
	if k := len(in.free); k > 0 {
		b = in.free[k-1]
		in.free = in.free[:k-1]
	}
	if cap(b.bytes) < n {
		size := n
		if in.held < keepBuffers*roomyBytes { // the disk keeps up; what only waits for it has no more than it needs
			size = max(n, roomyBytes)
		}
		b.bytes = make([]byte, size)
	}
	b.refs.Store(1)
	b.held = int64(cap(b.bytes))
	in.held += b.held
	return b
}

// release gives up one use.
func (in *intake) release(b *buffer) {
	if b == nil || b.refs.Add(-1) > 0 {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.held -= b.held
	if cap(b.bytes) <= keepBufferBytes && len(in.free) < keepBuffers {
		in.free = append(in.free, b)
	}
	in.room.Broadcast()
}

// close lets nobody wait any more.
func (in *intake) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.room.Broadcast()
}

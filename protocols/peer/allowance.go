package peer

import (
	"sync"
	"sync/atomic"
)

// Allowance bounds the bytes of large messages under way that the connections of all listeners hold together. There are
// two: of what came of a frame larger than a read and what machines gather of a message in several frames, where who wants
// more than is left is refused in its protocol's words; and of what waits for a slow reader, where the next message waits.
// Small frames need none. Any goroutine may call; nil has no bound.
type Allowance struct {
	most int64
	held atomic.Int64

	mu      sync.Mutex // guards waiting
	waiting []func()
	waits   atomic.Bool // waiting has some
}

// NewAllowance makes one of so many bytes.
func NewAllowance(mostBytes int64) *Allowance { return &Allowance{most: mostBytes} }

// HeldBytes is what is held now.
func (a *Allowance) HeldBytes() int64 {
	if a == nil {
		return 0
	}
	return a.held.Load()
}

// take says whether there were n bytes left; the caller has them then.
func (a *Allowance) take(n int) bool {
	if a == nil || a.held.Add(int64(n)) <= a.most {
		return true
	}
	a.held.Add(-int64(n))
	return false
}

func (a *Allowance) giveBack(n int) {
	if a == nil {
		return
	}
	a.held.Add(-int64(n))
	if !a.waits.Load() {
		return
	}
	a.mu.Lock()
	wake := a.waiting
	a.waiting = nil
	a.waits.Store(false)
	a.mu.Unlock()
	for _, f := range wake {
		f()
	}
}

// await has f called once some is given back. The caller then tries once more: it may have been meanwhile.
func (a *Allowance) await(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(a.waiting, f)
	a.waits.Store(true)
}

// exact is resize to what is there anyhow.
func (a *Allowance) exact(held *int, is int) {
	if a == nil {
		return
	}
	if is > *held {
		a.held.Add(int64(is - *held))
		*held = is
		return
	}
	a.resize(held, is)
}

// resize brings what the caller has from held to want bytes; false: there are not so many, and it has what it had.
func (a *Allowance) resize(held *int, want int) bool {
	switch more := want - *held; {
	case more > 0 && !a.take(more):
		return false
	case more < 0:
		a.giveBack(-more)
	}
	*held = want
	return true
}

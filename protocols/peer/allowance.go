package peer

import "sync/atomic"

// Allowance bounds the bytes of messages under way that the connections of all listeners hold together: what came of a
// frame larger than a read, and what machines gather of a message in several frames. Who wants more than is left is
// refused in its protocol's words, and what it held is free again. Small frames need none. Any goroutine may call; nil
// has no bound.
type Allowance struct {
	most int64
	held atomic.Int64
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
	if a != nil {
		a.held.Add(-int64(n))
	}
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

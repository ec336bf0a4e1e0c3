package persist

import "sync"

// Waiter is told that the store's positions moved. Advanced must be quick: it runs between two commits.
type Waiter interface{ Advanced() }

// waitList holds who waits for a position. Any goroutine may add; the applier's alone wakes.
type waitList struct {
	mu   sync.Mutex
	list []waiting
	due  []Waiter // the applier's own
}

type waiting struct {
	pos Pos
	w   Waiter
}

func (l *waitList) add(pos Pos, w Waiter) {
	l.mu.Lock()
	l.list = append(l.list, waiting{pos, w})
	l.mu.Unlock()
}

// wake calls, and forgets, those whose position is reached, in the order in which they came. The lock is not held then:
// they may add themselves again.
func (l *waitList) wake(reached Pos) {
	l.mu.Lock()
	kept := l.list[:0]
	for _, x := range l.list {
		if x.pos <= reached {
			l.due = append(l.due, x.w)
		} else {
			kept = append(kept, x)
		}
	}
	clear(l.list[len(kept):])
	l.list = kept
	l.mu.Unlock()
	for i, w := range l.due {
		l.due[i] = nil
		w.Advanced()
	}
	l.due = l.due[:0]
}

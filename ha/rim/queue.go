package rim

import "sync"

// queue hands work from whoever steps the machine to one goroutine, in order. Putting never blocks: what may be in it is
// bounded by its users.
type queue[T any] struct {
	mu     sync.Mutex
	items  []T
	closed bool
	wake   chan struct{}
}

func newQueue[T any]() *queue[T] { return &queue[T]{wake: make(chan struct{}, 1)} }

// put appends an item. false: the queue is closed.
func (q *queue[T]) put(item T) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.items = append(q.items, item)
	first := len(q.items) == 1
	q.mu.Unlock()
	if first {
		q.signal()
	}
	return true
}

func (q *queue[T]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// takeAll waits for items and gives all there are, in into's memory. None: the queue is closed.
func (q *queue[T]) takeAll(into []T) []T {
	for {
		q.mu.Lock()
		got := q.items
		q.items = into[:0]
		closed := q.closed
		q.mu.Unlock()
		if len(got) > 0 {
			return got
		}
		into = got
		if closed {
			return nil
		}
		<-q.wake
	}
}

// size is how many items wait.
func (q *queue[T]) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// close has takeAll give what is there and then nothing. drop: not even that.
func (q *queue[T]) close(drop bool) {
	q.mu.Lock()
	q.closed = true
	if drop {
		q.items = nil
	}
	q.mu.Unlock()
	q.signal()
}

package cluster

import (
	"slices"
	"sync"
	"time"
)

// Ledger is what clients know for sure. Its methods may be called by any goroutine.
type Ledger struct {
	mu        sync.Mutex
	confirmed map[string]bool
	received  map[string]int
	times     map[string][]time.Time // of confirmations since Forget, in order, by protocol
	cuts      int                    // connections that ended, since Forget
}

func newLedger() *Ledger {
	return &Ledger{confirmed: map[string]bool{}, received: map[string]int{}, times: map[string][]time.Time{}}
}

// Confirm notes that a sender was told that its message arrived.
func (l *Ledger) Confirm(proto, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirmed[id] = true
	l.times[proto] = append(l.times[proto], time.Now())
}

// Receive notes a delivery.
func (l *Ledger) Receive(id string) {
	l.mu.Lock()
	l.received[id]++
	l.mu.Unlock()
}

// Cut notes that a producer's connection ended, or did not answer.
func (l *Ledger) Cut() {
	l.mu.Lock()
	l.cuts++
	l.mu.Unlock()
}

// Forget forgets when messages were confirmed, so that a long run stays small. What was confirmed stays.
func (l *Ledger) Forget() {
	l.mu.Lock()
	l.times, l.cuts = map[string][]time.Time{}, 0
	l.mu.Unlock()
}

// Cuts is how many producers' connections ended since Forget.
func (l *Ledger) Cuts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cuts
}

// Since is how many messages of a protocol's producer were confirmed after a moment.
func (l *Ledger) Since(proto string, t time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range slices.Backward(l.times[proto]) {
		if !at.After(t) {
			break
		}
		n++
	}
	return n
}

// Gap is the longest time between two confirmations of a protocol's producer, the later of which is after a moment. That is
// the time without service, as a producer sees it.
func (l *Ledger) Gap(proto string, after time.Time) (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := l.times[proto]
	for i := 1; i < len(times); i++ {
		if times[i].After(after) {
			longest = max(longest, times[i].Sub(times[i-1]))
		}
	}
	return longest
}

// Counts are how many messages were confirmed, and how many of those came.
func (l *Ledger) Counts() (confirmed, received int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.confirmed {
		if l.received[id] > 0 {
			received++
		}
	}
	return len(l.confirmed), received
}

// Lost are messages that were confirmed and never came.
func (l *Ledger) Lost() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.confirmed {
		if l.received[id] == 0 {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

package persist

import "time"

// What nobody waits for (Await), such as most acknowledgements, needs no sync of its own: it goes with what somebody waits
// for, or after a pause, or when it has become much.
const (
	lazyPause = 5 * time.Millisecond
	lazyBytes = 256 << 10
)

// urgent says that the committer should take what is appended. mu is held.
func (l *Log) urgent() bool {
	return l.tailEnd > l.taken && (l.wanted > l.taken || l.tailEnd-l.taken >= lazyBytes)
}

// rouse says whether the idle committer is to be woken now; if there is something to write and no hurry, a timer wakes it
// later. mu is held; who is told true sends to wake once it is not.
func (l *Log) rouse() bool {
	if !l.idle || l.tailEnd == l.taken {
		return false
	}
	if l.urgent() {
		l.idle = false
		return true
	}
	if !l.lazyArmed {
		l.lazyArmed = true
		l.lazy.Reset(lazyPause)
	}
	return false
}

// lazyDue is what the timer calls.
func (l *Log) lazyDue() {
	l.mu.Lock()
	l.lazyArmed = false
	l.due = l.tailEnd > l.taken
	wake := l.idle && l.due
	l.idle = l.idle && !wake
	l.mu.Unlock()
	if wake {
		l.wake <- struct{}{}
	}
}

package core

import "github.com/havenmq/havenmq/persist"

// lose ends an entry that is in no list, and has the log forget it too.
func (q *queue) lose(e *entry) {
	e.state = stateGone
	q.b.discharge(e)
	q.depth--
	if !e.logged() {
		return
	}
	q.bytes -= min(q.bytes, uint64(e.sizeBytes))
	q.lost = addRange(q.lost, e.seq)
}

// addRange adds s to list, to its last range if it is next.
func addRange(list []persist.Range, s persist.Seq) []persist.Range {
	if n := len(list); n > 0 && list[n-1].Last+1 == s && list[n-1].Last.Class() == s.Class() {
		list[n-1].Last = s
		return list
	}
	return append(list, persist.Range{First: s, Last: s})
}

// forgetLost writes down what was lost.
func (q *queue) forgetLost() (end persist.Pos) {
	if len(q.lost) == 0 {
		return 0
	}
	w := q.b.borrow()
	defer q.b.giveBack(w)
	w.unit.Settle(q.id, q.lost)
	q.lost = q.lost[:0]
	_, end, err := q.b.append(&w.unit)
	if err == nil {
		q.lastEnd = end
	} // else the store is closed: the next master finds the messages where they were, and drops them again
	return end
}

// drop1 counts a message that was dropped.
func (q *queue) drop1(reason string) {
	if q.dropped == nil {
		q.dropped = map[string]uint64{}
	}
	q.dropped[reason]++
	q.b.counts.lose(EventDropped, q.dest, reason, 1)
}

// Reasons why messages are dropped.
const (
	dropMemory  = "memory limit"
	dropPending = "pending message limit"
	dropStored  = "limit of a stored subscription"
	dropOffline = "QoS 0 to a client that is away"
)

// refuses says whether a message that only memory would hold is dropped as it comes: those go first when memory is short.
func (q *queue) refuses() bool { return q.kind != kindLive && q.b.tight() }

// limit drops what is oldest, where subscriptions hold too much of what their clients do not take.
func (q *queue) limit() {
	switch q.kind {
	case kindLive:
		q.limitPending()
	case kindDurable, kindInbox:
		for q.overLimit() && q.dropOldest() {
		}
	}
}

func (q *queue) limitPending() {
	most := q.policy.PendingLimit
	for (most > 0 && q.ready > most || q.ready > 1 && q.b.tight()) && q.dropOldest() {
	}
}

func (q *queue) overLimit() bool {
	waits := q.depth - min(q.depth, uint64(q.inFlight))
	if q.kind == kindInbox && q.policy.InboxLimit > 0 && waits > uint64(q.policy.InboxLimit) {
		return true
	}
	return waits > uint64(q.policy.DurableLimit) || waits > 0 && q.bytes > uint64(q.policy.DurableLimitBytes)
}

// dropOldest drops what has waited longest among what is least urgent. False: that has to be read back first.
func (q *queue) dropOldest() bool {
	for i := len(q.lanes) - 1; i >= 0; i-- {
		l := &q.lanes[i]
		e := l.ready.head
		for e != nil && e.received { // its client has the packet id: it is owed the rest of QoS 2
			e = e.next
		}
		if e != nil {
			q.unready(e)
			q.drop1(q.dropReason())
			q.lose(e)
			return true
		}
		if l.hole != 0 {
			q.wantPage()
			return false
		}
	}
	return false
}

func (q *queue) dropReason() string {
	switch {
	case q.kind != kindLive:
		return dropStored
	case q.policy.PendingLimit > 0 && q.ready >= q.policy.PendingLimit:
		return dropPending
	}
	return dropMemory
}

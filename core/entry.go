package core

import "github.com/havenmq/havenmq/persist"

// entryState says where an entry is. Its queue's lock guards it and every other field that changes.
type entryState uint8

const (
	statePending entryState = iota // in queue.pending: its unit is not committed
	stateHeld                      // in lane.held: committed, but what comes before it is not in memory
	stateReady                     // in lane.ready
	stateDelayed                   // in queue.delayed
	stateFlight                    // in subscription.flight
	stateLimbo                     // on its way to the dead letters
	stateGone                      // settled, moved, purged, dropped: nobody's
)

// entry is a queue's claim on a message, in memory: the one allocation a message costs in each queue. It is in at most
// one list at a time, through its own links.
type entry struct {
	next, prev *entry
	q          *queue        // never changes
	sub        *subscription // who has it in flight
	msg        *Message      // nil: to be read back before it can be handed over
	grant      *grant        // what its inbox's filters granted, or why it is a dead letter; nil neither
	shunned    *subscription // FailedHere: not to this one again
	seq        persist.Seq
	pos        persist.Pos // its message's name in the log; 0: it lives in memory alone
	end        persist.Pos // pending: committed when the log is committed up to here
	expiresMs  int64
	sizeBytes  uint32
	attempts   uint32
	state      entryState
	returned   bool   // somebody was sent it before, or may have been before a crash
	received   bool   // QoS 2: the peer has it
	inTx       bool   // an open transaction settles it
	cost       uint32 // of memory, as counted; 0 it is not
	share      uint32 // of its message's bytes: they are shared by the queues that took it
}

// Source is the queue that a delivery comes from: a dead letter's or a virtual topic's message has another To. It is zero
// for deliveries of topics. It never changes.
func (e *entry) Source() Destination {
	if e == nil || e.q == nil || e.q.kind != kindQueue && e.q.kind != kindTemp {
		return Destination{}
	}
	return e.q.dest
}

// logged says that the log holds the entry, so that what becomes of it must be logged too.
func (e *entry) logged() bool { return e.pos != 0 }

// lacksBody says that its message must be read back before it can be handed over.
func (e *entry) lacksBody() bool { return e.msg == nil && !e.received }

// list is a doubly linked list through the entries' own links. The zero value is empty.
type list struct {
	head, tail *entry
	n          int
}

func (l *list) pushBack(e *entry) { l.insertAfter(l.tail, e) }

// insertAfter puts e behind at; nil is the front.
func (l *list) insertAfter(at, e *entry) {
	e.prev = at
	if at == nil {
		e.next, l.head = l.head, e
	} else {
		e.next, at.next = at.next, e
	}
	if e.next == nil {
		l.tail = e
	} else {
		e.next.prev = e
	}
	l.n++
}

func (l *list) remove(e *entry) {
	if e.prev == nil {
		l.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.next, e.prev = nil, nil
	l.n--
}

// insert keeps the list in order of seq. What comes last, or returns to the front, costs one step; in between it walks
// from the nearer end.
func (l *list) insert(e *entry) {
	if l.tail == nil || e.seq > l.tail.seq {
		l.insertAfter(l.tail, e)
		return
	}
	if e.seq < l.head.seq {
		l.insertAfter(nil, e)
		return
	}
	if e.seq-l.head.seq < l.tail.seq-e.seq {
		at := l.head
		for at.next.seq < e.seq {
			at = at.next
		}
		l.insertAfter(at, e)
		return
	}
	at := l.tail
	for at.seq > e.seq {
		at = at.prev
	}
	l.insertAfter(at, e)
}

// lane is one priority of a queue. What is in memory and what is only in the store meet at its hole:
//
//	        settled or in flight   ready         the store alone    held, pending
//	counter ·····················|█████████████|····hole·········|▒▒▒▒▒▒▒▒|
//	                                          loaded            hole      tail
//
// All live logged entries up to loaded and above hole are in memory; those in between are not, unless they are delayed.
// hole = 0 is no hole, and loaded means nothing then. Ready entries behind the hole live in memory alone; they wait until
// what is before them was read back.
type lane struct {
	ready  list
	held   list
	tail   uint64 // highest counter given out
	loaded uint64
	hole   uint64
	born   uint64 // highest counter given out before this life: whoever holds those may have been sent it
	purged uint64 // what has a counter up to here was purged: it does not come back
	beyond int    // logged entries above the hole: held or pending
	loose  int    // ready entries that live in memory alone
	class  uint8
}

// stored is how many ready entries the log holds: those that the window is for.
func (l *lane) stored() int { return l.ready.n - l.loose }

// behindHole says that something before e is only in the store.
func (l *lane) behindHole(e *entry) bool { return l.hole != 0 && e.seq.Counter() > l.loaded }

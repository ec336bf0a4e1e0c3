package core

import (
	"sync"

	"github.com/havenmq/havenmq/persist"
)

// queueKind says what a queue stands behind.
type queueKind uint8

const (
	kindQueue   queueKind = iota + 1 // a named queue
	kindTemp                         // a temporary queue: memory alone, one connection's
	kindLive                         // a topic's subscription that lasts as long as its connection: memory alone
	kindDurable                      // a durable subscription
	kindInbox                        // an MQTT inbox; memory alone unless it outlives its connection
)

// queue is an ordered set of entries that competing consumers take from. There may be 100,000 of them, so it is small,
// and what the store holds of it is looked at when it is first used.
//
// mu guards all that is not said to be otherwise. Whoever holds it may call the Log (Store.Append, Store.Await) and a
// client's mailbox, and nothing else that locks; two queues are locked in order of rank.
type queue struct {
	mu     sync.Mutex
	b      *Broker         // never changes
	policy *Policy         // never changes
	id     persist.QueueID // never changes; 0 is not stored
	rank   uint64          // never changes; the order in which queues are locked
	dest   Destination     // never changes; of a subscription the pattern, of an inbox the client id without a kind
	owner  *Client         // never changes; temporary: who may consume

	lanes   []lane // by class
	pending list   // in the order of the log
	delayed delays
	dead    []burial        // for release to hand out
	old     *oldest         // nil while nobody asks
	lost    []persist.Range // of what was dropped or expired: for release to log
	subs    []*subscription
	leaving []*subscription // detached; what they have in flight is settled by open transactions
	hungry  *subscription   // a ring of those with credit; the next one first

	gapEnd   persist.Pos // the last entry that is only in the store is committed up to here
	lastEnd  persist.Pos // the last unit that speaks of this queue ends here
	pageFrom persist.Pos // reading back is of no use before the log is committed up to here
	waitsFor persist.Pos // Await was called for this; 0 it was not

	depth       uint64 // live entries, committed or not
	bytes       uint64 // of them, in the log
	windowBytes int64
	window      int // logged entries in memory that wait: ready, held, pending, delayed
	ready       int // in all lanes
	bare        int // of them, whose bodies must be read back
	volatile    int // of what waits in memory, what the log does not hold
	drainers    int // subscriptions that asked to drain
	inFlight    int

	enqueued, dequeued, expired, buried uint64
	dropped                             map[string]uint64 // by reason; nil while there is none
	nextExpiryMs                        int64             // none of those in memory expires before; 0 none expires
	hiddenExpiryMs                      int64             // nor any of the others, as far as is known

	kind     queueKind // never changes
	loaded   bool      // lanes and depth hold what the store says
	closed   bool
	paused   bool
	paging   bool // it is in the pager's hands
	sweeping bool // a sweep goes through it
	sick     bool // the disk could not be read: not again before the next onTime
}

// load looks at what the store holds, once, and has its first messages read, as they may have expired.
func (q *queue) load() {
	if !q.loaded {
		q.glance()
		q.b.timed.add(q, q.b.nowMs())
	}
}

// glance is load for those who only ask how many there are.
func (q *queue) glance() {
	if q.loaded {
		return
	}
	q.loaded = true
	if q.id == 0 {
		return
	}
	s := q.b.store.Queue(q.id)
	q.depth, q.bytes = s.Depth, s.DepthBytes
	for c := range s.Tails {
		if s.Tails[c] == 0 {
			continue
		}
		l := q.lane(uint8(c))
		l.tail, l.born = s.Tails[c], s.Tails[c]
		if s.Heads[c] != 0 {
			l.loaded, l.hole = s.Heads[c]-1, s.Tails[c]
		}
	}
}

// lane finds or makes the lane of a class. The pointer is good until the next call.
func (q *queue) lane(class uint8) *lane {
	i := 0
	for i < len(q.lanes) && q.lanes[i].class < class {
		i++
	}
	if i == len(q.lanes) || q.lanes[i].class != class {
		q.lanes = append(q.lanes, lane{})
		copy(q.lanes[i+1:], q.lanes[i:])
		q.lanes[i] = lane{class: class}
	}
	return &q.lanes[i]
}

func (q *queue) laneOf(e *entry) *lane { return q.lane(uint8(e.seq.Class())) }

// nextSeq gives out a place. A place that is not used in the end leaves a gap, which harms nobody.
func (q *queue) nextSeq(priority uint8) persist.Seq {
	q.load()
	if q.kind == kindInbox { // one class: packet ids derive from the counter
		priority = DefaultPriority
	}
	s := persist.MakeSeq(priority, 0)
	l := q.lane(uint8(s.Class()))
	l.tail++
	return s | persist.Seq(l.tail)
}

// unlock lets the queue go and then buries what died while it was held. end is where that ends in the log, 0 nowhere.
// No other queue may be locked, nor an inbox, nor the broker.
func (q *queue) unlock() (end persist.Pos, err error) {
	dead, end := q.release()
	if len(dead) == 0 {
		return end, nil
	}
	buried, err := q.b.bury(q, dead)
	return max(end, buried), err
}

// release lets the queue go; its caller buries what it returns once no queue is locked. end is where what was dropped
// ends in the log, 0 nowhere.
func (q *queue) release() (dead []burial, end persist.Pos) {
	end = q.forgetLost()
	dead, q.dead = q.dead, nil
	q.mu.Unlock()
	return dead, end
}

// admit takes in what a unit that ends at end brought; end 0 is no unit.
func (q *queue) admit(p *placement, base, end persist.Pos) {
	q.enqueued++
	if !p.logged && q.refuses() {
		q.drop1(dropMemory)
		return
	}
	q.depth++
	if p.logged {
		q.bytes += uint64(p.sizeBytes)
		q.lastEnd = end
		if !q.keep(q.lane(uint8(p.seq.Class())), p.seq.Counter(), end) {
			q.hide(p.m.ExpiresMs)
			q.limit()
			return
		}
	}
	e := &entry{q: q, msg: p.m, grant: p.grant, seq: p.seq, end: end, sizeBytes: p.sizeBytes, share: p.share, expiresMs: p.m.ExpiresMs}
	if p.logged {
		e.pos = base + persist.Pos(p.ref)
	}
	q.take(e)
	if end != 0 {
		q.pending.pushBack(e)
		return
	}
	q.arrive(e, p.m.NotBeforeMs)
}

// take counts an entry that comes into memory; leave is its inverse.
func (q *queue) take(e *entry) {
	if e.logged() {
		q.window++
		q.windowBytes += int64(e.sizeBytes)
	} else {
		q.volatile++
	}
	q.b.charge(e)
}

func (q *queue) leave(e *entry) {
	if e.logged() {
		q.window--
		q.windowBytes -= int64(e.sizeBytes)
	} else {
		q.volatile--
	}
}

// keep says whether a new logged entry is kept in memory, or is only in the store: opens, widens and steps over l's hole.
func (q *queue) keep(l *lane, counter uint64, end persist.Pos) bool {
	room := q.room()
	switch {
	case l.hole == 0:
		if room {
			return true
		}
		l.loaded = counter - 1
	case l.beyond > 0:
		if room {
			l.beyond++
			return true
		}
		q.forget(l)
	case room && l.hole-l.loaded <= uint64(q.windowLimit()) && l.stored() <= q.windowLimit()/2:
		l.beyond = 1
		return true
	}
	l.hole, q.gapEnd = counter, end
	return false
}

// room says whether one more logged entry may wait in memory.
func (q *queue) room() bool {
	if q.window == 0 && len(q.subs) > 0 {
		return true
	}
	return q.window < q.windowLimit() && q.windowBytes < q.b.limits.WindowBytes && len(q.delayed.heap) < q.b.limits.Delayed
}

// windowLimit shrinks when memory is short: to little for a queue that somebody consumes from, to nothing for others.
func (q *queue) windowLimit() int {
	switch {
	case !q.b.tight():
		return q.b.limits.WindowMessages
	case len(q.subs) > 0:
		return min(tightWindow, q.b.limits.WindowMessages)
	}
	return 0
}

const tightWindow = 64

// forget drops what is in memory beyond l's hole: the log has it.
func (q *queue) forget(l *lane) {
	for e := l.held.head; e != nil; e = l.held.head {
		l.held.remove(e)
		q.hide(e.expiresMs)
		q.drop(e)
	}
	for e := q.pending.head; e != nil; {
		next := e.next
		if e.logged() && uint8(e.seq.Class()) == l.class && e.seq.Counter() > l.hole {
			q.pending.remove(e)
			q.hide(e.expiresMs)
			q.drop(e)
		}
		e = next
	}
	l.beyond = 0
}

// closeHole closes l's hole: what was held back is ready.
func (q *queue) closeHole(l *lane) {
	l.hole, l.loaded, l.beyond = 0, 0, 0
	for e := l.held.head; e != nil; e = l.held.head {
		l.held.remove(e)
		q.makeReady(e)
	}
}

// drop makes an entry that is in no list nobody's, without a word in the log.
func (q *queue) drop(e *entry) {
	q.leave(e)
	e.state = stateGone
	q.b.discharge(e)
}

// arrive takes an entry that is committed, unless its place was purged.
func (q *queue) arrive(e *entry, notBeforeMs int64) {
	l := q.laneOf(e)
	switch {
	case e.seq.Counter() <= l.purged:
		q.drop(e)
	case notBeforeMs > q.b.nowMs():
		if l.beyond > 0 && e.logged() && e.seq.Counter() > l.hole {
			l.beyond--
		}
		q.delay(e, notBeforeMs)
	case e.logged() && l.hole != 0 && e.seq.Counter() > l.hole:
		e.state = stateHeld
		l.held.insert(e)
	default:
		q.makeReady(e)
		q.limit()
	}
}

// wake takes an entry whose time has come. The lane's hole may have opened around it or moved past it meanwhile; what
// stands within is read back in its place.
func (q *queue) wake(e *entry) {
	l := q.laneOf(e)
	q.take(e)
	switch {
	case !e.logged() || !l.behindHole(e):
		q.makeReady(e)
	case e.seq.Counter() > l.hole:
		e.state = stateHeld
		l.held.insert(e)
		l.beyond++
	default:
		q.hide(e.expiresMs)
		q.drop(e)
	}
}

// makeReady puts e in its place. It may have come from anywhere.
func (q *queue) makeReady(e *entry) {
	e.state = stateReady
	l := q.laneOf(e)
	l.ready.insert(e)
	q.ready++
	if !e.logged() {
		l.loose++
	}
	if e.lacksBody() {
		q.bare++
	}
	if e.expiresMs != 0 && (q.nextExpiryMs == 0 || e.expiresMs < q.nextExpiryMs) {
		q.nextExpiryMs = e.expiresMs
		q.concernTime()
	}
}

// Advanced is the store's word that the log is committed further: what was pending is ready. It runs on the store's
// goroutine.
func (q *queue) Advanced() {
	q.mu.Lock()
	q.waitsFor = 0
	q.advance()
	q.unlock()
}

func (q *queue) advance() {
	committed := q.b.store.Committed()
	for e := q.pending.head; e != nil && e.end <= committed; e = q.pending.head {
		q.pending.remove(e)
		notBeforeMs := int64(0)
		if e.msg != nil {
			notBeforeMs = e.msg.NotBeforeMs
		}
		q.arrive(e, notBeforeMs)
	}
	q.dispatch()
	q.await()
}

// await asks the store to say when the first pending entry is committed.
func (q *queue) await() {
	var pos persist.Pos
	if q.pending.head != nil {
		pos = q.pending.head.end
	}
	if q.pageFrom > q.b.store.Committed() && (pos == 0 || q.pageFrom < pos) {
		pos = q.pageFrom
	}
	if pos != 0 && (q.waitsFor == 0 || pos < q.waitsFor) {
		q.waitsFor = pos
		q.b.store.Await(pos, q)
	}
}

// first is the entry to be dispatched next; nil when there is none, or when it must be read back first.
func (q *queue) first() *entry { return q.firstFrom(0) }

// firstFrom is first, of the lanes from the i-th on.
func (q *queue) firstFrom(i int) *entry {
	for ; i < len(q.lanes); i++ {
		l := &q.lanes[i]
		if e := l.ready.head; e != nil && !l.behindHole(e) {
			return e
		}
		if l.hole != 0 {
			q.wantPage()
			return nil
		}
	}
	return nil
}

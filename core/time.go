package core

import (
	"container/heap"
	"sync"

	"github.com/havenmq/havenmq/persist"
)

// timedQueues says which queues time concerns, and when.
type timedQueues struct {
	mu   sync.Mutex
	at   map[*queue]int64
	next int64 // the earliest; 0 none
	list []*queue
}

// add asks for onTime at ms or soon after.
func (t *timedQueues) add(q *queue, ms int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.at[q]; ok && at <= ms {
		return
	}
	if t.at == nil {
		t.at = map[*queue]int64{}
	}
	t.at[q] = ms
	if t.next == 0 || ms < t.next {
		t.next = ms
	}
}

// due takes out the queues whose time has come. The result is good until the next call.
func (t *timedQueues) due(nowMs int64) []*queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.list)
	t.list = t.list[:0]
	if t.next == 0 || t.next > nowMs {
		return nil
	}
	t.next = 0
	for q, ms := range t.at {
		if ms <= nowMs {
			t.list = append(t.list, q)
			delete(t.at, q)
		} else if t.next == 0 || ms < t.next {
			t.next = ms
		}
	}
	return t.list
}

func (t *timedQueues) remove(q *queue) {
	t.mu.Lock()
	delete(t.at, q)
	t.mu.Unlock()
}

// delays holds the entries that wait for their time, the earliest first.
type delays struct {
	heap delayHeap
	at   map[persist.Seq]*entry
}

type delayed struct {
	ms int64
	e  *entry
}

type delayHeap []delayed

func (h delayHeap) Len() int { return len(h) }
func (h delayHeap) Less(i, j int) bool {
	return h[i].ms < h[j].ms || h[i].ms == h[j].ms && h[i].e.seq < h[j].e.seq
}
func (h delayHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *delayHeap) Push(x any)   { *h = append(*h, x.(delayed)) }
func (h *delayHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = delayed{}
	*h = old[:len(old)-1]
	return last
}

// delay puts e aside until notBeforeMs.
func (q *queue) delay(e *entry, notBeforeMs int64) {
	e.state = stateDelayed
	q.leave(e) // it waits for its time, not for a consumer: the window is for others
	if q.delayed.at == nil {
		q.delayed.at = map[persist.Seq]*entry{}
	}
	q.delayed.at[e.seq] = e
	heap.Push(&q.delayed.heap, delayed{notBeforeMs, e})
	q.b.timed.add(q, notBeforeMs)
}

// awake makes ready what has waited long enough.
func (q *queue) awake(nowMs int64) {
	d := &q.delayed
	for len(d.heap) > 0 && (d.heap[0].ms <= nowMs || d.heap[0].e.state != stateDelayed) {
		e := heap.Pop(&d.heap).(delayed).e
		if e.state == stateDelayed {
			delete(d.at, e.seq)
			q.wake(e)
		}
	}
	if len(d.heap) > 0 {
		q.b.timed.add(q, d.heap[0].ms)
	}
}

// concernTime sees to it that what expires next does.
func (q *queue) concernTime() { q.b.timed.add(q, q.nextExpiryMs) }

// onTime does what is due.
func (q *queue) onTime() {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return
	}
	nowMs := q.b.nowMs()
	q.sick = false
	q.awake(nowMs)
	if q.nextExpiryMs != 0 && q.nextExpiryMs <= nowMs {
		q.expireReady(nowMs)
	}
	if q.nextExpiryMs != 0 {
		q.concernTime()
	}
	q.seek(nowMs)
	q.dispatch()
	if q.loaded && (len(q.subs) > 0 || !q.b.tight()) {
		q.first() // what expires behind the window is read back, so that it does
	}
	q.unlock()
}

func (q *queue) expireReady(nowMs int64) {
	q.nextExpiryMs = 0
	for i := range q.lanes {
		for e := q.lanes[i].ready.head; e != nil; {
			next := e.next
			if !q.expire(e) && e.expiresMs != 0 && (q.nextExpiryMs == 0 || e.expiresMs < q.nextExpiryMs) {
				q.nextExpiryMs = e.expiresMs
			}
			e = next
		}
	}
}

// expire takes a ready entry away, if its time is over.
func (q *queue) expire(e *entry) bool {
	if e.expiresMs == 0 || e.expiresMs > q.b.nowMs() || e.received {
		return false
	}
	q.unready(e)
	q.expired++
	q.b.counts.expire(1)
	if e.logged() && (q.kind == kindQueue || q.kind == kindDurable) {
		q.die(e, ReasonExpired)
		return true
	}
	q.lose(e)
	return true
}

// unready takes e out of the ready ones.
func (q *queue) unready(e *entry) {
	l := q.laneOf(e)
	l.ready.remove(e)
	q.ready--
	if !e.logged() {
		l.loose--
	}
	if e.lacksBody() {
		q.bare--
	}
	q.leave(e)
}

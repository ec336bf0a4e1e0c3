package core

import "github.com/havenmq/havenmq/persist"

// oldest is when the first message was made that a queue has in the store alone: of a queue that nobody reads, that is its
// oldest. It holds as long as the heads of the stored queue are those that it was read for.
type oldest struct {
	heads  [persist.Classes]uint64
	ms     int64 // 0 is not known
	asked  bool  // the pager is to read it
	stands bool  // it was read
}

// oldestMs is when the first of its messages was made, of those that wait or are in flight; 0 is not known, or not yet.
// The queue is locked.
func (q *queue) oldestMs() int64 {
	ms := q.oldestInMemory()
	if !q.headStored() {
		return ms
	}
	if q.old == nil {
		q.old = &oldest{}
	}
	if heads := q.b.store.Queue(q.id).Heads; (!q.old.stands || q.old.heads != heads) && !q.old.asked {
		q.old.asked = true
		q.b.pager.add((*elder)(q))
	}
	if q.old.ms > 0 && (ms == 0 || q.old.ms < ms) {
		return q.old.ms
	}
	return ms
}

func (q *queue) oldestInMemory() (oldest int64) {
	look := func(e *entry) {
		if e != nil && e.msg != nil && e.msg.TimestampMs > 0 && (oldest == 0 || e.msg.TimestampMs < oldest) {
			oldest = e.msg.TimestampMs
		}
	}
	for i := range q.lanes {
		look(q.lanes[i].ready.head)
	}
	for _, s := range q.holders() {
		look(s.flight.head)
	}
	return oldest
}

// headStored says that the first that waits in some lane is in the store alone.
func (q *queue) headStored() bool {
	for i := range q.lanes {
		if l := &q.lanes[i]; l.hole != 0 && l.ready.n == 0 {
			return true
		}
	}
	return false
}

// elder is a queue whose oldest message is to be read.
type elder queue

// page reads it. It runs on a pager's goroutine, or on that of who asks for one queue.
func (x *elder) page() {
	q := (*queue)(x)
	q.mu.Lock()
	q.glance()
	need := !q.closed && q.headStored()
	q.mu.Unlock()
	found := oldest{stands: true}
	if need {
		found.heads = q.b.store.Queue(q.id).Heads
		found.ms = q.readOldest(&found.heads)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.old = nil; need {
		q.old = &found
	}
}

func (q *queue) readOldest(heads *[persist.Classes]uint64) (ms int64) {
	for class, head := range heads {
		if head == 0 {
			continue
		}
		list, err := q.b.store.Entries(q.id, persist.Seq(uint64(class)<<56|head), 1, nil)
		if err != nil || len(list) == 0 || list[0].Seq.Class() != class {
			continue // it went meanwhile; what cannot be read is told when it is wanted
		}
		m, err := q.readMessage(list[0].Message)
		if err == nil && m.TimestampMs > 0 && (ms == 0 || m.TimestampMs < ms) {
			ms = m.TimestampMs
		}
	}
	return ms
}

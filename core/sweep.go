package core

import "github.com/havenmq/havenmq/persist"

// What memory does not hold expires too: behind a window, and in queues that nobody has touched since the broker was opened.
// A queue remembers when the first of those expires (hiddenExpiryMs). When that time has come a sweep reads its entries,
// not its messages, and takes away what is due.

const (
	sweepDelayMs = 10_000 // from when a broker is opened, so that its clients come first
	sweepQueues  = 256    // looked at in one Tick
	sweepEntries = 1024   // of one queue, in one turn
	sweepRetryMs = 100    // while the pager has the queue
)

// hide notes that an entry which expires then is in the store alone. The queue is locked.
func (q *queue) hide(expiresMs int64) {
	if expiresMs != 0 && (q.hiddenExpiryMs == 0 || expiresMs < q.hiddenExpiryMs) {
		q.hiddenExpiryMs = expiresMs
		q.b.timed.add(q, expiresMs)
	}
}

// seek begins a sweep, if it is time for one, or sees to it that it comes.
func (q *queue) seek(nowMs int64) {
	switch {
	case q.hiddenExpiryMs == 0 || q.sweeping:
	case q.hiddenExpiryMs <= nowMs:
		q.sweeping, q.hiddenExpiryMs = true, 0
		q.b.pager.add(&sweep{q: q})
	default:
		q.b.timed.add(q, q.hiddenExpiryMs)
	}
}

// sweepUntouched sweeps the queues that the store held when the broker was opened, some at a time. Tick calls it.
func (b *Broker) sweepUntouched(nowMs int64) {
	if len(b.unswept) == 0 || nowMs < b.sweepAtMs {
		return
	}
	n := min(len(b.unswept), sweepQueues)
	for i, q := range b.unswept[:n] {
		b.unswept[i] = nil
		if b.store.Queue(q.id).Depth == 0 {
			continue
		}
		q.mu.Lock()
		q.hiddenExpiryMs = max(b.sweepAtMs, 1)
		q.seek(nowMs)
		q.mu.Unlock()
	}
	b.unswept = b.unswept[n:]
}

// sweep goes through one queue's entries in the store.
type sweep struct {
	q      *queue
	from   persist.Seq
	nextMs int64 // the first of what it has seen expires then; 0 nothing does
}

// page takes a turn. It runs on a pager's goroutine.
func (s *sweep) page() {
	q := s.q
	q.mu.Lock()
	q.glance()
	switch {
	case q.closed:
		q.mu.Unlock()
		return
	case q.paging || q.pageFrom > q.b.store.Committed():
		s.end(q.b.nowMs() + sweepRetryMs)
		q.mu.Unlock()
		return
	}
	q.paging = true // nobody reads back what is taken away here
	q.mu.Unlock()
	found, err := q.b.store.Entries(q.id, s.from, sweepEntries, nil)
	q.mu.Lock()
	if err != nil {
		q.b.fault(q.dest.String(), err)
		s.nextMs = q.b.nowMs() + retryMs
	}
	for i := range found {
		s.look(&found[i])
	}
	end, err := q.unlock()
	q.mu.Lock()
	q.paging, q.pageFrom = false, max(q.pageFrom, end)
	switch {
	case err != nil: // what could not be buried is where it was
		s.end(q.b.nowMs() + retryMs)
	case len(found) < sweepEntries:
		s.end(s.nextMs)
	default:
		s.from = found[len(found)-1].Seq + 1
		q.b.pager.add(s)
	}
	q.advance()
	q.unlock()
}

// end ends the sweep; the next one is due at nextMs at the latest, 0 not for what this one saw.
func (s *sweep) end(nextMs int64) {
	s.q.sweeping = false
	s.q.hide(nextMs)
	s.q.b.timed.add(s.q, s.q.b.nowMs())
}

// look takes an entry away if it is due, unless it is in memory, where it expires by itself. A dead letter expires no
// more, and what its QoS 2 receiver has is owed the rest.
func (s *sweep) look(x *persist.Entry) {
	q := s.q
	if x.ExpiryMs == 0 || x.Assign.State == assignReceived {
		return
	}
	l := q.lane(uint8(x.Seq.Class()))
	if c := x.Seq.Counter(); q.closed || l.hole == 0 || c <= l.loaded || c > l.hole || c <= l.purged || q.delayed.at[x.Seq] != nil {
		return
	}
	note := readNote(x.Note)
	if reason, _ := note.why(); reason != "" {
		return
	}
	if due := max(x.ExpiryMs, x.NotBeforeMs); due > q.b.nowMs() { // what waits for its time expires when that has come
		if s.nextMs == 0 || due < s.nextMs {
			s.nextMs = due
		}
		return
	}
	e := &entry{q: q, seq: x.Seq, pos: x.Message, sizeBytes: x.SizeBytes, share: x.SizeBytes, attempts: x.Attempts, grant: note, expiresMs: x.ExpiryMs}
	q.expired++
	q.b.counts.expire(1)
	if q.kind == kindQueue || q.kind == kindDurable {
		q.die(e, ReasonExpired)
		return
	}
	q.lose(e)
}

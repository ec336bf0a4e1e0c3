package core

import (
	"sync"

	"github.com/havenmq/havenmq/persist"
)

// pager has the goroutines that read the disk, so that nobody else does: they fill queues' windows, look for retained
// messages, and serve browsers.
type pager struct {
	mu     sync.Mutex
	more   sync.Cond
	jobs   []job
	done   sync.WaitGroup
	alone  bool // Tick does the work
	closed bool
}

// job is one piece of reading. It runs without locks.
type job interface{ page() }

func (p *pager) start(n int) {
	p.more.L = &p.mu
	p.alone = n < 0
	for range max(n, 0) {
		p.done.Add(1)
		go func() {
			defer p.done.Done()
			for j := p.take(true); j != nil; j = p.take(true) {
				j.page()
			}
		}()
	}
}

// add hands a job over. Any lock may be held.
func (p *pager) add(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.jobs = append(p.jobs, j)
		p.more.Signal()
	}
}

func (p *pager) take(wait bool) job {
	p.mu.Lock()
	defer p.mu.Unlock()
	for wait && len(p.jobs) == 0 && !p.closed {
		p.more.Wait()
	}
	if len(p.jobs) == 0 || p.closed {
		return nil
	}
	j := p.jobs[0]
	p.jobs[0] = nil
	p.jobs = p.jobs[1:]
	return j
}

// runAlone does what there is, when there are no goroutines.
func (p *pager) runAlone() {
	for p.alone {
		j := p.take(false)
		if j == nil {
			return
		}
		j.page()
	}
}

func (p *pager) stop() {
	p.mu.Lock()
	p.closed, p.jobs = true, nil
	p.more.Broadcast()
	p.mu.Unlock()
	p.done.Wait()
}

// wantPage has the pager read back what is needed next.
func (q *queue) wantPage() {
	if q.paging || q.closed || q.sick || q.bare == 0 && !q.mayPage() {
		return
	}
	q.paging = true
	q.b.pager.add(q)
}

// mayPage says that reading places back is of use now.
func (q *queue) mayPage() bool {
	return q.pageFrom <= q.b.store.Committed() && len(q.delayed.heap) < q.b.limits.Delayed
}

// retryMs is how long a disk that could not be read is left alone.
const retryMs = 1000

// fail notes that the disk could not be read. The queue is locked.
func (q *queue) readFailed(err error) {
	q.b.fault(q.dest.String(), err)
	q.sick = true
	q.b.timed.add(q, q.b.nowMs()+retryMs)
}

// refill reads ahead while consumers still have half a window.
func (q *queue) refill() {
	if q.paging || len(q.subs) == 0 {
		return
	}
	for i := range q.lanes {
		l := &q.lanes[i]
		if l.hole != 0 {
			if l.stored() <= q.windowLimit()/2 {
				q.wantPage()
			}
			return
		}
	}
}

// need is what one turn of the pager is to read: the bodies of entries, or places of one lane in (from, hole].
type need struct {
	entries  []*entry
	bodies   []persist.Pos
	class    uint8
	from     uint64
	hole     uint64
	most     int
	mayEnd   bool // the log is committed up to the hole's last entry: what is not found now is not there
	maxBytes int64
}

const (
	pageMessages = 1024
	pageBytes    = 4 << 20
	pageLeast    = 64
)

// page reads back one turn's worth.
func (q *queue) page() {
	q.mu.Lock()
	n := q.next()
	q.mu.Unlock()
	switch {
	case len(n.entries) > 0:
		q.readBodies(&n)
	case n.hole != 0:
		q.readPlaces(&n)
	}
	q.mu.Lock()
	q.paging = false
	q.advance()
	q.limit()
	q.unlock()
}

// next says what to read: bodies that the ready ones in front lack, or the first hole.
func (q *queue) next() (n need) {
	n.maxBytes = pageBytes
	switch {
	case q.closed:
		return n
	case q.bare > 0:
		q.bareOnes(&n)
		return n
	case !q.mayPage():
		return n
	}
	for i := range q.lanes {
		if l := &q.lanes[i]; l.hole != 0 {
			n.class, n.from, n.hole = l.class, l.loaded, l.hole
			n.most = min(pageMessages, max(q.windowLimit()-l.stored(), pageLeast))
			n.mayEnd = q.gapEnd <= q.b.store.Committed()
			return n
		}
	}
	return n
}

// bareOnes lists the first ready entries whose bodies must be read back.
func (q *queue) bareOnes(n *need) {
	bytes := int64(0)
	for i := range q.lanes {
		for e := q.lanes[i].ready.head; e != nil; e = e.next {
			if !e.lacksBody() {
				continue
			}
			n.entries, n.bodies = append(n.entries, e), append(n.bodies, e.pos)
			if bytes += int64(e.sizeBytes); bytes >= n.maxBytes || len(n.entries) == min(q.bare, pageMessages) {
				return
			}
		}
	}
}

func (q *queue) readBodies(n *need) {
	msgs := make([]*Message, len(n.entries))
	for i, pos := range n.bodies {
		m, err := q.readMessage(pos)
		if err != nil {
			q.b.fault(q.dest.String(), err)
			m = nil
		}
		msgs[i] = m
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, e := range n.entries {
		if !e.lacksBody() || e.state != stateReady {
			continue
		}
		if msgs[i] == nil { // it cannot be read: it must not stand in the way for ever
			q.unready(e)
			q.depth--
			e.state = stateGone
			q.b.discharge(e)
			continue
		}
		q.b.discharge(e)
		e.msg, e.share = msgs[i], e.sizeBytes
		q.bare--
		q.b.charge(e)
	}
}

// readMessage reads a stored message.
func (q *queue) readMessage(pos persist.Pos) (*Message, error) {
	return q.b.readMessage(pos, q.dest)
}

func (b *Broker) readMessage(pos persist.Pos, like Destination) (*Message, error) {
	_, header, body, err := b.store.Message(pos)
	if err != nil {
		return nil, err
	}
	return b.decodeMessage(header, body, like)
}

func (b *Broker) decodeMessage(header, body []byte, like Destination) (*Message, error) {
	h, id, err := readHeader(header, like)
	if err != nil {
		return nil, err
	}
	f := b.formats[id]
	if f == nil {
		return nil, &Error{CodeInternal, "stored message", "its format is of a protocol that this program does not know"}
	}
	return &Message{Header: h, Format: f, Bare: body}, nil
}

// readPlaces reads entries behind n.from, up to the hole's end, with their messages.
func (q *queue) readPlaces(n *need) {
	first := persist.Seq(uint64(n.class)<<56 | (n.from + 1))
	found, err := q.b.store.Entries(q.id, first, n.most, nil)
	if err != nil {
		q.mu.Lock()
		q.readFailed(err)
		q.mu.Unlock()
		return
	}
	last, ended := n.from, len(found) < n.most
	msgs := make([]*Message, 0, len(found))
	bytes := int64(0)
	for i := range found {
		x := &found[i]
		if x.Seq.Class() != int(n.class) || x.Seq.Counter() > n.hole {
			ended = true
			break
		}
		if bytes > n.maxBytes {
			ended = false
			break
		}
		m, err := q.readMessage(x.Message)
		if err != nil {
			q.b.fault(q.dest.String(), err)
		}
		msgs = append(msgs, m)
		bytes += int64(x.SizeBytes)
		last = x.Seq.Counter()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.insert(n, found[:len(msgs)], msgs, last, ended)
}

// insert takes in what readPlaces found.
func (q *queue) insert(n *need, found []persist.Entry, msgs []*Message, last uint64, ended bool) {
	l := q.lane(n.class)
	if q.closed || l.hole == 0 || l.loaded != n.from {
		return // it was purged meanwhile
	}
	for i := range found {
		if msgs[i] != nil {
			q.restore(&found[i], msgs[i])
		}
	}
	l = q.lane(n.class)
	switch {
	case !ended:
		l.loaded = last
	case n.mayEnd && l.hole == n.hole:
		q.closeHole(l)
	default: // more was put behind the window, or is not committed yet
		l.loaded = max(last, l.loaded)
		q.pageFrom = q.gapEnd
	}
}

// restore makes a stored entry one in memory.
func (q *queue) restore(x *persist.Entry, m *Message) {
	if q.delayed.at[x.Seq] != nil {
		return
	}
	e := &entry{q: q, msg: m, seq: x.Seq, pos: x.Message, sizeBytes: x.SizeBytes, share: x.SizeBytes, attempts: x.Attempts,
		grant: readNote(x.Note), expiresMs: x.ExpiryMs, returned: q.mayBeReturned(x), received: x.Assign.State == assignReceived}
	if e.received {
		e.msg, e.returned = nil, true
	}
	if e.grant != nil && e.grant.reason != "" {
		e.expiresMs, e.returned = 0, true // a dead letter expires no more
	}
	q.take(e)
	if x.NotBeforeMs > q.b.nowMs() && e.expiresMs == x.ExpiryMs {
		q.delay(e, x.NotBeforeMs)
		return
	}
	q.makeReady(e)
}

// mayBeReturned says that somebody was sent a stored entry, or may have been before this life: the log does not know, and DUP
// must be set on whatever goes out again [MQTT-3.3.1-1].
func (q *queue) mayBeReturned(x *persist.Entry) bool {
	return x.Attempts > 0 || x.Seq.Counter() <= q.lane(uint8(x.Seq.Class())).born
}

// assignReceived is an Assignment's state: the peer has the message, and its PUBCOMP is awaited.
const assignReceived = 1

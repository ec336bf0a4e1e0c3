package amqp

import "github.com/havenmq/havenmq/core"

// parked is a delivery, or what is left of one, that waits for the peer's window.
type parked struct {
	link  *sender
	send  sending
	rest  []byte
	tag   core.Tag
	drain bool // no delivery: the link's flow that says it is drained
}

// parkedQueue is first in, first out.
type parkedQueue struct {
	items []parked
	head  int
}

func (q *parkedQueue) len() int { return len(q.items) - q.head }

func (q *parkedQueue) push(p parked) { q.items = append(q.items, p) }

func (q *parkedQueue) first() *parked { return &q.items[q.head] }

func (q *parkedQueue) pop() {
	q.items[q.head] = parked{}
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
}

// drop forgets what a link had waiting, and says how many bytes that were.
func (q *parkedQueue) drop(l *sender) (n int) {
	keep := q.items[:0]
	for _, p := range q.items[q.head:] {
		if p.link != l {
			keep = append(keep, p)
		} else {
			n += len(p.rest)
		}
	}
	clear(q.items[len(keep):])
	q.items, q.head = keep, 0
	return n
}

// bytes is what all that waits takes.
func (q *parkedQueue) bytes() (n int) {
	for i := range q.items[q.head:] {
		n += len(q.items[q.head+i].rest)
	}
	return n
}

// takeBack takes away up to n of a link's deliveries of which nothing was sent, the latest first.
func (q *parkedQueue) takeBack(l *sender, n uint64) (tags []core.Tag, bytes int) {
	for i := len(q.items) - 1; i >= q.head && uint64(len(tags)) < n; i-- {
		if p := &q.items[i]; p.link == l && p.send.start {
			tags = append(tags, p.tag)
			p.link = nil
		}
	}
	if len(tags) > 0 {
		bytes = q.drop(nil)
	}
	return tags, bytes
}

// transmit sends a delivery in frames of the peer's size, as far as its window goes, and parks the rest.
func (s *session) transmit(p parked) {
	if s.parked.len() == 0 {
		if s.push(&p); p.link == nil {
			return
		}
	}
	s.conn.parkedBytes += len(p.rest)
	s.parked.push(p)
}

// push sends what the window and the call's budget allow. p.link is nil once all is out.
func (s *session) push(p *parked) {
	room := int(min(s.conn.limits.peerFrame, maxOutFrame)) - maxTransferHead
	for s.remoteWindow > 0 {
		if s.conn.budget <= 0 {
			s.stall()
			return
		}
		if p.send.start {
			s.number(p)
		}
		part := p.rest
		p.send.more = len(part) > room
		if p.send.more {
			part = part[:room]
		}
		s.conn.emit(Frame{kind: frameTransfer, channel: s.channel, send: p.send, payload: part})
		s.conn.budget -= len(part)
		s.remoteWindow--
		s.nextOutgoingID++
		p.send.start = false
		if p.rest = p.rest[len(part):]; !p.send.more {
			p.link = nil
			return
		}
	}
}

// stall has the rest sent when the rim has room again: a message may be as large as all memory is meant to be, and its
// frames must not all stand in the output buffer of everybody who gets it.
func (s *session) stall() {
	if !s.stalled {
		s.stalled = true
		s.conn.stalled = append(s.conn.stalled, s)
	}
}

// number gives a delivery its id when its first frame goes out: receivers insist that ids have no gaps, and what is
// parked may never be sent.
func (s *session) number(p *parked) {
	p.send.first = s.nextDeliveryID
	s.nextDeliveryID++
	p.link.waiting--
	if p.link.auto {
		s.unsettled.push(p.send.first, sentDelivery{})
		return
	}
	s.unsettled.push(p.send.first, sentDelivery{tag: p.tag, link: p.link})
}

// unpark goes on with what waits, after the peer opened its window.
func (s *session) unpark() {
	if s.parked.len() == 0 {
		return
	}
	for s.parked.len() > 0 {
		p := s.parked.first()
		if p.drain {
			p.link.atMark()
			s.parked.pop()
			continue
		}
		before := len(p.rest)
		s.push(p)
		s.conn.parkedBytes -= before - len(p.rest)
		if p.link != nil {
			return // the window is shut again
		}
		s.parked.pop()
	}
	if s.starved {
		s.feed()
	}
}

// room is how many deliveries a link may ask of the core before it has sent them.
func (s *session) room() int {
	n := min(maxAhead-s.parked.len(), maxUnsettled-s.unsettled.live-s.parked.len())
	if n <= 0 {
		s.starved = true
		return 0
	}
	return n
}

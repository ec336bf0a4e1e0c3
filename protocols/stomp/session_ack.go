package stomp

import (
	"bytes"
	"sort"
	"strconv"

	"github.com/havenmq/havenmq/core"
)

// An ack's number says which delivery of the connection it is: what MESSAGE calls ack in 1.2 and, because 1.0 and 1.1
// name deliveries by it, message-id there.

func appendAckID(dst []byte, sub *subscription, seq uint64) []byte {
	dst = strconv.AppendUint(dst, uint64(sub.slot), 10)
	return strconv.AppendUint(append(dst, '-'), seq, 10)
}

// ackOf finds what an ACK or NACK names: id in 1.2, message-id before. ok is false for what was never delivered here; sub
// is nil when its subscription is over.
func (s *session) ackOf(f *Frame) (sub *subscription, seq uint64, ok bool) {
	name := "message-id"
	if s.dialect.version == v12 {
		name = "id"
	}
	slotText, seqText, two := bytes.Cut(f.get(name), []byte{'-'})
	slot, ok := number(slotText)
	seq, also := number(seqText)
	if !two || !ok || !also || slot >= uint64(len(s.slots)) || seq == 0 || seq > s.seq {
		return nil, 0, false
	}
	return s.slots[slot], seq, true
}

// acknowledge takes ACK and NACK. What a NACK names goes to the dead letters, as in ActiveMQ.
func (s *session) acknowledge(f *Frame, o core.Outcome) *wireError {
	tx, e := s.txOf(f)
	if e != nil {
		return e
	}
	sub, seq, ok := s.ackOf(f)
	if !ok {
		return errNoDelivery
	}
	receipt := receiptOf(f)
	if sub != nil && (sub.mode == ackAuto || sub.browse) { // nothing waits for it
		s.barrier(receipt)
		return nil
	}
	alone := o != core.Accepted || tx != 0 || receipt != nil
	if alone || s.ackedOf != sub {
		s.settleAcked()
	}
	if sub == nil || !sub.flights.take(seq, sub.mode == ackClient && o == core.Accepted, &s.acked) {
		return tooLate(receipt)
	}
	s.ackedOf = sub
	if alone {
		s.settle(core.Op{Kind: core.OpSettle, Sub: sub.sub, Outcome: o, Tx: tx, Ticket: s.pend(pending{receipt: receipt})})
	}
	s.thirst(sub)
	return nil
}

// tooLate answers an ACK of what does not wait any more: it was acknowledged before, or went back to its queue when its
// subscription ended. A client that unsubscribes with messages in hand does that, and it harms nobody; a receipt would
// be a lie.
func tooLate(receipt []byte) *wireError {
	if receipt != nil {
		return errNoDelivery
	}
	return nil
}

// barrier answers a receipt once all before it is done.
func (s *session) barrier(receipt []byte) {
	if receipt != nil {
		s.settleAcked()
		s.out.Do(core.Op{Kind: core.OpBarrier, Ticket: s.pend(pending{receipt: receipt})})
	}
}

// flights are the deliveries of a subscription that wait for ACK or NACK, oldest first.
type flights struct {
	list []flight
	head int
	open int // those that still wait; the others of list[head:] were acknowledged out of order
}

// flight is one of them. A nil tag is acknowledged.
type flight struct {
	seq uint64
	tag core.Tag
}

func (q *flights) push(f flight) {
	if q.head > 0 && len(q.list) == cap(q.list) {
		n := copy(q.list, q.list[q.head:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, f)
	q.open++
}

// take moves what an acknowledgement of seq covers to tags: one, or all up to it. false: seq does not wait.
func (q *flights) take(seq uint64, all bool, tags *[]core.Tag) bool {
	live := q.list[q.head:]
	i := sort.Search(len(live), func(i int) bool { return live[i].seq >= seq })
	if i == len(live) || live[i].seq != seq || live[i].tag == nil {
		return false
	}
	first := i
	if all {
		first = 0
	}
	for j := first; j <= i; j++ {
		if live[j].tag != nil {
			*tags = append(*tags, live[j].tag)
			live[j].tag = nil
			q.open--
		}
	}
	for q.head < len(q.list) && q.list[q.head].tag == nil {
		q.head++
	}
	if q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	return true
}

// settleAcked tells the core of the acknowledgements that were gathered: many become one operation.
func (s *session) settleAcked() {
	if len(s.acked) > 0 {
		s.settle(core.Op{Kind: core.OpSettle, Sub: s.ackedOf.sub, Outcome: core.Accepted})
	}
}

// settle gives op the gathered tags. The rim copies them when the call from it returns, so that their slice may be used
// again after that: whoever settles twice in a call gets a new one.
func (s *session) settle(op core.Op) {
	op.Tags = s.acked
	s.out.Do(op)
	s.acked = s.acked[len(s.acked):]
	if cap(s.acked) == 0 {
		s.acked = nil
	}
}

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

// ackOf finds what an ACK or NACK names: id in 1.2, message-id before.
func (s *session) ackOf(f *Frame) (sub *subscription, seq uint64, ok bool) {
	name := "message-id"
	if s.dialect.version == v12 {
		name = "id"
	}
	slot, number2, two := bytes.Cut(f.get(name), []byte{'-'})
	n, okay := number(slot)
	seq, also := number(number2)
	if !two || !okay || !also || n >= uint64(len(s.slots)) || s.slots[n] == nil || seq > s.seq {
		return nil, 0, false
	}
	return s.slots[n], seq, true
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
	if sub.mode == ackAuto || sub.browse { // nothing waits for it
		s.barrier(receipt)
		return nil
	}
	from := len(s.acked)
	if s.ackedOf != sub || o != core.Accepted || tx != 0 || receipt != nil {
		s.settleAcked()
		from = 0
	}
	s.ackedOf = sub
	if s.acked, ok = sub.take(seq, o, s.acked); !ok {
		s.acked = s.acked[:from]
		return errNoDelivery
	}
	if o != core.Accepted || tx != 0 || receipt != nil {
		s.settle(core.Op{Kind: core.OpSettle, Sub: sub.sub, Outcome: o, Tx: tx, Ticket: s.pend(pending{receipt: receipt})})
	}
	s.credit(sub)
	return nil
}

// barrier answers a receipt once all before it is done.
func (s *session) barrier(receipt []byte) {
	if receipt != nil {
		s.settleAcked()
		s.out.Do(core.Op{Kind: core.OpBarrier, Ticket: s.pend(pending{receipt: receipt})})
	}
}

// take moves what an acknowledgement covers from flight to tags: in client mode all up to it. A NACK is always of one.
func (sub *subscription) take(seq uint64, o core.Outcome, tags []core.Tag) ([]core.Tag, bool) {
	i := sort.Search(len(sub.flight), func(i int) bool { return sub.flight[i].seq >= seq })
	if i == len(sub.flight) || sub.flight[i].seq != seq || sub.flight[i].tag == nil {
		return tags, false
	}
	first := i
	if sub.mode == ackClient && o == core.Accepted {
		first = 0
	}
	for j := first; j <= i; j++ {
		if sub.flight[j].tag != nil {
			tags = append(tags, sub.flight[j].tag)
			sub.flight[j].tag = nil
			sub.open--
		}
	}
	n := 0
	for n < len(sub.flight) && sub.flight[n].tag == nil {
		n++
	}
	if sub.flight = sub.flight[n:]; len(sub.flight) == 0 {
		sub.flight = nil
	}
	return tags, true
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

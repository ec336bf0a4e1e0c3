package stomp

import (
	"bytes"
	"strconv"

	"github.com/havenmq/havenmq/core"
)

// appendAckID writes what ACK names a delivery by in 1.2: its subscription's slot, and its number on the connection.
func appendAckID(dst []byte, sub *subscription, seq uint64) []byte {
	dst = strconv.AppendUint(dst, uint64(sub.slot), 10)
	return strconv.AppendUint(append(dst, '-'), seq, 10)
}

// named finds the delivery that an ACK or NACK names; sub is nil when its subscription is over. ok is false for what was
// never delivered here.
func (s *session) named(f *Frame) (sub *subscription, seq uint64, ok bool) {
	if s.dialect.version == v12 {
		return s.ackOf(f)
	}
	return s.ackByMessage(f)
}

// ackOf finds it by its id, as in 1.2.
func (s *session) ackOf(f *Frame) (sub *subscription, seq uint64, ok bool) {
	slotText, seqText, two := bytes.Cut(f.get("id"), []byte{'-'})
	slot, ok := number(slotText)
	seq, also := number(seqText)
	if !two || !ok || !also || slot >= uint64(len(s.slots)) || seq == 0 || seq > s.seq {
		return nil, 0, false
	}
	return s.slots[slot], seq, true
}

// ackByMessage finds it by message-id, as before 1.2; subscription says which subscription's delivery is meant, and 1.0 left
// that out. seq is 0 when nothing of that name waits.
func (s *session) ackByMessage(f *Frame) (sub *subscription, seq uint64, ok bool) {
	id := f.get("message-id")
	if len(id) == 0 {
		return nil, 0, false
	}
	if name := f.get("subscription"); name != nil {
		if sub = s.subs[string(name)]; sub != nil {
			seq = sub.flights.find(id)
		}
		return sub, seq, true
	}
	for _, sub := range s.slots {
		if sub != nil {
			if seq := sub.flights.find(id); seq != 0 {
				return sub, seq, true
			}
		}
	}
	return nil, 0, true
}

// acknowledge takes ACK and NACK (1.2, "ACK", "NACK"): in mode client both cover what came before. What a NACK covers goes
// to the dead letters, as in ActiveMQ.
func (s *session) acknowledge(f *Frame, o core.Outcome) *wireError {
	t, e := s.txOf(f)
	if e != nil {
		return e
	}
	sub, seq, ok := s.named(f)
	if !ok {
		return errNoDelivery
	}
	receipt := receiptOf(f)
	if sub != nil && (sub.mode == ackAuto || sub.browse) { // nothing waits for it
		s.barrier(receipt)
		return nil
	}
	alone := o != core.Accepted || t != nil || receipt != nil
	if alone || s.ackedOf != sub {
		s.settleAcked()
	}
	var kept *[]flight
	if t != nil {
		kept = t.keep(sub)
	}
	if sub == nil || !sub.flights.take(seq, sub.mode == ackClient, &s.acked, kept) {
		return tooLate(receipt)
	}
	s.ackedOf = sub
	if alone {
		s.settle(core.Op{Kind: core.OpSettle, Sub: sub.sub, Outcome: o, Tx: t.txID(), Ticket: s.pend(pending{receipt: receipt})})
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

// settleAcked tells the core of the acknowledgements that were gathered: many become one operation.
func (s *session) settleAcked() {
	if len(s.acked) > 0 {
		s.settle(core.Op{Kind: core.OpSettle, Sub: s.ackedOf.sub, Outcome: core.Accepted})
	}
}

// settle gives op the gathered tags. The rim copies them when the call from it returns; enter takes their memory back after
// that, so that whoever settles twice in a call overwrites nothing.
func (s *session) settle(op core.Op) {
	op.Tags = s.acked
	s.out.Do(op)
	if cap(s.acked) > cap(s.tags) {
		s.tags = s.acked[:0]
	}
	s.acked = s.acked[len(s.acked):]
}

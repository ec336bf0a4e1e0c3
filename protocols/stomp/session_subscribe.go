package stomp

import (
	"time"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// ackMode is what a subscription's deliveries wait for (1.2, "SUBSCRIBE ack Header").
type ackMode uint8

const (
	ackAuto       ackMode = iota // nothing: they are accepted as they are handed over
	ackClient                    // ACK, which covers all before
	ackIndividual                // ACK, one by one
)

// subscription is one SUBSCRIBE.
type subscription struct {
	id        string
	sub       core.SubID
	slot      int
	source    core.Destination
	mode      ackMode
	prefetch  uint64
	browse    bool
	confirmed bool   // the core has answered
	over      bool   // it was unsubscribed
	thirsty   bool   // it is in the session's list of those
	durable   string // name of the durable subscription

	taken   uint64 // deliveries that the core handed over
	limit   uint64 // that it may
	head    []byte // "subscription:ID\n" as this version writes it
	flights flights
}

// subscribe takes SUBSCRIBE.
func (s *session) subscribe(f *Frame) *wireError {
	name := f.get("destination")
	if name == nil {
		return errDestination
	}
	d, ok := destinationOf(string(name))
	if !ok {
		return errPrefix
	}
	id, e := s.subID(f, name)
	switch {
	case e != nil:
		return e
	case s.subs[id] != nil:
		return errIDInUse
	case len(s.subs) >= maxSubscriptions:
		return errManySubs
	}
	sub := &subscription{id: id, prefetch: uint64(s.options.Prefetch)}
	r, e := sub.options(f)
	switch {
	case e != nil:
		return e
	case r.Durable && s.clientID == "":
		return errNeedClientID
	}
	if d.Kind.Temporary() { // it is private to the connection that makes it
		d = s.declare(d)
	}
	sub.source = d
	r.Source, r.Auto = sub.source, sub.mode == ackAuto && !sub.browse
	s.add(sub)
	s.out.Do(core.Op{Kind: core.OpSubscribe, Sub: sub.sub, Subscribe: r,
		Ticket: s.pend(pending{kind: pendSubscribe, receipt: receiptOf(f), sub: sub})})
	return nil
}

// add gives a subscription its place.
func (s *session) add(sub *subscription) {
	sub.head = append(appendEscaped([]byte("subscription:"), sub.id, s.dialect.version, false), '\n')
	sub.slot = s.freeSlot()
	s.lastSub++
	sub.sub = s.lastSub<<ackSubscriptionBits | core.SubID(sub.slot)
	s.subs[sub.id], s.slots[sub.slot] = sub, sub
}

// subID is how a client names a subscription: by id; 1.0 allowed the destination instead.
func (s *session) subID(f *Frame, destination []byte) (string, *wireError) {
	if id := f.get("id"); len(id) > 0 && len(id) <= maxNameBytes {
		return string(id), nil
	}
	if s.dialect.version != v10 || len(destination) == 0 {
		return "", errNoID
	}
	return string(destination), nil
}

// options reads the headers that STOMP, ActiveMQ and Artemis know.
func (sub *subscription) options(f *Frame) (*core.SubscribeRequest, *wireError) {
	switch string(f.get("ack")) {
	case "", "auto":
	case "client":
		sub.mode = ackClient
	case "client-individual":
		sub.mode = ackIndividual
	default:
		return nil, errAckMode
	}
	if v := f.get("activemq.prefetchSize"); v != nil {
		n, ok := number(v)
		if !ok || n < 1 || n > maxPrefetch {
			return nil, errPrefetch
		}
		sub.prefetch = n
	}
	sub.durable = durableName(f)
	sub.browse = isTrue(f.get("browser"))
	return &core.SubscribeRequest{Durable: sub.durable != "", Name: sub.durable, Browse: sub.browse,
		NoLocal:  isTrue(f.get("no-local")) || isTrue(f.get("activemq.noLocal")),
		Retained: isTrue(f.get("activemq.retroactive")), Selector: string(f.get("selector"))}, nil
}

// durableName is a durable subscription's name, in ActiveMQ's or Artemis's spelling.
func durableName(f *Frame) string {
	for _, name := range []string{"activemq.subscriptionName", "durable-subscription-name", "durable-subscriber-name"} {
		if v := f.get(name); len(v) > 0 {
			return string(v)
		}
	}
	return ""
}

func isTrue(b []byte) bool { return string(b) == "true" }

// freeSlot is a place in slots that nothing uses.
func (s *session) freeSlot() int {
	for i, sub := range s.slots {
		if sub == nil {
			return i
		}
	}
	s.slots = append(s.slots, nil)
	return len(s.slots) - 1
}

// unsubscribe takes UNSUBSCRIBE. With a durable subscription's name it is deleted, subscribed to or not, as in ActiveMQ.
func (s *session) unsubscribe(f *Frame) *wireError {
	durable := durableName(f)
	id, e := s.subID(f, f.get("destination"))
	sub := s.subs[id]
	switch {
	case e != nil && durable == "":
		return e
	case sub == nil && durable == "":
		return errNoSub
	case sub == nil:
		return s.forget(f, durable)
	}
	s.end(sub)
	s.out.Do(core.Op{Kind: core.OpUnsubscribe, Sub: sub.sub, Forget: durable != "" && durable == sub.durable,
		Ticket: s.pend(pending{receipt: receiptOf(f)})})
	return nil
}

// forget deletes a durable subscription that this connection does not consume from: it takes it first, and the core says
// what stands in the way of that.
func (s *session) forget(f *Frame, name string) *wireError {
	if s.clientID == "" {
		return errNeedClientID
	}
	s.lastSub++
	id := s.lastSub<<ackSubscriptionBits | (1<<ackSubscriptionBits - 1)
	receipt := receiptOf(f)
	s.out.Do(core.Op{Kind: core.OpSubscribe, Sub: id, Subscribe: &core.SubscribeRequest{Durable: true, Name: name},
		Ticket: s.pend(pending{kind: pendForget, receipt: receipt})})
	s.out.Do(core.Op{Kind: core.OpUnsubscribe, Sub: id, Forget: true, Ticket: s.pend(pending{receipt: receipt})})
	return nil
}

// end forgets a subscription: what comes for it from now on is nobody's.
func (s *session) end(sub *subscription) {
	sub.over, sub.flights = true, flights{}
	delete(s.subs, sub.id)
	s.slots[sub.slot] = nil
}

// thirst has the subscription's credit looked at, once, before the next write.
func (s *session) thirst(sub *subscription) {
	if !sub.thirsty {
		sub.thirsty = true
		s.thirsty = append(s.thirsty, sub)
	}
}

// credit lets the core hand over as many deliveries as the subscription has room for; half of them at a time, because
// credit costs a turn of the queue. A browser is given all it wants, to see its end.
func (s *session) credit(sub *subscription) {
	if !sub.confirmed || sub.over {
		return
	}
	room := sub.prefetch - min(sub.prefetch, uint64(sub.flights.open))
	if room == 0 || (sub.limit-sub.taken)*2 > sub.prefetch {
		return
	}
	if want := sub.taken + room; want > sub.limit {
		sub.limit = want
		s.out.Do(core.Op{Kind: core.OpCredit, Sub: sub.sub, Limit: want})
	}
}

// subOf finds the subscription of a delivery.
func (s *session) subOf(id core.SubID) *subscription {
	slot := int(id & (1<<ackSubscriptionBits - 1))
	if slot >= len(s.slots) || s.slots[slot] == nil || s.slots[slot].sub != id {
		return nil
	}
	return s.slots[slot]
}

// Deliver hands over a message.
func (s *session) Deliver(d *core.Delivery, now time.Time, out *peer.Out[Frame]) {
	s.enter(now, out)
	sub := s.subOf(d.Sub)
	if sub == nil || s.phase == phaseClosed {
		return
	}
	if d.Drained {
		s.browsed(sub)
		return
	}
	sub.taken++
	s.seq++
	o := outgoing{message: d.Message, sub: sub, seq: s.seq, attempts: d.Attempts, returned: d.Returned, retained: d.Retained,
		to: d.Message.To, reason: d.DeadReason(), origin: d.Origin()}
	if from := d.Tag.Source(); from.Kind != 0 {
		o.to = from // a dead letter's or a virtual topic's message was once sent elsewhere
	}
	if err := o.read(); err != nil { // it was stored by a protocol that cannot read it any more: it may block nobody
		if sub.mode != ackAuto && !sub.browse {
			s.out.Do(core.Op{Kind: core.OpSettle, Sub: sub.sub, Outcome: core.Rejected, Tags: []core.Tag{d.Tag}})
		}
		s.thirst(sub)
		return
	}
	if sub.mode != ackAuto && !sub.browse {
		sub.flights.push(flight{seq: s.seq, tag: d.Tag, id: s.ackName(&o)})
	}
	s.send(Frame{command: cmdMessage, out: o})
	s.thirst(sub)
}

// ackName is what ACK names a delivery by before 1.2: its message-id, which may be the message's own. "" in 1.2, where ack
// says it.
func (s *session) ackName(o *outgoing) string {
	if s.dialect.version == v12 {
		return ""
	}
	if len(o.id) == 0 {
		o.id = appendOwnID(nil, s.dialect, o.sub, o.seq)
	}
	return string(o.id)
}

// browsed says that a browser has seen everything, in ActiveMQ's words: an empty message that says browser:end.
func (s *session) browsed(sub *subscription) {
	if !sub.browse {
		return
	}
	s.seq++
	s.send(Frame{command: cmdMessage, out: outgoing{sub: sub, seq: s.seq, to: sub.source}})
}

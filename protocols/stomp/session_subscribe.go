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
	over      bool   // it was unsubscribed, or its browse ended
	durable   string // name of the durable subscription

	taken  uint64   // deliveries that the core handed over
	limit  uint64   // that it may
	head   []byte   // "subscription:ID\n" as this version writes it
	flight []flight // what is not acknowledged, oldest first
	open   int      // of flight: those that still wait
}

// flight is a delivery that waits for ACK or NACK. A nil tag had one.
type flight struct {
	seq uint64
	tag core.Tag
}

// subscribe takes SUBSCRIBE.
func (s *session) subscribe(f *Frame) *wireError {
	r, e := s.parseSubscribe(f)
	if e != nil {
		return e
	}
	s.lastSub++
	r.sub = s.lastSub<<ackSubscriptionBits | core.SubID(r.slot)
	s.subs[r.id] = r.subscription
	s.slots[r.slot] = r.subscription
	s.out.Do(core.Op{Kind: core.OpSubscribe, Sub: r.sub, Subscribe: &r.request,
		Ticket: s.pend(pending{kind: pendSubscribe, receipt: receiptOf(f), sub: r.subscription})})
	return nil
}

type asked struct {
	*subscription
	request core.SubscribeRequest
}

func (s *session) parseSubscribe(f *Frame) (r asked, e *wireError) {
	name := f.get("destination")
	if name == nil {
		return r, errDestination
	}
	d, ok := destinationOf(string(name))
	if !ok {
		return r, errPrefix
	}
	id, e := s.subID(f, name)
	switch {
	case e != nil:
		return r, e
	case s.subs[id] != nil:
		return r, errIDInUse
	case len(s.subs) >= maxSubscriptions:
		return r, errManySubs
	}
	r.subscription = &subscription{id: id, prefetch: uint64(s.options.Prefetch)}
	if e = r.options(f); e != nil {
		return r, e
	}
	if r.request.Durable && s.clientID == "" {
		return r, errNeedClientID
	}
	r.source = s.declare(d)
	r.request.Source, r.request.Auto = r.source, r.mode == ackAuto && !r.browse
	r.head = append(appendEscaped([]byte("subscription:"), id, s.dialect.version, false), '\n')
	r.slot = s.freeSlot()
	return r, nil
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
func (r *asked) options(f *Frame) *wireError {
	switch string(f.get("ack")) {
	case "", "auto":
	case "client":
		r.mode = ackClient
	case "client-individual":
		r.mode = ackIndividual
	default:
		return errAckMode
	}
	if v := f.get("activemq.prefetchSize"); v != nil {
		n, ok := number(v)
		if !ok || n < 1 || n > maxPrefetch {
			return errPrefetch
		}
		r.prefetch = n
	}
	r.durable = durableName(f)
	r.browse = isTrue(f.get("browser"))
	r.request = core.SubscribeRequest{Durable: r.durable != "", Name: r.durable, Browse: r.browse,
		NoLocal:  isTrue(f.get("no-local")) || isTrue(f.get("activemq.noLocal")),
		Retained: isTrue(f.get("activemq.retroactive")), Selector: string(f.get("selector"))}
	return nil
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
	case sub == nil && s.clientID == "":
		return errNeedClientID
	case sub == nil:
		s.forget(f, durable)
		return nil
	}
	s.end(sub)
	s.out.Do(core.Op{Kind: core.OpUnsubscribe, Sub: sub.sub, Forget: durable != "" && durable == sub.durable,
		Ticket: s.pend(pending{receipt: receiptOf(f)})})
	return nil
}

// forget deletes a durable subscription that this connection does not consume from: it takes it first.
func (s *session) forget(f *Frame, name string) {
	s.lastSub++
	id := s.lastSub<<ackSubscriptionBits | (1<<ackSubscriptionBits - 1)
	s.out.Do(core.Op{Kind: core.OpSubscribe, Sub: id, Subscribe: &core.SubscribeRequest{Durable: true, Name: name}})
	s.out.Do(core.Op{Kind: core.OpUnsubscribe, Sub: id, Forget: true, Ticket: s.pend(pending{receipt: receiptOf(f)})})
}

// end forgets a subscription: what comes for it from now on is nobody's.
func (s *session) end(sub *subscription) {
	sub.over, sub.flight, sub.open = true, nil, 0
	delete(s.subs, sub.id)
	s.slots[sub.slot] = nil
}

// credit lets the core hand over as many deliveries as the subscription has room for; half of them at a time, because
// credit costs a turn of the queue. A browser is given all it wants, to see its end.
func (s *session) credit(sub *subscription) {
	if !sub.confirmed || sub.over {
		return
	}
	room := sub.prefetch - min(sub.prefetch, uint64(sub.open))
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
		to: d.Message.To, reason: d.Tag.DeadReason()}
	if from := d.Tag.Source(); from.Kind != 0 {
		o.to = from // a dead letter's or a virtual topic's message was once sent elsewhere
	}
	if err := o.read(); err != nil { // it was stored by a protocol that cannot read it any more: it may block nobody
		if sub.mode != ackAuto && !sub.browse {
			s.out.Do(core.Op{Kind: core.OpSettle, Sub: sub.sub, Outcome: core.Rejected, Tags: []core.Tag{d.Tag}})
		}
		s.credit(sub)
		return
	}
	if sub.mode != ackAuto && !sub.browse {
		sub.flight = append(sub.flight, flight{s.seq, d.Tag})
		sub.open++
	} else if sub.browse && d.Tag != nil {
		s.out.Do(core.Op{Kind: core.OpSettle, Sub: sub.sub, Outcome: core.Accepted, Tags: []core.Tag{d.Tag}})
	}
	s.send(Frame{command: cmdMessage, out: o})
	s.credit(sub)
}

// browsed says that a browser has seen everything, in ActiveMQ's words: an empty message that says browser:end.
func (s *session) browsed(sub *subscription) {
	if !sub.browse {
		return
	}
	s.seq++
	s.send(Frame{command: cmdMessage, out: outgoing{sub: sub, seq: s.seq, to: sub.source}})
}

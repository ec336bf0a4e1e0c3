package core

import (
	"errors"
	"fmt"
	"slices"
)

// The load that power losses interrupt: what is done, and what is noted of it.

func (p *power) body() string {
	p.bodies++
	b := fmt.Sprintf("%d.", p.bodies)
	if p.rng.IntN(4) == 0 { // so that segments fill
		b += string(slices.Repeat([]byte{'.'}, p.rng.IntN(3000)))
	}
	return b
}

// bring notes a message that u brings to a place.
func (p *power) bring(u *powerUnit, place, body string) {
	x := &powerMessage{body: body, place: place, by: u}
	u.brings = append(u.brings, x)
	p.live[place] = append(p.live[place], x)
}

func (p *power) newUnit(what string) *powerUnit {
	u := &powerUnit{what: what}
	p.units = append(p.units, u)
	return u
}

func (u *powerUnit) confirm(*Completion) {
	u.confirmed = true
	for _, v := range u.again {
		v.confirmed = true
	}
}

func (p *power) publish() {
	if s := p.sentOnce(); s != nil && p.rng.IntN(3) == 0 {
		p.do("producer", Op{Kind: OpPublish, Message: s.message()}, s.by.confirm)
		return
	}
	u, q := p.newUnit("publish"), powerQueues[p.rng.IntN(2)]
	body := p.body()
	p.bring(u, q, body)
	m := text(queueOf(q), body, priority(uint8(3+p.rng.IntN(3))))
	p.name(m, u)
	p.do("producer", Op{Kind: OpPublish, Message: m}, u.confirm)
}

// powerSent is a message that was sent under an id of its own, to be sent again: it is there once all the same.
type powerSent struct {
	queue, body string
	by          *powerUnit
}

func (s *powerSent) message() *Message { return text(queueOf(s.queue), s.body, dup(short(s.body))) }

// name gives m an id, sometimes.
func (p *power) name(m *Message, by *powerUnit) {
	if p.rng.IntN(3) == 0 {
		body := string(m.Bare)
		m.DupID = short(body)
		p.sent = append(p.sent, &powerSent{m.To.Name, body, by})
	}
}

// sentOnce picks one of those that were sent; what an open transaction sends is not sent yet.
func (p *power) sentOnce() *powerSent {
	if n := len(p.sent); n > 0 {
		if s := p.sent[p.rng.IntN(n)]; s.by != p.tx {
			return s
		}
	}
	return nil
}

// unsend forgets what a transaction sent that comes to nothing.
func (p *power) unsend(u *powerUnit) {
	p.sent = slices.DeleteFunc(p.sent, func(s *powerSent) bool { return s.by == u })
}

// verifySent keeps what came to be: in the lives that follow it does not come again. What did not may not have an id.
func (p *power) verifySent() {
	p.sent = slices.DeleteFunc(p.sent, func(s *powerSent) bool { return !s.by.confirmed && s.by.happened == "" })
	for _, s := range p.sent {
		s.by = &powerUnit{confirmed: true}
	}
	p.sent = p.sent[max(len(p.sent)-40, 0):]
}

func (p *power) publishTopic() {
	u, body := p.newUnit("publish to a topic"), p.body()
	for _, name := range powerSubs { // those that the power let come into being
		if p.b.durables[subscriptionKey{"durable", name}] != nil {
			p.bring(u, "sub "+name, body)
		}
	}
	if x := p.b.inboxes["mqtt"]; x != nil && len(x.filters) > 0 {
		p.bring(u, "inbox", body)
	}
	p.do("producer", Op{Kind: OpPublish, Message: text(topicOf(powerTopics[p.rng.IntN(2)]), body, quality(2))}, u.confirm)
}

// publishInbound sends a QoS 2 message under a packet id, and sometimes says it twice.
func (p *power) publishInbound() {
	id := uint16(1 + p.rng.IntN(6))
	if m := p.inbound[id]; m != nil && m.released {
		return
	} else if m != nil {
		p.do("mqtt", Op{Kind: OpPublish, Inbound: id, Message: text(queueOf("in"), "twice", quality(2))}, func(*Completion) {
			p.errorf("packet id %d was taken twice", id)
		})
		return
	}
	u, body := p.newUnit("QoS 2 publish"), p.body()
	p.inbound[id] = &mark{by: u}
	p.bring(u, "in", body)
	p.do("mqtt", Op{Kind: OpPublish, Inbound: id, Message: text(queueOf("in"), body, quality(2))}, u.confirm)
}

func (p *power) release() {
	for id := uint16(1); id <= 6; id++ {
		if m := p.inbound[id]; m != nil && !m.released && p.rng.IntN(3) == 0 {
			m.released = true
			p.do("mqtt", Op{Kind: OpRelease, Inbound: id}, func(*Completion) { delete(p.inbound, id) })
			return
		}
	}
}

func (p *power) retain() {
	topic := fmt.Sprint("r.", p.rng.IntN(powerRetained))
	p.bodies++
	x := said{n: p.bodies}
	if p.rng.IntN(4) > 0 {
		x.body = p.body()
	}
	p.retained[topic] = append(p.retained[topic], x)
	p.do("producer", Op{Kind: OpPublish, Message: text(topicOf(topic), x.body, retained)}, func(*Completion) {
		if i := slices.Index(p.retained[topic], x); i > 0 {
			p.retained[topic] = p.retained[topic][i:]
		}
	})
}

// held picks something in flight about which nothing was said.
func (p *power) held(places ...string) *powerMessage {
	var list []*powerMessage
	for _, place := range places {
		for _, x := range p.live[place] {
			if x.tag != nil && !x.busy {
				list = append(list, x)
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[p.rng.IntN(len(list))]
}

func clientOf(place string) string {
	switch place {
	case "sub a", "sub b":
		return "durable"
	case "inbox":
		return "mqtt"
	}
	return "producer"
}

func (p *power) settleOne() {
	x := p.held("q0", "q1", "in", "sub a", "sub b", "inbox", "inbox")
	if x == nil {
		return
	}
	op := Op{Kind: OpSettle, Tags: []Tag{x.tag}, Outcome: Accepted}
	r := p.rng.IntN(10)
	switch {
	case x.place == "inbox" && x.received == 0:
		op.Outcome, x.received = Received, 1
		p.do("mqtt", op, func(*Completion) { x.received = 2 })
		return
	case x.place != "inbox" && r < 2:
		op.Outcome, x.tag = Failed, nil
		x.attempts[1]++
		n := x.attempts[1]
		p.do(clientOf(x.place), op, func(*Completion) { x.attempts[0] = max(x.attempts[0], n) })
		return
	case x.place != "inbox" && r < 4:
		op.Outcome, x.moved = Rejected, true
	}
	x.busy = true
	u := p.newUnit(fmt.Sprint("settle ", op.Outcome))
	p.take(u, x)
	p.do(clientOf(x.place), op, u.confirm)
}

func (p *power) take(u *powerUnit, x *powerMessage) {
	u.takes = append(u.takes, x)
	x.taken = append(x.taken, u)
}

// workInTx adds to a transaction, or commits it, or rolls it back.
func (p *power) workInTx() {
	if p.tx == nil {
		p.tx = &powerUnit{what: "transaction"}
		p.do("producer", Op{Kind: OpBegin, Tx: 1}, nil)
	}
	r := p.rng.IntN(10)
	switch {
	case r < 4:
		if s := p.sentOnce(); s != nil && r == 0 {
			p.tx.again = append(p.tx.again, s.by)
			p.do("producer", Op{Kind: OpPublish, Tx: 1, Message: s.message()}, nil)
			return
		}
		body, q := p.body(), powerQueues[p.rng.IntN(2)]
		p.tx.brings = append(p.tx.brings, &powerMessage{body: body, place: q, by: p.tx})
		m := text(queueOf(q), body)
		p.name(m, p.tx)
		p.do("producer", Op{Kind: OpPublish, Tx: 1, Message: m}, nil)
	case r < 7:
		if x := p.held("q0", "q1"); x != nil {
			x.busy = true
			p.tx.takes = append(p.tx.takes, x)
			p.do("producer", Op{Kind: OpSettle, Tx: 1, Tags: []Tag{x.tag}, Outcome: Accepted}, nil)
		}
	default:
		p.endTx(r < 9)
	}
}

func (p *power) endTx(commit bool) {
	u := p.tx
	p.tx = nil
	if !commit {
		for _, x := range u.takes {
			x.busy = false
		}
		p.unsend(u)
		p.do("producer", Op{Kind: OpRollback, Tx: 1}, nil)
		return
	}
	for _, x := range u.takes {
		x.taken = append(x.taken, u)
	}
	for _, x := range u.brings {
		p.live[x.place] = append(p.live[x.place], x)
	}
	p.units = append(p.units, u)
	p.do("producer", Op{Kind: OpCommit, Tx: 1}, u.confirm)
}

func (p *power) grantSome() {
	for _, s := range []struct {
		client string
		sub    SubID
	}{{"producer", 1}, {"producer", 2}, {"producer", 3}, {"durable", 1}, {"durable", 2}, {"mqtt", InboxSub}} {
		key := fmt.Sprint(s.client, s.sub)
		p.credit[key] += uint64(p.rng.IntN(8))
		p.do(s.client, Op{Kind: OpCredit, Sub: s.sub, Limit: p.credit[key]}, nil)
	}
}

// purge empties q1. It is confirmed when the next publish is: the log has an order.
func (p *power) purge() {
	if _, err := p.b.Purge(queueOf("q1")); err != nil && !errors.Is(err, ErrShutdown) && !errors.Is(err, ErrNotFound) {
		p.errorf("purge: %v", err)
	}
	u := p.newUnit("purge")
	for _, x := range p.live["q1"] {
		if x.tag = nil; len(x.taken) == 0 || !x.moved { // what is rejected already is among the dead letters
			x.busy = true
			p.take(u, x)
		}
	}
	body := p.body()
	after := p.newUnit("publish after a purge")
	p.bring(after, "q0", body)
	p.do("producer", Op{Kind: OpPublish, Message: text(queueOf("q0"), body)}, func(*Completion) { u.confirmed, after.confirmed = true, true })
}

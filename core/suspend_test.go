package core

import (
	"errors"
	"testing"
)

// TestSuspended holds that nobody is told anything, whatever kind of queue it comes from, and that all of it is told after.
func TestSuspended(t *testing.T) {
	r := newRig(t)
	p, c := r.connect("p"), r.connect("c")
	c.must(Op{Kind: OpDeclare, Dest: Destination{TempQueue, "temp"}})
	c.consume(1, queueOf("q"), 10)
	c.consume(2, topicOf("t"), 10)
	c.consume(3, topicOf("t"), 10, func(q *SubscribeRequest) { q.Durable, q.Name = true, "n" })
	c.consume(4, Destination{TempQueue, "temp"}, 10)
	m, _ := r.mqtt("m", true, 0)
	m.must(Op{Kind: OpFilter, Filter: &Filter{Pattern: topicOf("t"), MaxQoS: 1}})
	m.grant(InboxSub, 10)
	p.must(Op{Kind: OpPublish, Message: text(queueOf("q"), "mailed")}) // committed, and in c's mailbox
	r.b.Suspend(true)
	r.b.Suspend(true)
	var asked []Ticket
	for _, d := range []Destination{queueOf("q"), topicOf("t"), {TempQueue, "temp"}} {
		asked = append(asked, p.send(Op{Kind: OpPublish, Message: text(d, "durable")}), p.send(Op{Kind: OpPublish, Message: text(d, "volatile", volatile)}))
	}
	drains := c.send(Op{Kind: OpCredit, Sub: 1, Limit: 10, Drain: true})
	p.pump()
	if len(c.take())+len(m.take())+len(c.drained) > 0 {
		t.Errorf("handed over: %q, %q, %d drained", bodiesOf(c.got), bodiesOf(m.got), len(c.drained))
	}
	for _, ticket := range asked {
		if done, ok := p.done[ticket]; ok {
			t.Errorf("answered: %+v", done)
		}
	}
	if _, ok := c.done[drains]; ok || !p.c.Throttled() {
		t.Error("answered, or read")
	}
	p.wakes.take()
	r.b.Suspend(false)
	if p.c.Throttled() || p.wakes.take() == 0 {
		t.Error("it does not know that it goes on")
	}
	p.pump()
	for _, ticket := range asked {
		if done, ok := p.done[ticket]; !ok || done.Err != nil {
			t.Errorf("%v %+v", ok, done)
		}
	}
	if got := c.take(); len(got) != 9 || string(got[0].Message.Bare) != "mailed" { // the temporary queue's come first of the rest, or not
		t.Errorf("got %q", bodiesOf(got))
	}
	m.want("durable volatile")
	if len(c.drained) != 1 {
		t.Errorf("%d drained", len(c.drained))
	}
}

// TestSuspendedToTheEnd holds that a master that was deposed says goodbye and nothing else.
func TestSuspendedToTheEnd(t *testing.T) {
	r := newRig(t)
	p, c := r.connect("p"), r.connect("c")
	c.consume(1, queueOf("q"), 10)
	r.b.Suspend(true)
	ticket := p.send(Op{Kind: OpPublish, Message: text(queueOf("q"), "a", volatile)})
	r.b.Shutdown()
	p.poll()
	if done, ok := p.done[ticket]; ok || !errors.Is(p.evicted, ErrShutdown) {
		t.Errorf("%+v, evicted: %v", done, p.evicted)
	}
	c.poll()
	if len(c.got) > 0 {
		t.Errorf("got %q", bodiesOf(c.got))
	}
}

package core

import (
	"fmt"
	"testing"
)

func TestQueueDeliversInOrderWithCredit(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 5)
	p.consume(1, queueOf("q"), 2)
	first := p.want("1 2")
	p.grant(1, 1)
	p.want("3")
	p.settleAs(Accepted, first...)
	if i := r.queue("q"); i.Depth != 3 || i.InFlight != 1 || i.Dequeued != 2 || i.Enqueued != 5 || i.Consumers != 1 {
		t.Errorf("%+v", i)
	}
	p.close()
	r.stop()
	p = r.connect("")
	p.consume(1, queueOf("q"), 10)
	p.want("3 4 5")
}

func TestNothingIsSeenOrAnsweredBeforeItIsCommitted(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.consume(1, queueOf("q"), 10)
	ticket := p.send(Op{Kind: OpPublish, Message: text(queueOf("q"), "x")})
	for p.poll() {
	}
	if _, ok := p.done[ticket]; ok || len(p.got) != 0 {
		t.Fatalf("before the commit: answered %v, %d deliveries", ok, len(p.got))
	}
	p.want("x")
	if d, ok := p.done[ticket]; !ok || d.Err != nil || !d.Matched {
		t.Errorf("%+v", d)
	}
}

func TestPriorityGoesBeforeOrder(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	for i, n := range []uint8{4, 0, 9, 4, 9} {
		p.publish(queueOf("q"), fmt.Sprint(i), priority(n))
	}
	p.consume(1, queueOf("q"), 10)
	p.want("2 4 0 3 1")
}

func TestConsumersTakeTurns(t *testing.T) {
	r := newRig(t)
	a, b := r.connect("a"), r.connect("b")
	a.consume(1, queueOf("q"), 2)
	b.consume(1, queueOf("q"), 10)
	a.fill(queueOf("q"), 1, 6)
	a.want("1 3")
	b.want("2 4 5 6")
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		name     string
		outcome  Outcome
		again    string // what comes next
		attempts uint32
		dead     uint64
	}{
		{"accepted", Accepted, "b", 0, 0},
		{"released", Released, "a b", 0, 0},
		{"rejected", Rejected, "b", 0, 1},
		{"failed", Failed, "a b", 1, 0},
		{"failed here", FailedHere, "b", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			p := r.connect("")
			p.publish(queueOf("q"), "a")
			p.publish(queueOf("q"), "b")
			p.consume(1, queueOf("q"), 1)
			p.settleAs(c.outcome, p.want("a")...)
			p.grant(1, 5)
			got := p.want(c.again)
			if got[0].Attempts != c.attempts {
				t.Errorf("%d attempts", got[0].Attempts)
			}
			if again := string(got[0].Message.Bare) == "a"; got[0].Returned != again {
				t.Errorf("returned: %v", got[0].Returned)
			}
			if i := r.queue("q"); i.Dead != c.dead {
				t.Errorf("%d dead letters", i.Dead)
			}
		})
	}
}

func TestFailedHereGoesToAnother(t *testing.T) {
	r := newRig(t)
	a, b := r.connect("a"), r.connect("b")
	a.fill(queueOf("q"), 1, 2)
	a.consume(1, queueOf("q"), 1)
	a.settleAs(FailedHere, a.want("1")...)
	a.grant(1, 1)
	a.want("2")
	b.consume(1, queueOf("q"), 5)
	if got := b.want("1"); got[0].Attempts != 1 {
		t.Errorf("%+v", got[0])
	}
}

func TestSixRedeliveriesThenDead(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.publish(queueOf("q"), "a")
	p.consume(1, queueOf("q"), 100)
	for i := range uint32(7) {
		got := p.want("a")
		if got[0].Attempts != i || got[0].Returned != (i > 0) {
			t.Fatalf("delivery %d: %+v", i, got[0])
		}
		if i == 3 { // a restart forgets nothing
			p.settleAs(Failed, got...)
			p.take()
			r.stop()
			p = r.connect("")
			p.consume(1, queueOf("q"), 100)
			continue
		}
		p.settleAs(Failed, got...)
	}
	p.want("")
	p.consume(2, queueOf(defaultDeadLetter), 10)
	got := p.want("a")
	if got[0].DeadReason() != ReasonRedelivery || got[0].Attempts != 0 || got[0].Message.To != queueOf("q") {
		t.Errorf("%+v %q", got[0], got[0].DeadReason())
	}
	if e := r.eventsOf(EventDeadLetter); len(e) != 1 || e[0].Subject != "queue://q" || e[0].Count != 1 {
		t.Errorf("%+v", e)
	}
	p.close()
	r.stop()
	p = r.connect("")
	p.consume(2, queueOf(defaultDeadLetter), 10)
	if got := p.want("a"); got[0].DeadReason() != ReasonRedelivery || got[0].Attempts != 0 {
		t.Errorf("after a restart: %+v %q", got[0], got[0].DeadReason())
	}
	if i := r.queue("q"); i.Depth != 0 {
		t.Errorf("%+v", i)
	}
}

func TestWhatWasInFlightReturnsToItsPlace(t *testing.T) {
	r := newRig(t)
	a, b := r.connect("a"), r.connect("b")
	a.fill(queueOf("q"), 1, 6)
	a.consume(1, queueOf("q"), 4)
	got := a.want("1 2 3 4")
	a.settleAs(Accepted, got[1])
	a.settleAs(Released, got[3])
	a.close()
	b.consume(1, queueOf("q"), 10)
	for _, d := range b.want("1 3 4 5 6") {
		n := string(d.Message.Bare)
		if d.Attempts != 0 || d.Returned != (n < "5") {
			t.Errorf("%s: attempts %d returned %v", n, d.Attempts, d.Returned)
		}
	}
}

func TestDrain(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 3)
	p.consume(1, queueOf("q"), 0)
	p.credit[1] = 10
	if d := p.drain(1); d.Used != 10 {
		t.Errorf("used %d", d.Used)
	}
	p.want("1 2 3")
	p.fill(queueOf("q"), 4, 1)
	p.want("")
	p.grant(1, 1)
	p.want("4")
}

func TestDrainOfAPausedQueueIsAnswered(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 1)
	p.consume(1, queueOf("q"), 0)
	if err := r.b.Pause(queueOf("q")); err != nil {
		t.Fatal(err)
	}
	p.credit[1] = 10
	p.drain(1)
	p.want("")
}

func TestDrainThatIsTakenBackDropsNoCredit(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 300)
	p.consume(1, queueOf("q"), 0)
	// The rest is read back at the next Tick: until then the drain is not answered.
	p.send(Op{Kind: OpCredit, Sub: 1, Limit: 200, Drain: true})
	p.send(Op{Kind: OpCredit, Sub: 1, Limit: 500})
	if got := p.take(); len(got) != 300 || len(p.drained) != 0 {
		t.Errorf("%d deliveries, %d answers to a drain", len(got), len(p.drained))
	}
	p.fill(queueOf("q"), 301, 1)
	p.want("301")
}

// smallWindow makes a queue page after a few messages.
func smallWindow(o *Options) { o.Limits.WindowMessages = 8 }

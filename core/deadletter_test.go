package core

import (
	"errors"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

var dlq = queueOf(defaultDeadLetter)

func TestExpiredDurableIsADeadLetterAndOthersAreGone(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	soon := expires(r.now + 1000)
	p.fill(queueOf("q"), 1, 1, soon)
	p.fill(queueOf("q"), 2, 1, soon, volatile)
	p.fill(queueOf("q"), 3, 1)
	r.sleep(999)
	if i := r.queue("q"); i.Depth != 3 {
		t.Fatalf("%+v", i)
	}
	r.sleep(1)
	if i := r.queue("q"); i.Depth != 1 || i.Expired != 2 || i.Dead != 1 {
		t.Errorf("%+v", i)
	}
	r.sleep(5000)
	p.consume(1, dlq, 10)
	got := p.want("1")
	if reason := got[0].DeadReason(); reason != ReasonExpired {
		t.Error(reason)
	}
	if s := r.b.Stats(); s.Expired != 2 || s.DeadLettered[ReasonExpired] != 1 {
		t.Errorf("%+v", s)
	}
	p.close()
	r.stop() // it does not expire again
	r.sleep(5000)
	p = r.connect("")
	p.consume(1, dlq, 10)
	p.want("1")
}

// TestOriginOfDeadLetters follows letters from a queue and from a subscription to a grave of their own, and on from there.
func TestOriginOfDeadLetters(t *testing.T) {
	grave := queueOf("grave")
	r := newRig(t, func(o *Options) {
		o.Policies = []Policy{{Pattern: queueOf("q"), DeadLetter: grave}, {Pattern: topicOf(">"), DeadLetter: grave}}
	})
	p := r.connect("p")
	p.consume(1, queueOf("q"), 10)
	p.consume(2, topicOf("news.*"), 10, func(s *SubscribeRequest) { s.Durable, s.Name = true, "n" })
	p.publish(queueOf("q"), "1")
	p.publish(queueOf("q"), "2", volatile)
	p.publish(topicOf("news.a"), "3")
	p.settleAs(Rejected, p.want("1 2 3")...)
	origins := map[string]Destination{"1": queueOf("q"), "2": queueOf("q"), "3": topicOf("news.*")}
	look := func(d Destination, reason string) {
		t.Helper()
		page, err := r.b.Browse(d, "", 10)
		if err != nil || len(page.Messages) != 3 {
			t.Fatalf("%+v, %v", page, err)
		}
		b := r.connect("b")
		b.consume(9, d, 10, func(s *SubscribeRequest) { s.Browse = true })
		seen := b.take()
		for i := range 3 {
			if m := page.Messages[i]; m.Origin != origins[string(m.Message.Bare)] || m.Reason != reason {
				t.Errorf("%s is browsed as %q from %v", m.Message.Bare, m.Reason, m.Origin)
			}
			if d := &seen[i]; d.Origin() != origins[string(d.Message.Bare)] || d.DeadReason() != reason {
				t.Errorf("%s is shown as %q from %v", d.Message.Bare, d.DeadReason(), d.Origin())
			}
		}
		b.close()
	}
	look(grave, ReasonRejected)
	p.consume(3, grave, 10)
	p.settleAs(Rejected, p.take()...) // once more
	look(dlq, ReasonRejected)
	r.stop()
	p = r.connect("p")
	p.consume(4, dlq, 10)
	letters := p.take()
	if len(letters) != 2 {
		t.Errorf("after a restart: %q", bodiesOf(letters))
	}
	for _, d := range letters {
		if d.Origin() != origins[string(d.Message.Bare)] || d.DeadReason() != ReasonRejected {
			t.Errorf("after a restart %s comes as %q from %v", d.Message.Bare, d.DeadReason(), d.Origin())
		}
	}
	p.publish(queueOf("other"), "x")
	p.consume(5, queueOf("other"), 1)
	if d := p.want("x"); d[0].DeadReason() != "" || !d[0].Origin().IsZero() {
		t.Error("the living have no origin")
	}
}

// The queue is looked at when the first wakes; that must not make it forget the second.
func TestExpiryAfterADelay(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 1, notBefore(r.now+1000))
	p.fill(queueOf("q"), 2, 1, expires(r.now+2000))
	r.sleep(1000)
	r.sleep(1000)
	if i := r.queue("q"); i.Expired != 1 {
		t.Errorf("%+v", i)
	}
}

func TestExpiryBehindTheWindow(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 300, expires(r.now+1000))
	r.sleep(1000)
	for range 10 {
		r.sleep(100)
	}
	if i := r.queue("q"); i.Depth != 0 || i.Dead != 300 {
		t.Errorf("%+v", i)
	}
	if i := r.queue(dlq.Name); i.Depth != 300 {
		t.Errorf("%+v", i)
	}
}

func TestWhatExpiredIsNotHandedOut(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.consume(1, queueOf("q"), 0)
	p.fill(queueOf("q"), 1, 1, expires(r.now+1000))
	p.fill(queueOf("q"), 2, 1)
	r.now += 1000 // no Tick before the credit
	p.send(Op{Kind: OpCredit, Sub: 1, Limit: 10})
	p.want("2")
}

// Failing so often within one transaction, the message goes where the same transaction publishes.
func TestTransactionThatBuriesWhereItPublishes(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.publish(queueOf("q"), "bad")
	p.publish(dlq, "first")
	p.consume(1, queueOf("q"), 1)
	got := p.want("bad")
	p.must(Op{Kind: OpBegin, Tx: 1})
	p.must(Op{Kind: OpPublish, Tx: 1, Message: text(dlq, "second")})
	p.must(Op{Kind: OpPublish, Tx: 1, Message: text(queueOf("q2"), "x")})
	p.must(Op{Kind: OpSettle, Tx: 1, Tags: []Tag{got[0].Tag}, Outcome: Rejected})
	p.must(Op{Kind: OpCommit, Tx: 1})
	p.consume(2, dlq, 10)
	p.want("first second bad")
}

func lasting(name string) func(*SubscribeRequest) {
	return func(q *SubscribeRequest) { q.Durable, q.Name = true, name }
}

func TestRejectedAmongTheDeadIsGoneForGood(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.publish(dlq, "a")
	p.consume(1, dlq, 10)
	got := p.want("a")
	ticket := p.send(Op{Kind: OpSettle, Tags: []Tag{got[0].Tag}, Outcome: Rejected})
	for p.poll() {
	}
	if _, ok := p.done[ticket]; ok {
		t.Error("it was answered before the log had it")
	}
	p.pump()
	if done := p.done[ticket]; done.Err != nil {
		t.Error(done.Err)
	}
	r.restart(0)
	if i := r.queue(dlq.Name); i.Depth != 0 {
		t.Errorf("%+v", i)
	}
}

func TestDeadLettersThatCannotBeWrittenStay(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 1)
	p.fill(queueOf("q"), 2, 1, expires(r.now+1000))
	p.consume(1, queueOf("q"), 1)
	got := p.want("1")
	r.memory().full = true // so that the dead letters' queue cannot be made
	if done := p.ask(Op{Kind: OpSettle, Tags: []Tag{got[0].Tag}, Outcome: Rejected}); !errors.Is(done.Err, ErrFull) {
		t.Errorf("answered %v", done.Err)
	}
	r.sleep(1000)
	if i := r.queue("q"); i.Depth != 2 || i.Dead != 0 {
		t.Errorf("%+v", i)
	}
	r.memory().full = false
	p.grant(1, 10)
	r.sleep(1000)
	p.settleAs(Rejected, p.want("1")...)
	if i := r.queue(dlq.Name); i.Depth != 2 {
		t.Errorf("%+v", i)
	}
	if i := r.queue("q"); i.Depth != 0 || i.Dead != 2 || i.Expired != 1 {
		t.Errorf("%+v", i)
	}
}

func TestSettleThatTheStoreRefusesIsNotConfirmed(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 1)
	p.consume(1, queueOf("q"), 1)
	got := p.want("1")
	r.memory().refuse = persist.ErrClosed
	if done := p.ask(Op{Kind: OpSettle, Tags: []Tag{got[0].Tag}, Outcome: Accepted}); !errors.Is(done.Err, ErrShutdown) {
		t.Errorf("answered %v", done.Err)
	}
}

func TestVolatileDeadLettersAreBounded(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 3, volatile)
	p.consume(1, queueOf("q"), 3)
	got := p.take()
	p.settleAs(Rejected, got[0])
	r.b.limits.MemoryBytes = 1
	p.settleAs(Rejected, got[1:]...)
	if i := r.queue(dlq.Name); i.Depth != 1 || i.Dropped[dropMemory] != 2 {
		t.Errorf("%+v", i)
	}
}

func TestDeadLettersByPolicy(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Policies = []Policy{{Pattern: queueOf("a.>"), DeadLetter: queueOf("a.DLQ"), MaxRedeliveries: 1}, {Pattern: queueOf("b"), MaxRedeliveries: -1}}
	})
	p := r.connect("")
	p.fill(queueOf("a.1"), 1, 1)
	p.fill(queueOf("b"), 2, 1)
	p.consume(1, queueOf("a.1"), 10)
	p.settleAs(Failed, p.want("1")...)
	p.settleAs(Failed, p.want("1")...)
	p.consume(2, queueOf("b"), 100)
	for range 20 {
		p.settleAs(Failed, p.want("2")...)
	}
	p.consume(3, queueOf("a.DLQ"), 1)
	p.want("2 1")
}

func TestTempAndLiveHaveNoDeadLetters(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	d := p.must(Op{Kind: OpDeclare, Dest: Destination{Kind: TempQueue}}).Dest
	p.consume(1, d, 10)
	p.consume(2, topicOf("t"), 10)
	p.publish(d, "a")
	p.publish(topicOf("t"), "b")
	p.settleAs(Rejected, p.want("a b")...)
	if _, err := r.b.Queue(dlq); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if s := r.b.Stats(); s.Dropped[ReasonRejected] != 2 {
		t.Errorf("%+v", s)
	}
}

package core

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

func TestNothingBeforeConnect(t *testing.T) {
	r := newRig(t)
	p := r.attach()
	for kind := OpPublish; kind <= OpDisconnect; kind++ {
		op := Op{Kind: kind, Message: text(queueOf("q"), "x"), Subscribe: &SubscribeRequest{Source: queueOf("q")}, Filter: &Filter{Pattern: topicOf("t")}}
		if done := p.ask(op); !errors.Is(done.Err, ErrUnauthorized) {
			t.Errorf("op %d: %v", kind, done.Err)
		}
	}
	if done := p.ask(Op{Kind: OpConnect, Connect: &ConnectRequest{Proved: true}}); !errors.Is(done.Err, ErrUnauthorized) {
		t.Error(done.Err)
	}
}

func TestConnectTwice(t *testing.T) {
	r := newRig(t)
	p := r.attach()
	p.must(Op{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "amqp", User: "u", HasLogin: true}})
	if done := p.ask(Op{Kind: OpConnect, Connect: &ConnectRequest{}}); !errors.Is(done.Err, ErrInvalid) {
		t.Error(done.Err)
	}
	p.must(Op{Kind: OpConnect, Connect: &ConnectRequest{Proved: true, ClientID: "a", Exclusive: true}})
	if done := p.ask(Op{Kind: OpConnect, Connect: &ConnectRequest{Proved: true, ClientID: "b"}}); !errors.Is(done.Err, ErrInvalid) {
		t.Error(done.Err)
	}
	if done := p.ask(Op{Kind: 99}); !errors.Is(done.Err, &Error{Code: CodeInternal}) {
		t.Error(done.Err)
	}
	list, _ := r.b.Clients(0, "a", 0)
	if len(list) != 1 || list[0].ClientID != "a" || list[0].User != "u" || list[0].Protocol != "amqp" {
		t.Errorf("%+v", list)
	}
}

type gate struct{ err error }

func (g *gate) Authenticate(q *ConnectRequest, _ string) (Identity, error) {
	return Identity{User: q.User}, g.err
}

func (g *gate) Authorize(who *Identity, a Action, d Destination) error {
	if d.Name == "secret" || a == ActionWrite && d.Name == "readonly" {
		return &Error{CodeForbidden, d.String(), who.User + " may not"}
	}
	return nil
}

func TestAccess(t *testing.T) {
	g := &gate{}
	r := newRig(t, func(o *Options) { o.Auth, o.Access = g, g })
	p := r.connect("a")
	for i, op := range []Op{
		{Kind: OpPublish, Message: text(queueOf("secret"), "x")},
		{Kind: OpPublish, Message: text(queueOf("readonly"), "x")},
		{Kind: OpDeclare, Dest: queueOf("secret")},
		{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: queueOf("secret")}},
		{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: topicOf("secret"), Durable: true, Name: "d"}},
	} {
		if done := p.ask(op); !errors.Is(done.Err, ErrForbidden) {
			t.Errorf("%d: %v", i, done.Err)
		}
	}
	p.consume(1, queueOf("readonly"), 1)
	if _, err := r.b.Queue(queueOf("secret")); !errors.Is(err, ErrNotFound) {
		t.Error("it was made all the same")
	}
	g.err = errors.New("no such user")
	if done := r.attach().ask(Op{Kind: OpConnect, Connect: &ConnectRequest{User: "eve"}}); !errors.Is(done.Err, ErrUnauthorized) {
		t.Error(done.Err)
	}
	g.err = &Error{CodeForbidden, "user", "locked"}
	if done := r.attach().ask(Op{Kind: OpConnect, Connect: &ConnectRequest{User: "eve"}}); !errors.Is(done.Err, ErrForbidden) {
		t.Error(done.Err)
	}
	if e := r.eventsOf(EventRefused); len(e) != 2 {
		t.Errorf("%+v", e)
	}
}

func TestAnswersComeInOrder(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.order = nil
	p.c.Do([]Op{
		{Kind: OpPublish, Ticket: 101, Message: text(queueOf("q"), "1")},
		{Kind: OpBegin, Ticket: 102, Tx: 1},
		{Kind: OpBarrier, Ticket: 103},
		{Kind: OpPublish, Message: text(queueOf("q"), "no ticket")},
		{Kind: OpPublish, Ticket: 104, Message: text(topicOf("nobody"), "2")},
		{Kind: OpUnsubscribe, Ticket: 105, Sub: 9},
	}, r.now)
	for p.poll() {
	}
	if len(p.order) != 0 {
		t.Fatalf("answered %v before the first was", p.order)
	}
	p.pump()
	if fmt.Sprint(p.order) != "[101 102 103 104 105]" {
		t.Errorf("%v", p.order)
	}
}

// TestBarrierWaitsForWhatAskedNothing: what has no ticket is part of all before a barrier too.
func TestBarrierWaitsForWhatAskedNothing(t *testing.T) {
	for _, op := range []Op{{Kind: OpBarrier}, {Kind: OpDisconnect, ExpiryS: ExpiryKeep}} {
		r := newRig(t)
		p := r.connect("a")
		p.publish(queueOf("q"), "x")
		p.consume(1, queueOf("q"), 1)
		d := p.want("x")
		op.Ticket = 900
		p.c.Do([]Op{{Kind: OpSettle, Sub: 1, Tags: []Tag{d[0].Tag}, Outcome: Accepted}, op}, r.now)
		for p.poll() {
		}
		if _, early := p.done[900]; early {
			t.Errorf("%v completed before the log had the settle", op.Kind)
		}
		p.pump()
		if _, ok := p.done[900]; !ok {
			t.Errorf("%v did not complete", op.Kind)
		}
	}
}

func TestMailboxStopsAndGoesOn(t *testing.T) {
	r := newRig(t)
	p, s := r.connect("a"), r.connect("")
	p.consume(1, queueOf("q"), 10_000)
	p.consume(2, topicOf("t"), 10_000, lasting("d"))
	p.consume(3, queueOf("q"), 0, func(q *SubscribeRequest) { q.Browse = true })
	p.credit[3] = 10_000
	s.fill(queueOf("q"), 1, 3000)
	s.fill(topicOf("t"), 5001, 3000)
	p.send(Op{Kind: OpCredit, Sub: 3, Limit: 10_000})
	r.settle()
	if n := p.c.mail.len(); n < mailboxSize || n > mailboxSize+browseTurn+2 {
		t.Errorf("%d wait in the mailbox", n)
	}
	var n [4]int
	for _, d := range p.take() {
		n[d.Sub]++
	}
	if n != [4]int{0, 3000, 3000, 3000} {
		t.Errorf("%v", n)
	}
	if i, _ := r.b.Clients(0, "a", 0); i[0].InFlight != 6000 || i[0].Traffic.Delivered != 9000 {
		t.Errorf("%+v", i)
	}
}

func TestWakesOnceForMuch(t *testing.T) {
	r := newRig(t)
	p, s := r.connect("a"), r.connect("")
	p.consume(1, queueOf("q"), 1000)
	p.wakes.take()
	s.fill(queueOf("q"), 1, 500)
	if n := p.wakes.take(); n < 1 || n > 3 {
		t.Errorf("%d wakes", n)
	}
	p.want(numbers(1, 500))
}

func TestInFlightIsBounded(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.InFlight = 3 })
	p := r.connect("")
	p.fill(queueOf("q"), 1, 10)
	p.consume(1, queueOf("q"), 100)
	got := p.want("1 2 3")
	p.settleAs(Accepted, got[1])
	p.want("4")
}

func TestAutoIsAcceptedAsItIsHandedOver(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 3)
	p.fill(queueOf("other"), 4, 1)
	auto := func(q *SubscribeRequest) { q.Auto = true }
	p.consume(1, queueOf("q"), 2, auto)
	p.consume(2, queueOf("other"), 2, auto)
	p.want("1 2 4")
	p.send(Op{Kind: OpCredit, Sub: 1, Limit: 3}) // it is in the mailbox, and not handed over
	r.settle()
	if i := r.queue("q"); i.InFlight != 1 || i.Depth != 1 || i.Dequeued != 2 {
		t.Errorf("%+v", i)
	}
	if list, _ := r.b.Clients(0, "", 0); list[0].InFlight != 1 || list[0].Traffic.Acknowledged != 3 {
		t.Errorf("%+v", list)
	}
	p.close()
	p = r.connect("")
	p.consume(1, queueOf("q"), 2, auto)
	p.want("3")
	r.restart(0)
	if i := r.queue("q"); i.Depth != 0 {
		t.Errorf("%+v", i)
	}
}

func TestThrottled(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.UncommittedBytes = 1000 })
	p := r.connect("")
	if p.c.Throttled() {
		t.Error("throttled by nothing")
	}
	for range 30 {
		p.send(Op{Kind: OpPublish, Message: text(queueOf("q"), string(make([]byte, 100)))})
	}
	if first, again := p.c.Throttled(), p.c.Throttled(); !first || !again { // counted once all the same
		t.Error("not throttled")
	}
	if s := r.b.Stats(); s.Throttles != 1 || s.UncommittedBytes < 3000 {
		t.Errorf("%+v", s)
	}
	p.wakes.take()
	r.memory().commit(1)
	if list, _ := r.b.Clients(0, "", 0); !list[0].Throttled {
		t.Error("it was let go too early")
	}
	r.settle()
	if p.c.Throttled() || p.wakes.take() == 0 {
		t.Error("it was not told that it may go on")
	}
}

func TestKick(t *testing.T) {
	r := newRig(t)
	p := r.connect("a")
	list, _ := r.b.Clients(0, "a", 0)
	if err := r.b.Kick(list[0].Key, ""); err != nil {
		t.Fatal(err)
	}
	if p.pump(); !errors.Is(p.evicted, ErrKicked) {
		t.Error(p.evicted)
	}
	if done := p.ask(Op{Kind: OpBarrier}); !errors.Is(done.Err, ErrKicked) {
		t.Error(done.Err)
	}
	p.close()
	p.c.Close(r.now)
	if err := r.b.Kick(list[0].Key, "again"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if done := p.ask(Op{Kind: OpBarrier}); !errors.Is(done.Err, ErrKicked) {
		t.Error(done.Err)
	}
	if e := r.eventsOf(EventDisconnected); len(e) != 1 || e[0].Subject != `client "a"` {
		t.Errorf("%+v", e)
	}
}

func TestShutdown(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 2)
	p.consume(1, queueOf("q"), 1)
	p.want("1")
	m, _ := r.mqtt("m", true, 60)
	r.b.Shutdown()
	end := r.memory().end
	for _, x := range []*peer{p, m, r.attach()} {
		if x.pump(); !errors.Is(x.evicted, ErrShutdown) {
			t.Error(x.evicted)
		}
		if done := x.ask(Op{Kind: OpPublish, Message: text(queueOf("q"), "3")}); !errors.Is(done.Err, ErrShutdown) {
			t.Error(done.Err)
		}
		x.close()
	}
	r.sleep(1_000_000)
	if r.memory().end != end {
		t.Error("the log grew")
	}
	if err := r.b.CreateQueue(queueOf("new")); !errors.Is(err, ErrShutdown) {
		t.Error(err)
	}
	r.stop()
	if i := r.queue("q"); i.Depth != 2 {
		t.Errorf("%+v", i)
	}
	if _, done := r.mqtt("m", false, 60); !done.Present {
		t.Error("the session is gone")
	}
}

func TestHandOver(t *testing.T) {
	for host, want := range map[string]string{"agent133": "agent133:61613", "::1": "[::1]:61613"} {
		r := newRig(t)
		p := r.connect("")
		r.b.HandOver(host)
		p.pump()
		for _, err := range []error{p.evicted, p.ask(Op{Kind: OpBarrier}).Err} {
			var m *Moved
			if !errors.As(err, &m) || !errors.Is(err, ErrShutdown) || m.Host != host || strings.Contains(m.Address(), "61613") {
				t.Fatalf("%v", err)
			}
			if at := (&Moved{m.Err, m.Host, 61613}).Address(); at != want {
				t.Errorf("%q, want %q", at, want)
			}
		}
	}
}

func TestStoreThatIsFull(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 2)
	p.consume(1, queueOf("q"), 5)
	got := p.want("1 2")
	r.memory().full = true
	for range 3 {
		if done := p.ask(Op{Kind: OpPublish, Message: text(queueOf("q"), "3")}); !errors.Is(done.Err, ErrFull) {
			t.Error(done.Err)
		}
	}
	p.settleAs(Accepted, got...) // consumers drain
	if i := r.queue("q"); i.Depth != 0 {
		t.Errorf("%+v", i)
	}
	p.publish(queueOf("q"), "4", volatile)
	p.want("4")
	r.memory().full = false
	p.publish(queueOf("q"), "5")
	p.want("5")
	if e := r.eventsOf(EventStoreFull); len(e) < 1 || len(e) > 2 {
		t.Errorf("%+v", e)
	}
	r.memory().refuse = persist.ErrTooLarge
	if done := p.ask(Op{Kind: OpPublish, Message: text(queueOf("q"), "6")}); !errors.Is(done.Err, ErrTooLarge) {
		t.Error(done.Err)
	}
	r.memory().refuse = persist.ErrInvalid
	if done := p.ask(Op{Kind: OpPublish, Message: text(queueOf("q"), "6")}); !errors.Is(done.Err, &Error{Code: CodeInternal}) {
		t.Error(done.Err)
	}
}

func TestErrorsSayWhatHappened(t *testing.T) {
	e := &Error{CodeFull, "queue://q", "it is full"}
	if e.Error() != "queue://q: it is full" || (&Error{Detail: "x"}).Error() != "x" {
		t.Error(e)
	}
	if !errors.Is(e, ErrFull) || errors.Is(e, ErrInvalid) || errors.Is(e, errors.New("x")) {
		t.Error("Is")
	}
}

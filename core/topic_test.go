package core

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

func noLocal(q *SubscribeRequest) { q.NoLocal = true }

func TestTopicGoesToAllThatSubscribe(t *testing.T) {
	r := newRig(t)
	a, b, c := r.connect("a"), r.connect("b"), r.connect("c")
	a.consume(1, topicOf("x.*"), 10)
	b.consume(1, topicOf("x.>"), 10)
	b.consume(2, topicOf("y"), 10)
	if done := c.publish(topicOf("x.1"), "1"); !done.Matched {
		t.Error("nobody took it")
	}
	if done := c.publish(topicOf("z"), "2"); done.Matched {
		t.Error("somebody took it")
	}
	c.publish(topicOf("x"), "3")
	c.publish(topicOf("y"), "4")
	a.want("1")
	b.want("1 3 4")
	a.must(Op{Kind: OpUnsubscribe, Sub: 1})
	c.publish(topicOf("x.1"), "5")
	a.want("")
	b.want("5")
}

func TestTopicWithoutDurablesWritesNothing(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.consume(1, topicOf("t"), 10)
	before := r.memory().end
	p.publish(topicOf("t"), "1")
	p.settleAs(Accepted, p.want("1")...)
	if after := r.memory().end; after != before {
		t.Errorf("the log grew by %d bytes", after-before)
	}
}

func TestLiveSubscriptionDropsItsOldest(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Policies = []Policy{{Pattern: topicOf("t"), PendingLimit: 5}} })
	p := r.connect("")
	p.consume(1, topicOf("t"), 2)
	p.consume(2, topicOf("u"), 0)
	p.fill(topicOf("t"), 1, 20)
	p.fill(topicOf("u"), 21, 20)
	p.grant(1, 100)
	p.want("1 2 " + numbers(16, 5))
	p.grant(2, 100)
	p.want(numbers(21, 20))
	if s := r.b.Stats(); s.Dropped[dropPending] != 13 {
		t.Errorf("%+v", s.Dropped)
	}
	if e := r.eventsOf(EventDropped); len(e) == 0 || e[0].Detail != dropPending {
		t.Errorf("%+v", e)
	}
}

func TestNoLocal(t *testing.T) {
	r := newRig(t)
	a, b := r.connect("a"), r.connect("b")
	a.consume(1, topicOf("t"), 10, noLocal)
	a.consume(2, topicOf("t"), 10, noLocal, lasting("d"))
	a.publish(topicOf("t"), "mine")
	b.publish(topicOf("t"), "his")
	a.want("his his")
}

func TestDurableSubscriptionOutlivesItsConsumer(t *testing.T) {
	r := newRig(t)
	a, b := r.connect("a"), r.connect("b")
	a.consume(1, topicOf("t.*"), 1, lasting("d"))
	b.publish(topicOf("t.1"), "1")
	b.publish(topicOf("t.1"), "2")
	b.publish(topicOf("t.1"), "gone", volatile)
	a.settleAs(Accepted, a.want("1")...)
	a.close()
	b.publish(topicOf("t.1"), "3")
	b.publish(topicOf("u"), "other")
	r.stop()
	a = r.connect("a")
	a.consume(1, topicOf("t.*"), 10, lasting("d"))
	a.want("2 3")
	b = r.connect("b")
	if done := b.ask(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: topicOf("t.*"), Durable: true, Name: "d"}}); done.Err != nil {
		t.Error("another client's subscription of the same name:", done.Err)
	}
	again := r.connect("a")
	if done := again.ask(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: topicOf("t.*"), Durable: true, Name: "d"}}); !errors.Is(done.Err, ErrInUse) {
		t.Errorf("two consumers: %v", done.Err)
	}
}

func TestChangedDurableSubscriptionIsMadeAnew(t *testing.T) {
	for _, c := range []struct {
		name    string
		topic   string
		noLocal bool
		want    string
	}{{"same", "t", false, "1"}, {"topic", "t.>", false, ""}, {"no-local", "t", true, ""}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			a, b := r.connect("a"), r.connect("b")
			a.consume(1, topicOf("t"), 10, lasting("d"))
			a.must(Op{Kind: OpUnsubscribe, Sub: 1})
			b.publish(topicOf("t"), "1")
			change := []func(*SubscribeRequest){lasting("d")}
			if c.noLocal {
				change = append(change, noLocal)
			}
			a.consume(1, topicOf(c.topic), 10, change...)
			a.want(c.want)
			r.stop()
			if n := r.rows(persist.TableSubscriptions); n != 1 {
				t.Errorf("%d rows", n)
			}
			b = r.connect("b")
			b.publish(topicOf("t"), "2")
			list, _ := r.b.Subscriptions("", "", 0)
			if len(list) != 1 || list[0].Topics[0] != c.topic {
				t.Errorf("%+v", list)
			}
		})
	}
}

func TestDurableSubscriptionByNameAlone(t *testing.T) {
	r := newRig(t)
	a := r.connect("a")
	ask := func() Completion {
		return a.ask(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Durable: true, Name: "d"}})
	}
	if done := ask(); !errors.Is(done.Err, ErrNotFound) {
		t.Errorf("%v", done.Err)
	}
	a.consume(1, topicOf("t"), 0, lasting("d"))
	a.must(Op{Kind: OpUnsubscribe, Sub: 1})
	if done := ask(); done.Err != nil || done.Dest != topicOf("t") {
		t.Errorf("%+v", done)
	}
	a.must(Op{Kind: OpUnsubscribe, Sub: 1, Forget: true})
	if done := ask(); !errors.Is(done.Err, ErrNotFound) {
		t.Errorf("%v", done.Err)
	}
	if n := r.rows(persist.TableSubscriptions); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestDurableSubscriptionsLimitDropsTheOldest(t *testing.T) {
	r := newRig(t, smallWindow, func(o *Options) { o.Policies = []Policy{{Pattern: topicOf("t"), DurableLimit: 30}} })
	p := r.connect("a")
	p.consume(1, topicOf("t"), 0, lasting("d"))
	p.must(Op{Kind: OpUnsubscribe, Sub: 1})
	p.fill(topicOf("t"), 1, 500)
	r.settle()
	p.consume(1, topicOf("t"), 100, lasting("d"))
	p.want(numbers(471, 30))
}

func TestBodyOnceWhateverTheFanOut(t *testing.T) {
	r := newRig(t)
	p := r.connect("a")
	for i := range 100 {
		p.consume(SubID(i+1), topicOf("t"), 0, lasting(fmt.Sprint(i)))
	}
	before := r.memory().end
	p.publish(topicOf("t"), string(make([]byte, 10_000)))
	if n := r.memory().end - before; n > 11_000 {
		t.Errorf("the log grew by %d bytes", n)
	}
	if s := r.b.Stats(); s.MemoryBytes > 100*entryBytes+11_000 {
		t.Errorf("%d bytes in memory", s.MemoryBytes)
	}
}

func TestSubscriptionsThatAreRefused(t *testing.T) {
	r := newRig(t)
	p, anon := r.connect("a"), r.connect("")
	p.consume(7, queueOf("q"), 0)
	for _, c := range []struct {
		name string
		sub  SubID
		q    SubscribeRequest
		want error
	}{
		{"id twice", 7, SubscribeRequest{Source: queueOf("q")}, ErrInvalid},
		{"the inbox's id", InboxSub, SubscribeRequest{Source: queueOf("q")}, ErrInvalid},
		{"selector", 1, SubscribeRequest{Source: queueOf("q"), Selector: "a = 1"}, ErrNotImplemented},
		{"wildcard queue", 1, SubscribeRequest{Source: queueOf("q.*")}, ErrInvalid},
		{"rest in the middle", 1, SubscribeRequest{Source: topicOf("a.>.b")}, ErrInvalid},
		{"no name", 1, SubscribeRequest{Source: topicOf("t"), Durable: true}, ErrInvalid},
		{"no temporary queue", 1, SubscribeRequest{Source: Destination{TempQueue, "x"}}, ErrNotFound},
		{"no temporary topic", 1, SubscribeRequest{Source: Destination{TempTopic, "x"}}, ErrForbidden},
		{"nothing", 1, SubscribeRequest{}, ErrInvalid},
	} {
		if done := p.ask(Op{Kind: OpSubscribe, Sub: c.sub, Subscribe: &c.q}); !errors.Is(done.Err, c.want) {
			t.Errorf("%s: %v", c.name, done.Err)
		}
	}
	if done := anon.ask(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: topicOf("t"), Durable: true, Name: "d"}}); !errors.Is(done.Err, ErrInvalid) {
		t.Errorf("no client id: %v", done.Err)
	}
	for _, kind := range []OpKind{OpUnsubscribe, OpCredit} {
		if done := p.ask(Op{Kind: kind, Sub: 99}); !errors.Is(done.Err, ErrNotFound) {
			t.Errorf("op %d on nothing: %v", kind, done.Err)
		}
	}
}

func TestTemporaryQueue(t *testing.T) {
	r := newRig(t)
	a, b := r.connect("a"), r.connect("b")
	d := a.must(Op{Kind: OpDeclare, Dest: Destination{Kind: TempQueue}}).Dest
	if again := a.must(Op{Kind: OpDeclare, Dest: d}).Dest; again != d || d.Name == "" {
		t.Errorf("%v, then %v", d, again)
	}
	if done := b.ask(Op{Kind: OpDeclare, Dest: d}); !errors.Is(done.Err, ErrInUse) {
		t.Errorf("another's: %v", done.Err)
	}
	if done := b.ask(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: d}}); !errors.Is(done.Err, ErrForbidden) {
		t.Errorf("consuming another's: %v", done.Err)
	}
	b.publish(d, "reply")
	a.consume(1, d, 10)
	a.want("reply")
	end := r.memory().end
	b.publish(d, "logged?")
	if r.memory().end != end {
		t.Error("the log grew")
	}
	a.close()
	if done := b.ask(Op{Kind: OpPublish, Message: text(d, "late")}); !errors.Is(done.Err, ErrNotFound) {
		t.Errorf("publishing to what is gone: %v", done.Err)
	}
	c := r.connect("c")
	c.must(Op{Kind: OpDeclare, Dest: d})
	c.consume(1, d, 10)
	b.publish(d, "again")
	c.want("again")
}

// A temporary destination may end before its connection does: clients that make one a request would run out of them.
func TestUndeclare(t *testing.T) {
	for _, kind := range []Kind{TempQueue, TempTopic} {
		r := newRig(t)
		a, b := r.connect("a"), r.connect("b")
		d := a.must(Op{Kind: OpDeclare, Dest: Destination{Kind: kind}}).Dest
		if done := b.ask(Op{Kind: OpUndeclare, Dest: d}); !errors.Is(done.Err, ErrNotFound) {
			t.Errorf("another's: %v", done.Err)
		}
		a.consume(1, d, 10)
		if done := a.ask(Op{Kind: OpUndeclare, Dest: d}); !errors.Is(done.Err, ErrInUse) {
			t.Errorf("while consuming: %v", done.Err)
		}
		b.publish(d, "reply")
		a.want("reply")
		a.must(Op{Kind: OpUnsubscribe, Sub: 1})
		a.must(Op{Kind: OpUndeclare, Dest: d})
		if done := a.ask(Op{Kind: OpUndeclare, Dest: d}); !errors.Is(done.Err, ErrNotFound) {
			t.Errorf("twice: %v", done.Err)
		}
		if done := b.ask(Op{Kind: OpPublish, Message: text(d, "late")}); kind == TempQueue && !errors.Is(done.Err, ErrNotFound) {
			t.Errorf("publishing to what is gone: %v", done.Err)
		}
		b.must(Op{Kind: OpDeclare, Dest: d})
		a.close()
		b.consume(1, d, 10)
		b.publish(d, "kept")
		b.want("kept")
	}
	r := newRig(t)
	a := r.connect("a")
	for range maxTemps + 10 {
		d := a.must(Op{Kind: OpDeclare, Dest: Destination{Kind: TempQueue}}).Dest
		a.must(Op{Kind: OpUndeclare, Dest: d})
	}
}

// On a broker that has seen nothing yet, the answer to a publish must not be remembered.
func TestTemporaryQueueThatComesLater(t *testing.T) {
	r := newRig(t)
	a, b := r.connect("a"), r.connect("b")
	d := Destination{TempQueue, "x"}
	if done := b.ask(Op{Kind: OpPublish, Message: text(d, "early")}); !errors.Is(done.Err, ErrNotFound) {
		t.Errorf("%v", done.Err)
	}
	a.must(Op{Kind: OpDeclare, Dest: d})
	b.publish(d, "now")
	a.consume(1, d, 1)
	a.want("now")
}

func TestTemporaryTopicIsItsConnections(t *testing.T) {
	r := newRig(t)
	a, b := r.connect("a"), r.connect("b")
	d := a.must(Op{Kind: OpDeclare, Dest: Destination{Kind: TempTopic}}).Dest
	if done := b.ask(Op{Kind: OpDeclare, Dest: d}); !errors.Is(done.Err, ErrInUse) {
		t.Errorf("another's: %v", done.Err)
	}
	if done := b.ask(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: d}}); !errors.Is(done.Err, ErrForbidden) {
		t.Errorf("subscribing to another's: %v", done.Err)
	}
	a.consume(1, d, 10)
	b.publish(d, "1")
	a.want("1")
	a.close()
	if done := b.publish(d, "2"); done.Matched {
		t.Error("somebody took it")
	}
	b.must(Op{Kind: OpDeclare, Dest: d})
}

func TestDeclare(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.must(Op{Kind: OpDeclare, Dest: queueOf("q")})
	p.must(Op{Kind: OpDeclare, Dest: topicOf("t")})
	if done := p.ask(Op{Kind: OpDeclare, Dest: queueOf("q.*")}); !errors.Is(done.Err, ErrInvalid) {
		t.Error(done.Err)
	}
	if done := p.ask(Op{Kind: OpDeclare}); !errors.Is(done.Err, ErrInvalid) {
		t.Error(done.Err)
	}
	r.stop()
	if i := r.queue("q"); i.ID == 0 {
		t.Errorf("%+v", i)
	}
}

// A live subscription's queue is the clock's from the moment it is loaded.
func TestSubscribeWhileTheClockTicks(t *testing.T) {
	r := newRig(t)
	p := r.connect("c")
	var ticks sync.WaitGroup
	stop := make(chan struct{})
	ticks.Go(func() {
		for ms := int64(rigStartMs); ; ms++ {
			select {
			case <-stop:
				return
			default:
				r.b.Tick(ms)
			}
		}
	})
	for sub := range SubID(3000) {
		p.c.Do([]Op{{Kind: OpSubscribe, Sub: sub + 1, Subscribe: &SubscribeRequest{Source: topicOf("news")}}}, r.now)
	}
	close(stop)
	ticks.Wait()
}

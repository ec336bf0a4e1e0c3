package core

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

func (p *peer) filter(pattern string, qos uint8, change ...func(*Filter)) Completion {
	p.Helper()
	f := &Filter{Pattern: topicOf(pattern), MaxQoS: qos}
	for _, g := range change {
		g(f)
	}
	return p.must(Op{Kind: OpFilter, Filter: f})
}

func withID(id uint32) func(*Filter) { return func(f *Filter) { f.ID = id } }

func TestInboxDeliversOnceAtTheHighestQoS(t *testing.T) {
	r := newRig(t)
	p, done := r.mqtt("m", true, 100)
	if done.Present {
		t.Error("present")
	}
	p.filter("a.*", 0, withID(7))
	p.filter("a.>", 2, withID(3))
	p.filter("a.b", 1, func(f *Filter) { f.AsRetain = true })
	p.grant(InboxSub, 100)
	s := r.connect("s")
	s.publish(topicOf("a.b"), "1", quality(2))
	s.publish(topicOf("a.b"), "2", quality(1))
	s.publish(topicOf("a.b"), "3", quality(0))
	s.publish(topicOf("a"), "4") // another protocol's: durable, no QoS of its own
	got := p.want("1 2 3 4")
	for i, want := range []Delivery{{QoS: 2, Seq: 1, AsRetain: true}, {QoS: 1, Seq: 2, AsRetain: true}, {QoS: 0, Seq: 3, AsRetain: true}, {QoS: 2, Seq: 4}} {
		d := got[i]
		if d.QoS != want.QoS || d.Seq != want.Seq || d.AsRetain != want.AsRetain || d.Sub != InboxSub {
			t.Errorf("%d: %+v", i+1, d)
		}
	}
	if !reflect.DeepEqual(got[0].IDs, []uint32{3, 7}) || !reflect.DeepEqual(got[3].IDs, []uint32{3}) {
		t.Errorf("ids %v, %v", got[0].IDs, got[3].IDs)
	}
}

func TestFilterIsReplacedAndRemoved(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, 100)
	p.grant(InboxSub, 100)
	if done := p.filter("a", 1); done.Present || done.QoS != 1 {
		t.Errorf("%+v", done)
	}
	if done := p.filter("a", 0); !done.Present || done.QoS != 0 {
		t.Errorf("%+v", done)
	}
	s := r.connect("s")
	s.publish(topicOf("a"), "1", quality(1))
	if got := p.want("1"); got[0].QoS != 0 {
		t.Errorf("%+v", got[0])
	}
	p.must(Op{Kind: OpUnfilter, Filter: &Filter{Pattern: topicOf("a")}})
	s.publish(topicOf("a"), "2", quality(1))
	p.want("")
	for _, d := range []Destination{topicOf("a"), queueOf("a")} {
		if done := p.ask(Op{Kind: OpUnfilter, Filter: &Filter{Pattern: d}}); !errors.Is(done.Err, ErrNotFound) {
			t.Error(done.Err)
		}
	}
	for _, f := range []Filter{{}, {Pattern: Destination{TempTopic, "a"}}, {Pattern: topicOf("a.>.b")}} {
		if done := p.ask(Op{Kind: OpFilter, Filter: &f}); !errors.Is(done.Err, ErrInvalid) {
			t.Errorf("%+v: %v", f, done.Err)
		}
	}
	if done := s.ask(Op{Kind: OpFilter, Filter: &Filter{Pattern: topicOf("a")}}); !errors.Is(done.Err, ErrInvalid) {
		t.Errorf("no inbox: %v", done.Err)
	}
	if n := r.rows(persist.TableFilters); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestInboxKeepsWhatItsClientMissed(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, ExpiryNever)
	p.filter("a", 1, withID(9))
	p.grant(InboxSub, 1)
	s := r.connect("s")
	s.publish(topicOf("a"), "1", quality(1))
	s.publish(topicOf("a"), "2", quality(1))
	p.want("1")
	p.close()
	s.publish(topicOf("a"), "3", quality(1))
	s.publish(topicOf("a"), "0", quality(0))
	for _, restart := range []bool{false, true} {
		if restart {
			r.stop()
		}
		p, done := r.mqtt("m", false, ExpiryNever)
		if !done.Present {
			t.Error("not present")
		}
		p.grant(InboxSub, 10)
		got := p.want("1 2 3")
		if got[0].Seq != 1 || got[2].Seq != 3 || got[2].QoS != 1 || got[2].IDs[0] != 9 || !got[0].Returned {
			t.Errorf("%+v", got)
		}
		p.close()
	}
	p, _ = r.mqtt("m", true, 0)
	p.grant(InboxSub, 10)
	p.want("")
	p.close()
	for table, want := range map[persist.Table]int{persist.TableSessions: 0, persist.TableFilters: 0} {
		if n := r.rows(table); n != want {
			t.Errorf("table %d has %d rows", table, n)
		}
	}
	if s := r.b.Stats(); s.Inboxes != 0 || s.MemoryBytes != 0 {
		t.Errorf("%+v", s)
	}
}

func TestInboxExpires(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			r := newRig(t)
			p, _ := r.mqtt("m", true, 60)
			p.filter("a", 1)
			p.close()
			r.sleep(30_000)
			if restart {
				r.stop()
			}
			r.sleep(29_999)
			p, done := r.mqtt("m", false, 60)
			if !done.Present {
				t.Fatal("it ended too early")
			}
			if restart { // with its client there
				r.stop()
			} else {
				p.close()
			}
			r.sleep(60_000)
			if n := r.rows(persist.TableSessions) + r.rows(persist.TableFilters); n != 0 {
				t.Errorf("%d rows", n)
			}
			if _, done := r.mqtt("m", false, 60); done.Present {
				t.Error("present")
			}
		})
	}
}

func TestDisconnectChangesTheExpiry(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, 60)
	p.must(Op{Kind: OpDisconnect, ExpiryS: 0})
	p.close()
	if _, done := r.mqtt("m", false, 60); done.Present {
		t.Error("present")
	}
	q, _ := r.mqtt("n", true, 0)
	q.must(Op{Kind: OpDisconnect, ExpiryS: 60}) // [MQTT-3.14.2-2]
	q.close()
	if _, done := r.mqtt("n", false, 60); done.Present {
		t.Error("present")
	}
}

func TestTakeover(t *testing.T) {
	r := newRig(t)
	old, _ := r.mqtt("m", true, 60)
	old.filter("a", 1)
	old.grant(InboxSub, 10)
	r.connect("s").publish(topicOf("a"), "1", quality(1))
	got := old.want("1")
	p, done := r.mqtt("m", false, 60)
	if !done.Present {
		t.Error("not present")
	}
	p.grant(InboxSub, 10)
	if again := p.want("1"); !again[0].Returned || again[0].Seq != 1 {
		t.Errorf("%+v", again[0])
	}
	old.settleTaken(got)
	old.pump()
	if !errors.Is(old.evicted, ErrTakenOver) {
		t.Errorf("evicted: %v", old.evicted)
	}
	old.close()
	p.must(Op{Kind: OpBarrier})
	if e := r.eventsOf(EventTakenOver); len(e) != 1 {
		t.Errorf("%+v", e)
	}
	if i, _ := r.b.Subscriptions("", "", 0); len(i) != 1 || !i[0].Active || i[0].Queue.InFlight != 1 {
		t.Errorf("%+v", i)
	}
}

// settleTaken settles what another connection has by now.
func (p *peer) settleTaken(list []Delivery) {
	p.Helper()
	if done := p.ask(Op{Kind: OpSettle, Tags: []Tag{list[0].Tag}, Outcome: Accepted}); !errors.Is(done.Err, ErrTakenOver) {
		p.Errorf("settle after the takeover: %v", done.Err)
	}
}

func TestClientIDsAreExclusive(t *testing.T) {
	r := newRig(t)
	ask := func(takeOver bool) (*peer, Completion) {
		p := r.attach()
		return p, p.ask(Op{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "amqp", ClientID: "a", Exclusive: true, TakeOver: takeOver}})
	}
	first, done := ask(false)
	if done.Err != nil {
		t.Fatal(done.Err)
	}
	if _, done := ask(false); !errors.Is(done.Err, ErrInUse) {
		t.Error(done.Err)
	}
	second, done := ask(true)
	if done.Err != nil {
		t.Error(done.Err)
	}
	if first.pump(); !errors.Is(first.evicted, ErrTakenOver) {
		t.Error(first.evicted)
	}
	first.close()
	if _, done := ask(false); !errors.Is(done.Err, ErrInUse) {
		t.Error(done.Err)
	}
	second.close()
	if _, done := ask(false); done.Err != nil {
		t.Error(done.Err)
	}
}

func TestReceivedSurvivesARestart(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, ExpiryNever)
	p.filter("a", 2)
	p.grant(InboxSub, 3)
	s := r.connect("s")
	for i := range 3 {
		s.publish(topicOf("a"), fmt.Sprint(i+1), quality(2))
	}
	got := p.want("1 2 3")
	p.settleAs(Received, got[1])
	p.settleAs(Received, got[1]) // it may say so again
	p.settleAs(Accepted, got[0])
	r.restart(0)
	p, _ = r.mqtt("m", false, ExpiryNever)
	p.grant(InboxSub, 10)
	got = p.take()
	if len(got) != 2 || !got[0].Received || got[0].Seq != 2 || got[0].QoS != 2 || got[1].Received || got[1].Seq != 3 {
		t.Fatalf("%+v", got)
	}
	p.settleAs(Accepted, got...)
	r.restart(0)
	p, _ = r.mqtt("m", false, ExpiryNever)
	p.grant(InboxSub, 10)
	p.want("")
}

func TestReceivedIsNotDroppedWhenTheInboxIsFull(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Policies = []Policy{{Pattern: topicOf(">"), InboxLimit: 3}} })
	p, _ := r.mqtt("m", true, ExpiryNever)
	p.filter("a", 2)
	p.grant(InboxSub, 1)
	s := r.connect("s")
	s.publish(topicOf("a"), "1", quality(2))
	p.settleAs(Received, p.want("1")...)
	p.close()
	for i := range 10 {
		s.publish(topicOf("a"), fmt.Sprint(i+2), quality(2))
	}
	p, _ = r.mqtt("m", false, ExpiryNever)
	p.grant(InboxSub, 10)
	if got := p.take(); len(got) != 3 || !got[0].Received || string(got[2].Message.Bare) != "11" {
		t.Errorf("%d: %+v", len(got), got)
	}
}

func TestInboundIDs(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, ExpiryNever)
	send := func(id uint16, body string) Completion {
		return p.ask(Op{Kind: OpPublish, Inbound: id, Message: text(queueOf("q"), body, quality(2))})
	}
	if done := send(7, "a"); done.Err != nil {
		t.Fatal(done.Err)
	}
	if done := send(7, "a"); !errors.Is(done.Err, ErrDuplicate) {
		t.Error(done.Err)
	}
	r.restart(0)
	p, done := r.mqtt("m", false, ExpiryNever)
	if !reflect.DeepEqual(done.Inbound, []uint16{7}) {
		t.Errorf("inbound %v", done.Inbound)
	}
	if done := send(7, "a"); !errors.Is(done.Err, ErrDuplicate) {
		t.Error(done.Err)
	}
	p.must(Op{Kind: OpRelease, Inbound: 7})
	if done := p.ask(Op{Kind: OpRelease, Inbound: 7}); !errors.Is(done.Err, ErrNotFound) {
		t.Error(done.Err)
	}
	if done := send(7, "b"); done.Err != nil {
		t.Error(done.Err)
	}
	if i := r.queue("q"); i.Depth != 2 {
		t.Errorf("%+v", i)
	}
	if done := r.connect("x").ask(Op{Kind: OpRelease, Inbound: 1}); !errors.Is(done.Err, ErrNotFound) {
		t.Error(done.Err)
	}
}

// A QoS 2 message is in the log but not confirmed when its connection breaks. The repeat on the next connection must not
// be answered before the message is safe.
func TestRepeatIsNotConfirmedBeforeTheFirst(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, ExpiryNever)
	p.must(Op{Kind: OpDeclare, Dest: queueOf("q")})
	p.send(Op{Kind: OpPublish, Inbound: 7, Message: text(queueOf("q"), "a", quality(2))})
	again := r.attach()
	again.send(Op{Kind: OpConnect, Connect: mqttRequest("m", false, ExpiryNever)})
	ticket := again.send(Op{Kind: OpPublish, Inbound: 7, Message: text(queueOf("q"), "a", quality(2))})
	for again.poll() {
	}
	if _, ok := again.done[ticket]; ok {
		t.Error("answered before the log was confirmed")
	}
	again.pump()
	if done := again.done[ticket]; !errors.Is(done.Err, ErrDuplicate) {
		t.Error(done.Err)
	}
	if done := p.ask(Op{Kind: OpPublish, Inbound: 8, Message: text(queueOf("q"), "b", quality(2))}); !errors.Is(done.Err, ErrTakenOver) {
		t.Error(done.Err)
	}
	if i := r.queue("q"); i.Depth != 1 {
		t.Errorf("%+v", i)
	}
}

func TestInboxThatCannotBeStoredIsNotThere(t *testing.T) {
	r := newRig(t)
	r.memory().full = true
	p := r.attach()
	if done := p.ask(Op{Kind: OpConnect, Connect: mqttRequest("m", true, 60)}); !errors.Is(done.Err, ErrFull) {
		t.Fatal(done.Err)
	}
	p.close()
	r.memory().full = false
	if _, done := r.mqtt("m", false, 60); done.Present {
		t.Error("present")
	}
}

func TestInboxConsumesFromSharedQueues(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, 60)
	s := r.connect("s")
	s.fill(queueOf("q"), 1, 3)
	if done := p.must(Op{Kind: OpFilter, Filter: &Filter{Pattern: queueOf("q"), MaxQoS: 2}}); done.QoS != 1 || done.Present {
		t.Errorf("%+v", done)
	}
	if done := p.must(Op{Kind: OpFilter, Filter: &Filter{Pattern: queueOf("q"), MaxQoS: 1}}); !done.Present {
		t.Errorf("%+v", done)
	}
	p.filter("t", 1)
	p.grant(InboxSub, 2)
	got := p.want("1 2")
	if got[0].QoS != 1 || got[0].Seq != 0 || got[0].Sub != InboxSub || got[0].Tag.Source() != queueOf("q") {
		t.Errorf("%+v", got[0])
	}
	s.publish(topicOf("t"), "own", quality(1))
	p.want("") // the credit is one for both
	p.settleAs(Accepted, got[0])
	p.close() // what was not acknowledged returns with its count raised
	s.consume(1, queueOf("q"), 10)
	if got := s.want("2 3"); got[0].Attempts != 1 || got[1].Attempts != 0 {
		t.Errorf("%+v", got)
	}
}

func TestInboxWithoutQueueFilter(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, 60)
	p.must(Op{Kind: OpFilter, Filter: &Filter{Pattern: queueOf("q"), MaxQoS: 1}})
	p.grant(InboxSub, 10)
	r.connect("s").fill(queueOf("q"), 1, 1)
	p.want("1")
	p.must(Op{Kind: OpUnfilter, Filter: &Filter{Pattern: queueOf("q")}})
	if i := r.queue("q"); i.Consumers != 0 || i.InFlight != 0 || i.Depth != 1 {
		t.Errorf("%+v", i)
	}
}

// What waits in the mailbox for a filter that goes was never seen: its credit is not used up.
func TestInboxWithoutQueueFilterHasItsCreditBack(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, 60)
	p.filter("t", 1)
	p.must(Op{Kind: OpFilter, Filter: &Filter{Pattern: queueOf("q"), MaxQoS: 1}})
	p.grant(InboxSub, 3)
	s := r.connect("s")
	p.c.Do([]Op{{Kind: OpBarrier}}, r.now)
	s.fill(queueOf("q"), 1, 3)
	s.publish(topicOf("t"), "own", quality(1))
	r.settle()
	p.c.Do([]Op{{Kind: OpUnfilter, Filter: &Filter{Pattern: queueOf("q")}}}, r.now)
	if source := p.want("own")[0].Tag.Source(); !source.IsZero() {
		t.Errorf("what a topic brought comes from %v", source)
	}
	s.publish(topicOf("t"), "next", quality(1))
	p.want("next")
}

func TestInboxIsToldTheIdentifierOfAQueueFilter(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, 60)
	s := r.connect("s")
	p.grant(InboxSub, 10)
	for _, id := range []uint32{7, 9, 0} {
		p.must(Op{Kind: OpFilter, Filter: &Filter{Pattern: queueOf("q"), MaxQoS: 1, ID: id}})
		s.fill(queueOf("q"), 1, 1)
		got := p.want("1")[0]
		if id != 0 && !slices.Equal(got.IDs, []uint32{id}) || id == 0 && got.IDs != nil {
			t.Errorf("identifiers %v, want %d", got.IDs, id)
		}
	}
}

func TestConnectInventsAClientID(t *testing.T) {
	r := newRig(t)
	a, done := r.mqtt("", true, 0)
	if done.Dest.Name == "" {
		t.Error("none")
	}
	if _, again := r.mqtt("", true, 0); again.Dest.Name == done.Dest.Name {
		t.Error("the same twice")
	}
	a.close()
}

func TestCleanSessionCostsTheLogNothing(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, 0)
	p.filter("a", 2)
	p.grant(InboxSub, 10)
	end := r.memory().end
	s := r.connect("s")
	s.publish(topicOf("a"), "1", quality(2))
	got := p.want("1")
	p.settleAs(Received, got...)
	p.settleAs(Accepted, got...)
	p.close()
	if r.memory().end != end {
		t.Error("the log grew")
	}
	if s := r.b.Stats(); s.Inboxes != 0 || s.MemoryBytes != 0 {
		t.Errorf("%+v", s)
	}
}

// What a client was never sent did not fail with it, and is not sent again when it is sent.
func TestWhatWasNeverSentReturnsAsItWas(t *testing.T) {
	r := newRig(t)
	s := r.connect("s")
	s.fill(queueOf("q"), 1, 2)
	for i := range 10 {
		p, _ := r.mqtt("m", true, 60)
		p.must(Op{Kind: OpFilter, Filter: &Filter{Pattern: queueOf("q"), MaxQoS: 1}})
		p.filter("t", 1)
		p.send(Op{Kind: OpCredit, Sub: InboxSub, Limit: 5})
		if i == 0 {
			s.publish(topicOf("t"), "own", quality(1))
		}
		if in := r.queue("q").InFlight; in != 2 {
			t.Fatalf("%d in flight", in)
		}
		p.close()
	}
	s.consume(1, queueOf("q"), 5)
	for _, d := range s.want("1 2") {
		if d.Attempts != 0 || d.Returned {
			t.Errorf("%+v", d)
		}
	}
}

package core

import (
	"errors"
	"fmt"
	"testing"
)

// TestExpiryInUntouchedQueues leaves a queue, a subscription and an inbox alone after a restart.
func TestExpiryInUntouchedQueues(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("p")
	p.consume(1, topicOf("t"), 0, func(s *SubscribeRequest) { s.Durable, s.Name = true, "n" })
	m, _ := r.mqtt("m", true, ExpiryNever)
	m.must(Op{Kind: OpFilter, Filter: &Filter{Pattern: topicOf("t"), MaxQoS: 1}})
	m.must(Op{Kind: OpDisconnect, ExpiryS: ExpiryKeep})
	m.close()
	for _, d := range []Destination{queueOf("q"), topicOf("t")} {
		p.fill(d, 1, 100)
		p.fill(d, 101, 3000, expires(r.now+20_000))
		p.fill(d, 4000, 100, expires(r.now+40_000))
		p.fill(d, 5000, 1, expires(r.now+1_000_000))
	}
	r.stop()
	depths := func() string {
		list, _ := r.b.Subscriptions("", "", 10)
		return fmt.Sprint(r.queue("q").Depth, list[0].Queue.Depth, list[1].Queue.Depth)
	}
	if got := depths(); got != "3201 3201 3201" {
		t.Fatal(got)
	}
	r.sleep(20_000)
	for range 20 {
		r.sleep(1000)
	}
	if got := depths(); got != "101 101 101" {
		t.Errorf("after the time of all: %s", got)
	}
	if s := r.b.Stats(); s.Expired != 9300 || s.DeadLettered[ReasonExpired] != 6200 {
		t.Errorf("%d expired, %v", s.Expired, s.DeadLettered)
	}
	r.stop()
	if got := depths(); got != "101 101 101" {
		t.Errorf("after a restart: %s", got)
	}
	r.wantDepth(dlq.Name, 6200)
	p = r.connect("p")
	p.consume(1, queueOf("q"), 1000)
	if got := p.take(); len(got) != 101 || string(got[99].Message.Bare) != "100" {
		t.Errorf("%d are left", len(got))
	}
	p.consume(2, dlq, 10_000)
	if got := p.take(); len(got) != 6200 || got[0].DeadReason() != ReasonExpired || len(got[6199].Message.Bare) == 0 {
		t.Errorf("%d dead letters", len(got))
	}
}

// TestExpiryFarBehindTheWindow expires what nobody reads, behind what does not expire, while more comes in and a consumer begins.
func TestExpiryFarBehindTheWindow(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("p")
	p.fill(queueOf("q"), 1, 50)
	p.fill(queueOf("q"), 51, 50, expires(r.now+1000))
	p.fill(queueOf("q"), 101, 50)
	p.fill(queueOf("q"), 151, 50, expires(r.now+5000), priority(9))
	r.sleep(1000)
	r.sleep(1000)
	r.wantDepth("q", 150)
	p.consume(1, queueOf("q"), 60)
	p.take()
	r.sleep(4000)
	r.sleep(1000)
	p.grant(1, 1000)
	p.take()
	if i := r.queue("q"); i.Depth != i.InFlight || i.Dead+i.InFlight != 200 || i.Dead < 50 {
		t.Errorf("%+v", i)
	}
}

// TestSweepThatFails leaves alone what it cannot read, or bury, and comes back.
func TestSweepThatFails(t *testing.T) {
	r := newRigOn(t, newMemStore(t), smallWindow)
	p := r.connect("p")
	p.fill(queueOf("q"), 1, 50)
	p.fill(queueOf("q"), 51, 50, expires(r.now+1000))
	r.memory().readErr = errors.New("no disk")
	r.sleep(1000)
	r.wantDepth("q", 100)
	r.memory().readErr = nil
	r.memory().full = true // the dead letters' queue cannot be made
	r.sleep(retryMs)
	r.wantDepth("q", 100)
	if s := r.b.Stats(); s.Expired != 0 {
		t.Errorf("%d expired", s.Expired)
	}
	r.memory().full = false
	r.sleep(retryMs)
	r.sleep(retryMs)
	r.wantDepth("q", 50)
	r.wantDepth(dlq.Name, 50)
	p.consume(1, queueOf("q"), 1000)
	if got := p.take(); len(got) != 50 {
		t.Errorf("%d are left", len(got))
	}
}

// What is delayed for longer than it lives expires when its time has come, in the store too.
func TestSweepLeavesAloneWhatIsDelayed(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("p")
	p.fill(queueOf("q"), 1, 50)
	p.fill(queueOf("q"), 51, 1, expires(r.now+1000), notBefore(r.now+3000))
	r.sleep(2000)
	r.wantDepth("q", 51)
	r.sleep(1000)
	r.sleep(1000)
	r.wantDepth("q", 50)
}

package core

import (
	"errors"
	"fmt"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

func numbers(first, n int) string {
	s := ""
	for i := range n {
		if i > 0 {
			s += " "
		}
		s += fmt.Sprint(first + i)
	}
	return s
}

func TestBacklogIsReadBackInOrder(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 500)
	if i := r.queue("q"); i.Depth != 500 || i.InMemory > 8 {
		t.Fatalf("%+v", i)
	}
	p.consume(1, queueOf("q"), 50)
	first := p.want(numbers(1, 50))
	if i := r.queue("q"); i.InMemory > 128 {
		t.Errorf("%d in memory", i.InMemory)
	}
	p.settleAs(Released, first[10], first[30])
	p.settleAs(Accepted, first[0])
	p.fill(queueOf("q"), 501, 20)
	p.grant(1, 1000)
	p.want("11 31 " + numbers(51, 470))
}

func TestBacklogIsReadBackAfterARestart(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 100)
	p.fill(queueOf("q"), 101, 100, priority(9))
	r.stop()
	if i := r.queue("q"); i.Depth != 200 || i.InMemory != 0 {
		t.Fatalf("%+v", i)
	}
	p = r.connect("")
	p.fill(queueOf("q"), 201, 3)
	p.consume(1, queueOf("q"), 1000)
	p.want(numbers(101, 100) + " " + numbers(1, 100) + " 201 202 203")
}

func TestOneProducersOrderHoldsWhateverIsDurable(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 40)
	p.fill(queueOf("q"), 41, 5, volatile)
	p.fill(queueOf("q"), 46, 5)
	p.consume(1, queueOf("q"), 100)
	p.want(numbers(1, 50))
}

func TestDelayedWithinABacklogComesOnceAndInItsPlace(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 4)
	p.fill(queueOf("q"), 5, 1, notBefore(r.now+1000))
	p.fill(queueOf("q"), 6, 40)
	p.fill(queueOf("q"), 46, 1, notBefore(r.now+1000)) // in the store alone
	p.fill(queueOf("q"), 47, 3)
	r.sleep(1000)
	if i := r.queue("q"); i.Depth != 49 {
		t.Fatalf("%+v", i)
	}
	p.consume(1, queueOf("q"), 100)
	got := p.want(numbers(1, 49))
	p.settleAs(Accepted, got...)
	if i := r.queue("q"); i.Depth != 0 || i.Bytes != 0 || i.InMemory != 0 {
		t.Errorf("%+v", i)
	}
}

// A delayed message that is in memory, and past which a hole moved, must not be read back too.
func TestDelayedBehindAHoleComesOnce(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.WindowMessages = 4 })
	p := r.connect("")
	p.fill(queueOf("q"), 1, 6) // 5 and 6 are in the store alone
	p.consume(1, queueOf("q"), 0)
	step := func(op Op) {
		p.send(op)
		r.store.flush() // without a Tick, so that nothing is read back yet
	}
	step(Op{Kind: OpCredit, Sub: 1, Limit: 3})
	step(Op{Kind: OpPublish, Message: text(queueOf("q"), "7", notBefore(r.now+1000))})
	for i := range 20 {
		step(Op{Kind: OpPublish, Message: text(queueOf("q"), fmt.Sprint(8+i))})
	}
	if q := r.b.queues[queueOf("q")]; len(q.delayed.heap) != 1 || q.lanes[0].hole < 8 {
		t.Fatalf("%d delayed in memory, hole up to %d", len(q.delayed.heap), q.lanes[0].hole)
	}
	r.sleep(1000)
	p.must(Op{Kind: OpCredit, Sub: 1, Limit: 100})
	p.settleAs(Accepted, p.want(numbers(1, 27))...)
	if i := r.queue("q"); i.Depth != 0 || i.InMemory != 0 {
		t.Errorf("%+v", i)
	}
}

func TestTooManyDelayedWaitInTheStore(t *testing.T) {
	r := newRig(t, smallWindow, func(o *Options) { o.Limits.Delayed = 10 })
	p := r.connect("")
	p.fill(queueOf("q"), 1, 200, notBefore(r.now+1000))
	r.stop()
	p = r.connect("")
	p.consume(1, queueOf("q"), 100)
	p.want("")
	q := r.b.queues[queueOf("q")]
	if n := len(q.delayed.heap); n < 10 || n > 10+pageLeast {
		t.Errorf("%d delayed in memory", n)
	}
	p.grant(1, 200)
	r.sleep(1000)
	r.sleep(100)
	p.want(numbers(1, 200))
}

func TestMemoryIsBoundedAndBodiesComeBack(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.MemoryBytes = 20_000 })
	p := r.connect("")
	p.fill(queueOf("q"), 1, 300)
	if s := r.b.Stats(); s.MemoryBytes > 25_000 {
		t.Errorf("%d bytes in memory", s.MemoryBytes)
	}
	p.fill(queueOf("other"), 1, 10)
	if i := r.queue("other"); i.InMemory != 0 || i.Depth != 10 {
		t.Errorf("%+v", i)
	}
	p.consume(1, queueOf("q"), 200)
	got := p.want(numbers(1, 200))
	p.settleAs(Released, got...)
	p.grant(1, 300)
	p.settleAs(Accepted, p.want(numbers(1, 300))...)
	if s := r.b.Stats(); s.MemoryBytes != 0 {
		t.Errorf("%d bytes of nothing in memory", s.MemoryBytes)
	}
}

// A body that must be read back may stand behind many that are there.
func TestBodyFarBehindTheFrontIsReadBack(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 1500)
	p.consume(1, queueOf("q"), 1500)
	got := p.take()
	r.b.limits.MemoryBytes = 1 // what is delivered while memory is short keeps no body
	p.fill(queueOf("q"), 1501, 1)
	p.grant(1, 1)
	last := p.want("1501")
	r.b.limits.MemoryBytes = defaultMemoryBytes
	p.settleAs(FailedHere, got...)
	p.settleAs(Released, last...)
	p.grant(1, 1)
	p.want("1501")
}

func TestDiskThatCannotBeReadIsTriedAgainLater(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 50)
	r.stop()
	r.memory().readErr = errors.New("sector 7")
	p = r.connect("")
	p.consume(1, queueOf("q"), 100)
	p.want("")
	r.memory().readErr = nil
	r.sleep(2000)
	p.want(numbers(1, 50))
	if e := r.eventsOf(EventFault); len(e) == 0 || len(e) > 3 {
		t.Errorf("%d faults: %+v", len(e), e)
	}
}

func TestPurge(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 50)
	p.fill(queueOf("q"), 51, 5, volatile)
	p.fill(queueOf("q"), 56, 5, notBefore(r.now+1000))
	p.consume(1, queueOf("q"), 3)
	got := p.want("1 2 3")
	n, err := r.b.Purge(queueOf("q"))
	if n != 60 || err != nil {
		t.Fatalf("purged %d, %v", n, err)
	}
	p.settleAs(Released, got...)
	p.fill(queueOf("q"), 61, 2)
	r.sleep(2000)
	p.grant(1, 100)
	p.want("61 62")
	if i := r.queue("q"); i.Depth != 2 || i.InFlight != 2 {
		t.Errorf("%+v", i)
	}
	r.stop()
	p = r.connect("")
	p.consume(1, queueOf("q"), 100)
	p.want("61 62")
	if _, err := r.b.Purge(queueOf("none")); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if s := r.b.Stats(); s.MemoryBytes <= 0 {
		t.Errorf("%d bytes", s.MemoryBytes)
	}
}

func TestWhatIsPurgedWhileItIsReadBackStaysAway(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 50)
	r.stop()
	p = r.connect("")
	p.send(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: queueOf("q")}})
	p.send(Op{Kind: OpCredit, Sub: 1, Limit: 100})
	q := r.b.queues[queueOf("q")]
	q.mu.Lock()
	n := q.next()
	q.mu.Unlock()
	found, err := r.store.Entries(q.id, persist.MakeSeq(DefaultPriority, 1), 100, nil)
	if len(found) != 50 || err != nil || n.hole != 50 {
		t.Fatal(len(found), err, n)
	}
	if _, err := r.b.Purge(queueOf("q")); err != nil {
		t.Fatal(err)
	}
	q.readPlaces(&n)
	p.want("")
	if i := r.queue("q"); i.Depth != 0 || i.InMemory != 0 {
		t.Errorf("%+v", i)
	}
}

// What only memory holds takes no room in the window: else a refused message in front of a hole would hide the rest.
func TestRefusedMessageBeforeAHole(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 50)
	p.fill(queueOf("q"), 51, 50, volatile)
	p.consume(1, queueOf("q"), 1)
	p.settleAs(FailedHere, p.want("1")...)
	p.grant(1, 200)
	p.want(numbers(2, 99))
}

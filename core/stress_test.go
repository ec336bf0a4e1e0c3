package core

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

// walker is a connection with a goroutine of its own, as protocols/peer has them.
type walker struct {
	s      *stress
	c      *Client
	wake   chan struct{}
	rng    *rand.Rand
	ev     Events
	ticket Ticket
	done   map[Ticket]func(Completion)
	gone   error
	used   map[SubID]uint64
	limit  map[SubID]uint64
}

func (w *walker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// stress is many walkers on one broker, and what they know of each other.
type stress struct {
	tb       testing.TB
	b        *Broker
	now      atomic.Int64
	sent     sync.Map // body → true: confirmed
	accepted sync.Map
	nSent    atomic.Int64
	nAcc     atomic.Int64
	sending  atomic.Int64 // producers that are not done
	over     chan struct{}
	ended    sync.Once
}

func (s *stress) walker(seed uint64, r *ConnectRequest) *walker {
	w := &walker{s: s, wake: make(chan struct{}, 1), rng: rand.New(rand.NewPCG(seed, 1)), done: map[Ticket]func(Completion){},
		used: map[SubID]uint64{}, limit: map[SubID]uint64{}}
	w.c = s.b.Attach(w, "test")
	w.do(Op{Kind: OpConnect, Connect: r}, func(done Completion) {
		if done.Err != nil && !errors.Is(done.Err, ErrTakenOver) {
			s.tb.Error("connect:", done.Err)
		}
	})
	return w
}

func (w *walker) do(op Op, then func(Completion)) {
	if then != nil {
		w.ticket++
		op.Ticket = w.ticket
		w.done[op.Ticket] = then
	}
	w.c.Do([]Op{op}, w.s.now.Load())
}

// poll takes in what there is; deliver gets the deliveries. The last Poll finds nothing, and so asks to be woken.
func (w *walker) poll(deliver func(list []Delivery)) {
	for more := true; more && w.gone == nil; {
		more = w.c.Poll(&w.ev, 64) || len(w.ev.Done)+len(w.ev.Deliveries) > 0
		for _, d := range w.ev.Done {
			then := w.done[d.Ticket]
			delete(w.done, d.Ticket)
			then(d)
		}
		if w.ev.Evicted != nil {
			w.gone = w.ev.Evicted
		}
		if len(w.ev.Deliveries) > 0 && deliver != nil {
			deliver(w.ev.Deliveries)
		}
	}
}

func (w *walker) wait() {
	select {
	case <-w.wake:
	case <-w.s.over:
	}
}

func (s *stress) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

const (
	stressQueues    = 4
	stressProducers = 3
)

// produce publishes n messages, some of them in transactions.
func (s *stress) produce(id uint64, n int) {
	w := s.walker(id, &ConnectRequest{Protocol: "amqp"})
	defer w.c.Close(s.now.Load())
	defer func() { // the last of its messages may have been accepted before it knew that they are confirmed
		s.sending.Add(-1)
		s.look()
	}()
	open := 0
	var tx []string
	for i := 0; i < n || open > 0 || len(tx) > 0; {
		w.poll(nil)
		if w.c.Throttled() || open >= 200 {
			w.wait()
			continue
		}
		if i < n {
			body := fmt.Sprintf("%d-%d", id, i)
			m := text(queueOf(fmt.Sprint("q", w.rng.IntN(stressQueues))), body, priority(uint8(w.rng.IntN(10))))
			i++
			if w.rng.IntN(4) == 0 || len(tx) > 0 {
				if len(tx) == 0 {
					w.do(Op{Kind: OpBegin, Tx: 1}, nil)
				}
				w.do(Op{Kind: OpPublish, Tx: 1, Message: m}, nil)
				tx = append(tx, body)
			} else {
				open++
				w.do(Op{Kind: OpPublish, Message: m}, func(done Completion) { open--; s.confirm(done.Err, body) })
			}
		}
		if len(tx) > 5 || i == n && len(tx) > 0 {
			bodies := tx
			tx = nil
			open++
			w.do(Op{Kind: OpCommit, Tx: 1}, func(done Completion) { open--; s.confirm(done.Err, bodies...) })
		}
		if open > 0 && i == n {
			w.wait()
		}
	}
}

func (s *stress) confirm(err error, bodies ...string) {
	if err != nil {
		s.tb.Error("publishing:", err)
	}
	for _, body := range bodies {
		s.sent.Store(body, true)
		s.nSent.Add(1)
	}
}

// consume takes from all queues and their dead letters, in all the ways there are, until everything was accepted.
func (s *stress) consume(id uint64) {
	for n := uint64(0); !s.isOver(); n++ {
		w := s.walker(id*1000+n, &ConnectRequest{Protocol: "stomp"})
		for i := range stressQueues {
			w.do(Op{Kind: OpSubscribe, Sub: SubID(i + 1), Subscribe: &SubscribeRequest{Source: queueOf(fmt.Sprint("q", i))}}, nil)
		}
		w.do(Op{Kind: OpSubscribe, Sub: 9, Subscribe: &SubscribeRequest{Source: dlq}}, nil)
		for _, sub := range []SubID{1, 2, 3, 4, 9} {
			w.grant(sub, 20)
		}
		for steps := 0; !s.isOver() && steps < 3000; steps++ {
			w.poll(w.settleSome)
			if w.rng.IntN(400) == 0 { // goes without a word
				break
			}
			s.look()
			w.wait()
		}
		for w.poll(nil); len(w.done) > 0 && !s.isOver(); w.poll(nil) { // what was accepted is to be known
			w.wait()
		}
		w.c.Close(s.now.Load())
	}
}

func (w *walker) grant(sub SubID, n uint64) {
	w.limit[sub] += n
	w.do(Op{Kind: OpCredit, Sub: sub, Limit: w.limit[sub], Drain: w.rng.IntN(20) == 0}, nil)
}

func (w *walker) settleSome(list []Delivery) {
	for _, d := range list {
		if d.Drained {
			w.limit[d.Sub], w.used[d.Sub] = d.Used, d.Used
			w.grant(d.Sub, 20)
			continue
		}
		w.used[d.Sub]++
		body := string(d.Message.Bare)
		o := []Outcome{Accepted, Accepted, Accepted, Accepted, Released, Failed, Rejected, FailedHere}[w.rng.IntN(8)]
		if d.Sub == 9 && o != Released {
			o = Accepted
		}
		then := func(Completion) {}
		if o == Accepted {
			then = func(done Completion) {
				if done.Err != nil {
					w.s.tb.Error("accepting:", done.Err)
				}
				w.s.accept(body)
			}
		}
		if w.rng.IntN(5) == 0 {
			w.do(Op{Kind: OpBegin, Tx: 1}, nil)
			w.do(Op{Kind: OpSettle, Tx: 1, Tags: []Tag{d.Tag}, Outcome: o}, nil)
			w.do(Op{Kind: OpCommit, Tx: 1}, then)
		} else {
			w.do(Op{Kind: OpSettle, Tags: []Tag{d.Tag}, Outcome: o}, then)
		}
		if w.used[d.Sub]+10 > w.limit[d.Sub] {
			w.grant(d.Sub, 20)
		}
	}
}

func (s *stress) accept(body string) {
	if _, again := s.accepted.LoadOrStore(body, true); again {
		s.tb.Error("accepted twice, and both confirmed:", body)
	}
	s.nAcc.Add(1)
	s.look()
}

// look ends the test once everything was accepted.
func (s *stress) look() {
	if s.sending.Load() == 0 && s.nAcc.Load() == s.nSent.Load() {
		s.ended.Do(func() { close(s.over) })
	}
}

// takeOver is one of several MQTT clients that fight over one session.
func (s *stress) takeOver(id uint64) {
	for n := uint64(0); !s.isOver(); n++ {
		r := mqttRequest("mqtt", n%7 == 0, int64(n%3)*60)
		r.Will = &Will{Message: text(topicOf("t.will"), "gone"), DelayS: int64(n % 2)}
		w := s.walker(id*1000+n, r)
		for _, f := range []Destination{topicOf("t.>"), topicOf("t.a"), queueOf("shared")} {
			w.do(Op{Kind: OpFilter, Filter: &Filter{Pattern: f, MaxQoS: 2, ID: uint32(n)}}, nil)
		}
		for i := uint16(1); i < 60 && w.gone == nil && !s.isOver(); i++ {
			w.grant(InboxSub, 5)
			w.do(Op{Kind: OpPublish, Inbound: i % 5, Message: text(topicOf("t.a"), "x", quality(2), retained)}, nil)
			w.do(Op{Kind: OpPublish, Message: text(queueOf("shared"), "y")}, nil)
			w.do(Op{Kind: OpRelease, Inbound: (i + 3) % 5}, nil)
			w.poll(func(list []Delivery) {
				for _, d := range list {
					w.do(Op{Kind: OpSettle, Tags: []Tag{d.Tag}, Outcome: []Outcome{Accepted, Received}[w.rng.IntN(2)]}, nil)
				}
			})
		}
		w.do(Op{Kind: OpUnfilter, Filter: &Filter{Pattern: topicOf("t.a")}}, nil)
		w.c.Close(s.now.Load())
	}
}

// manage is an operator who is never content.
func (s *stress) manage() {
	b, w := s.b, s.walker(7, &ConnectRequest{Protocol: "http", ClientID: "op"})
	for n := 0; !s.isOver(); n++ {
		s.now.Add(20)
		b.Tick(s.now.Load())
		q := queueOf(fmt.Sprint("q", n%stressQueues))
		b.Pause(q)
		b.Queues("", "q", 3)
		b.Topics("", "", 3)
		b.Subscriptions("", "", 3)
		b.Clients(0, "", 3)
		b.Stats()
		b.Browse(q, "", 10)
		b.Resume(q)
		d := queueOf(fmt.Sprint("d.", n%3))
		b.Publish(text(d, "x", expires(s.now.Load()+int64(n%50))))
		w.do(Op{Kind: OpPublish, Message: text(d, "x")}, nil)
		if n%5 == 0 {
			b.Purge(d)
			b.DeleteQueue(d)
		}
		w.do(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: topicOf("t.>"), Durable: n%2 == 0, Name: "d", Retained: true}}, nil)
		w.do(Op{Kind: OpSubscribe, Sub: 2, Subscribe: &SubscribeRequest{Source: q, Browse: true}}, nil)
		w.do(Op{Kind: OpCredit, Sub: 2, Limit: 50}, nil)
		w.do(Op{Kind: OpDeclare, Dest: Destination{Kind: TempQueue}}, func(done Completion) {
			b.Publish(text(done.Dest, "x"))
		})
		w.poll(nil)
		w.do(Op{Kind: OpUnsubscribe, Sub: 1, Forget: n%3 == 0}, nil)
		w.do(Op{Kind: OpUnsubscribe, Sub: 2}, nil)
		if n%20 == 0 {
			w.c.Close(s.now.Load())
			w = s.walker(7, &ConnectRequest{Protocol: "http", ClientID: "op"})
		}
	}
	w.c.Close(s.now.Load())
}

// Many clients do everything at once. In the end each confirmed message was accepted once, and nothing is left.
func TestManyAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	store := newMemStore(t)
	store.start()
	s := &stress{tb: t, over: make(chan struct{})}
	s.now.Store(rigStartMs)
	b, err := Open(Options{Store: store, NowMs: rigStartMs, Formats: []Format{rawFormat{}},
		Limits:   Limits{WindowMessages: 64, UncommittedBytes: 20_000, MemoryBytes: 200_000},
		Policies: []Policy{{Pattern: queueOf("d.>"), DeadLetter: queueOf("d.dead")}, {Pattern: queueOf("shared"), DeadLetter: queueOf("d.dead")}, {Pattern: queueOf(">"), MaxRedeliveries: 2}},
		Events:   func(Event) {}})
	if err != nil {
		t.Fatal(err)
	}
	s.b = b
	s.sending.Store(stressProducers)
	var all sync.WaitGroup
	for i := range uint64(stressProducers) {
		all.Go(func() { s.produce(i+1, 1500) })
		all.Go(func() { s.consume(i + 11) })
	}
	all.Go(func() { s.takeOver(21) })
	all.Go(func() { s.takeOver(22) })
	all.Go(s.manage)
	all.Wait()
	for i := range stressQueues {
		if info, err := b.Queue(queueOf(fmt.Sprint("q", i))); err != nil || info.Depth != 0 || info.InFlight != 0 || info.Bytes != 0 {
			t.Errorf("%+v %v", info, err)
		}
	}
	b.Shutdown()
	store.stop()
	store.flush()
	for i := range stressQueues {
		if q := store.Queue(b.queues[queueOf(fmt.Sprint("q", i))].id); q.Depth != 0 {
			t.Errorf("the store has %+v", q)
		}
	}
}

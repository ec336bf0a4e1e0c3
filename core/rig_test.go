package core

import (
	"fmt"
	"sync"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

// testStore is a Store that a test can hurry and open again.
type testStore interface {
	Store
	// flush returns when all that was appended is committed and who waited for that was told.
	flush()
	// reopen is the store after a crash: of what was not committed the first keep units are left, or, below 0, all.
	reopen(keep int) testStore
	close()
}

// rig is a broker under test, on a store that commits when it is told to, with a clock that stands still.
type rig struct {
	testing.TB
	b      *Broker
	store  testStore
	now    int64
	o      Options
	mu     sync.Mutex
	events []Event
}

const rigStartMs = 1_700_000_000_000

func newRig(tb testing.TB, change ...func(*Options)) *rig {
	if realStore {
		return newRigOn(tb, openDiskStore(tb, persist.NewMemFS()), change...)
	}
	return newRigOn(tb, newMemStore(tb), change...)
}

func newRigOn(tb testing.TB, s testStore, change ...func(*Options)) *rig {
	tb.Helper()
	r := &rig{TB: tb, store: s, now: rigStartMs}
	r.o = Options{Pagers: -1, Formats: []Format{rawFormat{}}, Events: func(e Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	}}
	for _, f := range change {
		f(&r.o)
	}
	r.open()
	tb.Cleanup(func() {
		r.b.Shutdown()
		r.store.close()
	})
	return r
}

func (r *rig) open() {
	r.Helper()
	r.o.Store, r.o.NowMs = r.store, r.now
	b, err := Open(r.o)
	if err != nil {
		r.Fatal(err)
	}
	r.b = b
}

// restart ends the broker's life as a crash does, and begins another. Clients of before are of no use any more.
func (r *rig) restart(keep int) {
	r.Helper()
	old := r.store
	r.store = old.reopen(keep)
	old.close()
	r.b.Shutdown()
	r.open()
}

// stop ends the broker's life in peace, and begins another.
func (r *rig) stop() {
	r.Helper()
	r.settle()
	r.restart(-1)
}

// settle lets everything happen that is due.
func (r *rig) settle() {
	for range 4 {
		r.store.flush()
		r.b.Tick(r.now)
	}
	r.store.flush()
}

// sleep moves the time on.
func (r *rig) sleep(ms int64) {
	r.now += ms
	r.settle()
}

func (r *rig) memory() *memStore { return r.store.(*memStore) }

// eventsOf takes out the events of one kind.
func (r *rig) eventsOf(kind EventKind) (list []Event) {
	r.settle()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// queue shows a queue.
func (r *rig) queue(name string) QueueInfo {
	r.Helper()
	i, err := r.b.Queue(queueOf(name))
	if err != nil {
		r.Fatal(err)
	}
	return i
}

func queueOf(name string) Destination { return Destination{Queue, name} }
func topicOf(name string) Destination { return Destination{Topic, name} }

// peer is a client under test.
type peer struct {
	*rig
	c       *Client
	last    Ticket
	ev      Events
	done    map[Ticket]Completion
	order   []Ticket
	got     []Delivery
	drained []Delivery
	evicted error
	credit  map[SubID]uint64
	wakes   wakes
}

type wakes struct {
	mu sync.Mutex
	n  int
}

func (w *wakes) Wake() {
	w.mu.Lock()
	w.n++
	w.mu.Unlock()
}

func (w *wakes) take() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.n
	w.n = 0
	return n
}

func (r *rig) attach() *peer {
	p := &peer{rig: r, done: map[Ticket]Completion{}, credit: map[SubID]uint64{}}
	p.c = r.b.Attach(&p.wakes, "127.0.0.1:1")
	return p
}

// connect is a client with an id, if it is not "".
func (r *rig) connect(id string) *peer {
	r.Helper()
	p := r.attach()
	p.must(Op{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "amqp", ClientID: id}})
	return p
}

// mqtt is a client with an inbox.
func (r *rig) mqtt(id string, clean bool, expiryS int64) (*peer, Completion) {
	r.Helper()
	p := r.attach()
	return p, p.must(Op{Kind: OpConnect, Connect: mqttRequest(id, clean, expiryS)})
}

func mqttRequest(id string, clean bool, expiryS int64) *ConnectRequest {
	return &ConnectRequest{Protocol: "mqtt", ClientID: id, Exclusive: true, TakeOver: true, Inbox: &InboxRequest{Clean: clean, ExpiryS: expiryS}}
}

// ask does op, lets everything happen, and returns the answer.
func (p *peer) ask(op Op) Completion {
	p.Helper()
	t := p.send(op)
	p.pump()
	done, ok := p.done[t]
	if !ok {
		p.Fatalf("operation %d was not answered", op.Kind)
	}
	return done
}

// send does op and returns its ticket.
func (p *peer) send(op Op) Ticket {
	p.last++
	op.Ticket = p.last
	p.c.Do([]Op{op}, p.now)
	return p.last
}

func (p *peer) must(op Op) Completion {
	p.Helper()
	done := p.ask(op)
	if done.Err != nil {
		p.Fatalf("operation %d: %v", op.Kind, done.Err)
	}
	return done
}

// pump lets everything happen and takes in what comes of it.
func (p *peer) pump() {
	p.settle()
	for p.poll() {
		p.settle()
	}
}

// poll takes in what there is now, and says whether that was anything.
func (p *peer) poll() bool {
	more := p.c.Poll(&p.ev, 1000)
	for _, d := range p.ev.Done {
		p.done[d.Ticket] = d
		p.order = append(p.order, d.Ticket)
	}
	for _, d := range p.ev.Deliveries {
		if d.Drained {
			p.drained = append(p.drained, d)
		} else {
			p.got = append(p.got, d)
		}
	}
	if p.ev.Evicted != nil {
		p.evicted = p.ev.Evicted
	}
	return more || len(p.ev.Done)+len(p.ev.Deliveries) > 0
}

func (p *peer) close() {
	p.c.Close(p.now)
	p.settle()
}

// take returns what came since it was last asked.
func (p *peer) take() []Delivery {
	p.pump()
	got := p.got
	p.got = nil
	return got
}

func bodiesOf(list []Delivery) string {
	s := ""
	for i, d := range list {
		if i > 0 {
			s += " "
		}
		s += string(d.Message.Bare)
	}
	return s
}

func (p *peer) consume(sub SubID, d Destination, credit uint64, change ...func(*SubscribeRequest)) {
	p.Helper()
	r := &SubscribeRequest{Source: d}
	for _, f := range change {
		f(r)
	}
	p.must(Op{Kind: OpSubscribe, Sub: sub, Subscribe: r})
	if credit > 0 {
		p.grant(sub, credit)
	}
}

// grant allows so many deliveries more.
func (p *peer) grant(sub SubID, n uint64) {
	p.Helper()
	p.credit[sub] += n
	p.must(Op{Kind: OpCredit, Sub: sub, Limit: p.credit[sub]})
}

// drain asks for what is ready, and for the rest of the credit back.
func (p *peer) drain(sub SubID) Delivery {
	p.Helper()
	p.drained = nil
	p.must(Op{Kind: OpCredit, Sub: sub, Limit: p.credit[sub], Drain: true})
	if len(p.drained) != 1 {
		p.Fatalf("%d answers to a drain", len(p.drained))
	}
	p.credit[sub] = p.drained[0].Used
	return p.drained[0]
}

func (p *peer) publish(d Destination, body string, change ...func(*Message)) Completion {
	p.Helper()
	return p.must(Op{Kind: OpPublish, Message: text(d, body, change...)})
}

// fill publishes n messages, first, first+1 …
func (p *peer) fill(d Destination, first, n int, change ...func(*Message)) {
	p.Helper()
	ops := make([]Op, 0, n)
	for i := range n {
		ops = append(ops, Op{Kind: OpPublish, Message: text(d, fmt.Sprint(first+i), change...)})
	}
	p.last++
	ops[n-1].Ticket = p.last
	p.c.Do(ops, p.now)
	p.pump()
	if done, ok := p.done[p.last]; !ok || done.Err != nil {
		p.Fatalf("publishing: %v", done.Err)
	}
}

func text(d Destination, body string, change ...func(*Message)) *Message {
	m := &Message{Header: Header{To: d, Durable: true, Priority: DefaultPriority}, Format: rawFormat{}, Bare: []byte(body)}
	for _, f := range change {
		f(m)
	}
	return m
}

func volatile(m *Message)                 { m.Durable = false }
func retained(m *Message)                 { m.Retain = true }
func priority(n uint8) func(*Message)     { return func(m *Message) { m.Priority = n } }
func expires(atMs int64) func(*Message)   { return func(m *Message) { m.ExpiresMs = atMs } }
func notBefore(atMs int64) func(*Message) { return func(m *Message) { m.NotBeforeMs = atMs } }
func quality(qos uint8) func(*Message) {
	return func(m *Message) { m.QoS, m.Durable = qos, qos > 0 }
}

func (p *peer) settleAs(o Outcome, list ...Delivery) {
	p.Helper()
	var tags []Tag
	for _, d := range list {
		tags = append(tags, d.Tag)
	}
	p.must(Op{Kind: OpSettle, Tags: tags, Outcome: o})
}

// want compares what came with bodies.
func (p *peer) want(bodies string) []Delivery {
	p.Helper()
	got := p.take()
	if s := bodiesOf(got); s != bodies {
		p.Fatalf("got %q, want %q", s, bodies)
	}
	return got
}

// rawFormat is a protocol whose messages are their bodies.
type rawFormat struct{}

func (rawFormat) ID() byte { return FormatSTOMP }

func (rawFormat) Content(m *Message) (*Content, error) {
	return &Content{Kind: BodyText, Body: m.Bare}, nil
}

// rows counts a table's rows.
func (r *rig) rows(t persist.Table) (n int) {
	r.settle()
	if err := r.store.Scan(t, nil, func(_, _ []byte) bool { n++; return true }); err != nil {
		r.Fatal(err)
	}
	return n
}

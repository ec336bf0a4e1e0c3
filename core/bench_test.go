package core

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

// stubStore commits when it is told to and remembers nothing: what is left is what core costs.
type stubStore struct {
	end, done persist.Pos
	waits     []memWait
	due       []Waiter
}

func (s *stubStore) Append(u *persist.Unit) (base, end persist.Pos, err error) {
	base = s.end + 60
	s.end = base + persist.Pos(u.Len())
	return base, s.end, nil
}

func (s *stubStore) commit() {
	s.done = s.end
	for _, w := range s.waits {
		s.due = append(s.due, w.w)
	}
	s.waits = s.waits[:0]
	for _, w := range s.due {
		w.Advanced()
	}
	s.due = s.due[:0]
}

func (s *stubStore) Committed() persist.Pos                   { return s.done }
func (s *stubStore) Confirmed() persist.Pos                   { return s.done }
func (s *stubStore) Await(pos persist.Pos, w Waiter)          { s.waits = append(s.waits, memWait{pos, w}) }
func (s *stubStore) Queue(persist.QueueID) persist.QueueState { return persist.QueueState{} }
func (s *stubStore) Usage() persist.Usage                     { return persist.Usage{} }
func (s *stubStore) Entries(_ persist.QueueID, _ persist.Seq, _ int, dst []persist.Entry) ([]persist.Entry, error) {
	return dst, nil
}
func (s *stubStore) Entry(persist.QueueID, persist.Seq) (e persist.Entry, ok bool, err error) {
	return e, false, nil
}
func (s *stubStore) Message(persist.Pos) (id, header, body []byte, err error) {
	return nil, nil, nil, persist.ErrNotFound
}
func (s *stubStore) Get(persist.Table, []byte) ([]byte, bool, error) { return nil, false, nil }
func (s *stubStore) Scan(persist.Table, []byte, func(key, value []byte) bool) error {
	return nil
}

type noSink struct{}

func (noSink) Wake() {}

// benchStore is a Store that commits at once when it is told to.
type benchStore interface {
	Store
	commit()
}

// commit waits for the real store.
func (d *diskStore) commit() { d.flush() }

// benchTurn is how many messages go between two commits.
const benchTurn = 64

// passBench has a producer send and a consumer take, a turn at a time: Publish, commit, deliver, settle. The messages are
// the protocol's to make, and so not counted here.
func passBench(b *testing.B, s benchStore, to Destination, durable bool, subscribe func(c *Client), sub SubID) {
	br, err := Open(Options{Store: s, Pagers: -1, NowMs: rigStartMs, Formats: []Format{rawFormat{}}})
	if err != nil {
		b.Fatal(err)
	}
	producer, consumer := br.Attach(noSink{}, ""), br.Attach(noSink{}, "")
	producer.Do([]Op{{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "amqp"}}}, rigStartMs)
	subscribe(consumer)
	bodies := make([]Message, benchTurn)
	ops := make([]Op, benchTurn)
	tags := make([]Tag, 0, benchTurn)
	bare := make([]byte, 100)
	var ev Events
	credit, handed := uint64(0), uint64(0)
	turn := func(n int) {
		if handed+1000 > credit {
			credit = handed + 10_000
			consumer.Do([]Op{{Kind: OpCredit, Sub: sub, Limit: credit}}, rigStartMs)
		}
		for i := range n {
			m := &bodies[i]
			m.Header = Header{To: to, Durable: durable, Priority: DefaultPriority, TimestampMs: rigStartMs}
			m.Format, m.Bare = rawFormat{}, bare
			ops[i] = Op{Kind: OpPublish, Ticket: 1, Message: m}
		}
		producer.Do(ops[:n], rigStartMs)
		producer.Poll(&ev, 64)
		s.commit()
		tags = tags[:0]
		consumer.Poll(&ev, benchTurn)
		for i := range ev.Deliveries {
			tags = append(tags, ev.Deliveries[i].Tag)
		}
		handed += uint64(len(tags))
		consumer.Do([]Op{{Kind: OpSettle, Ticket: 1, Tags: tags, Outcome: Accepted}}, rigStartMs)
		consumer.Poll(&ev, benchTurn)
		s.commit()
		producer.Poll(&ev, benchTurn)
		consumer.Poll(&ev, benchTurn)
	}
	turn(benchTurn)
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= benchTurn {
		turn(min(left, benchTurn))
	}
	b.StopTimer()
	if handed < uint64(b.N) {
		b.Fatalf("%d of %d messages came", handed, b.N)
	}
}

func BenchmarkDurableQueue(b *testing.B) {
	passBench(b, &stubStore{}, queueOf("q"), true, func(c *Client) {
		c.Do([]Op{{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "amqp"}},
			{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: queueOf("q")}}}, rigStartMs)
	}, 1)
}

// BenchmarkOverTheStore is BenchmarkDurableQueue with log and index, on a file system in memory.
func BenchmarkOverTheStore(b *testing.B) {
	d := openDiskStore(b, persist.NewMemFS())
	defer d.close()
	passBench(b, d, queueOf("q"), true, func(c *Client) {
		c.Do([]Op{{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "amqp"}},
			{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: queueOf("q")}}}, rigStartMs)
	}, 1)
}

func BenchmarkLiveTopic(b *testing.B) {
	passBench(b, &stubStore{}, topicOf("t"), true, func(c *Client) {
		c.Do([]Op{{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "amqp"}},
			{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: topicOf("t")}}}, rigStartMs)
	}, 1)
}

func BenchmarkInbox(b *testing.B) {
	passBench(b, &stubStore{}, topicOf("t"), true, func(c *Client) {
		c.Do([]Op{{Kind: OpConnect, Connect: mqttRequest("m", true, 60)},
			{Kind: OpFilter, Filter: &Filter{Pattern: topicOf("t"), MaxQoS: 1}}}, rigStartMs)
	}, InboxSub)
}

// BenchmarkFanOut is one message to 1,000 durable subscriptions whose clients are away.
func BenchmarkFanOut(b *testing.B) {
	s := &stubStore{}
	br, err := Open(Options{Store: s, Pagers: -1, NowMs: rigStartMs})
	if err != nil {
		b.Fatal(err)
	}
	c := br.Attach(noSink{}, "")
	c.Do([]Op{{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "amqp", ClientID: "c"}}}, rigStartMs)
	for i := range 1000 {
		r := &SubscribeRequest{Source: topicOf("t"), Durable: true, Name: string(rune('0' + i))}
		c.Do([]Op{{Kind: OpSubscribe, Sub: SubID(i + 1), Subscribe: r}, {Kind: OpUnsubscribe, Sub: SubID(i + 1)}}, rigStartMs)
	}
	var ev Events
	b.ReportAllocs()
	for b.Loop() {
		c.Do([]Op{{Kind: OpPublish, Ticket: 1, Message: text(topicOf("t"), "x")}}, rigStartMs)
		s.commit()
		c.Poll(&ev, 10)
	}
}

// BenchmarkQueuesPage lists the first of 100 pages.
func BenchmarkQueuesPage(b *testing.B) {
	br, err := Open(Options{Store: &stubStore{}, Pagers: -1, NowMs: rigStartMs})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100_000 {
		if err := br.CreateQueue(queueOf("queue." + string(rune('a'+i%26)) + string(rune(0x100+i)))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if list, next := br.Queues("", "", 100); len(list) != 100 || next == "" {
			b.Fatal(len(list), next)
		}
	}
}

// 100,000 queues with a message each must fit into 1 GB; what core holds of one is a small part of that.
func TestQueuesAreSmall(t *testing.T) {
	const n = 10_000
	before := heapBytes()
	br, err := Open(Options{Store: &stubStore{}, Pagers: -1, NowMs: rigStartMs, Formats: []Format{rawFormat{}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := br.Publish(text(queueOf(fmt.Sprint("queue.", i)), string(make([]byte, 100)))); err != nil {
			t.Fatal(err)
		}
	}
	br.store.(*stubStore).commit()
	br.Tick(rigStartMs + 1)
	each := (heapBytes() - before) / n
	t.Logf("%d bytes a queue", each)
	if each > 2500 {
		t.Errorf("a queue with a message takes %d bytes", each)
	}
	br.Shutdown()
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

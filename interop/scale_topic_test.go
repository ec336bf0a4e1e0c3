package interop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
	"github.com/havenmq/havenmq/interop/wire"
)

// TestScaleDeadSubscriber publishes to a topic whose durable subscriber never comes back: what is kept for it stays within its
// limit, and is the newest.
func TestScaleDeadSubscriber(t *testing.T) {
	s := theScale()
	b := s.start(t, s.storeUsage)
	o := queueOptions(b, "gone", "topic://news")
	o.Durable = true
	if err := consume(o, 0, 0); err != nil {
		t.Fatal(err)
	}
	stop := watchRSS(b)
	timed(t, "publish", func() error { return produce(queueOptions(b, "producer", "topic://news"), 0, s.messages) })
	checkRSS(t, stop(), backlogRSSMax)
	checkDirShrinks(t, b, s.limitBytes+2*s.logSizeBytes+emptyDirMore)
	// What goes has to be read back first, in the background; until then a subscriber would get what is about to go.
	waitFor(t, "the limit holds", func() error { return keptWithin(b, s.limitBytes) })
	first, n, err := theRest(o, s.messages)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("kept for the subscriber: %d messages from %d on", n, first)
	if first+n != s.messages || n == 0 {
		t.Errorf("kept: %d messages from %d on of %d: these are not the newest", n, first, s.messages)
	}
	if kept := int64(n) * backlogBodyBytes; kept > s.limitBytes {
		t.Errorf("%d bytes were kept; at most %d are allowed", kept, s.limitBytes)
	}
}

// keptWithin looks at what the only subscription holds.
func keptWithin(b *broker.Broker, limitBytes int64) error {
	var page struct {
		Items []struct {
			Queue struct {
				Bytes int64 `json:"bytes"`
			} `json:"queue"`
		} `json:"items"`
	}
	if err := b.API("/api/v1/subscriptions", &page); err != nil {
		return err
	}
	if len(page.Items) != 1 {
		return fmt.Errorf("%d subscriptions", len(page.Items))
	}
	if kept := page.Items[0].Queue.Bytes; kept > limitBytes {
		return fmt.Errorf("%d bytes are kept; at most %d are allowed", kept, limitBytes)
	}
	return nil
}

// theRest reads what a subscriber was left, up to the message before end.
func theRest(o wire.Options, end int) (first, n int, err error) {
	r, err := wire.ReceiveAMQP(o)
	if err != nil {
		return 0, 0, err
	}
	err = r.SetDeadline(time.Now().Add(scaleTimeout))
	first, got := -1, -1
	for got != end-1 && err == nil {
		var body []byte
		if body, err = r.Next(); err != nil {
			continue
		}
		now := int(binary.BigEndian.Uint64(body))
		if first < 0 {
			first = now
		} else if now != got+1 {
			err = fmt.Errorf("message %d came after %d", now, got)
		}
		got, n = now, n+1
	}
	return first, n, errors.Join(err, r.Ack(), r.Close())
}

const (
	fanOutBodyBytes = 1024
	fanOutLogMax    = 100 << 10
	manyQueuesRSS   = 1 << 30
)

// TestScaleFanOut publishes one message to many durable subscriptions, half of them MQTT sessions: its body is stored once.
func TestScaleFanOut(t *testing.T) {
	s := theScale()
	b := s.start(t, "100gb")
	for i := range s.subscribers {
		if err := subscribeAndLeave(b, i); err != nil {
			t.Fatalf("subscriber %d: %v", i, err)
		}
	}
	before := logEnd(t, b)
	if err := produce(queueOptions(b, "producer", "topic://fan.out"), 42, 1); err != nil {
		t.Fatal(err)
	}
	grown := logEnd(t, b) - before
	t.Logf("%d subscriptions: the log grew by %d bytes", s.subscribers, int64(grown))
	if grown > fanOutLogMax || grown < fanOutBodyBytes {
		t.Errorf("the log grew by %d bytes; between %d and %d are expected", int64(grown), fanOutBodyBytes, fanOutLogMax)
	}
	crashAndRestart(t, b)
	for i := range s.subscribers {
		if err := comeBack(b, i); err != nil {
			t.Fatalf("subscriber %d: %v", i, err)
		}
	}
}

func fanOutSubscriber(b *broker.Broker, i int) (wire.Options, func(wire.Options) (wire.Receiver, error)) {
	o := queueOptions(b, fmt.Sprintf("subscriber-%d", i), "topic://fan.out")
	o.Durable, o.Credit = true, 1
	if i%2 == 0 {
		return o, wire.ReceiveAMQP
	}
	o.Addr, o.Destination, o.QoS = b.Addr("mqtt"), "fan/out", 1
	return o, wire.ReceiveMQTT
}

func subscribeAndLeave(b *broker.Broker, i int) error {
	o, receive := fanOutSubscriber(b, i)
	r, err := receive(o)
	if err != nil {
		return err
	}
	return r.Close()
}

func comeBack(b *broker.Broker, i int) error {
	o, receive := fanOutSubscriber(b, i)
	r, err := receive(o)
	if err != nil {
		return err
	}
	err = r.SetDeadline(time.Now().Add(answerTimeout))
	if err == nil {
		var body []byte
		if body, err = r.Next(); err == nil && (len(body) != fanOutBodyBytes || binary.BigEndian.Uint64(body) != 42) {
			err = fmt.Errorf("got %q", body)
		}
	}
	return errors.Join(err, r.Ack(), r.Close())
}

func logEnd(t *testing.T, b *broker.Broker) float64 {
	t.Helper()
	m, err := b.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	return m["havenmq_log_end_position"]
}

// TestScaleManyQueues puts one message into each of very many queues.
func TestScaleManyQueues(t *testing.T) {
	s := theScale()
	b := s.start(t, "100gb")
	stop := watchRSS(b)
	timed(t, "fill", func() error { return fillQueues(b, s.queues) })
	checkQueues(t, b, s.queues)
	checkRSS(t, stop(), manyQueuesRSS)
	crashAndRestart(t, b)
	stop = watchRSS(b)
	checkQueues(t, b, s.queues)
	for i := 0; i < s.queues; i += s.queues / 100 {
		if err := consume(queueOptions(b, "consumer", fmt.Sprintf("queue://many.%d", i)), i, 1); err != nil {
			t.Fatalf("queue %d: %v", i, err)
		}
	}
	checkRSS(t, stop(), manyQueuesRSS)
}

func checkQueues(t *testing.T, b *broker.Broker, n int) {
	t.Helper()
	m, err := b.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	if got := m["havenmq_queues"]; got != float64(n) {
		t.Errorf("%v queues; want %d", got, n)
	}
}

// fillQueues asks for a receipt now and then; the last one confirms all.
func fillQueues(b *broker.Broker, n int) error {
	c, err := wire.DialSTOMP(b.Addr("stomp"), "")
	if err != nil {
		return err
	}
	body := make([]byte, backlogBodyBytes)
	for i := range n {
		receipt := ""
		if i%100 == 99 || i == n-1 {
			receipt = fmt.Sprintf("receipt:%d\n", i)
		}
		if err := stompSend(c, fmt.Sprintf("many.%d", i), receipt, numbered(body, i)); err != nil {
			return errors.Join(err, c.Close())
		}
		if receipt != "" {
			if _, err := c.Expect("RECEIPT"); err != nil {
				return errors.Join(err, c.Close())
			}
		}
	}
	return c.Close()
}

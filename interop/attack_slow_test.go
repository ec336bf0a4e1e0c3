package interop

import (
	"fmt"
	"testing"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
	"github.com/havenmq/havenmq/interop/wire"
)

// Consumers that never read: what is meant for them waits in bounded memory or is dropped, and others notice nothing.

const (
	slowConfig   = "systemUsage: {memoryUsage: 64mb}\n"
	slowCredit   = 30_000
	slowMessages = 500_000 // of 1 KiB each: eight times the memory limit
	slowRSSMax   = 450 << 20
)

// slowCases are a destination's spelling for its sender, and the ways to sit before it without reading.
var slowCases = []struct {
	name    string
	send    func(wire.Options) (wire.Sender, error)
	receive func(wire.Options) (wire.Receiver, error)
	scheme  string
	dest    string
	qos     byte
}{
	{"AMQP queue", wire.SendAMQP, wire.ReceiveAMQP, "amqp", "queue://slow.amqp", 0},
	{"AMQP topic", wire.SendAMQP, wire.ReceiveAMQP, "amqp", "topic://slow.amqp", 0},
	{"MQTT QoS 0", wire.SendMQTT, wire.ReceiveMQTT, "mqtt", "slow/mqtt0", 0},
	{"MQTT QoS 1", wire.SendMQTT, wire.ReceiveMQTT, "mqtt", "slow/mqtt1", 1},
	{"STOMP queue", wire.SendSTOMP, wire.ReceiveSTOMP, "stomp", "/queue/slow.stomp", 0},
	{"STOMP topic", wire.SendSTOMP, wire.ReceiveSTOMP, "stomp", "/topic/slow.stomp", 0},
}

func TestConsumersThatNeverRead(t *testing.T) {
	b, err := broker.New(broker.Options{Dir: t.TempDir(), Config: slowConfig})
	if err != nil {
		t.Fatal(err)
	}
	launch(t, b)
	before := look(t, b)
	for _, c := range slowCases {
		t.Run(c.name, func(t *testing.T) {
			o := wire.Options{Addr: b.Addr(c.scheme), ID: "never-reads " + c.name, Destination: c.dest, Window: 500, Credit: slowCredit, QoS: c.qos}
			deaf, err := c.receive(o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = deaf.Close() }() // it has read nothing, and the broker may have had enough of it
			o.ID = "sender " + c.name
			if err := flood(o, c.send); err != nil {
				t.Fatal(err)
			}
			for _, scheme := range broker.Schemes {
				began := time.Now()
				if err := roundTrip(scheme, b.Port(scheme), "others."+scheme); err != nil {
					t.Errorf("others: %v", err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("others: %s took %s", scheme, took)
				}
			}
			if rss, err := b.RSSBytes(); err != nil || rss > slowRSSMax {
				t.Errorf("resident memory of %d bytes (%v)", rss, err)
			}
		})
	}
	settles(t, b, before)
}

// flood sends messages until all are confirmed, or for as long as the broker lets the sender wait.
func flood(o wire.Options, send func(wire.Options) (wire.Sender, error)) error {
	s, err := send(o)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // the broker may be holding it back
	sent := make(chan error, 1)
	go func() {
		body := make([]byte, 1024)
		for i := range slowMessages {
			if err := s.Send(body); err != nil {
				sent <- fmt.Errorf("message %d: %w", i, err)
				return
			}
		}
		sent <- s.Wait()
	}()
	select {
	case err := <-sent:
		return err
	case <-time.After(5 * time.Second): // held back: this is what the limit is for
		_ = s.Close()
		<-sent
		return nil
	}
}

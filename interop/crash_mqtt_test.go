package interop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"

	"github.com/havenmq/havenmq/interop/broker"
)

// mqttCrash publishes with paho.golang to a topic with a kept session behind it, or to a queue. Its sessions live on through the
// crash on both ends, so that what was under way at QoS 1 and 2 is completed after it.
type mqttCrash struct {
	name  string
	qos   byte
	queue bool // publish to $queue/name, which is drained afterwards
	rand  *rand.Rand
	*ledger
	publisher, subscriber mqttSession
	stopping              atomic.Bool
	publishing            sync.WaitGroup
	last                  chan struct{} // closed when the last message has come
}

// mqttSession is a client id with its state on this end.
type mqttSession struct {
	id     string
	state  *state.State
	client *paho.Client
}

const mqttPublishers = 16

func (j *mqttCrash) String() string {
	return fmt.Sprintf("MQTT QoS %d (queue: %t): %s", j.qos, j.queue, j.ledger)
}

func (j *mqttCrash) topic() string {
	topic := strings.ReplaceAll(j.name, ".", "/")
	if j.queue {
		return "$queue/" + topic
	}
	return topic
}

func (j *mqttCrash) prepare(ctx context.Context, b *broker.Broker) error {
	j.publisher = mqttSession{id: "publisher-" + j.name, state: state.NewInMemory()}
	j.subscriber = mqttSession{id: "subscriber-" + j.name, state: state.NewInMemory()}
	j.last = make(chan struct{})
	if err := j.connect(ctx, b); err != nil || j.queue {
		return err
	}
	_, err := j.subscriber.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: j.topic(), QoS: j.qos}}})
	return err
}

func (j *mqttCrash) connect(ctx context.Context, b *broker.Broker) error {
	if err := j.publisher.connect(ctx, b, nil); err != nil || j.queue {
		return err
	}
	return j.subscriber.connect(ctx, b, j.message)
}

func (s *mqttSession) connect(ctx context.Context, b *broker.Broker, got func(*paho.Publish)) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.Addr("mqtt"))
	if err != nil {
		return err
	}
	config := paho.ClientConfig{ClientID: s.id, Conn: conn, Session: s.state, PacketTimeout: time.Minute}
	if got != nil {
		config.OnPublishReceived = []func(paho.PublishReceived) (bool, error){
			func(p paho.PublishReceived) (bool, error) { got(p.Packet); return true, nil }}
	}
	s.client = paho.NewClient(config)
	expiry := uint32(3600)
	_, err = s.client.Connect(ctx, &paho.Connect{ClientID: s.id, KeepAlive: 60, Properties: &paho.ConnectProperties{SessionExpiryInterval: &expiry}})
	return err
}

func (j *mqttCrash) message(p *paho.Publish) {
	if idOf(p.Payload) == lastMessage {
		select {
		case <-j.last: // at QoS 1 it may come again
		default:
			close(j.last)
		}
		return
	}
	j.receive(p.Payload)
}

// run publishes until the connection ends. What is under way then waits for the session to go on.
func (j *mqttCrash) run(ctx context.Context) {
	r := &lockedRand{r: j.rand}
	for n := range mqttPublishers {
		j.publishing.Go(func() {
			for i := 0; !j.stopping.Load(); i++ {
				if j.publish(ctx, fmt.Sprintf("m%d-%d", n, i), r.IntN(1<<16)) != nil {
					return
				}
			}
		})
	}
	select {
	case <-j.publisher.client.Done():
	case <-ctx.Done():
	}
	j.stopping.Store(true)
	if !j.queue {
		<-j.subscriber.client.Done()
	}
}

func (j *mqttCrash) publish(ctx context.Context, id string, size int) error {
	j.mark(j.sent, id)
	answer, err := j.publisher.client.Publish(ctx, &paho.Publish{Topic: j.topic(), QoS: j.qos, Payload: bodyFor(id, size)})
	if err == nil && answer.ReasonCode >= 0x80 {
		err = fmt.Errorf("reason code %#x", answer.ReasonCode)
	}
	if err == nil {
		j.mark(j.confirmed, id)
	}
	return err
}

func (j *mqttCrash) verify(ctx context.Context, b *broker.Broker) []string {
	if err := j.connect(ctx, b); err != nil {
		return []string{fmt.Sprintf("%s: connect again: %v", j.name, err)}
	}
	j.publishing.Wait() // what was under way completes
	if len(j.confirmed) == 0 {
		return []string{j.name + ": nothing was confirmed before the crash"}
	}
	if j.queue {
		return j.verifyQueue(ctx, b)
	}
	return j.verifyTopic(ctx)
}

func (j *mqttCrash) verifyQueue(ctx context.Context, b *broker.Broker) []string {
	rest, err := drain(ctx, b, j.name)
	if err := errors.Join(err, j.publisher.close()); err != nil {
		return []string{fmt.Sprintf("%s: %v", j.name, err)}
	}
	for id, n := range rest {
		j.received[id] += n
	}
	return j.checkReceived(j.name, j.qos == 2)
}

func (j *mqttCrash) verifyTopic(ctx context.Context) []string {
	_, err := j.publisher.client.Publish(ctx, &paho.Publish{Topic: j.topic(), QoS: j.qos, Payload: bodyFor(lastMessage, 1)})
	if err != nil {
		return []string{fmt.Sprintf("%s: publish the last message: %v", j.name, err)}
	}
	select {
	case <-j.last:
	case <-time.After(drainTimeout):
		err = fmt.Errorf("the last message did not come; %s", j.ledger)
	}
	if err := errors.Join(err, j.publisher.close(), j.subscriber.close()); err != nil {
		return []string{fmt.Sprintf("%s: %v", j.name, err)}
	}
	return j.checkReceived(j.name, j.qos == 2)
}

// close ends the session for good.
func (s *mqttSession) close() error {
	never := uint32(0)
	err := s.client.Disconnect(&paho.Disconnect{Properties: &paho.DisconnectProperties{SessionExpiryInterval: &never}})
	<-s.client.Done()
	return errors.Join(err, s.state.Close())
}

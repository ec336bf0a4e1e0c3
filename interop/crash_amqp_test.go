package interop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/Azure/go-amqp"

	"github.com/havenmq/havenmq/interop/broker"
)

// amqpCrash sends to a queue and consumes from it at once, with go-amqp. Its consumer settles second, so that it knows what the
// broker has settled.
type amqpCrash struct {
	queue string
	rand  *rand.Rand
	*ledger
	producer, consumer *goAMQP
	sender             *amqp.Sender
	receiver           *amqp.Receiver
}

func (j *amqpCrash) String() string { return "AMQP queue: " + j.ledger.String() }

func (j *amqpCrash) prepare(ctx context.Context, b *broker.Broker) error {
	for _, side := range []struct {
		conn **goAMQP
		id   string
	}{{&j.producer, "producer"}, {&j.consumer, "consumer"}} {
		c, err := openGoAMQP(ctx, nil, b.Port("amqp"), side.id+j.queue)
		if err != nil {
			return err
		}
		*side.conn = c.(*goAMQP)
	}
	var err error
	if j.sender, err = j.producer.session.NewSender(ctx, "queue://"+j.queue, nil); err != nil {
		return err
	}
	j.receiver, err = j.consumer.session.NewReceiver(ctx, "queue://"+j.queue,
		&amqp.ReceiverOptions{Credit: 50, SettlementMode: amqp.ReceiverSettleModeSecond.Ptr()})
	return err
}

const amqpSenders = 16

func (j *amqpCrash) run(ctx context.Context) {
	defer func() { _, _ = j.producer.conn.Close(), j.consumer.conn.Close() }() // the broker is gone
	r := &lockedRand{r: j.rand}
	var all sync.WaitGroup
	for s := range amqpSenders {
		all.Go(func() {
			for i := 0; j.sendOne(ctx, fmt.Sprintf("a%d-%d", s, i), r.IntN(1<<16)) == nil; i++ {
			}
		})
	}
	for range 4 {
		all.Go(func() {
			for j.receiveOne(ctx, r.IntN(5) == 0) == nil {
			}
		})
	}
	all.Wait()
}

func (j *amqpCrash) sendOne(ctx context.Context, id string, size int) error {
	j.mark(j.sent, id)
	err := j.sender.Send(ctx, &amqp.Message{Header: &amqp.MessageHeader{Durable: true, Priority: 4}, Data: [][]byte{bodyFor(id, size)}}, nil)
	if err == nil {
		j.mark(j.confirmed, id)
	}
	return err
}

func (j *amqpCrash) receiveOne(ctx context.Context, release bool) error {
	m, err := j.receiver.Receive(ctx, nil)
	if err != nil {
		return err
	}
	if release {
		return j.receiver.ReleaseMessage(ctx, m)
	}
	id := j.receive(m.GetData())
	if err := j.receiver.AcceptMessage(ctx, m); err != nil {
		return err
	}
	j.mark(j.settled, id)
	return nil
}

func (j *amqpCrash) verify(ctx context.Context, b *broker.Broker) []string {
	rest, err := drain(ctx, b, j.queue)
	if err != nil {
		return []string{err.Error()}
	}
	if len(j.confirmed) == 0 {
		return []string{"AMQP: nothing was confirmed before the crash"}
	}
	return j.checkQueue(j.queue, rest)
}

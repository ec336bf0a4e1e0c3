package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/havenmq/havenmq/interop/broker"
)

// What AMQP 1.0 has beyond sending and receiving, through go-amqp.

// amqpClient is a connection with one session.
type amqpClient struct {
	*goAMQP
	t   *testing.T
	ctx context.Context
}

func dialAMQP(t *testing.T, b *broker.Broker, id string) *amqpClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*answerTimeout)
	t.Cleanup(cancel)
	c, err := openGoAMQP(ctx, nil, b.Port("amqp"), id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.close(context.Background()) }) // some tests have closed it
	return &amqpClient{c.(*goAMQP), t, ctx}
}

func (c *amqpClient) sendTo(address string, m *amqp.Message) {
	c.t.Helper()
	s, err := c.session.NewSender(c.ctx, address, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := errors.Join(s.Send(c.ctx, m, nil), s.Close(c.ctx)); err != nil {
		c.t.Fatalf("send to %s: %v", address, err)
	}
}

func (c *amqpClient) receiver(address string, o *amqp.ReceiverOptions) *amqp.Receiver {
	c.t.Helper()
	r, err := c.session.NewReceiver(c.ctx, address, o)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// receiveFrom wants a message of this body.
func (c *amqpClient) receiveFrom(r *amqp.Receiver, body string) *amqp.Message {
	c.t.Helper()
	m, err := r.Receive(c.ctx, nil)
	if err != nil || string(m.GetData()) != body {
		c.t.Fatalf("want %q, got %v (%v)", body, m, err)
	}
	return m
}

func durable(body string) *amqp.Message {
	return &amqp.Message{Header: &amqp.MessageHeader{Durable: true, Priority: 4}, Data: [][]byte{[]byte(body)}}
}

func TestAMQPReleasedComesBackAndRejectedIsADeadLetter(t *testing.T) {
	b := start(t, 0)
	c := dialAMQP(t, b, "client")
	c.sendTo("queue://orders", durable("x"))
	r := c.receiver("queue://orders", nil)
	if err := r.ReleaseMessage(c.ctx, c.receiveFrom(r, "x")); err != nil {
		t.Fatal(err)
	}
	m := c.receiveFrom(r, "x")
	if m.Header != nil && m.Header.DeliveryCount != 0 {
		t.Errorf("a release counted: %d", m.Header.DeliveryCount)
	}
	if err := r.RejectMessage(c.ctx, m, &amqp.Error{Condition: "app:bad", Description: "not an order"}); err != nil {
		t.Fatal(err)
	}
	dlq := c.receiver("queue://ActiveMQ.DLQ", nil)
	m = c.receiveFrom(dlq, "x")
	if notes := fmt.Sprint(m.DeliveryAnnotations); notes != "map[x-opt-dead-letter-reason:rejected x-opt-original-destination:queue://orders]" {
		t.Errorf("delivery-annotations: %s", notes)
	}
	if err := dlq.AcceptMessage(c.ctx, m); err != nil {
		t.Fatal(err)
	}
}

// TestAMQPFailsSixTimesMore fails a delivery until the broker gives it up.
func TestAMQPFailsSixTimesMore(t *testing.T) {
	b := start(t, 0)
	c := dialAMQP(t, b, "client")
	c.sendTo("queue://orders", durable("x"))
	r := c.receiver("queue://orders", nil)
	for attempt := range 7 {
		m := c.receiveFrom(r, "x")
		if m.Header.DeliveryCount != uint32(attempt) {
			t.Errorf("attempt %d says delivery-count %d", attempt, m.Header.DeliveryCount)
		}
		if err := r.ModifyMessage(c.ctx, m, &amqp.ModifyMessageOptions{DeliveryFailed: true}); err != nil {
			t.Fatal(err)
		}
	}
	dlq := c.receiver("queue://ActiveMQ.DLQ", nil)
	c.receiveFrom(dlq, "x")
}

func TestAMQPDrainTakesCreditBack(t *testing.T) {
	b := start(t, 0)
	c := dialAMQP(t, b, "client")
	r := c.receiver("queue://drained", &amqp.ReceiverOptions{Credit: -1})
	c.sendTo("queue://drained", durable("one"))
	if err := r.IssueCredit(10); err != nil {
		t.Fatal(err)
	}
	if err := r.AcceptMessage(c.ctx, c.receiveFrom(r, "one")); err != nil {
		t.Fatal(err)
	}
	if err := r.DrainCredit(c.ctx, nil); err != nil {
		t.Fatal(err)
	}
	c.sendTo("queue://drained", durable("two"))
	if m := r.Prefetched(); m != nil {
		t.Errorf("after the drain came %q", m.GetData())
	}
	if err := r.IssueCredit(1); err != nil {
		t.Fatal(err)
	}
	c.receiveFrom(r, "two")
}

// TestAMQPLargeMessage sends what takes many frames both ways.
func TestAMQPLargeMessage(t *testing.T) {
	b := start(t, 0)
	c := dialAMQP(t, b, "client")
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB
	c.sendTo("queue://large", &amqp.Message{Header: &amqp.MessageHeader{Durable: true, Priority: 4}, Data: [][]byte{body}})
	r := c.receiver("queue://large", nil)
	m, err := r.Receive(c.ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.GetData(), body) {
		t.Errorf("%d bytes arrived, or others than those that were sent", len(m.GetData()))
	}
	if err := r.AcceptMessage(c.ctx, m); err != nil {
		t.Fatal(err)
	}
}

func TestAMQPDurableSubscription(t *testing.T) {
	b := start(t, 0)
	o := &amqp.ReceiverOptions{Name: "audit", SourceDurability: amqp.DurabilityUnsettledState, SourceExpiryPolicy: amqp.ExpiryPolicyNever}
	c := dialAMQP(t, b, "auditor")
	c.receiver("topic://news", o)
	if err := c.conn.Close(); err != nil {
		t.Fatal(err)
	}
	p := dialAMQP(t, b, "publisher")
	for i := range 3 {
		p.sendTo("topic://news", durable(fmt.Sprint(i)))
	}
	b.Kill()
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	c = dialAMQP(t, b, "auditor")
	r := c.receiver("topic://news", o)
	for i := range 3 {
		if err := r.AcceptMessage(c.ctx, c.receiveFrom(r, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAMQPTemporaryQueue asks and answers over a dynamic node.
func TestAMQPTemporaryQueue(t *testing.T) {
	b := start(t, 0)
	asker, answerer := dialAMQP(t, b, "asker"), dialAMQP(t, b, "answerer")
	replies := asker.receiver("", &amqp.ReceiverOptions{DynamicAddress: true, SourceCapabilities: []string{"temporary-queue"}})
	address := replies.Address()
	question := durable("why?")
	question.Properties = &amqp.MessageProperties{ReplyTo: &address}
	asker.sendTo("queue://questions", question)
	r := answerer.receiver("queue://questions", nil)
	m := answerer.receiveFrom(r, "why?")
	answerer.sendTo(*m.Properties.ReplyTo, durable("because"))
	asker.receiveFrom(replies, "because")
	if err := asker.conn.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the temporary queue goes with its connection", func() error {
		late, err := answerer.session.NewSender(answerer.ctx, address, nil)
		if err != nil {
			return err
		}
		err = late.Send(answerer.ctx, durable("too late"), nil)
		var refused *amqp.Error
		if errors.As(err, &refused) && refused.Condition == amqp.ErrCondNotFound {
			return late.Close(answerer.ctx)
		}
		return fmt.Errorf("what is sent to it gets %v", err)
	})
}

func TestAMQPPriorityFirst(t *testing.T) {
	b := start(t, 0)
	c := dialAMQP(t, b, "client")
	for _, p := range []uint8{4, 0, 9, 4, 7} {
		m := durable(fmt.Sprint(p))
		m.Header.Priority = p
		c.sendTo("queue://urgent", m)
	}
	r := c.receiver("queue://urgent", nil)
	for _, body := range []string{"9", "7", "4", "4", "0"} {
		if err := r.AcceptMessage(c.ctx, c.receiveFrom(r, body)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAMQPExpiry lets one message's time run out and another's not.
func TestAMQPExpiry(t *testing.T) {
	b := start(t, 0)
	c := dialAMQP(t, b, "client")
	brief := durable("brief")
	brief.Header.TTL = 50 * time.Millisecond
	c.sendTo("queue://milk", brief)
	long := durable("long")
	long.Header.TTL = time.Hour
	c.sendTo("queue://milk", long)
	dlq := c.receiver("queue://ActiveMQ.DLQ", nil)
	c.receiveFrom(dlq, "brief") // durable: it is a dead letter
	r := c.receiver("queue://milk", nil)
	if m := c.receiveFrom(r, "long"); m.Header.TTL <= 0 || m.Header.TTL > time.Hour {
		t.Errorf("ttl %s", m.Header.TTL)
	}
}

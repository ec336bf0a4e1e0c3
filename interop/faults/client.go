package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/eclipse/paho.golang/paho"
	"github.com/havenmq/havenmq/interop/wire"
)

// sender confirms one message at a time. An error ends it: close it and open another.
type sender interface {
	send(ctx context.Context, body []byte) error
	close()
}

// receiver takes one message at a time. settled says whether the broker has confirmed the settlement: what is settled may
// never come again.
type receiver interface {
	receive(ctx context.Context, seen func(body []byte)) (settled bool, err error)
	close()
}

// opening connects to one node.
type opening[T any] func(ctx context.Context, conn net.Conn, queue, id string) (T, error)

// ports of the transports.
var ports = map[string]string{"amqp": "5672", "mqtt": "1883", "stomp": "61613"}

// dialTimeout bounds one attempt at one node.
const dialTimeout = time.Second

// failover connects to the first node of a list that answers, asking all at once, as many clients do.
func failover[T interface{ close() }](ctx context.Context, addrs []string, proto, queue, id string, open opening[T]) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	type answer struct {
		client T
		err    error
	}
	answers := make(chan answer, len(addrs))
	for _, addr := range addrs {
		go func() {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr+":"+ports[proto])
			if err != nil {
				answers <- answer{err: err}
				return
			}
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the way to end a handshake that hangs
			client, err := open(ctx, conn, queue, id)
			if !stop() && err == nil {
				err = ctx.Err()
			}
			if err != nil {
				_ = conn.Close() // of no use any more
			}
			answers <- answer{client, err}
		}()
	}
	var errs []error
	for i := range addrs {
		a := <-answers
		if a.err == nil {
			go discard(answers, len(addrs)-1-i, func(a answer) {
				if a.err == nil {
					a.client.close()
				}
			})
			return a.client, nil
		}
		errs = append(errs, a.err)
	}
	var none T
	return none, errors.Join(errs...)
}

func discard[T any](c chan T, n int, f func(T)) {
	for range n {
		f(<-c)
	}
}

// AMQP: go-amqp.

type amqpSender struct {
	conn   net.Conn
	sender *amqp.Sender
}

func amqpSession(ctx context.Context, conn net.Conn, id string) (*amqp.Session, error) {
	c, err := amqp.NewConn(ctx, conn, &amqp.ConnOptions{ContainerID: id, SASLType: amqp.SASLTypeAnonymous()})
	if err != nil {
		return nil, err
	}
	return c.NewSession(ctx, nil)
}

func openAMQPSender(ctx context.Context, conn net.Conn, queue, id string) (sender, error) {
	session, err := amqpSession(ctx, conn, id)
	if err != nil {
		return nil, err
	}
	s, err := session.NewSender(ctx, "queue://"+queue, nil)
	return &amqpSender{conn, s}, err
}

func (s *amqpSender) send(ctx context.Context, body []byte) error {
	return s.sender.Send(ctx, &amqp.Message{Header: &amqp.MessageHeader{Durable: true}, Data: [][]byte{body}}, nil)
}

func (s *amqpSender) close() { _ = s.conn.Close() }

type amqpReceiver struct {
	conn     net.Conn
	receiver *amqp.Receiver
}

func openAMQPReceiver(ctx context.Context, conn net.Conn, queue, id string) (receiver, error) {
	session, err := amqpSession(ctx, conn, id)
	if err != nil {
		return nil, err
	}
	r, err := session.NewReceiver(ctx, "queue://"+queue, &amqp.ReceiverOptions{Credit: 20, SettlementMode: amqp.ReceiverSettleModeSecond.Ptr()})
	return &amqpReceiver{conn, r}, err
}

func (r *amqpReceiver) receive(ctx context.Context, seen func([]byte)) (bool, error) {
	m, err := r.receiver.Receive(ctx, nil)
	if err != nil {
		return false, err
	}
	seen(m.GetData())
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), clientTimeout)
	defer cancel()
	err = r.receiver.AcceptMessage(settle, m)
	return err == nil, err
}

func (r *amqpReceiver) close() { _ = r.conn.Close() }

// MQTT: paho.golang.

type mqttSender struct {
	conn   net.Conn
	client *paho.Client
	topic  string
}

func openMQTTSender(ctx context.Context, conn net.Conn, queue, id string) (sender, error) {
	c := paho.NewClient(paho.ClientConfig{Conn: conn})
	_, err := c.Connect(ctx, &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60})
	return &mqttSender{conn, c, "$queue/" + queue}, err
}

func (s *mqttSender) send(ctx context.Context, body []byte) error {
	_, err := s.client.Publish(ctx, &paho.Publish{Topic: s.topic, QoS: 1, Payload: body})
	return err
}

func (s *mqttSender) close() { _ = s.conn.Close() }

type mqttReceiver struct {
	conn   net.Conn
	client *paho.Client
	inbox  chan *paho.Publish
}

func openMQTTReceiver(ctx context.Context, conn net.Conn, queue, id string) (receiver, error) {
	r := &mqttReceiver{conn: conn, inbox: make(chan *paho.Publish, 1000)}
	r.client = paho.NewClient(paho.ClientConfig{Conn: conn, EnableManualAcknowledgment: true,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			r.inbox <- p.Packet
			return true, nil
		}}})
	if _, err := r.client.Connect(ctx, &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60}); err != nil {
		return nil, err
	}
	_, err := r.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "$queue/" + queue, QoS: 1}}})
	return r, err
}

func (r *mqttReceiver) receive(ctx context.Context, seen func([]byte)) (bool, error) {
	select {
	case p := <-r.inbox:
		seen(p.Payload)
		return false, r.client.Ack(p)
	case <-r.client.Done():
		return false, errors.New("the connection ended")
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (r *mqttReceiver) close() { _ = r.conn.Close() }

// STOMP: frames, by hand.

type stompSender struct {
	*wire.StompConn
	queue string
}

func openSTOMPSender(_ context.Context, conn net.Conn, queue, _ string) (sender, error) {
	c, err := wire.OpenSTOMP(conn)
	return &stompSender{c, queue}, err
}

func (s *stompSender) send(ctx context.Context, body []byte) error {
	deadline, _ := ctx.Deadline()
	if err := s.SetDeadline(deadline); err != nil {
		return err
	}
	if err := s.Write(fmt.Sprintf("SEND\ndestination:/queue/%s\npersistent:true\nreceipt:1\ncontent-length:%d\n\n", s.queue, len(body)), body); err != nil {
		return err
	}
	_, err := s.Expect("RECEIPT")
	return err
}

func (s *stompSender) close() { _ = s.Close() }

type stompReceiver struct {
	*wire.StompConn
	inbox []wire.StompFrame
}

func openSTOMPReceiver(_ context.Context, conn net.Conn, queue, _ string) (receiver, error) {
	c, err := wire.OpenSTOMP(conn)
	if err != nil {
		return nil, err
	}
	return &stompReceiver{StompConn: c}, c.Write("SUBSCRIBE\nid:1\ndestination:/queue/"+queue+"\nack:client-individual\nactivemq.prefetchSize:20\n\n", nil)
}

func (r *stompReceiver) receive(ctx context.Context, seen func([]byte)) (bool, error) {
	stop := context.AfterFunc(ctx, func() { _ = r.Close() })
	defer stop()
	for len(r.inbox) == 0 {
		f, err := r.Expect("MESSAGE")
		if err != nil {
			return false, err
		}
		r.inbox = append(r.inbox, f)
	}
	f := r.inbox[0]
	r.inbox = r.inbox[1:]
	seen(f.Body)
	if err := r.SetDeadline(time.Now().Add(clientTimeout)); err != nil {
		return false, err
	}
	if err := r.Write("ACK\nid:"+f.Headers["ack"]+"\nreceipt:1\n\n", nil); err != nil {
		return false, err
	}
	for {
		f, err := r.Read()
		switch {
		case err != nil:
			return false, err
		case f.Command == "MESSAGE":
			r.inbox = append(r.inbox, f)
		case f.Command == "RECEIPT":
			return true, r.SetDeadline(time.Time{})
		default:
			return false, fmt.Errorf("the broker says %s %v %s", f.Command, f.Headers, f.Body)
		}
	}
}

func (r *stompReceiver) close() { _ = r.Close() }

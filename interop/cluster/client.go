package cluster

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

// Sender confirms one message at a time. An error ends it: close it and open another. One goroutine uses it.
type Sender interface {
	// Send returns when the broker has confirmed the message. ctx has a deadline.
	Send(ctx context.Context, body []byte) error
	Close()
}

// Receiver takes one message at a time. One goroutine uses it.
type Receiver interface {
	// Receive waits for a message, shows it and acknowledges it. settled says whether the broker has confirmed the settlement:
	// what is settled may never come again.
	Receive(ctx context.Context, seen func(body []byte)) (settled bool, err error)
	Close()
}

// Opening connects a client to one node, over a connection that stands already.
type Opening[T any] func(ctx context.Context, conn net.Conn, queue, id string) (T, error)

// ports of the transports, and of admin: those that a user has.
var ports = map[string]string{"amqp": "5672", "mqtt": "1883", "stomp": "61613", "admin": "8161"}

// ClientTimeout is how long a client waits for an answer before it takes the node for dead.
const ClientTimeout = 1500 * time.Millisecond

// Senders and Receivers are the clients by protocol.
var (
	Senders   = map[string]Opening[Sender]{"amqp": openAMQPSender, "mqtt": openMQTTSender, "stomp": openSTOMPSender}
	Receivers = map[string]Opening[Receiver]{"amqp": openAMQPReceiver, "mqtt": openMQTTReceiver, "stomp": openSTOMPReceiver}
)

// dialTimeout bounds the attempts at one list: a node that answers nothing is not waited for longer.
const dialTimeout = time.Second

// answer is what one node's attempts came to.
type answer[T any] struct {
	client T
	err    error
}

// Failover connects to the first node of a list that answers, asking all at once, as many clients do, and each that refuses again
// after retry. addrs are hosts; the port is the protocol's own. id is the client's.
func Failover[T interface{ Close() }](ctx context.Context, addrs []string, retry time.Duration, proto, queue, id string, open Opening[T]) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	answers := make(chan answer[T], len(addrs))
	for _, addr := range addrs {
		go func() {
			for {
				client, err := attempt(ctx, addr+":"+ports[proto], queue, id, open)
				if err == nil || ctx.Err() != nil {
					answers <- answer[T]{client, err}
					return
				}
				pause(ctx, retry)
			}
		}()
	}
	var errs []error
	for i := range addrs {
		a := <-answers
		if a.err == nil {
			go discard(answers, len(addrs)-1-i, func(a answer[T]) {
				if a.err == nil {
					a.client.Close()
				}
			})
			return a.client, nil
		}
		errs = append(errs, a.err)
	}
	var none T
	return none, errors.Join(errs...)
}

// attempt asks one node once.
func attempt[T interface{ Close() }](ctx context.Context, addr, queue, id string, open Opening[T]) (T, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		var none T
		return none, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the way to end a handshake that hangs
	client, err := open(ctx, conn, queue, id)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close() // of no use any more
	}
	return client, err
}

func discard[T any](c chan T, n int, f func(T)) {
	for range n {
		f(<-c)
	}
}

// AMQP: go-amqp.

type amqpSender struct {
	conn net.Conn
	link *amqp.Sender
}

func amqpSession(ctx context.Context, conn net.Conn, id string) (*amqp.Session, error) {
	c, err := amqp.NewConn(ctx, conn, &amqp.ConnOptions{ContainerID: id, SASLType: amqp.SASLTypeAnonymous()})
	if err != nil {
		return nil, err
	}
	return c.NewSession(ctx, nil)
}

func openAMQPSender(ctx context.Context, conn net.Conn, queue, id string) (Sender, error) {
	session, err := amqpSession(ctx, conn, id)
	if err != nil {
		return nil, err
	}
	s, err := session.NewSender(ctx, "queue://"+queue, nil)
	return &amqpSender{conn, s}, err
}

// Send is what users of this library call. It takes any outcome but rejected for a confirmation.
func (s *amqpSender) Send(ctx context.Context, body []byte) error {
	return s.link.Send(ctx, &amqp.Message{Header: &amqp.MessageHeader{Durable: true}, Data: [][]byte{body}}, nil)
}

func (s *amqpSender) Close() { _ = s.conn.Close() }

type amqpReceiver struct {
	conn     net.Conn
	receiver *amqp.Receiver
}

func openAMQPReceiver(ctx context.Context, conn net.Conn, queue, id string) (Receiver, error) {
	session, err := amqpSession(ctx, conn, id)
	if err != nil {
		return nil, err
	}
	r, err := session.NewReceiver(ctx, "queue://"+queue, &amqp.ReceiverOptions{Credit: 20, SettlementMode: amqp.ReceiverSettleModeSecond.Ptr()})
	return &amqpReceiver{conn, r}, err
}

func (r *amqpReceiver) Receive(ctx context.Context, seen func([]byte)) (bool, error) {
	m, err := r.receiver.Receive(ctx, nil)
	if err != nil {
		return false, err
	}
	seen(m.GetData())
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), ClientTimeout)
	defer cancel()
	err = r.receiver.AcceptMessage(settle, m)
	return err == nil, err
}

func (r *amqpReceiver) Close() { _ = r.conn.Close() }

// MQTT: paho.golang.

type mqttSender struct {
	conn   net.Conn
	client *paho.Client
	topic  string
}

func openMQTTSender(ctx context.Context, conn net.Conn, queue, id string) (Sender, error) {
	c := paho.NewClient(paho.ClientConfig{Conn: conn})
	_, err := c.Connect(ctx, &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60})
	return &mqttSender{conn, c, "$queue/" + queue}, err
}

func (s *mqttSender) Send(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // paho itself goes on waiting when the connection ends, for another with the same session
		select {
		case <-s.client.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	_, err := s.client.Publish(ctx, &paho.Publish{Topic: s.topic, QoS: 1, Payload: body})
	return err
}

func (s *mqttSender) Close() { _ = s.conn.Close() }

type mqttReceiver struct {
	conn   net.Conn
	client *paho.Client
	inbox  chan *paho.Publish
}

func openMQTTReceiver(ctx context.Context, conn net.Conn, queue, id string) (Receiver, error) {
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

func (r *mqttReceiver) Receive(ctx context.Context, seen func([]byte)) (bool, error) {
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

func (r *mqttReceiver) Close() { _ = r.conn.Close() }

// STOMP: frames, by hand.

type stompSender struct {
	conn  *wire.StompConn
	queue string
}

func openSTOMPSender(_ context.Context, conn net.Conn, queue, _ string) (Sender, error) {
	c, err := wire.OpenSTOMP(conn)
	return &stompSender{c, queue}, err
}

func (s *stompSender) Send(ctx context.Context, body []byte) error {
	deadline, _ := ctx.Deadline()
	if err := s.conn.SetDeadline(deadline); err != nil {
		return err
	}
	if err := s.conn.Write(fmt.Sprintf("SEND\ndestination:/queue/%s\npersistent:true\nreceipt:1\ncontent-length:%d\n\n", s.queue, len(body)), body); err != nil {
		return err
	}
	_, err := s.conn.Expect("RECEIPT")
	return err
}

func (s *stompSender) Close() { _ = s.conn.Close() }

type stompReceiver struct {
	conn  *wire.StompConn
	inbox []wire.StompFrame
}

func openSTOMPReceiver(_ context.Context, conn net.Conn, queue, _ string) (Receiver, error) {
	c, err := wire.OpenSTOMP(conn)
	if err != nil {
		return nil, err
	}
	return &stompReceiver{conn: c}, c.Write("SUBSCRIBE\nid:1\ndestination:/queue/"+queue+"\nack:client-individual\nactivemq.prefetchSize:20\n\n", nil)
}

func (r *stompReceiver) Receive(ctx context.Context, seen func([]byte)) (bool, error) {
	stop := context.AfterFunc(ctx, func() { _ = r.conn.Close() })
	defer stop()
	for len(r.inbox) == 0 {
		f, err := r.conn.Expect("MESSAGE")
		if err != nil {
			return false, err
		}
		r.inbox = append(r.inbox, f)
	}
	f := r.inbox[0]
	r.inbox = r.inbox[1:]
	seen(f.Body)
	if err := r.conn.SetDeadline(time.Now().Add(ClientTimeout)); err != nil {
		return false, err
	}
	if err := r.conn.Write("ACK\nid:"+f.Headers["ack"]+"\nreceipt:1\n\n", nil); err != nil {
		return false, err
	}
	for {
		f, err := r.conn.Read()
		switch {
		case err != nil:
			return false, err
		case f.Command == "MESSAGE":
			r.inbox = append(r.inbox, f)
		case f.Command == "RECEIPT":
			return true, r.conn.SetDeadline(time.Time{})
		default:
			return false, fmt.Errorf("the broker says %s %v %s", f.Command, f.Headers, f.Body)
		}
	}
}

func (r *stompReceiver) Close() { _ = r.conn.Close() }

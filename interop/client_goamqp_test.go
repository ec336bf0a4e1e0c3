package interop

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/Azure/go-amqp"
)

type goAMQP struct {
	conn    *amqp.Conn
	session *amqp.Session
	senders map[string]*amqp.Sender
}

func openGoAMQP(ctx context.Context, _ *drivers, port int, id string) (client, error) {
	conn, err := amqp.Dial(ctx, "amqp://127.0.0.1:"+strconv.Itoa(port),
		&amqp.ConnOptions{ContainerID: id, SASLType: amqp.SASLTypeAnonymous()})
	if err != nil {
		return nil, err
	}
	session, err := conn.NewSession(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &goAMQP{conn, session, map[string]*amqp.Sender{}}, nil
}

func (c *goAMQP) subscribe(ctx context.Context, address string) (subscription, error) {
	r, err := c.session.NewReceiver(ctx, address, nil)
	if err != nil {
		return nil, err
	}
	return &goAMQPSubscription{r}, nil
}

func (c *goAMQP) send(ctx context.Context, address string, m message) error {
	sender := c.senders[address]
	if sender == nil {
		var err error
		if sender, err = c.session.NewSender(ctx, address, nil); err != nil {
			return err
		}
		c.senders[address] = sender
	}
	out := &amqp.Message{Header: &amqp.MessageHeader{Durable: true, Priority: 4}, Properties: &amqp.MessageProperties{}}
	if m.Text != nil {
		out.Value = *m.Text
	} else {
		out.Data = [][]byte{m.Bytes}
	}
	if len(m.Properties) > 0 {
		out.ApplicationProperties = maps.Clone(m.Properties)
	}
	if m.ReplyTo != "" {
		out.Properties.ReplyTo = &m.ReplyTo
	}
	if m.Correlation != "" {
		out.Properties.CorrelationID = m.Correlation
	}
	if m.ContentType != "" {
		out.Properties.ContentType = &m.ContentType
	}
	return sender.Send(ctx, out, nil)
}

func (c *goAMQP) close(context.Context) error { return c.conn.Close() }

type goAMQPSubscription struct{ receiver *amqp.Receiver }

func (s *goAMQPSubscription) receive(ctx context.Context) (message, error) {
	in, err := s.receiver.Receive(ctx, nil)
	if err != nil {
		return message{}, err
	}
	out := message{Properties: in.ApplicationProperties}
	switch v := in.Value.(type) {
	case string:
		out.Kind, out.Body = "text", []byte(v)
	case nil:
		out.Kind, out.Body = "bytes", in.GetData()
	default:
		out.Kind = fmt.Sprintf("%T", v)
	}
	if p := in.Properties; p != nil {
		out.ReplyTo, out.ContentType = deref(p.ReplyTo), deref(p.ContentType)
		switch id := p.CorrelationID.(type) {
		case nil:
		case []byte:
			out.Correlation = string(id)
		default:
			out.Correlation = fmt.Sprint(id)
		}
	}
	return out, s.receiver.AcceptMessage(ctx, in)
}

func (s *goAMQPSubscription) close(ctx context.Context) error { return s.receiver.Close(ctx) }

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

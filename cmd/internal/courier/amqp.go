package courier

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/havenmq/havenmq/core"
)

type amqpConn struct {
	conn     *amqp.Conn
	session  *amqp.Session
	sender   *amqp.Sender
	to       core.Destination
	receiver *amqp.Receiver
	last     *amqp.Message
}

func openAMQP(ctx context.Context, u *url.URL) (Conn, error) {
	o := &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous()}
	if user, password, ok := login(u); ok {
		o.SASLType = amqp.SASLTypePlain(user, password)
	}
	conn, err := amqp.Dial(ctx, "amqp://"+u.Host, o)
	if err != nil {
		return nil, err
	}
	session, err := conn.NewSession(ctx, nil)
	if err != nil {
		_ = conn.Close() // the error that matters is the session's
		return nil, err
	}
	return &amqpConn{conn: conn, session: session}, nil
}

func (c *amqpConn) Send(ctx context.Context, to core.Destination, m *Message) (err error) {
	if c.sender == nil || c.to != to {
		if c.sender, err = c.session.NewSender(ctx, to.String(), &amqp.SenderOptions{SettlementMode: amqp.SenderSettleModeUnsettled.Ptr()}); err != nil {
			return err
		}
		c.to = to
	}
	out := &amqp.Message{Header: &amqp.MessageHeader{Durable: m.Durable, Priority: core.DefaultPriority}}
	if m.Text {
		out.Value = string(m.Body)
	} else {
		out.Data = [][]byte{m.Body}
	}
	if m.ContentType != "" {
		out.Properties = &amqp.MessageProperties{ContentType: &m.ContentType}
	}
	for name, value := range m.Properties {
		if out.ApplicationProperties == nil {
			out.ApplicationProperties = map[string]any{}
		}
		out.ApplicationProperties[name] = value
	}
	return c.sender.Send(ctx, out, nil)
}

func (c *amqpConn) Receive(ctx context.Context, from core.Destination) (_ *Message, err error) {
	if c.receiver == nil {
		if c.receiver, err = c.session.NewReceiver(ctx, from.String(), &amqp.ReceiverOptions{Credit: -1}); err != nil {
			return nil, err
		}
	}
	if err := c.receiver.IssueCredit(1); err != nil {
		return nil, err
	}
	if c.last, err = c.receiver.Receive(ctx, nil); err != nil {
		return nil, err
	}
	return fromAMQP(c.last), nil
}

func (c *amqpConn) Ack(ctx context.Context) error { return c.receiver.AcceptMessage(ctx, c.last) }

const (
	browsed    = 100                   // messages asked for at a time
	creditTime = 50 * time.Millisecond // for credit to be on its way
)

func (c *amqpConn) Browse(ctx context.Context, queue core.Destination, see func(*Message) bool) error {
	r, err := c.session.NewReceiver(ctx, queue.String(), &amqp.ReceiverOptions{Credit: -1, SourceDistributionMode: amqp.SourceDistributionModeCopy})
	if err != nil {
		return err
	}
	for more := true; more; {
		if more, err = browseSome(ctx, r, see); err != nil {
			return err
		}
	}
	return nil
}

// browseSome asks for some messages and says whether there may be more. The broker's answer to drain marks the end.
func browseSome(ctx context.Context, r *amqp.Receiver, see func(*Message) bool) (more bool, err error) {
	if err := r.IssueCredit(browsed); err != nil {
		return false, err
	}
	// The library drops credit that it has not sent when it drains, and sends it at Receive.
	first, cancel := context.WithTimeout(ctx, creditTime)
	defer cancel()
	m, err := r.Receive(first, nil)
	if err != nil && (first.Err() == nil || ctx.Err() != nil) {
		return false, err
	}
	if err := r.DrainCredit(ctx, nil); err != nil {
		return false, err
	}
	if m == nil {
		m = r.Prefetched()
	}
	n := 0
	for ; m != nil; m = r.Prefetched() {
		n++
		if err := r.AcceptMessage(ctx, m); err != nil {
			return false, err
		}
		if !see(fromAMQP(m)) {
			return false, nil
		}
	}
	return n == browsed, nil
}

// Close detaches first: the broker's answer says that it has seen the last acknowledgement.
func (c *amqpConn) Close(ctx context.Context) error {
	var detached error
	if c.receiver != nil {
		detached = c.receiver.Close(ctx)
	}
	return errors.Join(detached, c.conn.Close())
}

func fromAMQP(in *amqp.Message) *Message {
	m := &Message{Properties: map[string]string{}, Durable: in.Header != nil && in.Header.Durable}
	switch v := in.Value.(type) {
	case nil:
		for _, part := range in.Data {
			m.Body = append(m.Body, part...)
		}
	case string:
		m.Body, m.Text = []byte(v), true
	case []byte:
		m.Body = v
	default:
		m.Body, m.Text = []byte(printed(v)), true
	}
	for _, row := range in.Sequence {
		m.Body, m.Text = append(m.Body, printed(row)...), true
	}
	if p := in.Properties; p != nil && p.ContentType != nil {
		m.ContentType = *p.ContentType
	}
	for name, value := range in.ApplicationProperties {
		m.Properties[name] = printed(value)
	}
	return m
}

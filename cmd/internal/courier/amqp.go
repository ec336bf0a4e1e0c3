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
			return plain(err)
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
	return plain(c.sender.Send(ctx, out, nil))
}

func (c *amqpConn) Receive(ctx context.Context, from core.Destination) (_ *Message, err error) {
	if c.receiver == nil {
		if c.receiver, err = c.session.NewReceiver(ctx, from.String(), &amqp.ReceiverOptions{Credit: -1}); err != nil {
			return nil, plain(err)
		}
	}
	if err := c.receiver.IssueCredit(1); err != nil {
		return nil, plain(err)
	}
	if c.last, err = c.receiver.Receive(ctx, nil); err != nil {
		return nil, plain(err)
	}
	return fromAMQP(c.last), nil
}

func (c *amqpConn) Ack(ctx context.Context) error {
	return plain(c.receiver.AcceptMessage(ctx, c.last))
}

const (
	browsed = 100                    // credit of a browser
	silence = 500 * time.Millisecond // after which it has seen all
)

// Browse ends when nothing has come for a while: AMQP's drain would tell for sure, but the library drains by taking all
// credit back.
func (c *amqpConn) Browse(ctx context.Context, queue core.Destination, see func(*Message) bool) error {
	r, err := c.session.NewReceiver(ctx, queue.String(), &amqp.ReceiverOptions{Credit: browsed, SourceDistributionMode: amqp.SourceDistributionModeCopy})
	if err != nil {
		return err
	}
	for {
		patience, cancel := context.WithTimeout(ctx, silence)
		m, err := r.Receive(patience, nil)
		over := patience.Err() != nil
		cancel()
		switch {
		case err != nil && over && ctx.Err() == nil:
			return nil
		case err != nil:
			return err
		case !see(fromAMQP(m)):
			return nil
		}
		if err := r.AcceptMessage(ctx, m); err != nil {
			return err
		}
	}
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

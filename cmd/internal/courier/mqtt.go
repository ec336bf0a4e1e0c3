package courier

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/havenmq/havenmq/core"
)

type mqttConn struct {
	client *paho.Client
	in     chan *paho.Publish
	failed chan error
	bound  bool
	last   *paho.Publish
}

const (
	mqttKeepAliveS  = 30
	mqttAckInterval = 10 * time.Millisecond
)

func openMQTT(ctx context.Context, u *url.URL) (Conn, error) {
	socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	c := &mqttConn{in: make(chan *paho.Publish, 1), failed: make(chan error, 1)}
	c.client = paho.NewClient(paho.ClientConfig{Conn: socket, EnableManualAcknowledgment: true, SendAcksInterval: mqttAckInterval,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){c.take},
		OnClientError:     func(err error) { c.fail(&passing{error: lostError{err}}) },
		OnServerDisconnect: func(d *paho.Disconnect) {
			c.fail(ofReason(d.ReasonCode, fmt.Errorf("the broker said goodbye, reason %#x %s", d.ReasonCode, reason(d))))
		},
	})
	one := uint16(1) // at most one message is on its way to us
	connect := &paho.Connect{KeepAlive: mqttKeepAliveS, CleanStart: true, Properties: &paho.ConnectProperties{ReceiveMaximum: &one, RequestProblemInfo: true}}
	if user, password, ok := login(u); ok {
		connect.UsernameFlag, connect.Username, connect.PasswordFlag, connect.Password = true, user, true, []byte(password)
	}
	if _, err := c.client.Connect(ctx, connect); err != nil {
		_ = socket.Close() // the error that matters is the connection's
		return nil, err
	}
	return c, nil
}

func reason(d *paho.Disconnect) string {
	if d.Properties == nil {
		return ""
	}
	return d.Properties.ReasonString
}

func (c *mqttConn) take(p paho.PublishReceived) (bool, error) {
	c.in <- p.Packet // there is room: the broker sends the next when this one is acknowledged
	return true, nil
}

func (c *mqttConn) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

func topicOf(d core.Destination) string {
	if d.Kind == core.Queue {
		return "$queue/" + swap.Replace(d.Name)
	}
	return swap.Replace(d.Name)
}

func (c *mqttConn) Send(ctx context.Context, to core.Destination, m *Message) error {
	p := &paho.Publish{Topic: topicOf(to), Payload: m.Body, Properties: &paho.PublishProperties{ContentType: m.ContentType}}
	if m.Durable {
		p.QoS = 1
	}
	if m.Text {
		one := byte(1)
		p.Properties.PayloadFormat = &one
	}
	for name, value := range m.Properties {
		p.Properties.User.Add(name, value)
	}
	answer, err := c.client.Publish(ctx, p)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case answer != nil:
		return ofReason(answer.ReasonCode, err)
	}
	return c.why(err)
}

// why is the end of the connection, where that is why the library gave up.
func (c *mqttConn) why(err error) error {
	select {
	case said := <-c.failed:
		return said
	default:
		return &passing{error: lostError{err}} // the library has its own words for an end, and says them first
	}
}

func (c *mqttConn) Receive(ctx context.Context, from core.Destination) (*Message, error) {
	if !c.bound {
		answer, err := c.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topicOf(from), QoS: 1}}})
		switch {
		case err != nil && answer == nil && ctx.Err() == nil:
			return nil, c.why(err)
		case err != nil:
			return nil, err
		}
		c.bound = true
	}
	select {
	case c.last = <-c.in:
		return fromMQTT(c.last), nil
	case err := <-c.failed:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *mqttConn) Ack(ctx context.Context) error { return cut(ctx, c.client.Ack(c.last)) }

func (c *mqttConn) Browse(context.Context, core.Destination, func(*Message) bool) error {
	return ErrCannotBrowse
}

// Close lets the last acknowledgement out, and says goodbye.
func (c *mqttConn) Close(context.Context) error {
	if c.last != nil {
		time.Sleep(2 * mqttAckInterval)
	}
	if err := c.client.Disconnect(&paho.Disconnect{}); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	<-c.client.Done()
	return nil
}

func fromMQTT(p *paho.Publish) *Message {
	m := &Message{Body: p.Payload, Durable: p.QoS > 0, Properties: map[string]string{}}
	if o := p.Properties; o != nil {
		m.ContentType, m.Text = o.ContentType, o.PayloadFormat != nil && *o.PayloadFormat == 1
		for _, u := range o.User {
			m.Properties[u.Key] = u.Value
		}
	}
	return m
}

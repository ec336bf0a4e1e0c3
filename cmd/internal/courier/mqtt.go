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
		OnClientError:     c.fail,
		OnServerDisconnect: func(d *paho.Disconnect) {
			c.fail(fmt.Errorf("the broker said goodbye, reason %#x %s", d.ReasonCode, reason(d)))
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
	_, err := c.client.Publish(ctx, p)
	return err
}

func (c *mqttConn) Receive(ctx context.Context, from core.Destination) (*Message, error) {
	if !c.bound {
		if _, err := c.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topicOf(from), QoS: 1}}}); err != nil {
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

func (c *mqttConn) Ack(context.Context) error { return c.client.Ack(c.last) }

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

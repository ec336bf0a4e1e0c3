package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/eclipse/paho.golang/paho"
)

type pahoGo struct {
	client *paho.Client
	mu     sync.Mutex
	inbox  map[string]chan message // by topic
}

func openPahoGo(ctx context.Context, _ *drivers, port int, id string) (client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	c := &pahoGo{inbox: map[string]chan message{}}
	c.client = paho.NewClient(paho.ClientConfig{
		Conn: conn, OnPublishReceived: []func(paho.PublishReceived) (bool, error){c.received}})
	_, err = c.client.Connect(ctx, &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60})
	return c, err
}

func (c *pahoGo) received(r paho.PublishReceived) (bool, error) {
	c.mu.Lock()
	inbox := c.inbox[r.Packet.Topic]
	c.mu.Unlock()
	if inbox == nil {
		return false, fmt.Errorf("a message on %s, which nobody asked for", r.Packet.Topic)
	}
	out := message{Kind: "bytes", Body: r.Packet.Payload, Properties: map[string]any{}}
	if p := r.Packet.Properties; p != nil {
		if p.PayloadFormat != nil && *p.PayloadFormat == 1 {
			out.Kind = "text"
		}
		for _, u := range p.User {
			out.Properties[u.Key] = u.Value
		}
		out.ReplyTo, out.Correlation, out.ContentType = p.ResponseTopic, string(p.CorrelationData), p.ContentType
	}
	inbox <- out
	return true, nil
}

func (c *pahoGo) subscribe(ctx context.Context, address string) (subscription, error) {
	inbox := make(chan message, 100)
	c.mu.Lock()
	c.inbox[address] = inbox
	c.mu.Unlock()
	_, err := c.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: address, QoS: 1}}})
	return &pahoGoSubscription{c, address, inbox}, err
}

func (c *pahoGo) send(ctx context.Context, address string, m message) error {
	p := &paho.PublishProperties{ContentType: m.ContentType, ResponseTopic: m.ReplyTo}
	if m.Text != nil {
		p.PayloadFormat = new(byte)
		*p.PayloadFormat = 1
	}
	if m.Correlation != "" {
		p.CorrelationData = []byte(m.Correlation)
	}
	for k, v := range m.Properties {
		text, ok := v.(string)
		if !ok {
			return errors.New("MQTT's user properties are strings")
		}
		p.User.Add(k, text)
	}
	_, err := c.client.Publish(ctx, &paho.Publish{Topic: address, QoS: 1, Payload: m.body(), Properties: p})
	return err
}

func (c *pahoGo) close(context.Context) error {
	return c.client.Disconnect(&paho.Disconnect{})
}

type pahoGoSubscription struct {
	c       *pahoGo
	address string
	inbox   chan message
}

func (s *pahoGoSubscription) receive(ctx context.Context) (message, error) {
	select {
	case m := <-s.inbox:
		return m, nil
	case <-ctx.Done():
		return message{}, errors.New("nothing came")
	}
}

func (s *pahoGoSubscription) close(ctx context.Context) error {
	_, err := s.c.client.Unsubscribe(ctx, &paho.Unsubscribe{Topics: []string{s.address}})
	s.c.mu.Lock()
	delete(s.c.inbox, s.address)
	s.c.mu.Unlock()
	return err
}

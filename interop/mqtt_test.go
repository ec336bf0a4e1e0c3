package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// What MQTT 5 has beyond publishing and subscribing, through paho.golang.

// mqttClient is a paho client whose messages wait in a channel.
type mqttClient struct {
	*paho.Client
	t       *testing.T
	conn    net.Conn
	present bool // the broker had kept the session
	inbox   chan *paho.Publish
	told    chan byte // the reason of the broker's DISCONNECT
}

// dialMQTT connects; change may alter the CONNECT packet.
func dialMQTT(t *testing.T, b addressed, id string, change func(*paho.Connect)) *mqttClient {
	t.Helper()
	conn, err := net.Dial("tcp", b.Addr("mqtt"))
	if err != nil {
		t.Fatal(err)
	}
	c := &mqttClient{t: t, conn: conn, inbox: make(chan *paho.Publish, 1000), told: make(chan byte, 1)}
	c.Client = paho.NewClient(paho.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(r paho.PublishReceived) (bool, error) { c.inbox <- r.Packet; return true, nil }},
		OnServerDisconnect: func(d *paho.Disconnect) { c.told <- d.ReasonCode },
		OnClientError:      func(error) {}, // what is of interest shows in what was told and what came
	})
	connect := &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60, Properties: &paho.ConnectProperties{}}
	if change != nil {
		change(connect)
	}
	ack, err := c.Connect(c.context(), connect)
	if err != nil {
		t.Fatalf("%s: connect: %v", id, err)
	}
	c.present = ack.SessionPresent
	t.Cleanup(func() { _ = conn.Close(); <-c.Done() })
	return c
}

// lasting makes a session outlive its connection.
func lasting(c *paho.Connect) {
	expiry := uint32(3600)
	c.CleanStart, c.Properties.SessionExpiryInterval = false, &expiry
}

func (c *mqttClient) context() context.Context {
	ctx, cancel := context.WithTimeout(c.t.Context(), answerTimeout)
	c.t.Cleanup(cancel)
	return ctx
}

func (c *mqttClient) filter(qos byte, filters ...string) {
	c.t.Helper()
	s := &paho.Subscribe{}
	for _, f := range filters {
		s.Subscriptions = append(s.Subscriptions, paho.SubscribeOptions{Topic: f, QoS: qos})
	}
	if _, err := c.Subscribe(c.context(), s); err != nil {
		c.t.Fatalf("subscribe: %v", err)
	}
}

func (c *mqttClient) publish(topic, body string, qos byte, retain bool) {
	c.t.Helper()
	if _, err := c.Publish(c.context(), &paho.Publish{Topic: topic, Payload: []byte(body), QoS: qos, Retain: retain}); err != nil {
		c.t.Fatalf("publish: %v", err)
	}
}

// next waits for a message.
func (c *mqttClient) next() (*paho.Publish, error) {
	select {
	case p := <-c.inbox:
		return p, nil
	case <-time.After(answerTimeout):
		return nil, errors.New("nothing came")
	}
}

// want waits for messages of these bodies, in order.
func (c *mqttClient) want(bodies ...string) (last *paho.Publish) {
	c.t.Helper()
	for _, body := range bodies {
		p, err := c.next()
		if err != nil || string(p.Payload) != body {
			c.t.Fatalf("want %q, got %v (%v)", body, p, err)
		}
		last = p
	}
	return last
}

// wantNoMore sends a message of its own to a topic of its own and wants nothing before it.
func (c *mqttClient) wantNoMore() {
	c.t.Helper()
	topic := fmt.Sprintf("no/more/%p", c)
	c.filter(1, topic)
	c.publish(topic, "no more", 1, false)
	c.want("no more")
}

func (c *mqttClient) leave() {
	c.t.Helper()
	if err := c.Disconnect(&paho.Disconnect{}); err != nil {
		c.t.Fatalf("disconnect: %v", err)
	}
	<-c.Done()
}

func TestMQTTRetained(t *testing.T) {
	b := start(t, 0)
	p := dialMQTT(t, b, "publisher", nil)
	p.publish("weather/today", "rain", 1, true)
	p.publish("weather/today", "sun", 1, true)
	p.publish("weather/tomorrow", "snow", 1, true)
	p.publish("weather/tomorrow", "", 1, true) // takes it back
	s := dialMQTT(t, b, "subscriber", nil)
	s.filter(1, "weather/#")
	if got := s.want("sun"); !got.Retain {
		t.Error("the retain flag is missing")
	}
	p.publish("weather/today", "fog", 1, true)
	if got := s.want("fog"); got.Retain {
		t.Error("a message that is new has the retain flag")
	}
	s.wantNoMore()
}

func TestMQTTWill(t *testing.T) {
	b := start(t, 0)
	s := dialMQTT(t, b, "heir", nil)
	s.filter(1, "wills/+")
	for _, id := range []string{"torn", "polite"} {
		c := dialMQTT(t, b, id, func(c *paho.Connect) {
			c.WillMessage = &paho.WillMessage{Topic: "wills/" + id, Payload: []byte(id), QoS: 1}
		})
		if id == "polite" {
			c.leave()
			continue
		}
		_ = c.conn.Close() // in the middle of everything
		s.want("torn")
	}
	s.wantNoMore()
}

func TestMQTTSessionLasts(t *testing.T) {
	b := start(t, 0)
	s := dialMQTT(t, b, "sleeper", lasting)
	if s.present {
		t.Error("a session that never was is present")
	}
	s.filter(2, "news/#")
	s.leave()
	p := dialMQTT(t, b, "publisher", nil)
	for i, body := range []string{"one", "two", "three"} {
		p.publish("news/today", body, byte(i), false) // QoS 0 is not kept for who is away, 1 and 2 are
	}
	b.Kill()
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	s = dialMQTT(t, b, "sleeper", lasting)
	if !s.present {
		t.Error("the session is gone")
	}
	s.want("two", "three")
	s.wantNoMore()
}

// TestMQTTClientsShareAQueue has three consumers of one queue, each message for one of them.
func TestMQTTClientsShareAQueue(t *testing.T) {
	b := start(t, 0)
	const messages = 100
	var members [3]*mqttClient
	for i := range members {
		members[i] = dialMQTT(t, b, fmt.Sprintf("member %d", i), nil)
		members[i].filter(1, "$queue/jobs")
	}
	p := dialMQTT(t, b, "publisher", nil)
	for i := range messages {
		p.publish("$queue/jobs", fmt.Sprint(i), 1, false)
	}
	p.publish("$queue/jobs", "last", 1, false)
	seen, each := map[string]int{}, [3]int{}
	for len(seen) < messages+1 {
		for i, m := range members {
			select {
			case got := <-m.inbox:
				seen[string(got.Payload)]++
				each[i]++
			case <-time.After(10 * time.Millisecond): // the others' turn
			}
		}
		if t.Failed() || t.Context().Err() != nil {
			return
		}
	}
	for body, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", body, n)
		}
	}
	for i, n := range each {
		if n == 0 {
			t.Errorf("member %d got nothing: %v", i, each)
		}
	}
}

func TestMQTTOverlappingFiltersDeliverOnce(t *testing.T) {
	b := start(t, 0)
	s := dialMQTT(t, b, "subscriber", nil)
	for i, filter := range []string{"a/#", "a/+", "a/b"} {
		id := i + 1
		_, err := s.Subscribe(s.context(), &paho.Subscribe{Properties: &paho.SubscribeProperties{SubscriptionIdentifier: &id},
			Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: byte(i)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	dialMQTT(t, b, "publisher", nil).publish("a/b", "x", 2, false)
	if got := s.want("x"); got.QoS != 2 {
		t.Errorf("QoS %d; the highest is 2", got.QoS)
	}
	s.wantNoMore()
}

func TestMQTTTakeover(t *testing.T) {
	b := start(t, 0)
	first := dialMQTT(t, b, "same", nil)
	second := dialMQTT(t, b, "same", nil)
	select {
	case code := <-first.told:
		if code != 0x8e { // session taken over
			t.Errorf("the first was told %#x", code)
		}
	case <-time.After(answerTimeout):
		t.Error("the first was told nothing")
	}
	second.wantNoMore()
}

// TestMQTTReceiveMaximum lets a client take one message at a time, in order.
func TestMQTTReceiveMaximum(t *testing.T) {
	b := start(t, 0)
	one := uint16(1)
	s := dialMQTT(t, b, "slow", func(c *paho.Connect) { c.Properties.ReceiveMaximum = &one })
	s.filter(2, "flow/#")
	p := dialMQTT(t, b, "publisher", nil)
	var want []string
	var sending sync.WaitGroup
	for i := range 200 {
		want = append(want, fmt.Sprint(i))
	}
	sending.Go(func() {
		for i, body := range want {
			p.publish("flow/x", body, byte(1+i%2), false)
		}
	})
	s.want(want...)
	sending.Wait()
}

func TestMQTTWildcards(t *testing.T) {
	b := start(t, 0)
	p := dialMQTT(t, b, "publisher", nil)
	topics := []string{"a", "a/b", "a/b/c", "/a", "a/", "$a/b", "b"}
	for filter, want := range map[string][]string{
		"#": {"a", "a/b", "a/b/c", "/a", "a/", "b"}, "+": {"a", "b"}, "a/#": {"a", "a/b", "a/b/c", "a/"}, "+/+": {"a/b", "/a", "a/"},
		"a/+/c": {"a/b/c"}, "/+": {"/a"}, "$a/#": {"$a/b"},
	} {
		t.Run(filter, func(t *testing.T) {
			s := dialMQTT(t, b, "subscriber to "+filter, nil)
			s.filter(1, filter)
			for _, topic := range topics {
				p.publish(topic, topic, 1, false)
			}
			s.want(want...)
		})
	}
}

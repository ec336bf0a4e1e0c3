package interop

import (
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"github.com/havenmq/havenmq/interop/cluster"
)

// What a session receives while its client is away waits for it through a failover, in order.
func inboxSurvives(f *failover) {
	away := dialMQTT(f.T, f.master, "away", lasting)
	away.filter(1, "inbox/#")
	away.leave()
	p := dialMQTT(f.T, f.master, "inbox-publisher", nil)
	for _, body := range numbers(1, 10) {
		p.publish("inbox/a", body, 1, false)
	}
	f.over()
	p = dialMQTT(f.T, f.master, "inbox-publisher", nil)
	p.publish("inbox/b", "11", 2, false)
	away = dialMQTT(f.T, f.master, "away", lasting)
	if !away.present {
		f.Error("the session is gone")
	}
	away.want(numbers(1, 11)...)
	away.wantNoMore()
}

// Retained messages stay, the last of each topic, and deleted ones stay deleted.
func retainedSurvive(f *failover) {
	p := dialMQTT(f.T, f.master, "retainer", nil)
	p.publish("kept/a", "old", 1, true)
	p.publish("kept/a", "new", 1, true)
	p.publish("kept/b", "gone", 1, true)
	p.publish("kept/b", "", 1, true)
	f.over()
	s := dialMQTT(f.T, f.master, "retained-reader", nil)
	s.filter(1, "kept/+")
	if last := s.want("new"); !last.Retain || last.Topic != "kept/a" {
		f.Errorf("it came as %+v", last)
	}
	s.wantNoMore()
}

// A will waits for its client, and is published by the next master when the client does not come.
func willsSurvive(f *failover) {
	s := dialMQTT(f.T, f.master, "will-reader", lasting)
	s.filter(1, "wills")
	with := func(id string) func(*paho.Connect) {
		return func(c *paho.Connect) {
			lasting(c)
			c.WillMessage = &paho.WillMessage{Topic: "wills", Payload: []byte("will of " + id), QoS: 1}
		}
	}
	dialMQTT(f.T, f.master, "dead", with("dead"))
	dialMQTT(f.T, f.master, "sessionless", func(c *paho.Connect) {
		with("sessionless")(c)
		c.CleanStart, c.Properties.SessionExpiryInterval = true, nil
	})
	dialMQTT(f.T, f.master, "back", with("back"))
	dialMQTT(f.T, f.master, "left", with("left")).leave()
	f.heard("left")
	f.over()
	back := dialMQTT(f.T, f.master, "back", with("back"))
	s = dialMQTT(f.T, f.master, "will-reader", lasting)
	if !s.present {
		f.Error("the session is gone")
	}
	s.want("will of dead", "will of sessionless")
	back.leave()
	s.wantNoMore()
}

// heard waits until the broker has heard a client's goodbye, and what it made of that is on all disks.
func (f *failover) heard(id string) {
	f.Helper()
	if err := cluster.Until(answerTimeout, id+" is gone", func() bool {
		var list struct {
			Items []struct{ ClientID string }
		}
		return f.master.API("/api/v1/clients", &list) == nil && !slices.ContainsFunc(list.Items, func(c struct{ ClientID string }) bool { return c.ClientID == id })
	}); err != nil {
		f.Fatal(err)
	}
	f.send("queue://heard", "what is confirmed now stands behind it in the log")
}

// packetConn speaks MQTT 5 packet by packet: what a client does when it is cut off between two of them.
type packetConn struct {
	*failover
	conn    net.Conn
	present bool
}

// packetClient connects with a session that lasts.
func (f *failover) packetClient(id string) *packetConn {
	f.Helper()
	conn, err := net.Dial("tcp", f.master.Addr("mqtt"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = conn.Close() }) // it may be broken by then
	if err := conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		f.Fatal(err)
	}
	c := &packetConn{failover: f, conn: conn}
	connect := packets.NewControlPacket(packets.CONNECT)
	expiry := uint32(3600)
	body := connect.Content.(*packets.Connect)
	body.ClientID, body.KeepAlive, body.Properties.SessionExpiryInterval = id, 60, &expiry
	c.put(connect)
	c.present = c.get(packets.CONNACK, 0).Content.(*packets.Connack).SessionPresent
	return c
}

func (c *packetConn) put(p *packets.ControlPacket) {
	c.Helper()
	if _, err := p.WriteTo(c.conn); err != nil {
		c.Fatal(err)
	}
}

// get reads a packet of this type, and of this id unless that is 0.
func (c *packetConn) get(kind byte, id uint16) *packets.ControlPacket {
	c.Helper()
	p, err := packets.ReadPacket(c.conn)
	if err != nil {
		c.Fatal(err)
	}
	if p.Type != kind || id != 0 && p.PacketID() != id {
		c.Fatalf("want packet type %d with id %d, got %v", kind, id, p)
	}
	return p
}

func (c *packetConn) publish(id uint16, body string, dup bool) {
	c.Helper()
	p := packets.NewControlPacket(packets.PUBLISH)
	content := p.Content.(*packets.Publish)
	content.Topic, content.Payload, content.QoS, content.PacketID, content.Duplicate = "$queue/once", []byte(body), 2, id, dup
	c.put(p)
	c.get(packets.PUBREC, id)
}

// answer sends PUBREC, PUBREL or PUBCOMP.
func (c *packetConn) answer(kind byte, id uint16) {
	c.Helper()
	p := packets.NewControlPacket(kind)
	switch content := p.Content.(type) {
	case *packets.Pubrec:
		content.PacketID = id
	case *packets.Pubrel:
		content.PacketID = id
	case *packets.Pubcomp:
		content.PacketID = id
	}
	c.put(p)
}

// A message of QoS 2 whose publisher was cut off before PUBREL or before PUBCOMP goes through once.
func qos2InSurvives(f *failover) {
	c := f.packetClient("publisher-2")
	c.publish(7, "seven", false)
	c.publish(8, "eight", false)
	c.answer(packets.PUBREL, 8)
	c.get(packets.PUBCOMP, 8)
	c.publish(9, "nine", false)
	f.over()
	c = f.packetClient("publisher-2")
	if !c.present {
		f.Fatal("the session is gone")
	}
	c.publish(7, "seven", true) // PUBREC did not come, it thinks
	c.answer(packets.PUBREL, 7)
	c.get(packets.PUBCOMP, 7)
	c.answer(packets.PUBREL, 8) // PUBCOMP did not come, it thinks
	c.get(packets.PUBCOMP, 8)
	c.answer(packets.PUBREL, 9)
	c.get(packets.PUBCOMP, 9)
	c.publish(7, "seven again", false) // the id is free: it is another message
	if rest := f.rest("once"); fmt.Sprint(rest) != "map[eight:1 nine:1 seven:2]" {
		f.Errorf("the queue holds %v", rest) // an id of a message is its first word
	}
}

// A message of QoS 2 to a subscriber who was cut off goes on where it stood, with the packet id that it had.
func qos2OutSurvives(f *failover) {
	c := f.packetClient("subscriber-2")
	subscribe := packets.NewControlPacket(packets.SUBSCRIBE)
	content := subscribe.Content.(*packets.Subscribe)
	content.PacketID, content.Subscriptions = 1, []packets.SubOptions{{Topic: "twice/+", QoS: 2}}
	c.put(subscribe)
	c.get(packets.SUBACK, 1)
	p := dialMQTT(f.T, f.master, "publisher-of-2", nil)
	p.publish("twice/a", "first", 2, false)
	p.publish("twice/a", "second", 2, false)
	first, second := c.get(packets.PUBLISH, 0).PacketID(), c.get(packets.PUBLISH, 0).PacketID()
	c.answer(packets.PUBREC, second)
	c.get(packets.PUBREL, second)

	f.over()
	c = f.packetClient("subscriber-2")
	seen := map[byte]uint16{}
	for range 2 {
		got, err := packets.ReadPacket(c.conn)
		if err != nil {
			f.Fatal(err)
		}
		if p, ok := got.Content.(*packets.Publish); ok && (!p.Duplicate || string(p.Payload) != "first") {
			f.Errorf("it came as %v", p)
		}
		seen[got.Type] = got.PacketID()
	}
	if !c.present || seen[packets.PUBLISH] != first || seen[packets.PUBREL] != second {
		f.Fatalf("want PUBLISH %d and PUBREL %d, got %v", first, second, seen)
	}
	c.answer(packets.PUBCOMP, second)
	c.answer(packets.PUBREC, first)
	c.get(packets.PUBREL, first)

	f.over()
	c = f.packetClient("subscriber-2")
	c.get(packets.PUBREL, first)
	c.answer(packets.PUBCOMP, first)
	p = dialMQTT(f.T, f.master, "publisher-of-2", nil)
	p.publish("twice/b", "third", 2, false)
	if got := c.get(packets.PUBLISH, 0).Content.(*packets.Publish); string(got.Payload) != "third" || got.Duplicate {
		f.Errorf("after all that: %v", got)
	}
}

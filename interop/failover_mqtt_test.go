package interop

import (
	"fmt"
	"slices"

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

// packetClient is one that its test cuts off between two packets.
func (f *failover) packetClient(id string) *cluster.PacketClient {
	f.Helper()
	c := cluster.DialPackets(f.master.Addr("mqtt"), id, func(err error) {
		f.Helper()
		if err != nil {
			f.Fatal(err)
		}
	})
	f.Cleanup(c.Close) // it may be broken by then
	return c
}

// A message of QoS 2 whose publisher was cut off before PUBREL or before PUBCOMP goes through once.
func qos2InSurvives(f *failover) {
	c := f.packetClient("publisher-2")
	c.Publish("$queue/once", 7, "seven", false)
	c.Publish("$queue/once", 8, "eight", false)
	c.Answer(packets.PUBREL, 8)
	c.Get(packets.PUBCOMP, 8)
	c.Publish("$queue/once", 9, "nine", false)
	f.over()
	c = f.packetClient("publisher-2")
	if !c.Present {
		f.Fatal("the session is gone")
	}
	c.Publish("$queue/once", 7, "seven", true) // PUBREC did not come, it thinks
	c.Answer(packets.PUBREL, 7)
	c.Get(packets.PUBCOMP, 7)
	c.Answer(packets.PUBREL, 8) // PUBCOMP did not come, it thinks
	c.Get(packets.PUBCOMP, 8)
	c.Answer(packets.PUBREL, 9)
	c.Get(packets.PUBCOMP, 9)
	c.Publish("$queue/once", 7, "seven again", false) // the id is free: it is another message
	if rest := f.rest("once"); fmt.Sprint(rest) != "map[eight:1 nine:1 seven:2]" {
		f.Errorf("the queue holds %v", rest) // an id of a message is its first word
	}
}

// A message of QoS 2 to a subscriber who was cut off goes on where it stood, with the packet id that it had.
func qos2OutSurvives(f *failover) {
	c := f.packetClient("subscriber-2")
	c.Subscribe("twice/+")
	p := dialMQTT(f.T, f.master, "publisher-of-2", nil)
	p.publish("twice/a", "first", 2, false)
	p.publish("twice/a", "second", 2, false)
	first, second := c.Get(packets.PUBLISH, 0).PacketID(), c.Get(packets.PUBLISH, 0).PacketID()
	c.Answer(packets.PUBREC, second)
	c.Get(packets.PUBREL, second)

	f.over()
	c = f.packetClient("subscriber-2")
	seen := map[byte]uint16{}
	for range 2 {
		got := c.Read()
		if p, ok := got.Content.(*packets.Publish); ok && (!p.Duplicate || string(p.Payload) != "first") {
			f.Errorf("it came as %v", p)
		}
		seen[got.Type] = got.PacketID()
	}
	if !c.Present || seen[packets.PUBLISH] != first || seen[packets.PUBREL] != second {
		f.Fatalf("want PUBLISH %d and PUBREL %d, got %v", first, second, seen)
	}
	c.Answer(packets.PUBCOMP, second)
	c.Answer(packets.PUBREC, first)
	c.Get(packets.PUBREL, first)

	f.over()
	c = f.packetClient("subscriber-2")
	c.Get(packets.PUBREL, first)
	c.Answer(packets.PUBCOMP, first)
	p = dialMQTT(f.T, f.master, "publisher-of-2", nil)
	p.publish("twice/b", "third", 2, false)
	if got := c.Get(packets.PUBLISH, 0).Content.(*packets.Publish); string(got.Payload) != "third" || got.Duplicate {
		f.Errorf("after all that: %v", got)
	}
}

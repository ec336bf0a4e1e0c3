package main

import (
	"fmt"
	"net"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// answerTimeout is far above what a broker takes to answer.
const answerTimeout = 10 * time.Second

// packetClient speaks MQTT 5 packet by packet, with a session that lasts: what a client does that is cut off between two of them.
// It ends its scenario when it does not get what it wants. One goroutine uses it.
type packetClient struct {
	s       *stage
	conn    net.Conn
	present bool // the broker had its session
}

func (s *stage) packetClient(m *node, id string) *packetClient {
	conn, err := net.Dial("tcp", m.addr+":1883")
	s.must(err)
	s.must(conn.SetDeadline(time.Now().Add(answerTimeout)))
	c := &packetClient{s: s, conn: conn}
	connect := packets.NewControlPacket(packets.CONNECT)
	expiry := uint32(3600)
	body := connect.Content.(*packets.Connect)
	body.ClientID, body.KeepAlive, body.Properties.SessionExpiryInterval = id, 60, &expiry
	c.put(connect)
	c.present = c.get(packets.CONNACK, 0).Content.(*packets.Connack).SessionPresent
	return c
}

func (c *packetClient) close() { _ = c.conn.Close() } // as a crash does it

func (c *packetClient) put(p *packets.ControlPacket) {
	_, err := p.WriteTo(c.conn)
	c.s.must(err)
}

// get reads a packet of this type, and of this id unless that is 0.
func (c *packetClient) get(kind byte, id uint16) *packets.ControlPacket {
	p, err := packets.ReadPacket(c.conn)
	c.s.must(err)
	if p.Type != kind || id != 0 && p.PacketID() != id {
		c.s.must(fmt.Errorf("wanted an MQTT packet of type %d with id %d, got %v", kind, id, p))
	}
	return p
}

// publish sends a message of QoS 2 and waits for its PUBREC.
func (c *packetClient) publish(topic string, id uint16, body string, again bool) {
	p := packets.NewControlPacket(packets.PUBLISH)
	content := p.Content.(*packets.Publish)
	content.Topic, content.Payload, content.QoS, content.PacketID, content.Duplicate = topic, []byte(body), 2, id, again
	c.put(p)
	c.get(packets.PUBREC, id)
}

func (c *packetClient) subscribe(filter string) {
	p := packets.NewControlPacket(packets.SUBSCRIBE)
	content := p.Content.(*packets.Subscribe)
	content.PacketID, content.Subscriptions = 1, []packets.SubOptions{{Topic: filter, QoS: 2}}
	c.put(p)
	c.get(packets.SUBACK, 1)
}

// answer sends PUBREC, PUBREL or PUBCOMP.
func (c *packetClient) answer(kind byte, id uint16) {
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

package cluster

import (
	"fmt"
	"net"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// answerTimeout is far above what a broker takes to answer.
const answerTimeout = 10 * time.Second

// PacketClient speaks MQTT 5 packet by packet, with a session that lasts: what a client does that is cut off between two of them.
// One goroutine uses it.
type PacketClient struct {
	Present bool // the broker had its session

	conn net.Conn
	must func(error)
}

// DialPackets connects to addr, host:port. must is given each error, nil too, and does not return from one that is none.
func DialPackets(addr, id string, must func(error)) *PacketClient {
	conn, err := net.Dial("tcp", addr)
	must(err)
	must(conn.SetDeadline(time.Now().Add(answerTimeout)))
	c := &PacketClient{conn: conn, must: must}
	connect := packets.NewControlPacket(packets.CONNECT)
	expiry := uint32(3600)
	body := connect.Content.(*packets.Connect)
	body.ClientID, body.KeepAlive, body.Properties.SessionExpiryInterval = id, 60, &expiry
	c.put(connect)
	c.Present = c.Get(packets.CONNACK, 0).Content.(*packets.Connack).SessionPresent
	return c
}

// Close cuts the connection, as a crash does it.
func (c *PacketClient) Close() { _ = c.conn.Close() }

func (c *PacketClient) put(p *packets.ControlPacket) {
	_, err := p.WriteTo(c.conn)
	c.must(err)
}

// Read reads a packet.
func (c *PacketClient) Read() *packets.ControlPacket {
	p, err := packets.ReadPacket(c.conn)
	c.must(err)
	return p
}

// Get reads a packet of this type, and of this id unless that is 0.
func (c *PacketClient) Get(kind byte, id uint16) *packets.ControlPacket {
	p := c.Read()
	if p.Type != kind || id != 0 && p.PacketID() != id {
		c.must(fmt.Errorf("wanted an MQTT packet of type %d with id %d, got %v", kind, id, p))
	}
	return p
}

// Publish sends a message of QoS 2 and waits for its PUBREC. again says that it was sent before.
func (c *PacketClient) Publish(topic string, id uint16, body string, again bool) {
	p := packets.NewControlPacket(packets.PUBLISH)
	content := p.Content.(*packets.Publish)
	content.Topic, content.Payload, content.QoS, content.PacketID, content.Duplicate = topic, []byte(body), 2, id, again
	c.put(p)
	c.Get(packets.PUBREC, id)
}

// Subscribe asks for QoS 2 and waits for its SUBACK.
func (c *PacketClient) Subscribe(filter string) {
	p := packets.NewControlPacket(packets.SUBSCRIBE)
	content := p.Content.(*packets.Subscribe)
	content.PacketID, content.Subscriptions = 1, []packets.SubOptions{{Topic: filter, QoS: 2}}
	c.put(p)
	c.Get(packets.SUBACK, 1)
}

// Answer sends PUBREC, PUBREL or PUBCOMP.
func (c *PacketClient) Answer(kind byte, id uint16) {
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

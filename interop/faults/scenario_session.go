package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/eclipse/paho.golang/packets"

	clients "github.com/havenmq/havenmq/interop/cluster"
	"github.com/havenmq/havenmq/interop/wire"
)

// unfinished begins something with a master and returns what goes on with it at the next one.
type unfinished func(s *stage, m *node, name string) (goOn func(m *node))

// keepSessions is scenario 37: what clients were in the middle of when the master died goes on with the next one exactly
// where it stood.
func keepSessions(s *stage) {
	s.load()
	rounds := s.rounds(2, 10)
	for i := range rounds {
		m, err := s.c.whole()
		s.must(err)
		var all []func(*node)
		for k, u := range []unfinished{openTransaction, awaySubscriber, publisherOf2, subscriberOf2} {
			all = append(all, u(s, m, fmt.Sprintf("s37-%d-%d", i, k)))
		}
		s.fault()
		if i%2 == 0 {
			m.kill()
		} else {
			s.must(s.partition(m))
			s.must(cut(m.host, s.ensemble.hosts...))
			s.must(cut(m.host, s.network.clients))
		}
		next := s.another(m)
		for _, goOn := range all {
			goOn(next)
		}
		s.must(s.mend())
	}
	s.elections(rounds, rounds)
	s.saw("%d failovers: of three transactions the committed one was there, whole, and nothing of the open and the aborted one; a durable subscription and QoS 2, both ways, "+
		"went on where they stood. XA's prepared transactions are not part of this release", rounds)
}

// another waits until another node serves.
func (s *stage) another(than *node) (m *node) {
	s.must(until(startTimeout, "another node serves", func() bool {
		for _, n := range s.c.masters() {
			if st, ok := n.status(); ok && n != than && st.Ready && !st.Cluster.Paused {
				m = n
				return true
			}
		}
		return false
	}))
	return m
}

// want fails the scenario when two things differ.
func (s *stage) want(what string, want, got any) {
	if w, g := fmt.Sprint(want), fmt.Sprint(got); w != g {
		s.fail("%s: wanted %s, got %s", what, w, g)
	}
}

// openTransaction commits one transaction, aborts another and leaves a third one open: each sends and acknowledges.
func openTransaction(s *stage, m *node, name string) func(*node) {
	c := s.stomp(m)
	taken, sent := name+"-taken", name+"-sent"
	for _, body := range []string{"0", "1", "2"} {
		c.say("SEND\ndestination:/queue/"+taken+"\npersistent:true", body)
	}
	c.put("SUBSCRIBE\nid:1\ndestination:/queue/"+taken+"\nack:client-individual\n\n", "")
	var acks []string
	for range 3 {
		f, err := c.conn.Expect("MESSAGE")
		s.must(err)
		acks = append(acks, f.Headers["ack"])
	}
	for i, end := range []string{"COMMIT", "ABORT", ""} {
		tx := fmt.Sprintf("\ntransaction:t%d", i)
		c.say("BEGIN"+tx, "")
		c.say("ACK\nid:"+acks[i]+tx, "")
		for _, part := range []string{"a", "b"} {
			c.say("SEND\ndestination:/queue/"+sent+"\npersistent:true"+tx, fmt.Sprint(i)+part)
		}
		if end != "" {
			c.say(end+tx, "")
		}
	}
	return func(m *node) {
		_ = c.conn.Close() // the master may be gone
		s.want("what was sent in a committed transaction", []string{"0a", "0b"}, s.rest(m, sent))
		s.want("what was acknowledged in none that was committed", []string{"1", "2"}, s.rest(m, taken))
	}
}

// awaySubscriber leaves a durable subscription with a message that it has not taken, and more come.
func awaySubscriber(s *stage, m *node, name string) func(*node) {
	subscribe := func(m *node) (*amqp.Conn, *amqp.Receiver) {
		conn, session := s.amqp(m, name)
		r, err := session.NewReceiver(s.soon(), "topic://"+name, &amqp.ReceiverOptions{Name: name, Credit: 3, SourceDurability: amqp.DurabilityUnsettledState,
			SourceExpiryPolicy: amqp.ExpiryPolicyNever, SettlementMode: amqp.ReceiverSettleModeSecond.Ptr()})
		s.must(err)
		return conn, r
	}
	send := func(m *node, from, to int) {
		conn, session := s.amqp(m, name+"-sender")
		sender, err := session.NewSender(s.soon(), "topic://"+name, nil)
		s.must(err)
		for i := from; i <= to; i++ {
			s.must(sender.Send(s.soon(), &amqp.Message{Header: &amqp.MessageHeader{Durable: true}, Data: [][]byte{fmt.Append(nil, i)}}, nil))
		}
		s.must(conn.Close())
	}
	take := func(r *amqp.Receiver, from, to int) {
		for i := from; i <= to; i++ {
			msg, err := r.Receive(s.soon(), nil)
			s.must(err)
			s.want("the next message of a durable subscription", i, string(msg.GetData()))
			s.must(r.AcceptMessage(s.soon(), msg))
		}
	}
	conn, r := subscribe(m)
	send(m, 1, 5)
	take(r, 1, 2)
	s.must(conn.Close())
	send(m, 6, 20)
	return func(m *node) {
		send(m, 21, 21)
		conn, r := subscribe(m)
		take(r, 3, 21)
		s.must(conn.Close())
	}
}

// publisherOf2 is cut off before PUBREL of two messages of QoS 2, and does not know what became of a third.
func publisherOf2(s *stage, m *node, name string) func(*node) {
	topic := "$queue/" + name
	c := clients.DialPackets(m.addr+":1883", name, s.must)
	c.Publish(topic, 7, "seven", false)
	c.Publish(topic, 8, "eight", false)
	c.Answer(packets.PUBREL, 8)
	c.Get(packets.PUBCOMP, 8)
	c.Publish(topic, 9, "nine", false)
	return func(m *node) {
		c.Close()
		c := clients.DialPackets(m.addr+":1883", name, s.must)
		defer c.Close()
		s.want("the publisher's session is there", true, c.Present)
		c.Publish(topic, 7, "seven", true) // PUBREC did not come, it thinks
		for _, id := range []uint16{7, 8, 9} {
			c.Answer(packets.PUBREL, id)
			c.Get(packets.PUBCOMP, id)
		}
		rest := s.rest(m, name)
		s.want("what came of QoS 2", 3, len(rest))
		for _, body := range []string{"seven", "eight", "nine"} {
			s.want("how often "+body+" came", 1, strings.Count(" "+strings.Join(rest, " ")+" ", " "+body+" "))
		}
	}
}

// subscriberOf2 is cut off with one message that it has not answered, and one whose PUBREL it has not answered.
func subscriberOf2(s *stage, m *node, name string) func(*node) {
	c := clients.DialPackets(m.addr+":1883", name, s.must)
	c.Subscribe(name + "/+")
	p := clients.DialPackets(m.addr+":1883", name+"-sender", s.must)
	for id, body := range []string{"first", "second"} {
		p.Publish(name+"/a", uint16(id+1), body, false)
		p.Answer(packets.PUBREL, uint16(id+1))
		p.Get(packets.PUBCOMP, uint16(id+1))
	}
	p.Close()
	first, second := c.Get(packets.PUBLISH, 0).PacketID(), c.Get(packets.PUBLISH, 0).PacketID()
	c.Answer(packets.PUBREC, second)
	c.Get(packets.PUBREL, second)
	return func(m *node) {
		c.Close()
		c := clients.DialPackets(m.addr+":1883", name, s.must)
		defer c.Close()
		s.want("the subscriber's session is there", true, c.Present)
		seen := map[byte]uint16{}
		for range 2 {
			got := c.Read()
			if p, ok := got.Content.(*packets.Publish); ok {
				s.want("the message that was not answered, sent again", "first true", fmt.Sprint(string(p.Payload), " ", p.Duplicate))
			}
			seen[got.Type] = got.PacketID()
		}
		s.want("what is open", map[byte]uint16{packets.PUBLISH: first, packets.PUBREL: second}, seen)
		c.Answer(packets.PUBCOMP, second)
		c.Answer(packets.PUBREC, first)
		c.Get(packets.PUBREL, first)
		c.Answer(packets.PUBCOMP, first)
		p := clients.DialPackets(m.addr+":1883", name+"-sender", s.must)
		defer p.Close()
		p.Publish(name+"/b", 3, "third", false)
		p.Answer(packets.PUBREL, 3)
		p.Get(packets.PUBCOMP, 3)
		s.want("the next message", "third", string(c.Get(packets.PUBLISH, 0).Content.(*packets.Publish).Payload))
	}
}

// answerTimeout is far above what a broker takes to answer.
const answerTimeout = 10 * time.Second

// soon bounds one step of a client's.
func (s *stage) soon() context.Context {
	ctx, cancel := context.WithTimeout(s.ctx, answerTimeout)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func (s *stage) amqp(m *node, id string) (*amqp.Conn, *amqp.Session) {
	conn, err := amqp.Dial(s.soon(), "amqp://"+m.addr+":5672", &amqp.ConnOptions{ContainerID: id, SASLType: amqp.SASLTypeAnonymous()})
	s.must(err)
	session, err := conn.NewSession(s.soon(), nil)
	s.must(err)
	return conn, session
}

// stompClient has each of its frames confirmed. It ends its scenario when one is not.
type stompClient struct {
	s    *stage
	conn *wire.StompConn
}

func (s *stage) stomp(m *node) *stompClient {
	conn, err := wire.DialSTOMP(m.addr+":61613", "")
	s.must(err)
	s.must(conn.SetDeadline(time.Now().Add(answerTimeout)))
	return &stompClient{s, conn}
}

func (c *stompClient) put(head, body string) { c.s.must(c.conn.Write(head, []byte(body))) }

func (c *stompClient) say(head, body string) {
	c.put(fmt.Sprintf("%s\nreceipt:1\ncontent-length:%d\n\n", head, len(body)), body)
	_, err := c.conn.Expect("RECEIPT")
	c.s.must(err)
}

// rest takes all that a queue holds, in its order.
func (s *stage) rest(m *node, queue string) (bodies []string) {
	r, err := clients.Failover(s.soon(), []string{m.addr}, retryDelay, "stomp", queue, queue+"-rest", clients.Receivers["stomp"])
	s.must(err)
	defer r.Close()
	for {
		ctx, cancel := context.WithTimeout(s.ctx, time.Second)
		_, err := r.Receive(ctx, func(body []byte) { bodies = append(bodies, string(body)) })
		cancel()
		if err != nil {
			return bodies
		}
	}
}

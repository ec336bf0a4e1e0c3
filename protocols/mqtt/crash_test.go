package mqtt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// producer sends numbered QoS 2 messages and keeps what a session keeps: what is on its way.
type producer struct {
	*link
	next   int
	ways   map[uint16]string // packet id → body; "" once PUBREC came
	lastID uint16
	done   int
}

// consumer takes QoS 2 messages exactly once: it remembers the ids that are not released.
type consumer struct {
	*link
	open map[uint16]bool
	seen map[string]int
}

var errCut = errors.New("the line was cut")

// TestExactlyOnce sends QoS 2 messages through brokers that are killed and lines that are cut: each message comes once.
func TestExactlyOnce(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { exactlyOnce(t, seed) })
	}
}

func exactlyOnce(t *testing.T, seed uint64) {
	const messages = 200
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	p := &producer{ways: map[uint16]string{}}
	c := &consumer{open: map[uint16]bool{}, seen: map[string]int{}}
	c.link, _ = w.connect(level5, "id=c session-expiry=1000 receive=7")
	c.subscribe("t", "qos=2")
	p.link, _ = w.connect(level5, "id=p session-expiry=1000")
	for steps := 0; p.done < messages || len(c.seen) < messages; steps++ {
		if steps > 200_000 {
			t.Fatalf("%d sent, %d came", p.done, len(c.seen))
		}
		switch n := rng.IntN(3000); {
		case n < 3:
			w.crash()
			p.link, c.link = w.again(p.link), w.again(c.link)
			p.resume()
		case n < 20:
			p.hangUp(errCut)
			p.link = w.again(p.link)
			p.resume()
		case n < 40:
			c.hangUp(errCut)
			c.link = w.again(c.link)
		case n < 1500:
			p.work(messages)
		default:
			c.work()
		}
	}
	for body, n := range c.seen {
		if n != 1 {
			t.Errorf("message %s came %d times", body, n)
		}
	}
}

// again connects a client whose session goes on.
func (w *world) again(old *link) *link {
	w.Helper()
	old.hangUp(errCut)
	l, ack := w.connect(level5, old.hello)
	if !ack.SessionPresent {
		w.Fatalf("the session is gone: %s", old.hello)
	}
	return l
}

// resume sends again what was not ended.
func (p *producer) resume() {
	for id, body := range p.ways {
		if body == "" {
			p.say(fmt.Sprintf("pubrel id=%d", id))
		} else {
			p.say(fmt.Sprintf("publish topic=t qos=2 dup id=%d body=%s", id, body))
		}
	}
}

func (p *producer) work(most int) {
	if p.next < most && len(p.ways) < 10 {
		p.next++
		p.lastID++
		p.ways[p.lastID] = fmt.Sprint(p.next)
		p.say(fmt.Sprintf("publish topic=t qos=2 id=%d body=%d", p.lastID, p.next))
	}
	p.pump()
	got := p.got
	p.got = nil
	for i := range got {
		switch a := &got[i]; a.FixedHeader.Type {
		case packets.Pubrec:
			p.ways[a.PacketID] = ""
			p.say("pubrel id=" + a.FormatID())
		case packets.Pubcomp:
			delete(p.ways, a.PacketID)
			p.done++
		}
	}
}

func (c *consumer) work() {
	c.pump()
	got := c.got
	c.got = nil
	for i := range got {
		switch a := &got[i]; a.FixedHeader.Type {
		case packets.Publish:
			if !c.open[a.PacketID] {
				c.open[a.PacketID] = true
				c.seen[string(a.Payload)]++
			}
			c.say("pubrec id=" + a.FormatID())
		case packets.Pubrel:
			delete(c.open, a.PacketID)
			c.say("pubcomp id=" + a.FormatID())
		}
	}
}

package mqtt

import (
	"fmt"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/havenmq/havenmq/core"
)

// Machine, core and store together: what a client sees.

func TestAllVersionsAndQoS(t *testing.T) {
	w := newWorld(t)
	for _, from := range []byte{level311, level5} {
		for _, to := range []byte{level311, level5} {
			a, _ := w.connect(from, "id=a clean")
			b, _ := w.connect(to, "id=b clean")
			b.subscribe("x/#", "qos=2")
			a.say("publish topic=x/y body=0")
			a.say("publish topic=x/y body=1 qos=1 id=1")
			a.say("publish topic=x/y body=2 qos=2 id=2 user-property=k:v")
			a.hear(packets.Puback)
			a.hear(packets.Pubrec)
			a.say("pubrel id=2")
			a.hear(packets.Pubcomp)
			b.want("x/y 0")
			b.want("x/y 1")
			p := b.want("x/y 2")
			if from == level5 && to == level5 && len(p.Properties.User) != 1 {
				t.Errorf("properties %+v", p.Properties)
			}
			b.say("pubrec id=" + p.FormatID())
			b.hear(packets.Pubrel)
			b.say("pubcomp id=" + p.FormatID())
			b.quiet()
			a.say("disconnect")
			b.say("disconnect")
		}
	}
}

func TestRetained(t *testing.T) {
	w := newWorld(t)
	a, _ := w.connect(level5, "id=a clean")
	a.say("publish topic=r/1 body=x qos=1 id=1 retain content-type=text/plain")
	a.hear(packets.Puback)
	b, _ := w.connect(level5, "id=b clean")
	b.subscribe("r/+", "qos=1", "sub-id=5")
	if p := b.want("r/1 x"); !p.FixedHeader.Retain || p.Properties.ContentType != "text/plain" || len(p.Properties.SubscriptionIdentifier) != 1 {
		t.Errorf("%+v", p)
	}
	b.subscribe("r/+", "qos=1", "handling=1")
	b.quiet()
	a.say("publish topic=r/1 body= qos=1 id=1 retain")
	if p := b.want("r/1 "); p.FixedHeader.Retain {
		t.Error("RETAIN on a message that came while subscribed")
	}
	b.subscribe("r/+", "qos=1")
	b.quiet()
}

func TestSessionThatLasts(t *testing.T) {
	w := newWorld(t)
	a, _ := w.connect(level5, "id=a clean")
	s, ack := w.connect(level5, "id=s session-expiry=100")
	if ack.SessionPresent {
		t.Error("a session was present")
	}
	s.subscribe("t", "qos=1")
	s.say("disconnect")
	a.say("publish topic=t body=1 qos=1 id=1 expiry=50")
	a.say("publish topic=t body=2")
	a.hear(packets.Puback)
	w.nowMs += 20_000
	s, ack = w.connect(level5, "id=s session-expiry=100")
	if !ack.SessionPresent {
		t.Error("no session was present")
	}
	if p := s.want("t 1"); p.Properties.MessageExpiryInterval != 30 {
		t.Errorf("%d s are left, want 30", p.Properties.MessageExpiryInterval)
	}
	s.quiet()
	s2, _ := w.connect(level5, "id=s clean session-expiry=0")
	if p := s.hear(packets.Disconnect); reasonCode(p.ReasonCode) != codeTakenOver {
		t.Errorf("reason %#x", p.ReasonCode)
	}
	a.say("publish topic=t body=3 qos=1 id=2")
	if p := a.hear(packets.Puback); reasonCode(p.ReasonCode) != codeNoMatch {
		t.Errorf("reason %#x: the clean session has no filter", p.ReasonCode)
	}
	s2.quiet()
}

func TestWill(t *testing.T) {
	w := newWorld(t)
	a, _ := w.connect(level5, "id=a clean")
	a.subscribe("w", "qos=1")
	for _, version := range []byte{level311, level5} {
		b, _ := w.connect(version, "id=b clean will=w will-body=gone will-qos=1")
		b.hangUp(core.ErrKicked)
		a.want("w gone")
		b, _ = w.connect(version, "id=b clean will=w will-body=gone will-qos=1")
		b.say("disconnect")
		a.quiet()
	}
	b, _ := w.connect(level5, "id=b session-expiry=10 will=w will-body=late will-qos=1 will-delay=3 will-expiry=7")
	b.hangUp(core.ErrKicked)
	a.quiet()
	w.nowMs += 3000
	w.broker.Tick(w.nowMs)
	if p := a.want("w late"); p.Properties.MessageExpiryInterval != 7 {
		t.Errorf("it lives for %d s, want 7", p.Properties.MessageExpiryInterval)
	}
}

// Two share a queue; a message that nobody acknowledges goes to the dead letters, under their name.
func TestQueueAndDeadLetters(t *testing.T) {
	w := newWorld(t)
	a, _ := w.connect(level5, "id=a clean")
	a.say("publish topic=$queue/o/p body=x qos=1 id=1")
	a.hear(packets.Puback)
	for range 7 {
		b, _ := w.connect(level5, "id=b clean")
		b.subscribe("$queue/o/p", "qos=1", "sub-id=9")
		if p := b.hear(packets.Publish); p.TopicName != "$queue/o/p" || p.PacketID < sharedIDs || len(p.Properties.SubscriptionIdentifier) != 1 {
			t.Errorf("%+v", p)
		}
		b.hangUp(core.ErrKicked)
	}
	e, _ := w.connect(level5, "id=e clean")
	e.subscribe("$queue/ActiveMQ/DLQ", "qos=1")
	if got := fmt.Sprint(e.hear(packets.Publish).Properties.User); got != "[{dlqDeliveryFailureCause delivered too often} {original-destination $queue/o/p}]" {
		t.Errorf("user properties: %s", got)
	}
	e.hangUp(core.ErrKicked)
	d, _ := w.connect(level311, "id=d clean")
	d.subscribe("$queue/ActiveMQ/DLQ", "qos=1")
	d.want("$queue/ActiveMQ/DLQ x")
	d.quiet()
}

func TestNoLocalAndMaximumPacketSize(t *testing.T) {
	w := newWorld(t)
	a, _ := w.connect(level5, "id=a clean max-packet=60")
	a.subscribe("t", "qos=1", "no-local=1")
	a.say("publish topic=t body=own qos=1 id=1")
	b, _ := w.connect(level5, "id=b clean")
	b.say("publish topic=t qos=1 id=1 body=0123456789012345678901234567890123456789012345678901234567890123456789")
	b.say("publish topic=t qos=1 id=2 body=small")
	a.want("t small")
	if p := a.hear(packets.Puback); reasonCode(p.ReasonCode) != codeNoMatch {
		t.Errorf("reason %#x", p.ReasonCode)
	}
	a.quiet()
}

func TestShutdown(t *testing.T) {
	w := newWorld(t)
	a, _ := w.connect(level5, "id=a clean")
	w.broker.Shutdown()
	if p := a.hear(packets.Disconnect); reasonCode(p.ReasonCode) != codeShutdown {
		t.Errorf("reason %#x", p.ReasonCode)
	}
}

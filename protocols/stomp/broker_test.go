package stomp

import (
	"strings"
	"testing"
)

// Machine, core and store together: what a client sees.

// want waits for the next MESSAGE and compares its body.
func (l *link) want(body string) served {
	l.Helper()
	f := l.hear("MESSAGE")
	if f.body != body {
		l.Fatalf("got %v, want the body %q", f, body)
	}
	return f
}

// ack acknowledges a message, or does what command says, and waits until that is done.
func (l *link) ack(command string, f served) {
	l.Helper()
	line := command + " id:" + f.headers["ack"]
	if l.version != v12 {
		line = command + " subscription:" + f.headers["subscription"] + " message-id:" + f.headers["message-id"]
	}
	l.say(line + " receipt:ack")
	l.hear("RECEIPT")
}

func (l *link) ask(line string) {
	l.Helper()
	head, body, _ := strings.Cut(line, " | ")
	l.say(head + " receipt:asked | " + body)
	l.hear("RECEIPT")
}

func TestAllVersions(t *testing.T) {
	w := newWorld(t, 1)
	for from := v10; from <= v12; from++ {
		for to := v10; to <= v12; to++ {
			a, b := w.connect(from), w.connect(to)
			b.ask("SUBSCRIBE id:s destination:/topic/x.>")
			a.ask("SEND destination:/topic/x.y k:v type:t | grüß")
			f := b.want("grüß")
			if f.headers["k"] != "v" || f.headers["type"] != "t" || f.headers["destination"] != "/topic/x.y" || f.headers["subscription"] != "s" {
				t.Errorf("%v to %v: %v", from, to, f.headers)
			}
			if _, ok := f.headers["ack"]; ok != (to == v12) {
				t.Errorf("%v: ack %v", to, ok)
			}
			a.say("DISCONNECT")
			b.say("DISCONNECT")
		}
	}
}

func TestDurableSubscription(t *testing.T) {
	w := newWorld(t, 1)
	const subscribe = "SUBSCRIBE id:1 destination:/topic/t ack:client activemq.subscriptionName:n no-local:true"
	a := w.connect(v12, "client-id:me")
	a.ask(subscribe)
	a.ask("SEND destination:/topic/t persistent:true | my own")
	a.ask("DISCONNECT")
	b := w.connect(v12)
	b.ask("SEND destination:/topic/t persistent:true | while it was away")
	w.crash()
	a = w.connect(v11, "client-id:me")
	a.ask(subscribe)
	a.ack("ACK", a.want("while it was away"))
	a.quiet()
	a.ask("UNSUBSCRIBE id:1") // it goes on
	b = w.connect(v12)
	b.ask("SEND destination:/topic/t persistent:true | 2")
	a.ask(subscribe)
	a.ack("ACK", a.want("2"))
	a.ask("DISCONNECT")
	a = w.connect(v12, "client-id:me")
	a.ask("UNSUBSCRIBE activemq.subscriptionName:n") // it ends, though nobody consumes
	b.ask("SEND destination:/topic/t persistent:true | 3")
	a.ask(subscribe)
	a.quiet()
	a.say("UNSUBSCRIBE activemq.subscriptionName:unknown receipt:r")
	if f := a.hear("ERROR"); f.headers["message"] != "not found" || f.headers["receipt-id"] != "r" {
		t.Errorf("%v", f)
	}
}

func TestClientIDIsOneConnections(t *testing.T) {
	w := newWorld(t, 1)
	a := w.connect(v12, "client-id:me")
	b := w.attach()
	b.say("CONNECT accept-version:1.2 client-id:me")
	if f := b.hear("ERROR"); f.headers["message"] != "in use" {
		t.Errorf("%v", f)
	}
	a.ask("DISCONNECT")
	w.connect(v12, "client-id:me")
}

func TestRequestAndReply(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.connect(v12), w.connect(v11)
	a.ask("SUBSCRIBE id:1 destination:/temp-queue/answers")
	b.ask("SUBSCRIBE id:1 destination:/queue/questions")
	b.ask("SUBSCRIBE id:2 destination:/temp-queue/answers") // another one
	a.ask("SEND destination:/queue/questions reply-to:/temp-queue/answers correlation-id:7 | ?")
	q := b.want("?")
	b.ask("SEND destination:" + q.headers["reply-to"] + " correlation-id:" + q.headers["correlation-id"] + " | !")
	if f := a.want("!"); f.headers["correlation-id"] != "7" || f.headers["subscription"] != "1" {
		t.Errorf("%v", f.headers)
	}
	b.quiet()
	a.ask("DISCONNECT")
	b.say("SEND destination:" + q.headers["reply-to"] + " receipt:r | too late")
	if f := b.hear("ERROR"); f.headers["receipt-id"] != "r" {
		t.Errorf("%v", f)
	}
}

func TestBrowse(t *testing.T) {
	w := newWorld(t, 1)
	a := w.connect(v12)
	for _, body := range []string{"1", "2", "3"} {
		a.ask("SEND destination:/queue/q persistent:true | " + body)
	}
	a.say("SUBSCRIBE id:b destination:/queue/q browser:true ack:client")
	for _, body := range []string{"1", "2", "3"} {
		a.say("ACK id:" + a.want(body).headers["ack"]) // it consumes nothing
	}
	if f := a.want(""); f.headers["browser"] != "end" {
		t.Errorf("%v", f.headers)
	}
	a.ask("UNSUBSCRIBE id:b")
	a.say("SUBSCRIBE id:c destination:/queue/q")
	a.want("1")
}

func TestRejectedAndRedelivered(t *testing.T) {
	w := newWorld(t, 1)
	a := w.connect(v12)
	a.ask("SEND destination:/queue/q persistent:true k:v | 1")
	a.ask("SEND destination:/queue/q persistent:true | 2")
	a.ask("SUBSCRIBE id:1 destination:/queue/q ack:client-individual")
	id := a.want("1").headers["message-id"]
	a.want("2")
	a.hangUp(errCut)
	a = w.connect(v11)
	a.ask("SUBSCRIBE id:1 destination:/queue/q ack:client-individual")
	one, two := a.want("1"), a.want("2")
	if h := one.headers; h["redelivered"] != "true" || h["JMSXDeliveryCount"] != "2" || h["message-id"] != id {
		t.Errorf("%v, the message-id was %s", h, id)
	}
	a.ack("NACK", one)
	a.ack("ACK", two)
	a.ask("SUBSCRIBE id:2 destination:/queue/ActiveMQ.DLQ")
	if h := a.want("1").headers; h["k"] != "v" || h["dlqDeliveryFailureCause"] == "" || h["original-destination"] != "/queue/q" || h["destination"] != "/queue/ActiveMQ.DLQ" {
		t.Errorf("%v", h)
	}
	a.quiet()
}

// TestAbortGivesBackToTheConsumer: ABORT sends nothing, and what it takes back may be acknowledged again.
func TestAbortGivesBackToTheConsumer(t *testing.T) {
	w := newWorld(t, 1)
	a := w.connect(v12)
	a.ask("SEND destination:/queue/q persistent:true | 1")
	a.ask("SUBSCRIBE id:1 destination:/queue/q ack:client-individual")
	f := a.want("1")
	a.ask("BEGIN transaction:t")
	a.say("ACK id:" + f.headers["ack"] + " transaction:t")
	a.say("SEND destination:/queue/q transaction:t | never")
	a.ask("ABORT transaction:t")
	a.quiet()
	a.ask("BEGIN transaction:t")
	a.say("ACK id:" + f.headers["ack"] + " transaction:t")
	a.say("SEND destination:/queue/q persistent:true transaction:t | 2")
	a.quiet()
	a.ask("COMMIT transaction:t")
	a.want("2")
	w.crash()
	a = w.connect(v12)
	a.ask("SUBSCRIBE id:1 destination:/queue/q")
	a.want("2")
	a.quiet()
}

// TestPrefetch: no more is on its way than the subscription allows.
func TestPrefetch(t *testing.T) {
	w := newWorld(t, 1)
	a := w.connect(v12)
	for range 30 {
		a.ask("SEND destination:/queue/q persistent:true | x")
	}
	a.ask("SUBSCRIBE id:1 destination:/queue/q ack:client activemq.prefetchSize:4")
	for range 7 {
		for range 3 {
			a.want("x")
		}
		last := a.want("x")
		a.quiet()
		a.ack("ACK", last)
	}
}

func TestShutdownIsTold(t *testing.T) {
	w := newWorld(t, 1)
	a := w.connect(v12)
	w.broker.Shutdown()
	if f := a.hear("ERROR"); f.headers["message"] != "broker stops" {
		t.Errorf("%v", f)
	}
}

package interop

import (
	"context"
	"fmt"
	"github.com/havenmq/havenmq/interop/wire"
	"strings"
	"testing"
	"time"
)

// What STOMP has beyond sending and receiving: its older versions through stomp.py, the rest frame by frame.

func TestOlderSTOMP(t *testing.T) {
	b := start(t, 0)
	d := newDrivers(t)
	for _, version := range []string{"stomp10", "stomp11", "stomp"} {
		t.Run(version, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), answerTimeout)
			defer cancel()
			c, err := d.open(ctx, "python", version, b.Port("stomp"), "client of "+version)
			if err != nil {
				t.Fatal(err)
			}
			sub, err := c.subscribe(ctx, "/queue/"+version)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []message{textMessage("plain text"), {Bytes: everyByte}} {
				if err := c.send(ctx, "/queue/"+version, m); err != nil {
					t.Fatal(err)
				}
				got, err := sub.receive(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if string(got.Body) != string(m.body()) {
					t.Errorf("sent %q, got %q", m.body(), got.Body)
				}
			}
			if err := c.close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// stompClient is a raw connection that fails its test.
type stompClient struct {
	*wire.StompConn
	t *testing.T
}

func dialSTOMP(t *testing.T, b addressed, id string) *stompClient {
	t.Helper()
	c, err := wire.DialSTOMP(b.Addr("stomp"), id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // some tests have closed it
	if err := c.SetDeadline(time.Now().Add(2 * answerTimeout)); err != nil {
		t.Fatal(err)
	}
	return &stompClient{c, t}
}

// say sends a frame and waits for its receipt. "SEND destination:/queue/a persistent:true|body" is one.
func (c *stompClient) say(frame string) {
	c.t.Helper()
	head, body, _ := strings.Cut(frame, "|")
	text := strings.Join(strings.Fields(head), "\n") + "\nreceipt:r\n\n"
	if err := c.Write(text, []byte(body)); err != nil {
		c.t.Fatal(err)
	}
	if f, err := c.Expect("RECEIPT"); err != nil {
		c.t.Fatalf("%s: %v %v", frame, f, err)
	}
}

// want reads a message of this body.
func (c *stompClient) want(body string) wire.StompFrame {
	c.t.Helper()
	f, err := c.Expect("MESSAGE")
	if err != nil || string(f.Body) != body {
		c.t.Fatalf("want %q, got %v %q (%v)", body, f.Headers, f.Body, err)
	}
	return f
}

func TestSTOMPCumulativeAck(t *testing.T) {
	b := start(t, 0)
	c := dialSTOMP(t, b, "")
	for i := range 5 {
		c.say(fmt.Sprintf("SEND destination:/queue/a persistent:true|%d", i))
	}
	consumer := dialSTOMP(t, b, "")
	consumer.say("SUBSCRIBE id:1 destination:/queue/a ack:client")
	for _, body := range []string{"0", "1"} {
		consumer.want(body)
	}
	third := consumer.want("2")
	consumer.want("3")
	consumer.want("4")
	consumer.say("ACK id:" + third.Headers["ack"])
	if err := consumer.Close(); err != nil {
		t.Fatal(err)
	}
	again := dialSTOMP(t, b, "")
	again.say("SUBSCRIBE id:1 destination:/queue/a")
	again.want("3")
	again.want("4")
}

func TestSTOMPNackIsADeadLetterInTheEnd(t *testing.T) {
	b := start(t, 0)
	c := dialSTOMP(t, b, "")
	c.say("SEND destination:/queue/a persistent:true|x")
	c.say("SUBSCRIBE id:dead destination:/queue/ActiveMQ.DLQ")
	consumer := dialSTOMP(t, b, "")
	consumer.say("SUBSCRIBE id:1 destination:/queue/a ack:client-individual")
	for range 10 { // at most: the broker gives up before
		f, err := consumer.Read()
		if err != nil {
			t.Fatal(err)
		}
		if f.Command != "MESSAGE" {
			continue
		}
		if err := consumer.Write("NACK\nid:"+f.Headers["ack"]+"\n\n", nil); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if f, err := c.Read(); err == nil {
			if string(f.Body) != "x" {
				t.Errorf("the dead letter is %q", f.Body)
			}
			return
		}
	}
	t.Error("it is no dead letter")
}

func TestSTOMPTransaction(t *testing.T) {
	b := start(t, 0)
	c, consumer := dialSTOMP(t, b, ""), dialSTOMP(t, b, "")
	consumer.say("SUBSCRIBE id:1 destination:/queue/a")
	for _, end := range []string{"ABORT", "COMMIT"} {
		c.say("BEGIN transaction:t")
		c.say("SEND destination:/queue/a transaction:t|" + end)
		c.say(end + " transaction:t")
	}
	consumer.want("COMMIT") // what was aborted would have come before
}

func TestSTOMPDurableSubscription(t *testing.T) {
	b := start(t, 0)
	const subscribe = "SUBSCRIBE id:1 destination:/topic/news activemq.subscriptionName:audit"
	c := dialSTOMP(t, b, "auditor")
	c.say(subscribe)
	c.say("DISCONNECT")
	publisher := dialSTOMP(t, b, "")
	publisher.say("SEND destination:/topic/news persistent:true|while you were out")
	b.Kill()
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	c = dialSTOMP(t, b, "auditor")
	if err := c.Write(strings.Join(strings.Fields(subscribe), "\n")+"\n\n", nil); err != nil {
		t.Fatal(err)
	}
	c.want("while you were out")
}

// TestSTOMPTemporaryQueue asks over STOMP and answers to the reply-to that came.
func TestSTOMPTemporaryQueue(t *testing.T) {
	b := start(t, 0)
	asker, answerer := dialSTOMP(t, b, ""), dialSTOMP(t, b, "")
	asker.say("SUBSCRIBE id:1 destination:/temp-queue/replies")
	answerer.say("SUBSCRIBE id:1 destination:/queue/questions")
	asker.say("SEND destination:/queue/questions reply-to:/temp-queue/replies|why?")
	question := answerer.want("why?")
	answerer.say("SEND destination:" + question.Headers["reply-to"] + "|because")
	asker.want("because")
}

func TestSTOMPHeartBeats(t *testing.T) {
	b := start(t, 0)
	c := dialSTOMP(t, b, "")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	beats, err := wire.DialSTOMPBeating(b.Addr("stomp"), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = beats.Close() }() // nothing is under way
	if err := beats.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if b, err := beats.ReadByte(); err != nil || b != '\n' {
			t.Fatalf("beat %d: %q %v", i, b, err)
		}
	}
	silent, err := wire.DialSTOMPBeating(b.Addr("stomp"), 500, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }() // the broker has closed it
	if err := silent.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		t.Fatal(err)
	}
	if f, err := silent.Read(); err == nil && f.Command != "ERROR" {
		t.Errorf("who promised beats and sent none got %v", f)
	}
}

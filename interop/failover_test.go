package interop

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/havenmq/havenmq/interop/cluster"
)

// What survives a failover: everything that a client was told is kept. One cluster, whose nodes are built with the race
// detector, for all of these tests; each takes the master away, by kill -9 or by `havenmq cluster promote` in turn.

// failover is the cluster that these tests share, one at a time.
type failover struct {
	*testing.T
	c      *cluster.Cluster
	times  *int // that a master was taken away
	master *cluster.Node
}

func TestFailover(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "havenmq")
	build := exec.Command("go", "build", "-race", "-o", binary, "./cmd/havenmq")
	build.Dir = ".."
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build -race: %v\n%s", err, text)
	}
	c, err := cluster.New(cluster.Options{Dir: dir, Binary: binary, Tick: 500 * time.Millisecond, LogSize: "1mb"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.End()
	if _, err := c.Start(); err != nil {
		t.Fatal(err)
	}
	times := 0
	for _, test := range []struct {
		name string
		run  func(*failover)
	}{
		{"durable subscription, AMQP", durableSurvives},
		{"transactions", transactionsSurvive},
		{"delivery counts and dead letters", deliveryCountsSurvive},
		{"MQTT inbox", inboxSurvives},
		{"retained messages", retainedSurvive},
		{"QoS 2 from a publisher", qos2InSurvives},
		{"QoS 2 to a subscriber", qos2OutSurvives},
		{"wills", willsSurvive},
		{"queues made by an operator", madeQueuesSurvive},
		{"duplicate detection", duplicatesSurvive},
		{"goodbyes", goodbyesNameTheNext},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &failover{T: t, c: c, times: &times}
			f.whole()
			test.run(f)
		})
	}
	compared, err := c.SameLogs()
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d failovers, %d bytes of log the same on all three nodes", times, compared)
	for _, p := range c.Problems() {
		t.Error(p)
	}
	if t.Failed() {
		for _, n := range c.Nodes {
			text := n.Printed()
			t.Logf("%s printed at last:\n%s", n.Host, text[max(0, len(text)-3000):])
		}
	}
}

// whole waits until the cluster is whole.
func (f *failover) whole() {
	f.Helper()
	var err error
	if f.master, err = f.c.Whole(); err != nil {
		f.Fatal(err)
	}
}

// over takes the master away and returns when another serves. The old one comes back meanwhile.
func (f *failover) over() {
	f.Helper()
	f.whole()
	old := f.master
	if *f.times++; *f.times%2 == 1 {
		old.Kill()
	} else if _, err := f.c.Command("cluster", "promote", "--node", old.Admin()); err != nil {
		f.Fatal(err)
	}
	if err := cluster.Until(20*time.Second, "another node serves", func() bool {
		m, err := f.c.Serving(time.Second)
		f.master = m
		return err == nil && m != old
	}); err != nil {
		f.Fatal(err)
	}
	if !old.Running() {
		if err := old.Start(); err != nil {
			f.Fatal(err)
		}
	}
}

func (f *failover) ctx() context.Context {
	ctx, cancel := context.WithTimeout(f.Context(), answerTimeout)
	f.Cleanup(cancel)
	return ctx
}

// amqp opens a session with the master.
func (f *failover) amqp(id string) (*amqp.Conn, *amqp.Session) {
	f.Helper()
	conn, err := amqp.Dial(f.ctx(), f.master.URL("amqp"), &amqp.ConnOptions{ContainerID: id, SASLType: amqp.SASLTypeAnonymous()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = conn.Close() }) // it may be broken by then
	session, err := conn.NewSession(f.ctx(), nil)
	if err != nil {
		f.Fatal(err)
	}
	return conn, session
}

// send has the master confirm durable messages of these bodies.
func (f *failover) send(address string, bodies ...string) {
	f.Helper()
	conn, session := f.amqp("sender")
	s, err := session.NewSender(f.ctx(), address, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, body := range bodies {
		if err := s.Send(f.ctx(), &amqp.Message{Header: &amqp.MessageHeader{Durable: true, Priority: 4}, Data: [][]byte{[]byte(body)}}, nil); err != nil {
			f.Fatalf("send %q to %s: %v", body, address, err)
		}
	}
	if err := conn.Close(); err != nil {
		f.Fatal(err)
	}
}

// take receives a message of this body.
func (f *failover) take(r *amqp.Receiver, body string) *amqp.Message {
	f.Helper()
	m, err := r.Receive(f.ctx(), nil)
	if err != nil || string(m.GetData()) != body {
		f.Fatalf("want %q, got %v (%v)", body, m, err)
	}
	return m
}

func (f *failover) accept(r *amqp.Receiver, bodies ...string) {
	f.Helper()
	for _, body := range bodies {
		if err := r.AcceptMessage(f.ctx(), f.take(r, body)); err != nil {
			f.Fatal(err)
		}
	}
}

// receiver opens a receiver whose settlements the broker confirms.
func (f *failover) receiver(s *amqp.Session, address string, o amqp.ReceiverOptions) *amqp.Receiver {
	f.Helper()
	o.SettlementMode = amqp.ReceiverSettleModeSecond.Ptr()
	r, err := s.NewReceiver(f.ctx(), address, &o)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

// rest is what a queue holds.
func (f *failover) rest(queue string) map[string]int {
	f.Helper()
	rest, err := drain(f.ctx(), f.master, queue)
	if err != nil {
		f.Fatal(err)
	}
	return rest
}

func numbers(from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// A durable subscription goes on where its subscriber left off, with what was sent before the failover and after it.
func durableSurvives(f *failover) {
	subscribe := func() (*amqp.Conn, *amqp.Receiver) {
		conn, session := f.amqp("durable-client")
		return conn, f.receiver(session, "topic://news", amqp.ReceiverOptions{Name: "news", Credit: 3,
			SourceDurability: amqp.DurabilityUnsettledState, SourceExpiryPolicy: amqp.ExpiryPolicyNever})
	}
	conn, r := subscribe()
	f.send("topic://news", numbers(1, 3)...)
	f.accept(r, "1", "2")
	if err := conn.Close(); err != nil {
		f.Fatal(err)
	}
	f.send("topic://news", numbers(4, 20)...)
	f.over()
	f.send("topic://news", "21")
	conn, r = subscribe()
	f.accept(r, numbers(3, 10)...)
	f.over() // the subscriber is cut off this time
	_ = conn.Close()
	_, r = subscribe()
	f.accept(r, numbers(11, 21)...)
	f.send("topic://news", "22")
	f.accept(r, "22")
}

// What was committed is there, whole, and what was not is not: sent messages and acknowledgements.
func transactionsSurvive(f *failover) {
	f.send("queue://tx.taken", numbers(1, 4)...)
	c := dialSTOMP(f.T, f.master, "")
	c.say("SUBSCRIBE id:1 destination:/queue/tx.taken ack:client-individual")
	var acks []string
	for _, body := range numbers(1, 4) {
		acks = append(acks, c.want(body).Headers["ack"])
	}
	for i, end := range []string{"COMMIT", "ABORT", ""} {
		tx := fmt.Sprintf("transaction:t%d", i)
		c.say("BEGIN " + tx)
		c.say("ACK id:" + acks[i] + " " + tx)
		for _, part := range []string{"a", "b", "c"} {
			c.say(fmt.Sprintf("SEND destination:/queue/tx.sent persistent:true %s|%d%s", tx, i, part))
		}
		if end != "" {
			c.say(end + " " + tx)
		}
	}
	f.over()
	if rest := f.rest("tx.sent"); len(rest) != 3 || rest["0a"] != 1 || rest["0b"] != 1 || rest["0c"] != 1 {
		f.Errorf("0 was committed, 1 aborted, 2 under way; there are %v", rest)
	}
	if rest := f.rest("tx.taken"); len(rest) != 3 || rest["1"] > 0 || rest["2"]*rest["3"]*rest["4"] != 1 {
		f.Errorf("the acknowledgement of 1 was committed; there are %v", rest)
	}
}

// A message's failures count on, its seventh is the last, and dead letters say why.
func deliveryCountsSurvive(f *failover) {
	fails := func(from, to uint32) {
		f.Helper()
		conn, session := f.amqp("failing")
		r := f.receiver(session, "queue://counted", amqp.ReceiverOptions{Credit: 1})
		for n := from; n < to; n++ {
			m := f.take(r, "unlucky")
			if got := m.Header.DeliveryCount; got != n {
				f.Fatalf("delivery-count %d, want %d", got, n)
			}
			if err := r.ModifyMessage(f.ctx(), m, &amqp.ModifyMessageOptions{DeliveryFailed: true}); err != nil {
				f.Fatal(err)
			}
		}
		_ = conn.Close() // all is settled
	}
	f.send("queue://counted", "unlucky")
	f.send("queue://rejected", "bad")
	fails(0, 3)
	_, session := f.amqp("rejecting")
	r := f.receiver(session, "queue://rejected", amqp.ReceiverOptions{Credit: 1})
	if err := r.RejectMessage(f.ctx(), f.take(r, "bad"), &amqp.Error{Condition: "app:bad", Description: "no such customer"}); err != nil {
		f.Fatal(err)
	}
	f.over()
	fails(3, 7)
	f.over()
	c := dialSTOMP(f.T, f.master, "")
	c.say("SUBSCRIBE id:1 destination:/queue/ActiveMQ.DLQ ack:client")
	why := map[string]string{}
	for range 2 {
		m, err := c.Expect("MESSAGE")
		if err != nil {
			f.Fatal(err)
		}
		why[string(m.Body)] = m.Headers["dlqDeliveryFailureCause"]
	}
	if len(why) != 2 || why["bad"] == "" || why["unlucky"] == "" {
		f.Errorf("dead letters and their causes: %q", why)
	}
	f.Logf("causes: %q", why)
	for _, queue := range []string{"counted", "rejected"} {
		if rest := f.rest(queue); len(rest) > 0 {
			f.Errorf("%s holds %v", queue, rest)
		}
	}
}

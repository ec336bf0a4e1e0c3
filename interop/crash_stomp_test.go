package interop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/havenmq/havenmq/interop/broker"
	"github.com/havenmq/havenmq/interop/wire"
)

// stompCrash sends to a queue and consumes from it at once; receipts confirm what it sends and what it acknowledges.
type stompCrash struct {
	queue string
	rand  *rand.Rand
	*ledger
	producer, consumer *wire.StompConn
}

// stompInFlight is how many frames wait for their receipt.
const stompInFlight = 50

func (j *stompCrash) String() string { return "STOMP queue: " + j.ledger.String() }

func (j *stompCrash) prepare(_ context.Context, b *broker.Broker) (err error) {
	if j.producer, err = wire.DialSTOMP(b.Addr("stomp"), ""); err != nil {
		return err
	}
	if j.consumer, err = wire.DialSTOMP(b.Addr("stomp"), ""); err != nil {
		return err
	}
	return subscribeIndividually(j.consumer, j.queue)
}

func subscribeIndividually(c *wire.StompConn, queue string) error {
	head := fmt.Sprintf("SUBSCRIBE\nid:1\ndestination:/queue/%s\nack:client-individual\nactivemq.prefetchSize:%d\nreceipt:sub\n\n", queue, stompInFlight)
	if err := c.Write(head, nil); err != nil {
		return err
	}
	_, err := c.Expect("RECEIPT")
	return err
}

func (j *stompCrash) run(context.Context) {
	defer func() { _, _ = j.producer.Close(), j.consumer.Close() }() // the broker is gone
	var all sync.WaitGroup
	room := make(chan struct{}, stompInFlight)
	all.Go(func() { j.receipts(room) })
	all.Go(func() { j.produce(room) })
	all.Go(j.consume)
	all.Wait()
}

// receipts marks what was confirmed and makes room for more.
func (j *stompCrash) receipts(room <-chan struct{}) {
	for {
		f, err := j.producer.Expect("RECEIPT")
		if err != nil {
			_ = j.producer.Close() // so that produce ends too
			for range stompInFlight {
				select {
				case <-room:
				default:
				}
			}
			return
		}
		j.mark(j.confirmed, f.Headers["receipt-id"])
		<-room
	}
}

func (j *stompCrash) produce(room chan<- struct{}) {
	for i := 0; ; i++ {
		room <- struct{}{}
		id := fmt.Sprintf("s%d", i)
		j.mark(j.sent, id)
		if stompSend(j.producer, j.queue, "receipt:"+id+"\n", bodyFor(id, j.rand.IntN(1<<16))) != nil {
			return
		}
	}
}

func stompSend(c *wire.StompConn, queue, headers string, body []byte) error {
	return c.Write(fmt.Sprintf("SEND\ndestination:/queue/%s\npersistent:true\n%scontent-length:%d\n\n", queue, headers, len(body)), body)
}

// consume acknowledges each message; the receipt of an ACK says that it is settled.
func (j *stompCrash) consume() {
	for {
		f, err := j.consumer.Read()
		if err != nil {
			return
		}
		if f.Command == "RECEIPT" {
			j.mark(j.settled, f.Headers["receipt-id"])
			continue
		}
		id := j.receive(f.Body)
		if j.consumer.Write("ACK\nid:"+f.Headers["ack"]+"\nreceipt:"+id+"\n\n", nil) != nil {
			return
		}
	}
}

func (j *stompCrash) verify(ctx context.Context, b *broker.Broker) []string {
	rest, err := drain(ctx, b, j.queue)
	if err != nil {
		return []string{err.Error()}
	}
	if len(j.confirmed) == 0 {
		return []string{"STOMP: nothing was confirmed before the crash"}
	}
	return j.checkQueue(j.queue, rest)
}

// txCrash sends in transactions of several messages, and takes some of them back.
type txCrash struct {
	queue  string
	rand   *rand.Rand
	conn   *wire.StompConn
	groups map[string]*txGroup
}

// txGroup is one transaction.
type txGroup struct {
	size               int
	committed, aborted bool
}

func (j *txCrash) String() string {
	committed := 0
	for _, g := range j.groups {
		if g.committed {
			committed++
		}
	}
	return fmt.Sprintf("STOMP transactions: %d begun, %d committed", len(j.groups), committed)
}

func (j *txCrash) prepare(_ context.Context, b *broker.Broker) (err error) {
	j.conn, err = wire.DialSTOMP(b.Addr("stomp"), "")
	return err
}

func (j *txCrash) run(context.Context) {
	defer func() { _ = j.conn.Close() }() // the broker is gone
	for i := 0; ; i++ {
		g := &txGroup{size: 1 + j.rand.IntN(8), aborted: j.rand.IntN(5) == 0}
		name := fmt.Sprintf("t%d", i)
		j.groups[name] = g
		if j.transaction(name, g) != nil {
			return
		}
	}
}

func (j *txCrash) transaction(name string, g *txGroup) error {
	if err := j.conn.Write("BEGIN\ntransaction:"+name+"\n\n", nil); err != nil {
		return err
	}
	for k := range g.size {
		body := bodyFor(fmt.Sprintf("%s/%d", name, k), j.rand.IntN(1<<16))
		if err := stompSend(j.conn, j.queue, "transaction:"+name+"\n", body); err != nil {
			return err
		}
	}
	end := "COMMIT"
	if g.aborted {
		end = "ABORT"
	}
	if err := j.conn.Write(end+"\ntransaction:"+name+"\nreceipt:"+name+"\n\n", nil); err != nil {
		return err
	}
	_, err := j.conn.Expect("RECEIPT")
	g.committed = err == nil && !g.aborted
	return err
}

func (j *txCrash) verify(ctx context.Context, b *broker.Broker) []string {
	rest, err := drain(ctx, b, j.queue)
	if err != nil {
		return []string{err.Error()}
	}
	var p problems
	found := map[string]int{}
	for id, n := range rest {
		name, _, _ := strings.Cut(id, "/")
		found[name]++
		if n > 1 {
			p.add("%s: %s is there %d times", j.queue, id, n)
		}
		if j.groups[name] == nil {
			p.add("%s: %q was never sent", j.queue, id)
		}
	}
	for name, g := range j.groups {
		switch n := found[name]; {
		case g.committed && n != g.size:
			p.add("%s: %d of %d messages of the committed transaction %s", j.queue, n, g.size, name)
		case g.aborted && n != 0:
			p.add("%s: %d messages of the aborted transaction %s", j.queue, n, name)
		case n != 0 && n != g.size:
			p.add("%s: %d of %d messages of the transaction %s", j.queue, n, g.size, name)
		}
	}
	return p.list()
}

// moveCrash moves messages from queue to queue, each in a transaction of an ACK and a SEND.
type moveCrash struct {
	from, to string
	*ledger
	conn *wire.StompConn
}

// moveCount is how many messages wait to be moved.
const moveCount = 10_000

func (j *moveCrash) String() string { return "STOMP moves: " + j.ledger.String() }

func (j *moveCrash) prepare(_ context.Context, b *broker.Broker) (err error) {
	if j.conn, err = wire.DialSTOMP(b.Addr("stomp"), ""); err != nil {
		return err
	}
	for i := range moveCount {
		id := fmt.Sprintf("v%d", i)
		j.mark(j.sent, id)
		receipt := ""
		if i == moveCount-1 {
			receipt = "receipt:all\n"
		}
		if err := stompSend(j.conn, j.from, receipt, bodyFor(id, 100)); err != nil {
			return err
		}
	}
	if _, err := j.conn.Expect("RECEIPT"); err != nil {
		return err
	}
	return subscribeIndividually(j.conn, j.from)
}

// run confirms each move by the receipt of its COMMIT; many are under way at once.
func (j *moveCrash) run(context.Context) {
	defer func() { _ = j.conn.Close() }() // the broker is gone
	for {
		f, err := j.conn.Read()
		if err != nil {
			return
		}
		if f.Command == "RECEIPT" {
			j.mark(j.confirmed, f.Headers["receipt-id"])
			continue
		}
		if f.Command != "MESSAGE" || j.move(f) != nil {
			return
		}
	}
}

func (j *moveCrash) move(f wire.StompFrame) error {
	id := j.receive(f.Body)
	if err := j.conn.Write("BEGIN\ntransaction:"+id+"\n\n", nil); err != nil {
		return err
	}
	if err := stompSend(j.conn, j.to, "transaction:"+id+"\n", f.Body); err != nil {
		return err
	}
	if err := j.conn.Write("ACK\nid:"+f.Headers["ack"]+"\ntransaction:"+id+"\n\n", nil); err != nil {
		return err
	}
	return j.conn.Write("COMMIT\ntransaction:"+id+"\nreceipt:"+id+"\n\n", nil)
}

func (j *moveCrash) verify(ctx context.Context, b *broker.Broker) []string {
	here, err := drain(ctx, b, j.from)
	if err != nil {
		return []string{err.Error()}
	}
	there, err := drain(ctx, b, j.to)
	if err != nil {
		return []string{err.Error()}
	}
	var p problems
	for id := range j.sent {
		if n := here[id] + there[id]; n != 1 {
			p.add("%s: %s is there %d times, in %s %d times", j.from, id, n, j.to, there[id])
		}
		if j.confirmed[id] && there[id] != 1 {
			p.add("%s: the move of %s was committed, and it is not in %s", j.from, id, j.to)
		}
	}
	return p.list()
}

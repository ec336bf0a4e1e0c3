package core

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

func dup(id string) func(*Message) { return func(m *Message) { m.DupID = id } }

// wantDepth compares how many messages a queue has.
func (r *rig) wantDepth(name string, n uint64) {
	r.Helper()
	r.settle()
	if i := r.queue(name); i.Depth != n {
		r.Fatalf("%s has %d messages, want %d", name, i.Depth, n)
	}
}

func TestDuplicateIsStoredOnce(t *testing.T) {
	r := newRig(t)
	p := r.connect("p")
	p.publish(queueOf("q"), "a", dup("1"))
	if done := p.publish(queueOf("q"), "a", dup("1")); !done.Matched {
		t.Errorf("%+v", done)
	}
	r.connect("another").publish(queueOf("q"), "a", dup("1"))
	r.wantDepth("q", 1)
	p.publish(queueOf("other"), "a", dup("1"))
	r.wantDepth("other", 1)
	p.consume(1, queueOf("q"), 10)
	p.settleAs(Accepted, p.want("a")...)
	p.publish(queueOf("q"), "a", dup("1"))
	r.wantDepth("q", 0)
	if s := r.b.Stats(); s.Duplicates != 3 || s.DuplicateIDs != 2 {
		t.Errorf("%d duplicates, %d ids", s.Duplicates, s.DuplicateIDs)
	}
	r.stop()
	p = r.connect("p")
	p.publish(queueOf("q"), "a", dup("1"))
	r.wantDepth("q", 0)
	p.publish(queueOf("q"), "b", dup("2"))
	r.wantDepth("q", 1)
	if n := r.rows(persist.TableDuplicates); n != 3 {
		t.Errorf("%d rows", n)
	}
}

// TestDuplicateWaitsForTheFirst holds that a repeat is confirmed no sooner than what it repeats.
func TestDuplicateWaitsForTheFirst(t *testing.T) {
	r := newRigOn(t, newMemStore(t))
	p := r.connect("p")
	p.must(Op{Kind: OpDeclare, Dest: queueOf("q")})
	p.send(Op{Kind: OpPublish, Message: text(queueOf("q"), "a", dup("1"))})
	again := p.send(Op{Kind: OpPublish, Message: text(queueOf("q"), "a", dup("1"))})
	for p.poll() {
	}
	if done, ok := p.done[again]; ok {
		t.Fatalf("%+v before the log has the first", done)
	}
	r.restart(0)
	p = r.connect("p")
	r.wantDepth("q", 0)
	p.publish(queueOf("q"), "a", dup("1")) // it was lost, and so was its id
	r.wantDepth("q", 1)
}

func TestDuplicatesInTransactions(t *testing.T) {
	r := newRig(t)
	p := r.connect("p")
	p.fill(queueOf("in"), 1, 1)
	p.consume(1, queueOf("in"), 10)
	got := p.want("1")
	work := func(id TxID, end OpKind) {
		t.Helper()
		p.begin(id)
		p.publishTx(id, queueOf("out"), "a", dup("1"))
		p.publishTx(id, queueOf("out"), "a", dup("1"))
		p.publishTx(id, queueOf("out"), "b", dup("2"))
		p.must(Op{Kind: OpSettle, Tx: id, Tags: []Tag{got[0].Tag}, Outcome: Accepted})
		p.must(Op{Kind: end, Tx: id})
	}
	work(1, OpRollback)
	r.wantDepth("in", 1)
	work(2, OpCommit)
	r.wantDepth("out", 2)
	r.wantDepth("in", 0)
	work(3, OpCommit)
	r.wantDepth("out", 2)
	r.stop()
	p = r.connect("elsewhere")
	p.begin(1)
	p.publishTx(1, queueOf("out"), "b", dup("2"))
	p.publishTx(1, queueOf("out"), "c", dup("3"))
	p.must(Op{Kind: OpCommit, Tx: 1})
	p.consume(1, queueOf("out"), 10)
	p.want("a b c")
}

func TestDuplicateThatMemoryAloneHolds(t *testing.T) {
	r := newRig(t)
	p := r.connect("p")
	p.publish(queueOf("q"), "a", dup("1"), volatile)
	p.publish(queueOf("q"), "a", dup("1"), volatile)
	p.publish(topicOf("nobody.listens"), "a", dup("1"))
	r.wantDepth("q", 1)
	if n := r.rows(persist.TableDuplicates); n != 0 {
		t.Errorf("%d rows", n)
	}
	r.stop()
	p = r.connect("p")
	p.publish(queueOf("q"), "a", dup("1"), volatile) // what was lost is no duplicate
	r.wantDepth("q", 1)
}

func TestDuplicateOnATopic(t *testing.T) {
	r := newRig(t)
	p, s := r.connect("p"), r.connect("s")
	s.consume(1, topicOf("t.>"), 10, func(q *SubscribeRequest) { q.Durable, q.Name = true, "n" })
	p.publish(topicOf("t.a"), "a", dup("1"), retained)
	p.publish(topicOf("t.a"), "b", dup("2"), retained)
	p.publish(topicOf("t.a"), "a", dup("1"), retained)
	s.want("a b")
	late := r.connect("late")
	late.consume(1, topicOf("t.>"), 10, func(q *SubscribeRequest) { q.Retained = true })
	late.want("b")
}

func TestWindowOfAProducer(t *testing.T) {
	r := newRig(t)
	p, other := r.connect("p"), r.connect("other")
	p.must(Op{Kind: OpDeclare, Dest: queueOf("q")})
	other.publish(queueOf("q"), "x", dup("x"))
	for i := range dupWindow + 1 {
		p.send(Op{Kind: OpPublish, Message: text(queueOf("q"), "a", dup(fmt.Sprint(i)))})
	}
	p.pump()
	again := func(id string, n uint64) {
		t.Helper()
		p.publish(queueOf("q"), "a", dup(id))
		r.wantDepth("q", n)
	}
	r.wantDepth("q", dupWindow+2)
	again("1", dupWindow+2)
	again("x", dupWindow+2)
	again(fmt.Sprint(dupWindow), dupWindow+2)
	again("0", dupWindow+3) // pushes 1 out
	if n := r.rows(persist.TableDuplicates); n != dupWindow+1 {
		t.Errorf("%d rows", n)
	}
	r.stop()
	p = r.connect("p")
	again("2", dupWindow+3)
	again("x", dupWindow+3)
	again("0", dupWindow+3)
	again("1", dupWindow+4) // pushes 2 out
	again("2", dupWindow+5)
	if n := r.rows(persist.TableDuplicates); n != dupWindow+1 {
		t.Errorf("%d rows", n)
	}
}

// TestDuplicatesAreBounded plays producers against a list: above the limit of all, the oldest ids go, whosever they are,
// in the store too; after a crash what was committed is remembered.
func TestDuplicatesAreBounded(t *testing.T) {
	const limit = 12
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := newRigOn(t, newMemStore(t), func(o *Options) { o.Limits.DuplicateIDs = limit })
		r.connect("").must(Op{Kind: OpDeclare, Dest: queueOf("q")})
		var known []string
		depth := uint64(0)
		for range 40 {
			p := r.connect([]string{"", "a", "b", "c"}[rng.IntN(4)])
			for range 1 + rng.IntN(5) {
				id := fmt.Sprint(rng.IntN(20))
				p.publish(queueOf("q"), id, dup(id))
				if !slices.Contains(known, id) {
					known = append(known, id)
					known = known[max(len(known)-limit, 0):]
					depth++
				}
			}
			r.wantDepth("q", depth)
			p.close()
			if rng.IntN(4) == 0 {
				r.stop()
			}
			if n := r.rows(persist.TableDuplicates); n > limit+1 { // the row of what was forgotten last may be there yet
				t.Fatalf("seed %d: %d rows", seed, n)
			}
		}
	}
}

func TestDuplicateThatTheStoreRefused(t *testing.T) {
	r := newRigOn(t, newMemStore(t))
	p := r.connect("p")
	p.must(Op{Kind: OpDeclare, Dest: queueOf("q")})
	r.memory().full = true
	if done := p.ask(Op{Kind: OpPublish, Message: text(queueOf("q"), "a", dup("1"))}); !errors.Is(done.Err, ErrFull) {
		t.Fatalf("%+v", done)
	}
	p.begin(1)
	p.publishTx(1, queueOf("q"), "b", dup("2"))
	if done := p.ask(Op{Kind: OpCommit, Tx: 1}); done.Err == nil {
		t.Fatal("it was committed")
	}
	r.memory().full = false
	p.publish(queueOf("q"), "a", dup("1"))
	p.publish(queueOf("q"), "b", dup("2"))
	r.wantDepth("q", 2)
}

func TestDuplicateIDsLength(t *testing.T) {
	r := newRig(t)
	p := r.connect("p")
	p.publish(queueOf("q"), "a", dup(strings.Repeat("x", MaxDupIDBytes)))
	long := text(queueOf("q"), "a", dup(strings.Repeat("x", MaxDupIDBytes+1)))
	if done := p.ask(Op{Kind: OpPublish, Message: long}); !errors.Is(done.Err, ErrInvalid) {
		t.Errorf("%+v", done)
	}
	p.begin(1)
	if done := p.ask(Op{Kind: OpPublish, Tx: 1, Message: long}); !errors.Is(done.Err, ErrInvalid) {
		t.Errorf("%+v", done)
	}
	if done := p.ask(Op{Kind: OpCommit, Tx: 1}); done.Err == nil {
		t.Error("it was committed")
	}
	r.wantDepth("q", 1)
}

func TestDuplicateInAQueueMadeAnew(t *testing.T) {
	r := newRig(t)
	p := r.connect("p")
	p.publish(queueOf("q"), "a", dup("1"))
	if err := r.b.DeleteQueue(queueOf("q")); err != nil {
		t.Fatal(err)
	}
	p.publish(queueOf("q"), "a", dup("1"))
	r.wantDepth("q", 1)
	r.stop()
	r.connect("p").publish(queueOf("q"), "a", dup("1"))
	r.wantDepth("q", 1)
}

// TestDuplicateWithAPacketID holds that QoS 2 knows the packet id of a message that was not stored again.
func TestDuplicateWithAPacketID(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", false, ExpiryNever)
	send := func(packet uint16) error {
		return p.ask(Op{Kind: OpPublish, Inbound: packet, Message: text(queueOf("q"), "a", dup("1"), quality(2))}).Err
	}
	if err := errors.Join(send(1), send(2)); err != nil {
		t.Fatal(err)
	}
	r.wantDepth("q", 1)
	r.stop()
	var present Completion
	if p, present = r.mqtt("m", false, ExpiryNever); len(present.Inbound) != 2 {
		t.Errorf("packet ids %v", present.Inbound)
	}
	if err := send(2); !errors.Is(err, ErrDuplicate) {
		t.Error(err)
	}
}

// TestDuplicatesAtOnce has many connections send the same ids at the same time, some in transactions.
func TestDuplicatesAtOnce(t *testing.T) {
	r := newRigOn(t, newMemStore(t))
	const senders, ids = 8, 200
	r.connect("").must(Op{Kind: OpDeclare, Dest: queueOf("q")})
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			c := r.b.Attach(&wakes{}, "here")
			c.Do([]Op{{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "amqp"}}}, r.now)
			for i := range ids {
				m := text(queueOf("q"), "a", dup(fmt.Sprint(i)))
				if s%2 == 0 {
					c.Do([]Op{{Kind: OpPublish, Message: m}}, r.now)
					continue
				}
				c.Do([]Op{{Kind: OpBegin, Tx: 1}, {Kind: OpPublish, Tx: 1, Message: m}, {Kind: OpCommit, Tx: 1}}, r.now)
			}
		})
	}
	all.Wait()
	r.wantDepth("q", ids)
	if s := r.b.Stats(); s.Duplicates != (senders-1)*ids {
		t.Errorf("%d duplicates", s.Duplicates)
	}
}

package core

import (
	"errors"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

func (p *peer) begin(id TxID) { p.Helper(); p.must(Op{Kind: OpBegin, Tx: id}) }

func (p *peer) publishTx(id TxID, d Destination, body string, change ...func(*Message)) Completion {
	p.Helper()
	return p.ask(Op{Kind: OpPublish, Tx: id, Message: text(d, body, change...)})
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		commit bool
		keep   int // units that a crash leaves
		want   string
		left   uint64
	}{
		{"committed", true, -1, "a b", 0},
		{"rolled back", false, -1, "", 2},
		{"lost", true, 0, "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			p := r.connect("")
			p.fill(queueOf("in"), 1, 2)
			p.must(Op{Kind: OpDeclare, Dest: queueOf("out")})
			p.consume(1, queueOf("in"), 10)
			got := p.want("1 2")
			p.begin(1)
			for i, body := range []string{"a", "b"} {
				if done := p.publishTx(1, queueOf("out"), body); done.Err != nil {
					t.Fatal(done.Err)
				}
				p.must(Op{Kind: OpSettle, Tx: 1, Tags: []Tag{got[i].Tag, nil}, Outcome: Accepted})
			}
			if i := r.queue("out"); i.Depth != 0 {
				t.Errorf("before the end: %+v", i)
			}
			kind := OpRollback
			if c.commit {
				kind = OpCommit
			}
			if c.keep < 0 {
				p.must(Op{Kind: kind, Tx: 1})
			} else {
				p.send(Op{Kind: kind, Tx: 1})
			}
			if !c.commit { // still in flight, and may be settled otherwise
				if i := r.queue("in"); i.InFlight != 2 {
					t.Errorf("%+v", i)
				}
				p.settleAs(Released, got[0])
			}
			r.restart(c.keep)
			p = r.connect("")
			p.consume(1, queueOf("out"), 10)
			p.want(c.want)
			if i := r.queue("in"); i.Depth != c.left {
				t.Errorf("%+v", i)
			}
		})
	}
}

func TestTransactionOutcomes(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 4)
	p.fill(queueOf("q"), 5, 1, volatile)
	p.consume(1, queueOf("q"), 5)
	got := p.take()
	p.begin(1)
	for i, o := range []Outcome{Accepted, Released, Rejected, Failed, Accepted} {
		p.must(Op{Kind: OpSettle, Tx: 1, Tags: []Tag{got[i].Tag}, Outcome: o})
	}
	p.settleAs(Accepted, got...) // they are the transaction's
	if i := r.queue("q"); i.Depth != 5 || i.InFlight != 5 {
		t.Fatalf("%+v", i)
	}
	p.must(Op{Kind: OpCommit, Tx: 1})
	p.grant(1, 10)
	if got := p.want("2 4"); got[0].Attempts != 0 || got[1].Attempts != 1 {
		t.Errorf("%+v", got)
	}
	r.restart(0)
	if i := r.queue(dlq.Name); i.Depth != 1 {
		t.Errorf("%+v", i)
	}
	if i := r.queue("q"); i.Depth != 2 {
		t.Errorf("%+v", i)
	}
}

func TestTransactionEndsWithItsConnection(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 1)
	p.consume(1, queueOf("q"), 5)
	p.begin(1)
	p.publishTx(1, queueOf("out"), "x")
	p.must(Op{Kind: OpSettle, Tx: 1, Tags: []Tag{p.want("1")[0].Tag}, Outcome: Accepted})
	p.close()
	p = r.connect("")
	p.consume(1, queueOf("q"), 5)
	p.consume(2, queueOf("out"), 5)
	p.settleAs(Accepted, p.want("1")...)
	if s := r.b.Stats(); s.MemoryBytes != 0 {
		t.Errorf("%d bytes in memory", s.MemoryBytes)
	}
}

func TestTransactionThatCannotBeCommitted(t *testing.T) {
	limits := func(o *Options) { o.Limits.TxOps, o.Limits.TxBytes = 3, 2000 }
	for _, c := range []struct {
		name string
		do   func(r *rig, p *peer) error
	}{
		{"too many operations", func(r *rig, p *peer) (err error) {
			for range 4 {
				err = p.publishTx(1, queueOf("out"), "x").Err
			}
			return err
		}},
		{"too many bytes", func(r *rig, p *peer) error {
			return p.publishTx(1, queueOf("out"), string(make([]byte, 2000))).Err
		}},
		{"too much memory for all of them", func(r *rig, p *peer) error {
			r.b.limits.MemoryBytes = 1000
			p.begin(2)
			if err := p.publishTx(2, queueOf("out"), "x").Err; err != nil {
				return nil
			}
			return p.publishTx(1, queueOf("out"), "x").Err
		}},
		{"a publish that is refused", func(r *rig, p *peer) error {
			return p.publishTx(1, queueOf("out.*"), "x").Err
		}},
		{"a full store", func(r *rig, p *peer) error {
			r.memory().full = true
			return p.publishTx(1, queueOf("in"), "x").Err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, limits)
			p := r.connect("")
			p.fill(queueOf("in"), 1, 1)
			p.consume(1, queueOf("in"), 5)
			got := p.want("1")
			p.begin(1)
			p.must(Op{Kind: OpSettle, Tx: 1, Tags: []Tag{got[0].Tag}, Outcome: Accepted})
			if err := c.do(r, p); (err == nil) != (c.name == "a full store") {
				t.Errorf("answered %v", err)
			}
			if done := p.ask(Op{Kind: OpCommit, Tx: 1}); !errors.Is(done.Err, &Error{Code: CodeRolledBack}) {
				t.Errorf("committed: %v", done.Err)
			}
			if done := p.ask(Op{Kind: OpCommit, Tx: 1}); !errors.Is(done.Err, ErrNotFound) {
				t.Errorf("committed twice: %v", done.Err)
			}
			r.memory().full = false
			p.settleAs(Released, got...) // as if nothing had been said
			p.want("1")
			r.restart(0)
			if i := r.queue("in"); i.Depth != 1 {
				t.Errorf("%+v", i)
			}
		})
	}
}

func TestTransactionsThatAreNone(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.begin(1)
	for _, op := range []Op{{Kind: OpBegin, Tx: 1}, {Kind: OpBegin}} {
		if done := p.ask(op); !errors.Is(done.Err, ErrInvalid) {
			t.Error(done.Err)
		}
	}
	for _, op := range []Op{{Kind: OpCommit, Tx: 2}, {Kind: OpRollback, Tx: 2}, {Kind: OpSettle, Tx: 2, Outcome: Accepted},
		{Kind: OpPublish, Tx: 2, Message: text(queueOf("q"), "x")}} {
		if done := p.ask(op); !errors.Is(done.Err, ErrNotFound) {
			t.Errorf("op %d: %v", op.Kind, done.Err)
		}
	}
	for i := range maxTxs - 1 {
		p.begin(TxID(i + 2))
	}
	if done := p.ask(Op{Kind: OpBegin, Tx: 5000}); !errors.Is(done.Err, ErrFull) {
		t.Error(done.Err)
	}
	if list, _ := r.b.Clients(0, "", 0); len(list) != 1 || list[0].Transactions != maxTxs {
		t.Errorf("%+v", list)
	}
}

func TestTransactionWhoseQueueWasPurgedOrDeleted(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 1)
	p.consume(1, queueOf("q"), 5)
	got := p.want("1")
	p.begin(1)
	p.must(Op{Kind: OpSettle, Tx: 1, Tags: []Tag{got[0].Tag}, Outcome: Accepted})
	p.publishTx(1, queueOf("out"), "x")
	p.must(Op{Kind: OpUnsubscribe, Sub: 1}) // it goes back
	for _, name := range []string{"q", "out"} {
		if err := r.b.DeleteQueue(queueOf(name)); err != nil {
			t.Fatal(err)
		}
	}
	p.must(Op{Kind: OpCommit, Tx: 1})
	if i := r.queue("out"); i.Depth != 1 {
		t.Errorf("%+v", i)
	}
}

func TestTransactionWithRetainedAndTopics(t *testing.T) {
	r := newRig(t)
	p := r.connect("c")
	p.consume(1, topicOf("t"), 10, lasting("d"))
	p.consume(2, topicOf("t"), 10)
	p.begin(1)
	p.publishTx(1, topicOf("t"), "kept", retained)
	p.publishTx(1, topicOf("t"), "x", volatile)
	p.want("")
	p.must(Op{Kind: OpCommit, Tx: 1})
	p.want("kept x kept x")
	p.consume(3, topicOf("t"), 10, func(q *SubscribeRequest) { q.Retained = true })
	p.want("kept")
}

// JMS clients close their consumer, and STOMP clients unsubscribe, before they commit.
func TestSettlesOutliveTheirSubscription(t *testing.T) {
	for _, c := range []struct {
		name  string
		end   OpKind
		purge bool
		left  string
	}{{"committed", OpCommit, false, "3"}, {"rolled back", OpRollback, false, "1 2 3"}, {"purged", OpCommit, true, ""}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			p, other := r.connect(""), r.connect("")
			p.fill(queueOf("q"), 1, 3)
			p.consume(1, queueOf("q"), 3)
			got := p.want("1 2 3")
			p.begin(1)
			p.must(Op{Kind: OpSettle, Tx: 1, Tags: []Tag{got[0].Tag, got[1].Tag}, Outcome: Accepted})
			p.must(Op{Kind: OpUnsubscribe, Sub: 1})
			if i := r.queue("q"); i.InFlight != 2 || i.Depth != 3 {
				t.Errorf("%+v", i)
			}
			if page, err := r.b.Browse(queueOf("q"), "", 0); err != nil || !page.Messages[0].InFlight || page.Messages[2].InFlight {
				t.Errorf("%+v %v", page, err)
			}
			if c.purge {
				r.b.Purge(queueOf("q"))
			}
			p.must(Op{Kind: c.end, Tx: 1})
			other.consume(1, queueOf("q"), 10)
			other.settleAs(Accepted, other.want(c.left)...)
			if i := r.queue("q"); i.Depth != 0 || i.InFlight != 0 || len(r.b.queues[queueOf("q")].leaving) != 0 {
				t.Errorf("%+v", i)
			}
			r.restart(0)
			if i := r.queue("q"); i.Depth != 0 {
				t.Errorf("%+v", i)
			}
		})
	}
}

// A settle of what was purged is confirmed when the purge is, and not at all when the store never took that.
func TestSettleOfWhatIsGoneWaitsForTheLog(t *testing.T) {
	for _, tx := range []TxID{0, 1} {
		r := newRig(t)
		p := r.connect("")
		p.fill(queueOf("q"), 1, 2)
		p.consume(1, queueOf("q"), 3)
		got := p.want("1 2")
		say := func(i int) Ticket {
			if tx == 0 {
				return p.send(Op{Kind: OpSettle, Tags: []Tag{got[i].Tag}, Outcome: Accepted})
			}
			return p.send(Op{Kind: OpCommit, Tx: tx + TxID(i)})
		}
		if tx != 0 {
			for i := range got {
				p.begin(tx + TxID(i))
				p.must(Op{Kind: OpSettle, Tx: tx + TxID(i), Tags: []Tag{got[i].Tag}, Outcome: Accepted})
			}
		}
		if _, err := r.b.Purge(queueOf("q")); err != nil {
			t.Fatal(err)
		}
		ticket := say(0)
		for p.poll() {
		}
		if _, ok := p.done[ticket]; ok {
			t.Errorf("tx %d: it was answered before the purge was committed", tx)
		}
		p.pump()
		if done, ok := p.done[ticket]; !ok || done.Err != nil {
			t.Errorf("tx %d: %v %v", tx, ok, done.Err)
		}
		r.memory().refuse = persist.ErrClosed
		if done := p.ask(Op{Kind: OpPublish, Message: text(queueOf("q"), "x")}); !errors.Is(done.Err, ErrShutdown) {
			t.Error(done.Err)
		}
		ticket = say(1)
		p.pump()
		if done := p.done[ticket]; done.Err == nil {
			t.Errorf("tx %d: confirmed by a store that is closed", tx)
		}
		if n, err := r.b.Purge(queueOf("q")); n != 0 || err == nil {
			t.Errorf("purged %d, %v", n, err)
		}
	}
}

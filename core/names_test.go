package core

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestNamesAreBounded has clients take all the room that there is for names, in each way there is, and give it back.
func TestNamesAreBounded(t *testing.T) {
	long := func(i int) string { return fmt.Sprint(i, strings.Repeat(".x", 5_000)) }
	bounded := func(o *Options) { o.Limits.NameBytes = 20 << 20 }
	for name, c := range map[string]struct {
		take func(p *peer, i int) error
		back func(p *peer, i int)
	}{
		"filters": {func(p *peer, i int) error {
			return p.ask(Op{Kind: OpFilter, Filter: &Filter{Pattern: topicOf(long(i))}}).Err
		}, func(p *peer, i int) { p.must(Op{Kind: OpUnfilter, Filter: &Filter{Pattern: topicOf(long(i))}}) }},
		"live": {func(p *peer, i int) error {
			return p.ask(Op{Kind: OpSubscribe, Sub: SubID(i + 1), Subscribe: &SubscribeRequest{Source: topicOf(long(i))}}).Err
		}, func(p *peer, i int) { p.must(Op{Kind: OpUnsubscribe, Sub: SubID(i + 1)}) }},
		"durable": {func(p *peer, i int) error {
			return p.ask(Op{Kind: OpSubscribe, Sub: SubID(i + 1), Subscribe: &SubscribeRequest{Source: topicOf(long(i)), Durable: true, Name: long(i)}}).Err
		}, func(p *peer, i int) { p.must(Op{Kind: OpUnsubscribe, Sub: SubID(i + 1), Forget: true}) }},
		"queues": {func(p *peer, i int) error { return p.ask(Op{Kind: OpDeclare, Dest: queueOf(long(i))}).Err }, func(p *peer, i int) {
			if err := p.b.DeleteQueue(queueOf(long(i))); err != nil {
				t.Error(err)
			}
		}},
		"temporary": {func(p *peer, i int) error {
			return p.ask(Op{Kind: OpDeclare, Dest: Destination{TempQueue, long(i)}}).Err
		},
			func(p *peer, i int) { p.must(Op{Kind: OpUndeclare, Dest: Destination{TempQueue, long(i)}}) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, bounded)
			p, _ := r.mqtt("m", true, ExpiryNever)
			before := r.b.nameBytes()
			n := 0
			var err error
			for ; err == nil && n < 5000; n++ {
				err = c.take(p, n)
			}
			if n--; !errors.Is(err, ErrFull) || n < 8 || len(err.Error()) > 1000 {
				t.Fatalf("after %d: %v", n, err)
			}
			if now := r.b.nameBytes(); now > r.o.Limits.NameBytes {
				t.Errorf("%d bytes", now)
			}
			for i := range n {
				c.back(p, i)
			}
			if now := r.b.nameBytes(); now != before {
				t.Errorf("%d bytes before, %d after", before, now)
			}
			if err := c.take(p, 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNamesAreCountedAgain opens a broker on what another has left.
func TestNamesAreCountedAgain(t *testing.T) {
	r := newRig(t)
	p, _ := r.mqtt("m", true, ExpiryNever)
	p.must(Op{Kind: OpFilter, Filter: &Filter{Pattern: topicOf("a.*.>"), MaxQoS: 1}})
	p.must(Op{Kind: OpDeclare, Dest: queueOf("q")})
	p.must(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: topicOf("t"), Durable: true, Name: "n"}})
	before := r.b.nameBytes()
	r.stop()
	if now := r.b.nameBytes(); now != before || now < 1000 {
		t.Errorf("%d bytes before, %d after", before, now)
	}
}

func TestQueuesAreBounded(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Queues = 2 })
	p := r.connect("")
	p.publish(queueOf("1"), "x")
	p.must(Op{Kind: OpDeclare, Dest: Destination{Kind: TempQueue}})
	for _, err := range []error{p.ask(Op{Kind: OpDeclare, Dest: Destination{Kind: TempQueue}}).Err, r.b.CreateQueue(queueOf("2")),
		p.ask(Op{Kind: OpPublish, Message: text(queueOf("2"), "x")}).Err} {
		if !errors.Is(err, ErrFull) {
			t.Error(err)
		}
	}
	if err := r.b.DeleteQueue(queueOf("1")); err != nil {
		t.Fatal(err)
	}
	p.publish(queueOf("2"), "x")
}

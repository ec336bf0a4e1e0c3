package core

import (
	"fmt"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

func TestRetained(t *testing.T) {
	r := newRig(t)
	s := r.connect("s")
	s.publish(topicOf("a.1"), "old", retained)
	s.publish(topicOf("a.1"), "one", retained)
	s.publish(topicOf("a.2"), "two", retained)
	s.publish(topicOf("a.3"), "three", retained)
	s.publish(topicOf("a.3"), "", retained) // taken away
	s.publish(topicOf("ab"), "x", retained)
	s.publish(topicOf("a"), "self", retained)
	s.publish(topicOf("$sys.a"), "sys", retained)
	s.publish(topicOf("a.4"), "late", retained, expires(r.now+1000))
	s.publish(topicOf("a.5"), "not")
	r.sleep(1000)
	r.stop()
	for i, c := range []struct{ pattern, want string }{
		{"a.1", "one"}, {"a.*", "one two"}, {"a.>", "self one two"}, {"*", "self x"}, {"b.>", ""}, {"$sys.>", "sys"}, {">", "self one two x"}, {"*.2", "two"},
	} {
		p, _ := r.mqtt(fmt.Sprint("m", i), true, 0)
		p.grant(InboxSub, 100)
		p.filter(c.pattern, 1)
		for _, d := range p.want(c.want) {
			if !d.Retained || d.QoS != 1 {
				t.Errorf("%s: %+v", c.pattern, d)
			}
		}
		live := r.connect("")
		live.consume(1, topicOf(c.pattern), 100, func(q *SubscribeRequest) { q.Retained = true })
		for _, d := range live.want(c.want) {
			if !d.Retained {
				t.Errorf("%s: %+v", c.pattern, d)
			}
		}
	}
}

func TestWhenRetainedAreSent(t *testing.T) {
	for _, c := range []struct {
		mode          RetainedMode
		first, second string
	}{{RetainedAlways, "x", "x"}, {RetainedIfNew, "x", ""}, {RetainedNever, "", ""}} {
		r := newRig(t)
		r.connect("s").publish(topicOf("a"), "x", retained)
		p, _ := r.mqtt("m", true, 0)
		p.grant(InboxSub, 100)
		mode := func(f *Filter) { f.Retained = c.mode }
		p.filter("a", 0, mode)
		p.want(c.first)
		p.filter("a", 0, mode)
		p.want(c.second)
	}
}

func TestRetainedForALastingInboxIsStored(t *testing.T) {
	r := newRig(t)
	r.connect("s").publish(topicOf("a"), "x", retained, quality(1))
	p, _ := r.mqtt("m", true, ExpiryNever)
	p.filter("a", 2, withID(5))
	r.settle()
	r.restart(0)
	p, _ = r.mqtt("m", false, ExpiryNever)
	p.grant(InboxSub, 10)
	if got := p.want("x"); !got[0].Retained || got[0].QoS != 1 || got[0].IDs[0] != 5 {
		t.Errorf("%+v", got[0])
	}
}

func TestManyRetained(t *testing.T) {
	r := newRig(t)
	s := r.connect("s")
	for i := range 3000 {
		s.c.Do([]Op{{Kind: OpPublish, Message: text(topicOf(fmt.Sprintf("a.%04d", i)), fmt.Sprint(i), retained)}}, r.now)
	}
	p, _ := r.mqtt("m", true, 0)
	p.grant(InboxSub, 10_000)
	p.filter("a.*", 1)
	if got := bodiesOf(p.take()); got != numbers(0, 3000) {
		t.Error(len(got))
	}
}

// A retained message that expired is forgotten when somebody comes across it, unless there is a newer one.
func TestExpiredRetainedAreForgotten(t *testing.T) {
	r := newRig(t)
	s := r.connect("s")
	s.publish(topicOf("a"), "1", retained, expires(r.now+1000))
	s.publish(topicOf("b"), "2", retained, expires(r.now+1000))
	r.sleep(1000)
	p := r.connect("")
	s.send(Op{Kind: OpPublish, Message: text(topicOf("b"), "newer", retained)}) // not committed yet
	p.send(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: topicOf(">"), Retained: true}})
	r.b.pager.runAlone()
	r.settle()
	if n := r.rows(persist.TableRetained); n != 1 {
		t.Errorf("%d rows", n)
	}
	q := r.connect("")
	q.consume(1, topicOf(">"), 10, func(q *SubscribeRequest) { q.Retained = true })
	q.want("newer")
}

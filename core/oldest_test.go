package core

import "testing"

func madeAt(ms int64) func(*Message) { return func(m *Message) { m.TimestampMs = ms } }

// TestOldestAfterARestart asks for the age of messages that nobody has read since the broker was opened.
func TestOldestAfterARestart(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("p")
	p.fill(queueOf("q"), 1, 1, madeAt(r.now-5000))
	p.fill(queueOf("q"), 2, 50, madeAt(r.now-3000))
	p.fill(queueOf("q"), 52, 50, madeAt(r.now-9000), priority(9))
	p.fill(queueOf("empty"), 1, 1, madeAt(r.now-5000))
	p.consume(1, queueOf("empty"), 1)
	p.settleAs(Accepted, p.want("1")...)
	r.stop()
	if i := r.queue("q"); i.OldestMs != 9000 {
		t.Errorf("%+v", i)
	}
	if i := r.queue("empty"); i.OldestMs != 0 {
		t.Errorf("%+v", i)
	}
	r.stop()
	r.b.Queues("", "", 10) // asks
	r.settle()
	if list, _ := r.b.Queues("", "", 10); len(list) != 2 || list[1].OldestMs != 9000 || list[0].OldestMs != 0 {
		t.Errorf("%+v", list)
	}
	p = r.connect("p")
	p.consume(1, queueOf("q"), 51)
	p.settleAs(Accepted, p.take()...)
	r.settle()
	if i := r.queue("q"); i.OldestMs != 3000 {
		t.Errorf("%+v", i)
	}
	if _, err := r.b.Purge(queueOf("q")); err != nil {
		t.Fatal(err)
	}
	if i := r.queue("q"); i.OldestMs != 0 {
		t.Errorf("%+v", i)
	}
}

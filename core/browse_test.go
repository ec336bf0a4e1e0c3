package core

import (
	"errors"
	"testing"
)

func browsing(q *SubscribeRequest) { q.Browse = true }

func TestBrowserSeesAllAndTakesNothing(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 600)
	p.fill(queueOf("q"), 601, 3, volatile)
	p.fill(queueOf("q"), 604, 1, notBefore(r.now+1000))
	p.consume(1, queueOf("q"), 5)
	p.settleAs(Failed, p.want(numbers(1, 5))[0])
	p.consume(2, queueOf("q"), 10, browsing)
	if got := p.want(numbers(1, 10)); got[0].Tag != nil || got[0].Attempts != 1 {
		t.Errorf("%+v", got[0])
	}
	if len(p.drained) != 0 {
		t.Error("it said that this was all")
	}
	p.grant(2, 1000)
	p.want(numbers(11, 594))
	if len(p.drained) != 1 || p.drained[0].Sub != 2 || p.drained[0].Used != 604 {
		t.Errorf("%+v", p.drained)
	}
	if d := p.drain(2); d.Used != 1010 { // after the end there is an answer too
		t.Errorf("%+v", d)
	}
	if i := r.queue("q"); i.Depth != 604 {
		t.Errorf("%+v", i)
	}
}

func TestBrowserDrains(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 3)
	p.consume(1, queueOf("q"), 0, browsing)
	p.credit[1] = 10
	if d := p.drain(1); d.Used != 10 {
		t.Errorf("%+v", d)
	}
	p.want("1 2 3")
	p.consume(2, Destination{Queue, "empty"}, 5, browsing)
	if len(p.drained) != 2 {
		t.Error("an empty queue has no end")
	}
}

func TestBrowserOfWhatIsPurgedEnds(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 600)
	if _, err := r.b.Purge(queueOf("q")); err != nil { // not committed yet
		t.Fatal(err)
	}
	p.send(Op{Kind: OpSubscribe, Sub: 1, Subscribe: &SubscribeRequest{Source: queueOf("q"), Browse: true}})
	p.send(Op{Kind: OpCredit, Sub: 1, Limit: 100})
	r.b.pager.runAlone()
	p.want("")
	if len(p.drained) != 1 {
		t.Error("no end")
	}
}

func TestBrowsePages(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	p.fill(queueOf("q"), 1, 50)
	p.publish(queueOf("q"), "first", priority(9))
	p.consume(1, queueOf("q"), 1)
	p.settleAs(Rejected, p.want("first")...)
	p.grant(1, 1)
	p.want("1")
	var all []BrowsedMessage
	for cursor, n := "", 0; ; n++ {
		page, err := r.b.Browse(queueOf("q"), cursor, 7)
		if err != nil || n > 10 {
			t.Fatal(n, err)
		}
		all = append(all, page.Messages...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(all) != 50 || !all[0].InFlight || all[1].InFlight || string(all[49].Message.Bare) != "50" || all[3].Priority != 4 || !all[3].Durable {
		t.Errorf("%d: %+v", len(all), all)
	}
	page, err := r.b.Browse(queueOf("q"), all[10].Cursor, 1)
	if err != nil || string(page.Messages[0].Message.Bare) != "11" {
		t.Errorf("%+v %v", page, err)
	}
	for _, cursor := range []string{"?", "AAAA"} {
		if _, err := r.b.Browse(queueOf("q"), cursor, 1); !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	}
	if page, err := r.b.Browse(dlq, "", 0); err != nil || page.Messages[0].Reason != ReasonRejected {
		t.Errorf("%+v %v", page, err)
	}
	r.stop()
	if page, err := r.b.Browse(dlq, "", 0); err != nil || page.Messages[0].Reason != ReasonRejected {
		t.Errorf("%+v %v", page, err)
	}
	r.memory().readErr = errors.New("sector 7")
	if _, err := r.b.Browse(dlq, "", 0); err == nil {
		t.Error("no error")
	}
	r.memory().readErr = nil
}

func TestBrowseOfATemporaryQueue(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	d := p.must(Op{Kind: OpDeclare, Dest: Destination{Kind: TempQueue}}).Dest
	p.fill(d, 1, 5)
	page, err := r.b.Browse(d, "", 3)
	if err != nil || len(page.Messages) != 3 || page.Next == "" {
		t.Fatalf("%+v %v", page, err)
	}
	if page, err = r.b.Browse(d, page.Next, 3); err != nil || len(page.Messages) != 2 || page.Next != "" {
		t.Fatalf("%+v %v", page, err)
	}
}

// A look at large messages reads so many that they fit the bound, and the next one goes on there.
func TestBrowseIsBoundedInBytes(t *testing.T) {
	r := newRig(t, smallWindow)
	p := r.connect("")
	large := func(m *Message) { m.Bare = append(m.Bare, make([]byte, 1<<20)...) }
	p.fill(queueOf("q"), 1, 40, large)
	p.fill(queueOf("q"), 41, 1, large, volatile)
	seen, pages, cursor := 0, 0, ""
	for {
		page, err := r.b.Browse(queueOf("q"), cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Messages) > 24 { // the window is in memory already
			t.Errorf("%d messages of a megabyte", len(page.Messages))
		}
		seen, pages = seen+len(page.Messages), pages+1
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if seen != 41 || pages < 3 {
		t.Errorf("%d messages on %d pages", seen, pages)
	}
}

package rim

import (
	"testing"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// TestARationIsARate: a stream goes at its rate and twice what is appended, saves up no more than a chunk, and is free when nobody appends.
func TestARationIsARate(t *testing.T) {
	const chunk = 1000
	now, received := time.Unix(1000, 0), persist.Pos(0)
	q := ration{rate: 10_000}
	sent := func(d, each time.Duration, appended persist.Pos) (n int) {
		for end := now.Add(d); now.Before(end); {
			rest := q.rest(now, received, chunk)
			if rest == 0 {
				q.sent(chunk)
				n += chunk
				if n > 1_000_000 {
					return n
				}
				continue
			}
			now = now.Add(min(rest, each))
			received += appended
		}
		return n
	}
	if n := sent(time.Second, 10*time.Millisecond, 1); n < 10_000 || n > 13_000 {
		t.Errorf("%d bytes in a second, of which 10,000 are the rate and 200 for what was appended", n)
	}
	if n := sent(time.Second, 10*time.Millisecond, 1000); n < 190_000 || n > 220_000 {
		t.Errorf("%d bytes in a second, while 100,000 were appended", n)
	}
	now = now.Add(time.Hour)
	received++
	if n := sent(50*time.Millisecond, 10*time.Millisecond, 1); n > 3*chunk {
		t.Errorf("%d bytes at once, after an hour", n)
	}
	if n := sent(time.Second, 10*time.Millisecond, 0); n <= 1_000_000 {
		t.Errorf("%d bytes in a second, while nothing was appended", n)
	}
}

// TestAStreamThatIsBehindLeavesRoom: a replica that lacks what is committed without it is sent that slowly, frames pass
// meanwhile, and when clients append no more it comes at once. What is not committed never waits.
func TestAStreamThatIsBehindLeavesRoom(t *testing.T) {
	n := begin(t, func(o *Options) { o.BehindBytes, o.BehindRate, o.BehindChunk = 1, 1, 8<<10 })
	n.lead()
	body := make([]byte, 10<<10)
	for range 30 {
		n.send(string(body))
	}
	n.do(ha.Listen{})
	c := n.call()
	say(t, c, ha.Hello{})
	g, ok := anything(n).(ha.Got)
	for ; !ok; g, ok = anything(n).(ha.Got) {
	}
	end := n.Store().Received()
	n.do(ha.Commit{Commit: end, Confirm: end}, ha.Stream{Link: g.Link, Epoch: 1, From: 0})
	first := appended(t, c)
	if first >= uint64(end) {
		t.Fatalf("all %d bytes came at once", first)
	}
	n.do(ha.Send{Link: g.Link, Frame: ha.Heartbeat{Epoch: 1, Seq: 77}})
	got := first
	for beat := false; got < uint64(end); {
		switch f := hear(t, c).(type) {
		case ha.Heartbeat:
			beat = true
		case ha.Append:
			got += uint64(len(f.Batches))
			if got == uint64(end) && !beat {
				t.Error("a frame waited for the stream")
			}
		}
	}
	n.send(string(body))
	began := time.Now()
	appended(t, c)
	if took := time.Since(began); took > quietTime/2 {
		t.Errorf("what is not committed came after %v", took)
	}
}

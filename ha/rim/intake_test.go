package rim

import (
	"testing"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/wire"
)

// TestTheIntakeIsBounded: a reader waits when the disk does not keep up, and goes on when it does.
func TestTheIntakeIsBounded(t *testing.T) {
	in := newIntake(200 << 10)
	first := in.take(150 << 10)
	second := make(chan *buffer)
	go func() { second <- in.take(100 << 10) }()
	select {
	case <-second:
		t.Fatal("more was given than may be in use")
	case <-time.After(20 * time.Millisecond):
	}
	first.refs.Add(1) // a Write holds it too
	in.release(first)
	select {
	case <-second:
		t.Fatal("what a Write holds was given away")
	case <-time.After(20 * time.Millisecond):
	}
	in.release(first)
	b := <-second
	in.release(b)
	if huge := in.take(1 << 20); huge == nil || cap(huge.bytes) < 1<<20 {
		t.Error("one buffer is given, however large")
	}
	go func() { second <- in.take(1) }()
	in.close()
	if <-second != nil {
		t.Error("a closed intake gives nothing")
	}
}

// TestTheIntakeHoldsAWindow: however small the pieces are that it comes in, a window of them is taken without a wait: a reader that
// waits hears no heartbeat either.
func TestTheIntakeHoldsAWindow(t *testing.T) {
	const window = 16 << 20
	for _, piece := range []int{100, 2 << 10, 20 << 10, 300 << 10} {
		in := newIntake(2 * window)
		done := make(chan int64)
		go func() {
			taken := 0
			for ; taken < window; taken += piece {
				in.take(piece)
			}
			done <- int64(taken)
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			in.mu.Lock()
			t.Errorf("pieces of %d bytes: the reader waits, with %d bytes of %d held", piece, in.held, in.most)
			in.mu.Unlock()
			in.close()
		}
	}
}

// TestAStreamKeepsToItsWindow: a replica that acknowledges nothing is sent no more than the window.
func TestAStreamKeepsToItsWindow(t *testing.T) {
	const window = 64 << 10
	n := begin(t, func(o *Options) { o.WindowBytes, o.ChunkBytes = window, 8<<10 })
	n.lead()
	body := make([]byte, 10<<10)
	for range 30 {
		n.send(string(body))
	}
	n.do(ha.Listen{})
	c := n.call()
	say(t, c, ha.Hello{})
	for {
		if g, ok := anything(n).(ha.Got); ok {
			n.do(ha.Stream{Link: g.Link, Epoch: 1, From: 0})
			got := uint64(0)
			for got < window {
				got += appended(t, c)
			}
			if got > window+20<<10 {
				t.Fatalf("%d bytes came", got)
			}
			var m wire.Message
			if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if err := c.Read(&m, func(n int) []byte { return make([]byte, n) }); err == nil {
				t.Fatalf("more came without an acknowledgement: %v", m.Kind)
			}
			n.do(ha.Acked{Link: g.Link, Pos: 40 << 10})
			appended(t, c)
			return
		}
	}
}

func anything(n *node) ha.Event {
	n.t.Helper()
	select {
	case e := <-n.s.events:
		return e
	case <-time.After(patience):
		n.t.Fatal("nothing came")
		return nil
	}
}

func appended(t *testing.T, c *wire.Conn) uint64 {
	t.Helper()
	f, ok := hear(t, c).(ha.Append)
	if !ok {
		t.Fatalf("%T", f)
	}
	return uint64(len(f.Batches))
}

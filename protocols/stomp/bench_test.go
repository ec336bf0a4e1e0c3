package stomp

import (
	"testing"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

var sendBytes = []byte("SEND\ndestination:/queue/a\npersistent:true\ncontent-length:100\nreceipt:1\n\n" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\x00")

// sending is a SEND's way to the core and its receipt's way back.
func sending(tb testing.TB) func() {
	c, s := newPair(v12)
	var out peer.Out[Frame]
	var dst []byte
	return func() {
		f, _, _, err := c.Decode(sendBytes)
		if err != nil {
			tb.Fatal(err)
		}
		s.Receive(f, epoch, &out)
		done := core.Completion{Ticket: out.Ops[0].Ticket}
		out.Ops = out.Ops[:0]
		s.Done(&done, epoch, &out)
		s.Flush(epoch, &out)
		dst, _ = c.Append(dst[:0], out.Frames[0])
		out.Frames = out.Frames[:0]
	}
}

// delivering is n deliveries' way to the wire and their acknowledgements' way back, which become one operation.
func delivering(tb testing.TB, v version, n int) func() {
	c, s := newPair(v)
	sub := &subscription{id: "1", head: []byte("subscription:1\n"), confirmed: true, prefetch: 1000, mode: ackIndividual}
	s.slots, s.subs["1"] = []*subscription{sub}, sub
	d := core.Delivery{Message: sent(tb, v, "persistent:true\ncontent-length:100\n", string(sendBytes[len(sendBytes)-101:len(sendBytes)-1])), Tag: newTag()}
	var out peer.Out[Frame]
	var dst, acks []byte
	return func() {
		acks = acks[:0]
		for range n {
			s.Deliver(&d, epoch, &out)
			dst, _ = c.Append(dst[:0], out.Frames[0])
			out.Frames = out.Frames[:0]
			if v == v12 {
				acks = appendAckID(append(acks, "ACK\nid:"...), sub, s.seq)
			} else {
				acks = append(append(acks, "ACK\nsubscription:1\nmessage-id:"...), given...)
			}
			acks = append(acks, "\n\n\x00"...)
		}
		for b := acks; len(b) > 0; {
			f, n, _, err := c.Decode(b)
			if err != nil {
				tb.Fatal(err)
			}
			s.Receive(f, epoch, &out)
			b = b[n:]
		}
		s.Flush(epoch, &out)
		if out.Close != nil || len(out.Ops[0].Tags) != n {
			tb.Fatalf("%v, %d tags", out.Close, len(out.Ops[0].Tags))
		}
		out.Ops = out.Ops[:0]
	}
}

func BenchmarkSend(b *testing.B) {
	f := sending(b)
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

func BenchmarkDeliver(b *testing.B) {
	f := delivering(b, v12, 1)
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

func BenchmarkDeliver100(b *testing.B) {
	f := delivering(b, v12, 100)
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

func BenchmarkDeliver11(b *testing.B) {
	f := delivering(b, v11, 1)
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

// TestAllocations: a delivery and its acknowledgement take no memory of their own; a SEND takes the message, its bytes and
// its receipt; before 1.2 a delivery takes the message-id that ACK will name.
func TestAllocations(t *testing.T) {
	for name, c := range map[string]struct {
		run  func()
		most float64
	}{"SEND": {sending(t), 3}, "MESSAGE and ACK": {delivering(t, v12, 10), 0}, "the same in 1.1": {delivering(t, v11, 1), 1}} {
		if n := testing.AllocsPerRun(1000, c.run); n > c.most {
			t.Errorf("%s: %v allocations, want %v", name, n, c.most)
		}
	}
}

package stomp

import (
	"testing"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

var sendBytes = []byte("SEND\ndestination:/queue/a\npersistent:true\ncontent-length:100\nreceipt:1\n\n" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\x00")

// BenchmarkSend is a SEND's way to the core and its receipt's way back.
func BenchmarkSend(b *testing.B) {
	c, s := newPair(v12)
	var out peer.Out[Frame]
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		f, _, _, err := c.Decode(sendBytes)
		if err != nil {
			b.Fatal(err)
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

// BenchmarkDeliver is a delivery's way to the wire and its acknowledgement's way back.
func BenchmarkDeliver(b *testing.B) {
	c, s := newPair(v12)
	sub := &subscription{head: []byte("subscription:1\n"), confirmed: true, prefetch: 1000, mode: ackClient}
	s.slots = []*subscription{sub}
	d := core.Delivery{Message: sent(b, v12, "persistent:true\ncontent-length:100\n", string(sendBytes[len(sendBytes)-101:len(sendBytes)-1])), Tag: newTag()}
	var out peer.Out[Frame]
	var dst, ack []byte
	b.ReportAllocs()
	for b.Loop() {
		s.Deliver(&d, epoch, &out)
		dst, _ = c.Append(dst[:0], out.Frames[0])
		ack = append(appendAckID(append(ack[:0], "ACK\nid:"...), sub, s.seq), "\n\n\x00"...)
		f, _, _, err := c.Decode(ack)
		if err != nil {
			b.Fatal(err)
		}
		s.Receive(f, epoch, &out)
		s.Flush(epoch, &out)
		if out.Close != nil {
			b.Fatal(out.Close)
		}
		out.Frames, out.Ops = out.Frames[:0], out.Ops[:0]
	}
}

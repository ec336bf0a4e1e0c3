package mqtt

import (
	"testing"
	"time"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// fast is an open connection without a core: out is emptied as the rim does.
type fast struct {
	codec   peer.Codec[Packet]
	machine peer.Machine[Packet]
	out     peer.Out[Packet]
	wrote   []byte
	now     time.Time
}

func newFast(tb testing.TB, version byte) *fast {
	f := &fast{now: epoch}
	f.codec, f.machine = New(Options{}).New(peer.Limits{}, "", f.now)
	f.in(tb, clientBytes(tb, words("connect id=me clean"), version))
	f.machine.Done(&core.Completion{Ticket: ticketConnect}, f.now, &f.out)
	f.empty(tb)
	return f
}

func (f *fast) in(tb testing.TB, b []byte) {
	for len(b) > 0 {
		p, n, _, err := f.codec.Decode(b)
		if err != nil || n == 0 {
			tb.Fatal(n, err)
		}
		f.machine.Receive(p, f.now, &f.out)
		b = b[n:]
	}
}

func (f *fast) empty(tb testing.TB) {
	f.wrote = f.wrote[:0]
	for i := range f.out.Frames {
		var err error
		if f.wrote, err = f.codec.Append(f.wrote, f.out.Frames[i]); err != nil {
			tb.Fatal(err)
		}
	}
	f.out.Frames, f.out.Ops = f.out.Frames[:0], f.out.Ops[:0]
}

var versions = map[string]byte{"3.1.1": level311, "5": level5}

// BenchmarkPublish is a QoS 1 message of 100 bytes that comes in, and its PUBACK.
func BenchmarkPublish(b *testing.B) {
	for name, version := range versions {
		b.Run(name, func(b *testing.B) {
			f := newFast(b, version)
			packet := clientBytes(b, map[string]string{"verb": "publish", "topic": "bench/1", "qos": "1", "id": "7", "body": string(make([]byte, 100))}, version)
			done := core.Completion{Ticket: ticketPublish1 | 7, Matched: true}
			b.ReportAllocs()
			for b.Loop() {
				f.in(b, packet)
				f.machine.Done(&done, f.now, &f.out)
				f.empty(b)
			}
		})
	}
}

// BenchmarkDeliver is a QoS 1 message of 100 bytes that goes out, its PUBACK, and, each 100, a flush.
func BenchmarkDeliver(b *testing.B) {
	for name, version := range versions {
		b.Run(name, func(b *testing.B) { deliverMany(b, version) })
	}
}

func deliverMany(b *testing.B, version byte) {
	f := newFast(b, version)
	ack := []byte{0x40, 2, 0, 0}
	d := core.Delivery{Sub: core.InboxSub, Tag: newTag(), QoS: 1, Message: &core.Message{Format: Format, Bare: make([]byte, 101)}}
	d.Message.To = core.Destination{Kind: core.Topic, Name: "bench.1"}
	b.ReportAllocs()
	for b.Loop() {
		d.Seq++
		f.machine.Deliver(&d, f.now, &f.out)
		id := inboxID(d.Seq)
		ack[2], ack[3] = byte(id>>8), byte(id)
		f.in(b, ack)
		if d.Seq%100 == 0 {
			f.machine.(peer.Flusher[Packet]).Flush(f.now, &f.out)
		}
		f.empty(b)
	}
}

// TestAllocations holds the fast path to what a message is: itself and its bytes.
func TestAllocations(t *testing.T) {
	for name, version := range versions {
		f := newFast(t, version)
		packet := clientBytes(t, words("publish topic=bench/1 qos=1 id=7 body=hello"), version)
		done := core.Completion{Ticket: ticketPublish1 | 7, Matched: true}
		if n := testing.AllocsPerRun(100, func() {
			f.in(t, packet)
			f.machine.Done(&done, f.now, &f.out)
			f.empty(t)
		}); n > 2 {
			t.Errorf("%s: a message that comes in makes %v allocations, want 2", name, n)
		}
		d := core.Delivery{Sub: core.InboxSub, Tag: newTag(), QoS: 1, Message: &core.Message{Format: Format, Bare: make([]byte, 101)}}
		d.Message.To = core.Destination{Kind: core.Topic, Name: "bench.1"}
		ack := []byte{0x40, 2, 0, 0}
		if n := testing.AllocsPerRun(100, func() {
			d.Seq++
			f.machine.Deliver(&d, f.now, &f.out)
			ack[2], ack[3] = byte(d.Seq>>8), byte(d.Seq)
			f.in(t, ack)
			f.machine.(peer.Flusher[Packet]).Flush(f.now, &f.out)
			f.empty(t)
		}); n > 0 {
			t.Errorf("%s: a delivery makes %v allocations, want none", name, n)
		}
	}
}

package amqp

import (
	"reflect"
	"testing"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// rig is an opened session with a producer on handle 0 and a consumer on handle 1, and the buffers that a rim keeps.
type rig struct {
	c    *connection
	in   peer.Codec[Frame]
	out  peer.Out[Frame]
	wire []byte
	sub  core.SubID
	tag  core.Tag
}

func newRig(b *testing.B) *rig {
	r := &rig{tag: reflect.New(reflect.TypeFor[core.Tag]().Elem()).Interface().(core.Tag)}
	codec, machine := New(Options{}).New(peer.Limits{}, "127.0.0.1:1", epoch)
	codec.Decode([]byte("AMQP\x00\x01\x00\x00"))
	r.in, r.c = codec, machine.(*connection)
	for _, p := range []performative{&open{containerID: "me", maxFrame: 1 << 16, channelMax: 9}, &beginning{incomingWindow: 1 << 31, outgoingWindow: 1 << 31, handleMax: 9},
		&attach{name: "p", target: &terminus{is: kindTarget, address: "A"}}, &attach{name: "c", handle: 1, role: true, source: &terminus{is: kindSource, address: "A"}},
		&flow{incomingWindow: 1 << 31, outgoingWindow: 1 << 31, handle: some(1), credit: some(1 << 31)}} {
		if p.kind() == kindOpen {
			r.c.Receive(Frame{kind: frameHeader, header: headerAMQP}, epoch, &r.out)
		}
		r.c.Receive(Frame{body: p}, epoch, &r.out)
		r.finish()
	}
	r.out.Ops = nil
	return r
}

// finish does what a rim does behind a batch, with a core that completes at once.
func (r *rig) finish() {
	for i := 0; i < len(r.out.Ops); i++ {
		op := r.out.Ops[i]
		if op.Kind == core.OpSubscribe {
			r.sub = op.Sub
		}
		if op.Ticket != 0 {
			r.c.Done(&core.Completion{Ticket: op.Ticket}, epoch, &r.out)
		}
	}
	r.c.Flush(epoch, &r.out)
	r.wire = r.wire[:0]
	for i := range r.out.Frames {
		r.wire, _ = r.in.Append(r.wire, r.out.Frames[i])
	}
	r.out.Frames, r.out.Ops = r.out.Frames[:0], r.out.Ops[:0]
}

const benchBatch = 100

// BenchmarkPublish reads transfers of 100 bytes, makes operations of them, and writes what confirms them.
func BenchmarkPublish(b *testing.B) {
	r := newRig(b)
	message := sections(section_(kindHeader, list{true}), section_(kindData, make([]byte, 100)))
	var wire []byte
	for id := range uint32(benchBatch) { // the machine does not mind that they come again
		wire, _ = r.in.Append(wire, Frame{body: &transfer{deliveryID: some(id), tag: []byte{1, 2, 3, 4}}, payload: message})
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += benchBatch {
		for rest := wire; len(rest) > 0; {
			f, took, _, err := r.in.Decode(rest)
			if err != nil {
				b.Fatal(err)
			}
			r.c.Receive(f, epoch, &r.out)
			rest = rest[took:]
		}
		r.finish()
	}
}

// BenchmarkDeliver writes deliveries of 100 bytes and reads one disposition of them all.
func BenchmarkDeliver(b *testing.B) {
	r := newRig(b)
	message := &core.Message{Header: core.Header{Durable: true, Priority: 4}, Format: Format, Bare: sections(section_(kindData, make([]byte, 100)))}
	d := core.Delivery{Sub: r.sub, Tag: r.tag, Message: message}
	id := uint32(0)
	b.ReportAllocs()
	for n := 0; n < b.N; n += benchBatch {
		for range benchBatch {
			r.c.Deliver(&d, epoch, &r.out)
		}
		r.finish()
		wire, _ := r.in.Append(r.wire[:0], Frame{body: &disposition{role: true, first: id, last: some(id + benchBatch - 1), settled: true, state: state{is: kindAccepted}}})
		f, _, _, err := r.in.Decode(wire)
		if err != nil {
			b.Fatal(err)
		}
		id += benchBatch
		r.c.Receive(f, epoch, &r.out)
		r.finish()
	}
	if s := r.c.sessions[0]; s.unsettled.live != 0 || s.nextDeliveryID != id {
		b.Fatalf("%d unsettled, %d of %d sent", s.unsettled.live, s.nextDeliveryID, id)
	}
}

// BenchmarkSettle reads dispositions of one delivery each, as most clients send them.
func BenchmarkSettle(b *testing.B) {
	r := newRig(b)
	message := &core.Message{Header: core.Header{Durable: true, Priority: 4}, Format: Format, Bare: sections(section_(kindData, make([]byte, 100)))}
	d := core.Delivery{Sub: r.sub, Tag: r.tag, Message: message}
	id := uint32(0)
	p := &disposition{role: true, settled: true, state: state{is: kindAccepted}}
	b.ReportAllocs()
	for n := 0; n < b.N; n += benchBatch {
		for range benchBatch {
			r.c.Deliver(&d, epoch, &r.out)
		}
		r.finish()
		wire := r.wire[:0]
		for range benchBatch {
			p.first = id
			wire, _ = r.in.Append(wire, Frame{body: p})
			id++
		}
		for rest := wire; len(rest) > 0; {
			f, took, _, err := r.in.Decode(rest)
			if err != nil {
				b.Fatal(err)
			}
			r.c.Receive(f, epoch, &r.out)
			rest = rest[took:]
		}
		r.finish()
	}
}

// BenchmarkContent reads a message for another protocol.
func BenchmarkContent(b *testing.B) {
	bare := sections(everyProperty("id", "c"), section_(kindAppProperties, pairs{{"a", "b"}, {"n", int32(1)}}), section_(kindValue, string(make([]byte, 100))))
	b.ReportAllocs()
	for range b.N {
		m := core.Message{Header: core.Header{To: ordersQueue}, Format: Format, Bare: bare}
		if _, err := m.Content(); err != nil {
			b.Fatal(err)
		}
	}
}

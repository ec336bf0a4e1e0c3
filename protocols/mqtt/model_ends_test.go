package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// The client of a model.

func (m *model) packet(encode func(*bytes.Buffer) error) {
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		m.t.Fatal(err)
	}
	m.receive(b.Bytes())
}

// receive gives the machine a packet in a buffer that is spoilt as soon as it returns.
func (m *model) receive(b []byte) {
	p, n, _, err := m.codec.Decode(b)
	if err != nil || n != len(b) {
		m.t.Fatalf("%x: %d, %v", b, n, err)
	}
	m.machine.Receive(p, m.now, &m.out)
	for i := range b {
		b[i] = 0xff
	}
	m.collect()
}

// publish sends a message of the client's, within the server's receive maximum.
func (m *model) publish(qos byte, _ byte) {
	line := fmt.Sprintf("publish topic=a/b body=x qos=%d", qos)
	if qos > 0 {
		if len(m.acks) >= 10 {
			return
		}
		m.nextID++
		for ; m.nextID == 0 || m.acks[m.nextID] != 0; m.nextID++ {
		}
		m.acks[m.nextID] = packets.Puback
		if qos == 2 {
			m.acks[m.nextID] = packets.Pubrec
		}
		line += fmt.Sprintf(" id=%d", m.nextID)
	}
	m.send(line)
}

// pick chooses one of the keys.
func pick[V any](from map[uint16]V, b byte) (uint16, bool) {
	keys := make([]uint16, 0, len(from))
	for k := range from {
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return 0, false
	}
	slices.Sort(keys)
	return keys[int(b)%len(keys)], true
}

// release sends PUBREL for a message that has its PUBREC.
func (m *model) release(b byte) {
	if id, ok := pick(m.recs, b); ok {
		delete(m.recs, id)
		m.acks[id] = packets.Pubcomp
		m.send(fmt.Sprintf("pubrel id=%d", id))
	}
}

// acknowledge answers a delivery as far as it has come; now and then one that is not there.
func (m *model) acknowledge(b byte) {
	if b == 255 {
		m.send("puback id=77")
		return
	}
	id, ok := pick(m.pending, b)
	if !ok {
		return
	}
	switch d := m.pending[id]; {
	case d.qos == 1:
		delete(m.pending, id)
		m.send(fmt.Sprintf("puback id=%d", id))
	case d.rel:
		delete(m.pending, id)
		m.send(fmt.Sprintf("pubcomp id=%d", id))
	case !d.rec:
		d.rec = true
		if b > 240 {
			delete(m.pending, id)
			m.send(fmt.Sprintf("pubrec id=%d code=0x97", id))
			return
		}
		m.send(fmt.Sprintf("pubrec id=%d", id))
	default: // it waits for PUBREL
		m.flush()
		m.complete()
	}
}

func (m *model) ask(b byte) {
	m.requests++
	if b%2 == 0 {
		m.send("subscribe id=1 filter=a,b,$share/x/y qos=1")
	} else {
		m.send("unsubscribe id=2 filter=a")
	}
}

// hear takes a packet of the machine's.
func (m *model) hear(b []byte) {
	length, head := varint(b[1:])
	w := packets.Packet{ProtocolVersion: level5}
	if err := w.FixedHeader.Decode(b[0]); err != nil || 1+head+int(length) != len(b) {
		m.t.Fatalf("%x: %v", b, err)
	}
	w.FixedHeader.Remaining = int(length)
	if err := decodeServer(&w, b[1+head:]); err != nil {
		m.t.Fatalf("%x: %v", b, err)
	}
	switch w.FixedHeader.Type {
	case packets.Publish:
		m.hearPublish(&w)
	case packets.Pubrel:
		d := m.pending[w.PacketID]
		if d == nil || !d.received {
			m.t.Fatalf("PUBREL %d, of %+v, before the log has its PUBREC", w.PacketID, d)
		}
		d.rel = true
	case packets.Puback, packets.Pubcomp, packets.Pubrec:
		m.hearAck(&w)
	case packets.Suback, packets.Unsuback:
		m.requests--
	case packets.Disconnect:
		m.t.Fatalf("disconnected: %+v", w)
	}
}

func (m *model) hearPublish(w *packets.Packet) {
	var d *modelDelivery
	for _, f := range m.flights { // the payload is its place in the run
		if fmt.Sprint(f.seq, f.qos) == string(w.Payload) {
			d = f
		}
	}
	switch {
	case d == nil || d.qos != w.FixedHeader.Qos:
		m.t.Fatalf("PUBLISH %q at QoS %d was never delivered so", w.Payload, w.FixedHeader.Qos)
	case d.qos == 0:
		return
	case m.pending[w.PacketID] != nil:
		m.t.Fatalf("packet id %d is in flight twice", w.PacketID)
	case d.seq < 1<<40 && w.PacketID != inboxID(d.seq) || d.seq >= 1<<40 && w.PacketID < sharedIDs:
		m.t.Fatalf("place %d has packet id %d", d.seq, w.PacketID)
	case d.seq < 1<<40 && d.seq < m.lastSeq:
		m.t.Fatalf("place %d comes after %d", d.seq, m.lastSeq)
	}
	if d.seq < 1<<40 {
		m.lastSeq = d.seq
	}
	m.pending[w.PacketID] = d
	if len(m.pending) > m.window {
		m.t.Fatalf("%d in flight, the receive maximum is %d", len(m.pending), m.window)
	}
}

func (m *model) hearAck(w *packets.Packet) {
	if m.acks[w.PacketID] != w.FixedHeader.Type {
		m.t.Fatalf("packet id %d has %s, and waits for type %d", w.PacketID, packets.PacketNames[w.FixedHeader.Type], m.acks[w.PacketID])
	}
	switch {
	case w.FixedHeader.Type == packets.Pubrec && w.ReasonCode < 0x80:
		m.recs[w.PacketID] = true
	default:
		delete(m.acks, w.PacketID)
	}
}

// The core of a model.

// collect takes what the machine asks for.
func (m *model) collect() {
	frames, ops, closed := m.out.Frames, m.out.Ops, m.out.Close
	m.out = peer.Out[Packet]{}
	if closed != nil {
		m.t.Fatalf("closed: %v", closed)
	}
	for _, p := range frames {
		b, err := m.codec.Append(nil, p)
		if err != nil {
			m.t.Fatal(err)
		}
		m.hear(b)
	}
	for _, op := range ops {
		op.Tags = slices.Clone(op.Tags)
		switch op.Kind {
		case core.OpCredit:
			m.limit = op.Limit
		case core.OpSettle:
			m.settle(&op)
		case core.OpPublish:
			if string(op.Message.Bare) != "\x00x" || op.Message.To.Name != "a.b" {
				m.t.Fatalf("published %q to %v", op.Message.Bare, op.Message.To)
			}
		}
		if op.Ticket != 0 {
			m.ops = append(m.ops, op)
		}
	}
}

func (m *model) settle(op *core.Op) {
	for _, tag := range op.Tags {
		d := m.flights[tag]
		if d == nil || d.accepted {
			m.t.Fatalf("settled twice, or never delivered: %+v", d)
		}
		if op.Outcome == core.Accepted {
			d.accepted = true
		}
	}
}

// complete answers the oldest op.
func (m *model) complete() {
	if len(m.ops) == 0 {
		return
	}
	op := m.ops[0]
	m.ops = m.ops[1:]
	done := core.Completion{Ticket: op.Ticket, Matched: true}
	switch m.next() % 16 {
	case 1:
		if op.Kind == core.OpPublish {
			done.Err = &core.Error{Code: core.CodeFull, Detail: "full"}
		}
	case 2:
		if op.Kind == core.OpRelease || op.Kind == core.OpUnfilter {
			done.Err = core.ErrNotFound
		}
	case 3:
		if op.Kind == core.OpFilter {
			done.Err = errors.New("strange")
		}
	}
	if op.Kind == core.OpSettle && op.Outcome == core.Received {
		for _, tag := range op.Tags {
			m.flights[tag].received = true
		}
	}
	m.machine.Done(&done, m.now, &m.out)
	m.collect()
}

// deliver hands over a message, if there is credit: the next place of the inbox, one much later, or one of a shared queue.
func (m *model) deliver(b byte) {
	if m.taken >= m.limit {
		return
	}
	m.taken++
	m.seq++
	if b&64 != 0 {
		m.seq += inboxIDs - 2
	}
	d := &modelDelivery{tag: newTag(), seq: m.seq, qos: b % 3}
	out := core.Delivery{Sub: core.InboxSub, Tag: d.tag, QoS: d.qos, Seq: d.seq}
	if b&128 != 0 {
		d.seq, d.qos, out.Seq, out.QoS = 1<<40+m.taken, min(d.qos, 1), 0, min(d.qos, 1)
	}
	out.Message = &core.Message{Format: Format, Bare: fmt.Appendf([]byte{0}, "%d %d", d.seq, d.qos)}
	out.Message.To = core.Destination{Kind: core.Topic, Name: "a"}
	m.flights[d.tag] = d
	m.machine.Deliver(&out, m.now, &m.out)
	m.collect()
}

package mqtt

import (
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// model is a client and a core around one machine. Both keep to the rules; what they do, and when, the input decides. It
// holds the machine to its promises: see the checks.
type model struct {
	t       testing.TB
	in      []byte
	now     time.Time
	codec   peer.Codec[Packet]
	machine peer.Machine[Packet]
	out     peer.Out[Packet]
	window  int

	// The core.
	ops     []core.Op // that wait for their completion
	limit   uint64
	taken   uint64
	seq     uint64
	flights map[core.Tag]*modelDelivery

	// The client.
	pending  map[uint16]*modelDelivery // by packet id: sent and not ended
	acks     map[uint16]byte           // of its own messages: what it waits for
	recs     map[uint16]bool           // of those, QoS 2 that have their PUBREC
	nextID   uint16
	requests int
	lastSeq  uint64
}

// modelDelivery is a delivery in both ends' eyes.
type modelDelivery struct {
	tag      core.Tag
	seq      uint64
	qos      byte
	received bool // the core has completed Received
	rec      bool // the client sent PUBREC
	rel      bool // PUBREL came
	accepted bool
}

func newModel(t testing.TB, in []byte) *model {
	m := &model{t: t, in: in, now: epoch, flights: map[core.Tag]*modelDelivery{}, pending: map[uint16]*modelDelivery{}, acks: map[uint16]byte{}, recs: map[uint16]bool{}}
	m.codec, m.machine = New(Options{InFlight: 20, ReceiveMaximum: 10}).New(peer.Limits{}, "", m.now)
	m.window = int(m.next())%30 + 1
	p := packets.Packet{ProtocolVersion: level5, FixedHeader: packets.FixedHeader{Type: packets.Connect}}
	p.Connect.ProtocolName, p.Connect.ClientIdentifier, p.Properties.ReceiveMaximum = []byte("MQTT"), "me", uint16(m.window)
	m.window = min(m.window, 20)
	m.packet(p.ConnectEncode)
	m.complete()
	return m
}

func (m *model) next() byte {
	if len(m.in) == 0 {
		return 0
	}
	b := m.in[0]
	m.in = m.in[1:]
	return b
}

func (m *model) run() {
	for len(m.in) > 0 {
		m.step(m.next())
	}
	m.drain()
}

func (m *model) step(b byte) {
	switch b % 8 {
	case 0:
		m.publish(m.next()%3, 0)
	case 1:
		m.complete()
	case 2, 3:
		m.deliver(m.next())
	case 4, 5:
		m.acknowledge(m.next())
	case 6:
		m.release(m.next())
	case 7:
		m.ask(m.next())
	}
	if b&128 != 0 {
		m.flush()
	}
}

func (m *model) flush() {
	m.machine.(peer.Flusher[Packet]).Flush(m.now, &m.out)
	m.collect()
}

// send is one packet of the client's, which is legal.
func (m *model) send(line string) { m.receive(clientBytes(m.t, words(line), level5)) }

// drain brings all to an end, and looks whether anything is left.
func (m *model) drain() {
	for range 100_000 {
		m.flush()
		switch {
		case len(m.ops) > 0:
			m.complete()
		case len(m.pending) > 0:
			m.acknowledge(0)
		case len(m.recs) > 0:
			m.release(0)
		default:
			m.finish()
			return
		}
	}
	m.t.Fatalf("it does not come to an end: %d in flight, %d acks", len(m.pending), len(m.acks))
}

func (m *model) finish() {
	for _, d := range m.flights {
		if !d.accepted {
			m.t.Fatalf("delivery %+v was never settled", d)
		}
	}
	if len(m.acks) > 0 || m.requests > 0 {
		m.t.Fatalf("never answered: %v, %d requests", m.acks, m.requests)
	}
	if m.limit-m.taken < uint64(m.window+1)/2 {
		m.t.Fatalf("credit %d of a window of %d, and nothing in flight", m.limit-m.taken, m.window)
	}
}

// FuzzSession runs the model on the fuzzer's bytes.
func FuzzSession(f *testing.F) {
	f.Add([]byte{5, 2, 1, 2, 2, 131, 0, 4, 0, 129, 4, 0, 129})
	f.Fuzz(func(t *testing.T, in []byte) { newModel(t, in).run() })
}

// TestRandomSessions runs it on random bytes.
func TestRandomSessions(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		in := rapid.SliceOfN(rapid.Byte(), 50, 2000).Draw(r, "in")
		newModel(t, in).run()
	})
}

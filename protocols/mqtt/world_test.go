package mqtt

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/persist"
	"github.com/havenmq/havenmq/protocols/peer"
)

// world is a broker on a store in memory, for machines without sockets.
type world struct {
	testing.TB
	fs     *persist.MemFS
	store  *persist.Store
	broker *core.Broker
	nowMs  int64
}

func newWorld(tb testing.TB) *world {
	w := &world{TB: tb, fs: persist.NewMemFS(), nowMs: epoch.UnixMilli()}
	w.start()
	tb.Cleanup(w.stop)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) start() {
	var err error
	w.store, err = persist.Open(persist.Options{Dir: "data", FS: w.fs, LogSize: 1 << 20, ReserveBytes: -1, BootID: "boot"})
	w.must(err)
	barrier, err := w.store.Lead(w.store.NextEpoch())
	w.must(err)
	w.until("the store leads", func() bool { return w.store.Committed() >= barrier })
	w.broker, err = core.Open(core.Options{Store: w.store, NowMs: w.nowMs, Formats: []core.Format{Format}})
	w.must(err)
}

func (w *world) stop() {
	w.broker.Shutdown()
	w.must(w.store.Close())
}

// crash ends the broker's life as kill -9 does, and begins another one.
func (w *world) crash() {
	fs := w.fs.Kill()
	w.broker.Shutdown()
	if err := w.store.Close(); err == nil {
		w.Fatal("a store closed well, though its files are gone")
	}
	w.fs = fs
	w.start()
}

// until waits for what other goroutines bring about.
func (w *world) until(what string, done func() bool) {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			w.Fatalf("not in time: %s", what)
		}
	}
}

// link is a client at the other end of a machine, its socket left out.
type link struct {
	*world
	version byte
	hello   string // its CONNECT
	client  *core.Client
	codec   peer.Codec[Packet]
	machine peer.Machine[Packet]
	out     peer.Out[Packet]
	events  core.Events
	got     []packets.Packet // not looked at yet
	closed  error
}

// Wake is core.Sink: pump looks all the time.
func (l *link) Wake() {}

func (w *world) link(version byte) *link {
	l := &link{world: w, version: version}
	l.client = w.broker.Attach(l, "test")
	l.codec, l.machine = New(Options{}).New(peer.Limits{}, "test", l.now())
	return l
}

func (w *world) now() time.Time { return time.UnixMilli(w.nowMs) }

// connect sends CONNECT and gives the link and its CONNACK back.
func (w *world) connect(version byte, line string) (*link, packets.Packet) {
	w.Helper()
	l := w.link(version)
	l.hello = line
	l.say("connect " + line)
	return l, l.hear(packets.Connack)
}

// say sends one packet.
func (l *link) say(line string) {
	l.Helper()
	b := clientBytes(l, words(line), l.version)
	for len(b) > 0 && l.closed == nil {
		p, n, _, err := l.codec.Decode(b)
		if err != nil {
			l.machine.Malformed(err, l.now(), &l.out)
			n = len(b)
		} else {
			l.machine.Receive(p, l.now(), &l.out)
		}
		l.collect()
		b = b[n:]
	}
	l.pump()
}

// pump does what the rim does: once.
func (l *link) pump() {
	if l.closed != nil {
		return
	}
	l.client.Poll(&l.events, 100)
	for i := range l.events.Done {
		l.machine.Done(&l.events.Done[i], l.now(), &l.out)
		l.collect()
	}
	if l.events.Evicted != nil {
		l.machine.Evict(l.events.Evicted, l.now(), &l.out)
		l.collect()
		return
	}
	for i := range l.events.Deliveries {
		l.machine.Deliver(&l.events.Deliveries[i], l.now(), &l.out)
		l.collect()
	}
	l.machine.(peer.Flusher[Packet]).Flush(l.now(), &l.out)
	l.collect()
}

func (l *link) collect() {
	l.Helper()
	for i := range l.out.Frames {
		b, err := l.codec.Append(nil, l.out.Frames[i])
		l.must(err)
		length, head := varint(b[1:])
		p := packets.Packet{ProtocolVersion: l.version}
		l.must(p.FixedHeader.Decode(b[0]))
		p.FixedHeader.Remaining = int(length)
		l.must(decodeServer(&p, bytes.Clone(b[1+head:])))
		l.got = append(l.got, p)
	}
	l.client.Do(l.out.Ops, l.nowMs)
	closed := l.out.Close
	l.out = peer.Out[Packet]{}
	if closed != nil {
		l.hangUp(closed)
	}
}

// hangUp ends the connection without a word.
func (l *link) hangUp(why error) {
	if l.closed == nil {
		l.closed = why
		l.client.Close(l.nowMs)
	}
}

// hear waits for the next packet of a type; others stay.
func (l *link) hear(typ byte) (p packets.Packet) {
	l.Helper()
	l.until("packet "+packets.PacketNames[typ], func() bool {
		l.pump()
		for i := range l.got {
			if l.got[i].FixedHeader.Type == typ {
				p = l.got[i]
				l.got = append(l.got[:i:i], l.got[i+1:]...)
				return true
			}
		}
		return false
	})
	return p
}

// want compares the next PUBLISH, and acknowledges it at QoS 1.
func (l *link) want(want string) packets.Packet {
	l.Helper()
	p := l.hear(packets.Publish)
	if got := p.TopicName + " " + string(p.Payload); got != want {
		l.Fatalf("got %q, want %q", got, want)
	}
	if p.FixedHeader.Qos == 1 {
		l.say("puback id=" + p.FormatID())
	}
	return p
}

// quiet looks that nothing comes.
func (l *link) quiet() {
	l.Helper()
	for range 20 {
		l.pump()
		time.Sleep(50 * time.Microsecond)
	}
	if len(l.got) > 0 {
		l.Fatalf("got %s", showPacket(&l.got[0]))
	}
}

func (l *link) subscribe(filters string, more ...string) {
	l.Helper()
	l.say("subscribe id=1 filter=" + filters + " " + strings.Join(more, " "))
	l.hear(packets.Suback)
}

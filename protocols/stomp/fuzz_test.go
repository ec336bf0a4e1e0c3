package stomp

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

func seeds(f *testing.F) {
	for _, s := range []string{
		"CONNECT\naccept-version:1.2\nheart-beat:10,10\n\n\x00",
		"SEND\ndestination:/queue/a\ncontent-length:3\n\na\x00b\x00\n\nSEND\ndestination:/topic/b\nx:\\c\\\\\\n\\r\n\nb\x00",
		"SUBSCRIBE\r\nid:1\r\ndestination:/queue/a\r\nack:client\r\n\r\n\x00\r\nACK\nid:0-1\n\n\x00",
		"BEGIN\ntransaction:t\n\n\x00ACK\nid:0-1\ntransaction:t\n\n\x00NACK\nid:0-2\n\n\x00COMMIT\ntransaction:t\nreceipt:r\n\n\x00",
		"UNSUBSCRIBE\nid:1\n\n\x00DISCONNECT\nreceipt:1\n\n\x00", "\n\r\n\n", "SEND\ncontent-length:99999999999\n\n",
	} {
		for v := vNone; v <= v12; v++ {
			f.Add([]byte(s), byte(v))
		}
	}
}

// decoded is what a frame says, in memory of its own.
type decoded struct {
	Command command
	Headers []string
	Body    string
	Length  bool
}

func decodeAll(t *testing.T, in []byte, v version, step int) (list []decoded, failed error) {
	c, _ := newPair(v)
	c.limit = 1 << 16
	var buf []byte
	for len(in) > 0 || len(buf) > 0 {
		f, n, need, err := c.Decode(buf)
		if err != nil {
			return list, err
		}
		if n > len(buf) || need > 1<<16 {
			t.Fatalf("took %d of %d bytes, needs %d", n, len(buf), need)
		}
		if n == 0 {
			if len(in) == 0 {
				return list, nil
			}
			k := min(step, len(in))
			buf, in = append(buf, in[:k]...), in[k:]
			continue
		}
		if f.command != cmdBeat {
			d := decoded{Command: f.command, Body: string(f.body), Length: f.hasLength}
			for _, h := range f.headers {
				d.Headers = append(d.Headers, string(h.name)+"="+string(h.value))
			}
			list = append(list, d)
		}
		buf = append([]byte(nil), buf[n:]...)
	}
	return list, nil
}

// FuzzDecode reads bytes as they come, and one at a time: both must see the same frames, up to the same error.
func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte, v byte) {
		whole, err := decodeAll(t, in, version(v%4), len(in)+1)
		bytewise, err2 := decodeAll(t, in, version(v%4), 1)
		if d := cmp.Diff(whole, bytewise); d != "" {
			t.Fatalf("byte by byte: %s", d)
		}
		if (err == nil) != (err2 == nil) {
			t.Fatalf("at once %v, byte by byte %v", err, err2)
		}
	})
}

// FuzzSession feeds a machine whatever comes, answers its ops and delivers to its subscriptions.
func FuzzSession(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte, v byte) {
		c, s := newPair(version(v % 4))
		if v&4 != 0 {
			s.phase, s.dialect.version = phaseNew, vNone
		}
		m := fuzzed{t: t, codec: c, session: s}
		for len(in) > 0 && m.out.Close == nil {
			f, n, _, err := c.Decode(in)
			if err != nil {
				s.Malformed(err, epoch, &m.out)
			} else if n > 0 {
				s.Receive(f, epoch, &m.out)
			}
			m.turn()
			if n == 0 {
				return
			}
			in = in[n:]
		}
	})
}

// fuzzed is a core that says yes.
type fuzzed struct {
	t       *testing.T
	codec   *codec
	session *session
	out     peer.Out[Frame]
	n       int
}

func (m *fuzzed) turn() {
	closed := m.out.Close
	for range 3 {
		ops := m.out.Ops
		m.write()
		m.out = peer.Out[Frame]{Close: closed}
		for i := range ops {
			if ops[i].Ticket != 0 {
				m.session.Done(&core.Completion{Ticket: ops[i].Ticket}, epoch, &m.out)
			}
			if ops[i].Kind == core.OpCredit {
				msg := core.NewMessage(core.Header{To: core.Destination{Kind: core.Queue, Name: "a"}}, &core.Content{Body: []byte("x")})
				m.session.Deliver(&core.Delivery{Sub: ops[i].Sub, Tag: newTag(), Message: msg}, epoch, &m.out)
			}
			if ops[i].Kind == core.OpPublish {
				if _, err := ops[i].Message.Content(); err != nil {
					m.t.Fatalf("a message that cannot be read: %v", err)
				}
			}
		}
		m.session.Flush(epoch, &m.out)
		m.session.Tick(epoch.Add(time.Duration(m.n)), &m.out)
	}
	m.write()
}

func (m *fuzzed) write() {
	for _, f := range m.out.Frames {
		b, err := m.codec.Append(nil, f)
		if err != nil || len(b) == 0 {
			m.t.Fatalf("a frame that cannot be written: %v", err)
		}
	}
}

// FuzzContent reads stored bytes.
func FuzzContent(f *testing.F) {
	f.Add([]byte{}, byte(0))
	f.Add(append([]byte{1, 1, 'i', 4}, "a:b\nbody"...), byte(3))
	f.Fuzz(func(t *testing.T, bare []byte, v byte) {
		m := &core.Message{Header: core.Header{To: core.Destination{Kind: core.Queue, Name: "a"}}, Format: Format, Bare: bare}
		c, err := m.Content()
		if err == nil && !bytes.HasSuffix(bare, c.Body) {
			t.Fatalf("body %q of %q", c.Body, bare)
		}
		o := outgoing{message: m, sub: &subscription{}, to: m.To}
		if o.read() == nil {
			codec, _ := newPair(version(v % 4))
			if _, err := codec.Append(nil, Frame{command: cmdMessage, out: o}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

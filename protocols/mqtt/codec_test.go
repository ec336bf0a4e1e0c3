package mqtt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mochi-mqtt/server/v2/packets"
	"pgregory.net/rapid"
)

// seeds are packets of all kinds, of both versions.
func seeds(t testing.TB) (list [][]byte) {
	for _, line := range []string{
		"connect id=me clean user=u password=p keepalive=10 will=a/b will-body=x will-qos=1 will-delay=3 will-user-property=a:b session-expiry=9",
		"publish topic=a/b qos=1 id=3 body=hello", "publish topic=a/b body=x dup=", "puback id=1", "pubrec id=2 code=0x10", "pubrel id=3",
		"publish topic=a alias=4 expiry=7 format=1 content-type=text/plain response=r correlation=c user-property=k:v qos=2 id=9 body=y",
		"pubcomp id=4 code=0x92 reason=why", "subscribe id=5 filter=a/+,$queue/x qos=1,2 sub-id=7", "unsubscribe id=6 filter=a,b",
		"pingreq", "disconnect code=4 session-expiry=10 reason=bye",
	} {
		for _, version := range []byte{level311, level5} {
			list = append(list, clientBytes(t, words(line), version))
		}
	}
	return list
}

// FuzzDecode holds that no bytes make the codec panic, take more than there is or ask for more than it may; that what the
// pre-scan lets through, mochi decodes; and that what is read can be written and read again.
func FuzzDecode(f *testing.F) {
	for _, b := range seeds(f) {
		for _, v := range []byte{0, level311, level5} {
			f.Add(v, b)
		}
	}
	f.Fuzz(func(t *testing.T, version byte, b []byte) {
		const own = 1 << 20
		c := codec{wire: &wire{version: version % 6, ownBytes: own}}
		if version%6 < level311 {
			c.wire.version = 0
		}
		p, n, need, err := c.Decode(b)
		if err != nil {
			var w *wireError
			if !errors.As(err, &w) || w.code < lowestFailure || w.text == "" || strings.HasPrefix(w.text, disagreement) {
				t.Fatalf("%x: %v", b, err)
			}
			return
		}
		if n > len(b) || need > own || n == 0 && need <= len(b) {
			t.Fatalf("%d of %d bytes taken, %d needed", n, len(b), need)
		}
		if n > 0 {
			again(t, &c, p)
		}
	})
}

// again writes a packet as a server would and reads it again.
func again(t *testing.T, c *codec, p Packet) {
	switch p.kind {
	case kindPublish:
		out := p
		out.topic = append(binary.BigEndian.AppendUint16(nil, uint16(len(p.topic))), p.topic...)
		out.expires = false // it is in the properties
		reread(t, c, p, out)
	case kindPuback, kindPubrec, kindPubrel, kindPubcomp:
		reread(t, c, p, p)
	case kindPingreq:
	default:
		if p.whole == nil {
			t.Fatalf("packet of type %d without a body", p.kind)
		}
	}
}

func reread(t *testing.T, c *codec, p, out Packet) {
	b, err := c.Append(nil, out)
	if err != nil {
		t.Fatal(err)
	}
	if z := out.sizes(c.wire.version).total; p.kind == kindPublish && z != len(b) {
		t.Fatalf("size %d foretold, %d written", z, len(b))
	}
	q, n, _, err := c.Decode(b)
	if err != nil || n != len(b) {
		t.Fatalf("%x, of our own: %d, %v", b, n, err)
	}
	if diff := cmp.Diff(p, q, cmp.AllowUnexported(Packet{}), cmp.Transformer("bytes", func(b []byte) string { return string(b) })); diff != "" {
		t.Fatal(diff)
	}
}

// TestMochiAgrees gives the codec what mochi encodes: all of it is taken, and comes back as it was.
func TestMochiAgrees(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		version := rapid.SampledFrom([]byte{level311, level5}).Draw(r, "version")
		p := packets.Packet{ProtocolVersion: version, FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: rapid.ByteRange(0, 2).Draw(r, "qos")}}
		p.FixedHeader.Retain = rapid.Bool().Draw(r, "retain")
		if p.FixedHeader.Qos > 0 {
			p.PacketID = rapid.Uint16Min(1).Draw(r, "id")
			p.FixedHeader.Dup = rapid.Bool().Draw(r, "dup")
		}
		p.TopicName = rapid.StringMatching(`[a-z/$]{1,200}`).Draw(r, "topic")
		p.Payload = rapid.SliceOfN(rapid.Byte(), 0, 20000).Draw(r, "payload")
		p.Mods.AllowResponseInfo = true
		p.Properties.ContentType = rapid.StringMatching(`[a-z]{0,9}`).Draw(r, "content type")
		p.Properties.CorrelationData = rapid.SliceOf(rapid.Byte()).Draw(r, "correlation")
		p.Properties.MessageExpiryInterval = rapid.Uint32().Draw(r, "expiry")
		for range rapid.IntRange(0, 5).Draw(r, "user properties") {
			p.Properties.User = append(p.Properties.User, packets.UserProperty{Key: rapid.StringMatching(`[a-zé]*`).Draw(r, "k"), Val: "v"})
		}
		var b bytes.Buffer
		if err := p.PublishEncode(&b); err != nil {
			r.Fatal(err)
		}
		c := codec{wire: &wire{version: version, ownBytes: 1 << 20}}
		q, n, _, err := c.Decode(b.Bytes())
		if err != nil || n != b.Len() {
			r.Fatalf("%d of %d: %v", n, b.Len(), err)
		}
		if string(q.topic) != p.TopicName || !bytes.Equal(q.payload, p.Payload) || q.id != p.PacketID || q.qos != p.FixedHeader.Qos ||
			q.dup != p.FixedHeader.Dup || q.retain != p.FixedHeader.Retain {
			r.Fatalf("%+v of %+v", q, p)
		}
		if version == level5 && q.expiryS != p.Properties.MessageExpiryInterval {
			r.Fatalf("expiry %d of %d", q.expiryS, p.Properties.MessageExpiryInterval)
		}
	})
}

// TestTruncated takes each packet one byte at a time, and cut short with a length that fits.
func TestTruncated(t *testing.T) {
	for _, b := range seeds(t) {
		for _, version := range []byte{level311, level5} {
			c := codec{wire: &wire{version: version, ownBytes: 1 << 20}}
			if kind(b[0]>>4) == kindConnect {
				c.wire.version = 0
			}
			for n := range b {
				if _, took, _, err := c.Decode(b[:n]); took != 0 || err != nil {
					t.Fatalf("%x cut at %d: %d, %v", b, n, took, err)
				}
			}
			for n := 2; n < len(b); n++ {
				short := append([]byte{b[0], byte(n - 2)}, b[2:n]...)
				c := codec{wire: &wire{version: version, ownBytes: 1 << 20}}
				if kind(b[0]>>4) == kindConnect {
					c.wire.version = 0
				}
				var w *wireError
				if _, _, _, err := c.Decode(short); err != nil && (!errors.As(err, &w) || strings.HasPrefix(w.text, disagreement)) {
					t.Fatalf("%x: %v", short, err)
				}
			}
		}
	}
}

// TestLiesCostNothing holds what a packet that lies about its size makes us allocate.
func TestLiesCostNothing(t *testing.T) {
	filters := bytes.Repeat([]byte{0, 1, 'a', 0}, 120_000)
	many := append(appendVarint([]byte{0x82}, 3+len(filters)), 0, 1, 0)
	many = append(many, filters...)
	users := bytes.Repeat([]byte{packets.PropUser, 0, 0, 0, 0}, 100_000)
	named := append(appendVarint([]byte{0xe0}, 1+varintBytes(len(users))+len(users)), 0)
	named = append(appendVarint(named, len(users)), users...)
	for name, c := range map[string]struct {
		b    []byte
		most uint64
	}{
		"length": {[]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 'a'}, 1 << 10},
		"huge":   {[]byte{0x82, 0x80, 0x80, 0x80, 0x01, 0, 1}, 1 << 10},
		"many":   {many, 1 << 20},
		"users":  {named, 20 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			if used := leastAllocated(5, func() {
				codec := codec{wire: &wire{version: level5, ownBytes: 100 << 20}}
				_, _, _, _ = codec.Decode(c.b)
			}); used > c.most {
				t.Errorf("%d bytes make us allocate %d", len(c.b), used)
			}
		})
	}
}

// leastAllocated is how many bytes a call allocates: the least of some runs, as the runtime's own goroutines allocate too.
func leastAllocated(runs int, f func()) (least uint64) {
	for i := range runs {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; i == 0 || used < least {
			least = used
		}
	}
	return least
}

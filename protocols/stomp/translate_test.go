package stomp

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// sent is the message that a SEND with these lines makes.
func sent(t testing.TB, v version, lines, body string) *core.Message {
	t.Helper()
	codec, machine := newPair(v)
	f, n, _, err := codec.Decode([]byte("SEND\ndestination:/queue/a\n" + lines + "\n" + body + "\x00"))
	if err != nil || n == 0 {
		t.Fatalf("%q: %d, %v", lines, n, err)
	}
	var out peer.Out[Frame]
	machine.Receive(f, epoch, &out)
	for _, op := range out.Ops {
		if op.Kind == core.OpPublish {
			return op.Message
		}
	}
	t.Fatalf("nothing published: %v", out.Close)
	return nil
}

// given is the message-id that newPair's connection gives first.
const given = "ID-cwyvpelgpse8-11rv4mf-1"

// newPair is a connection that is open.
func newPair(v version) (*codec, *session) {
	c, m := New(Options{}).New(peer.Limits{}, "127.0.0.1:1", epoch)
	s := m.(*session)
	s.phase, s.dialect.opened, s.dialect.version = phaseOpen, true, v
	return c.(*codec), s
}

func TestContentOfSend(t *testing.T) {
	for _, c := range []struct {
		name, lines, body string
		want              core.Content
	}{
		{"text", "", "grüß 𝄞", core.Content{Kind: core.BodyText, Body: []byte("grüß 𝄞")}},
		{"bytes by content-length", "content-length:2\n", "\x00\xff", core.Content{Kind: core.BodyBytes, Body: []byte("\x00\xff")}},
		{"text type wins over content-length", "content-length:1\ncontent-type:text/plain\n", "x",
			core.Content{Kind: core.BodyText, ContentType: "text/plain", Body: []byte("x")}},
		{"so do JSON and a charset", "content-length:1\ncontent-type:a/b;charset=utf-8\n", "x",
			core.Content{Kind: core.BodyText, ContentType: "a/b;charset=utf-8", Body: []byte("x")}},
		{"amq-msg-type wins over both", "amq-msg-type:bytes\ncontent-type:text/plain\n", "x",
			core.Content{Kind: core.BodyBytes, ContentType: "text/plain", Body: []byte("x")}},
		{"either way", "amq-msg-type:text\ncontent-length:1\n", "x", core.Content{Kind: core.BodyText, Body: []byte("x")}},
		{"text that is none", "amq-msg-type:text\n", "\xff", core.Content{Kind: core.BodyBytes, Body: []byte("\xff")}},
		{"fields", "message-id:i\ncorrelation-id:c\nreply-to:/topic/r\ntype:t\nJMSXGroupID:g\nJMSXGroupSeq:7\nJMSXUserID:u\n", "",
			core.Content{ID: "i", CorrelationID: "c", ReplyTo: core.Destination{Kind: core.Topic, Name: "r"}, Type: "t", GroupID: "g",
				GroupSequence: 7, UserID: "u", Kind: core.BodyText, Body: []byte{}}},
		{"what is no number and no destination", "JMSXGroupSeq:x\nreply-to:elsewhere\n", "", core.Content{Kind: core.BodyText, Body: []byte{},
			Properties: []core.Property{{Name: "JMSXGroupSeq", Value: "x"}, {Name: "JMS_STOMP_ReplyTo", Value: "elsewhere"}}}},
		{"properties, the first of a name, unescaped", "a\\cb:1\\n2\\\\\na\\cb:again\nc:\n", "", core.Content{Kind: core.BodyText, Body: []byte{},
			Properties: []core.Property{{Name: "a:b", Value: "1\n2\\"}, {Name: "c", Value: ""}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := sent(t, v12, c.lines, c.body).Content()
			if err != nil {
				t.Fatal(err)
			}
			if c.want.ID == "" {
				c.want.ID = given
			}
			if d := cmp.Diff(c.want, *got); d != "" {
				t.Error(d)
			}
		})
	}
}

// received is what a subscriber of a version gets, without the lines that all deliveries have.
func received(t testing.TB, m *core.Message, v version) string {
	t.Helper()
	c, s := newPair(v)
	s.slots = []*subscription{{head: []byte("subscription:1\n"), confirmed: true, prefetch: 10}}
	var out peer.Out[Frame]
	s.Deliver(&core.Delivery{Message: m}, epoch, &out)
	if len(out.Frames) != 1 {
		t.Fatalf("%d frames", len(out.Frames))
	}
	b, err := c.Append(nil, out.Frames[0])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSuffix(string(b), "\x00\n")
	for _, line := range []string{"MESSAGE\n", "subscription:1\n", "ack:0-1\n", "message-id:" + given + "\n", "message-id:ID-cwyvpelgpse8-11rv4mf-D0-1\n", "priority:4\n", "destination:/queue/a\n"} {
		text = strings.Replace(text, line, "", 1)
	}
	return text
}

func TestMessageOfOthers(t *testing.T) {
	to := core.Destination{Kind: core.Queue, Name: "a"}
	everything := &core.Content{ID: "i", CorrelationID: "c", ReplyTo: core.Destination{Kind: core.TempQueue, Name: "t"}, ContentType: "x/y", Type: "t",
		GroupID: "g", GroupSequence: 3, UserID: "u", Kind: core.BodyBytes, Body: []byte("b\x00"), Properties: []core.Property{
			{Name: "s", Value: "a:b\nc\r\\"}, {Name: "b", Value: true}, {Name: "i8", Value: int8(-1)}, {Name: "i16", Value: int16(-2)},
			{Name: "i32", Value: int32(-3)}, {Name: "i64", Value: int64(-4)}, {Name: "u8", Value: uint8(1)}, {Name: "u16", Value: uint16(2)},
			{Name: "u32", Value: uint32(3)}, {Name: "u64", Value: uint64(4)}, {Name: "f32", Value: float32(0.5)}, {Name: "f64", Value: 0.25},
			{Name: "text", Value: []byte("x")}, {Name: "bin", Value: []byte{0xff}}, {Name: "time", Value: time.UnixMilli(5)}, {Name: "nil"},
			{Name: "receipt", Value: "a header of its own"}, {Name: "", Value: "no name"}}}
	h := core.Header{To: to, Durable: true, Priority: 9, TimestampMs: 1, ExpiresMs: 2}
	for _, c := range []struct {
		name string
		h    core.Header
		c    *core.Content
		v    version
		want string
	}{
		{"text", core.Header{To: to, Priority: 4}, &core.Content{Kind: core.BodyText, Body: []byte("grüß")}, v12, "\ngrüß"},
		{"text with a NUL has a length", core.Header{To: to, Priority: 4}, &core.Content{Kind: core.BodyText, Body: []byte("\x00")}, v12,
			"content-length:1\n\n\x00"},
		{"bytes have one", core.Header{To: to, Priority: 4}, &core.Content{Kind: core.BodyBytes, Body: []byte("b")}, v11, "content-length:1\n\nb"},
		{"JSON says so", core.Header{To: to, Priority: 4}, &core.Content{Kind: core.BodyJSON, Body: []byte("{}")}, v12,
			"content-type:application/json\n\n{}"},
		{"no body", core.Header{To: to, Priority: 4}, &core.Content{Kind: core.BodyNone}, v12, "\n"},
		{"everything", h, everything, v12, "message-id:i\npersistent:true\npriority:9\ntimestamp:1\nexpires:2\ncorrelation-id:c\n" +
			"reply-to:/temp-queue/t\ncontent-type:x/y\ntype:t\nJMSXGroupID:g\nJMSXUserID:u\nJMSXGroupSeq:3\ns:a\\cb\\nc\\r\\\\\nb:true\n" +
			"i8:-1\ni16:-2\ni32:-3\ni64:-4\nu8:1\nu16:2\nu32:3\nu64:4\nf32:0.5\nf64:0.25\ntext:x\nbin:/w==\ntime:5\nnil:\ncontent-length:2\n\nb\x00"},
		{"escapes of 1.1", core.Header{To: to, Priority: 4}, &core.Content{Kind: core.BodyText, Type: "a:b\nc\r\\"}, v11, "type:a\\cb\\nc\r\\\\\n\n"},
		{"escapes of 1.0", core.Header{To: to, Priority: 4}, &core.Content{Kind: core.BodyText, Type: "a:b\nc\r\\"}, v10, "type:a:b\\nc\\r\\\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, received(t, core.NewMessage(c.h, c.c), c.v)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestStompToStomp passes on what was written, in each version.
func TestStompToStomp(t *testing.T) {
	lines := "x:1\nx:2\nq\\cr:a\\\\b\\n\nunknown:yes\n"
	for v, want := range map[version]string{v12: lines, v11: lines, v10: "x:1\nx:2\nq\\cr:a\\b\\n\nunknown:yes\n"} {
		m := sent(t, v12, lines+"receipt:r\n", "body")
		if d := cmp.Diff("timestamp:1700000000000\n"+want+"\nbody", received(t, m, v)); d != "" {
			t.Errorf("%v: %s", v, d)
		}
	}
}

func TestDestinations(t *testing.T) {
	for name, want := range map[string]core.Destination{
		"/queue/A.B": {Kind: core.Queue, Name: "A.B"}, "/topic/A.>": {Kind: core.Topic, Name: "A.>"},
		"/temp-queue/n": {Kind: core.TempQueue, Name: "n"}, "/temp-topic/n": {Kind: core.TempTopic, Name: "n"},
		"/queue//topic/x": {Kind: core.Queue, Name: "/topic/x"},
	} {
		d, ok := destinationOf(name)
		if !ok || d != want || nameOf(d) != name {
			t.Errorf("%s: %v %v, back %s", name, d, ok, nameOf(d))
		}
	}
	for _, name := range []string{"", "a", "/queue/", "/queue", "queue/a", "//queue/a"} {
		if d, ok := destinationOf(name); ok {
			t.Errorf("%q: %v", name, d)
		}
	}
}

// TestEscapes checks that what is escaped comes back, in every version that can.
func TestEscapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(strings.ReplaceAll(rapid.StringMatching(`[a-z:\\\n\r]{0,20}`).Draw(t, "text"), "\x00", ""))
		for _, v := range []version{v11, v12} {
			back, ok := appendUnescaped(nil, appendEscaped(nil, b, v, true), v)
			if !ok || string(back) != string(b) {
				t.Fatalf("%v: %q became %q, %v", v, b, back, ok)
			}
		}
	})
}

// TestHeadersComeBack sends random headers and reads them on the other side.
func TestHeadersComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := version(rapid.IntRange(int(v11), int(v12)).Draw(t, "version"))
		value := rapid.StringMatching(`[a-zA-Z:\\\n ]{0,20}`).Draw(t, "value")
		lines := string(append(appendEscaped([]byte("h:"), value, v, false), '\n'))
		codec, machine := newPair(v)
		f, _, _, err := codec.Decode([]byte("SEND\ndestination:/queue/a\n" + lines + "\nb\x00"))
		if err != nil {
			t.Fatal(err)
		}
		var out peer.Out[Frame]
		machine.Receive(f, epoch, &out)
		c, err := out.Ops[0].Message.Content()
		if err != nil || len(c.Properties) != 1 || c.Properties[0].Value != value {
			t.Fatalf("%q came back as %v, %v", value, c, err)
		}
	})
}

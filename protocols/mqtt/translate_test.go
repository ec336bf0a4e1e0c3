package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mochi-mqtt/server/v2/packets"
	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

func TestTopics(t *testing.T) {
	for _, c := range []struct{ topic, want string }{
		{"a", "topic://a"},
		{"a/b/c", "topic://a.b.c"},
		{"/a//b/", "topic://.a..b."},
		{"a.b/c", "topic://a/b.c"},
		{"a*b/>", "topic://a+b.#"},
		{"$queue/orders/eu", "queue://orders.eu"},
		{"$queue/a.b", "queue://a/b"},
		{"$temp-queue/ID-1", "temp-queue://ID-1"},
		{"$temp-topic/ID-1/x", "temp-topic://ID-1.x"},
		{"$other/x", "topic://$other.x"},
		{"$queue", "topic://$queue"},
		{"grün/😀", "topic://grün.😀"},
		{"", "82"}, {"a/+", "90"}, {"a#", "90"}, {"$queue/", "90"}, {"a\x00", "81"}, {"a\xff", "81"}, {"a\xed\xa0\x80", "81"},
	} {
		d, err := destinationOf(c.topic)
		got := d.String()
		if err != nil {
			got = fmt.Sprintf("%02x", byte(err.code))
		}
		if got != c.want {
			t.Errorf("%q leads to %s, want %s", c.topic, got, c.want)
		}
		if back, ok := topicOf(d); err == nil && (!ok || back != c.topic) {
			t.Errorf("%s is %q, want %q", d, back, c.topic)
		}
	}
	for _, d := range []core.Destination{{}, {Kind: core.Topic}, {Kind: core.Topic, Name: "a*b"}, {Kind: core.Queue, Name: "a>"},
		{Kind: core.Topic, Name: "a\xff"}, {Kind: core.Topic, Name: "a\x00"}, {Kind: core.Queue, Name: strings.Repeat("a", 65530)}} {
		if topic, ok := topicOf(d); ok {
			t.Errorf("%.20s is spelled %.20q", d, topic)
		}
	}
}

func TestFilters(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		{"#", "topic://>"}, {"+", "topic://*"}, {"a/+/b/#", "topic://a.*.b.>"}, {"/", "topic://."}, {"+/+", "topic://*.*"},
		{"a*/>", "topic://a+.#"}, {"$SYS/#", "topic://$SYS.>"}, {"$queue/a/b", "queue://a.b"},
		{"", "8f"}, {"a#", "8f"}, {"#/a", "8f"}, {"a+/b", "8f"}, {"+a", "8f"}, {"##", "8f"}, {"$share/g/a", "9e"}, {"$queue/", "8f"},
		{"$temp-queue/x", "8f"}, {"$temp-topic/x", "8f"},
	} {
		d, err := patternOf(c.filter)
		got := d.String()
		if err != nil {
			got = fmt.Sprintf("%02x", byte(err.code))
		}
		if got != c.want {
			t.Errorf("filter %q asks for %s, want %s", c.filter, got, c.want)
		}
	}
}

// Every name that MQTT can say comes back as it was.
func TestNoNameIsLost(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		topic := rapid.StringMatching(`(\$queue/|\$temp-queue/|\$temp-topic/)?[a-z./*>é$]{1,30}`).Draw(r, "topic")
		d, err := destinationOf(topic)
		if err != nil {
			return
		}
		if back, ok := topicOf(d); !ok || back != topic {
			r.Fatalf("%q is %v is %q", topic, d, back)
		}
		if d.Validate() != nil && !strings.ContainsAny(topic, "*>") {
			r.Fatalf("%v is not valid", d)
		}
	})
}

// decoded is a PUBLISH with the given words, as the codec reads it.
func decoded(t *testing.T, line string, version byte) *Packet {
	t.Helper()
	c := codec{wire: &wire{version: version, ownBytes: 1 << 20}}
	p, _, _, err := c.Decode(clientBytes(t, words("publish topic=t "+line), version))
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

// received is the message that a session makes of it.
func received(t *testing.T, line string, version byte) *core.Message {
	t.Helper()
	s := &session{wire: &wire{version: version}, nowMs: epoch.UnixMilli(), clientID: "me"}
	return s.message(decoded(t, line, version), core.Destination{Kind: core.Topic, Name: "t"})
}

func TestContent(t *testing.T) {
	text := func(name, value string) core.Property { return core.Property{Name: name, Value: value} }
	for line, want := range map[string]core.Content{
		"body=x":                                    {Body: []byte("x")},
		"":                                          {},
		"body=x format=1":                           {Kind: core.BodyText, Body: []byte("x")},
		"body=x format=0":                           {Body: []byte("x")},
		"body=x content-type=image/png":             {Body: []byte("x"), ContentType: "image/png"},
		"body=x content-type=text/plain":            {Kind: core.BodyText, Body: []byte("x"), ContentType: "text/plain"},
		"body=x content-type=a/b;charset=x":         {Kind: core.BodyText, Body: []byte("x"), ContentType: "a/b;charset=x"},
		"body=\xff content-type=text/plain":         {Body: []byte("\xff"), ContentType: "text/plain"},
		"body=1 content-type=application/xml":       {Kind: core.BodyText, Body: []byte("1"), ContentType: "application/xml"},
		"response=$queue/re/1 correlation=\xff\x00": {ReplyTo: core.Destination{Kind: core.Queue, Name: "re.1"}, CorrelationID: "\xff\x00"},
		"response=a/b":                              {ReplyTo: core.Destination{Kind: core.Topic, Name: "a.b"}},
		"response=$temp-topic/":                     {Properties: []core.Property{text(jmsResponseTopic, "$temp-topic/")}},
		"user-property=type:T,JMSXGroupID:g,JMSXGroupSeq:7,k:v,k:w,priority:3,timestamp:5": {Type: "T", GroupID: "g", GroupSequence: 7,
			Properties: []core.Property{text("k", "v"), text("k", "w")}},
		"user-property=JMSXGroupSeq:x,priority:11,priority:x,timestamp:-1,timestamp:+5": {Properties: []core.Property{text("JMSXGroupSeq", "x"),
			text("priority", "11"), text("priority", "x"), text("timestamp", "-1"), text("timestamp", "+5")}},
	} {
		got, err := received(t, line, level5).Content()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s:\n%s", line, diff)
		}
	}
}

func TestStoredBareThatIsSpoilt(t *testing.T) {
	for _, bare := range []string{"", "\x05\x01", "\xff\xff\xff\xff\xff", "\x02\x99\x00", "\x01\x01"} {
		m := &core.Message{Format: Format, Bare: []byte(bare)}
		if _, err := m.Content(); !errors.Is(err, &core.Error{Code: core.CodeInternal}) && bare != "" {
			t.Errorf("%x: %v", bare, err)
		}
	}
}

// A message goes out as it came in, and of other versions as much as they can say.
func TestPassOn(t *testing.T) {
	line := "body=x format=1 content-type=t/x response=r correlation=c user-property=k:v,priority:9"
	plain := received(t, line, level5)
	hop := received(t, line+" expiry=9 alias=3", level5)
	if string(plain.Bare) != string(hop.Bare) {
		t.Errorf("what belongs to a hop stays in:\n%x\n%x", hop.Bare, plain.Bare)
	}
	props, payload, err := partsOf(plain, level5)
	if p := decoded(t, line, level5); err != nil || string(props) != string(p.props) || string(payload) != "x" {
		t.Errorf("5 to 5: %x, %q, %v", props, payload, err)
	}
	old := received(t, "body=x", level311)
	if props, payload, err = partsOf(old, level5); err != nil || len(props) != 0 || string(payload) != "x" {
		t.Errorf("3.1.1 to 5: %x, %q, %v", props, payload, err)
	}
	if hop.ExpiresMs != epoch.UnixMilli()+9000 || hop.Priority != 9 {
		t.Errorf("header %+v", hop.Header)
	}
}

// bring is what an MQTT 5 subscriber gets of another protocol's message.
func bring(t *testing.T, h core.Header, c *core.Content) (string, *core.Content) {
	t.Helper()
	props, payload, err := partsOf(core.NewMessage(h, c), level5)
	if err != nil {
		t.Fatal(err)
	}
	s := scanner{b: append(appendVarint(nil, len(props)), props...)}
	s.properties(inPublish, nil)
	if s.err != nil {
		t.Fatalf("%x: %v", props, s.err)
	}
	var p packets.Properties
	var w strings.Builder
	if _, err := decodeProperties(&p, props); err != nil {
		t.Fatal(err)
	}
	showProperties(&w, &p)
	back, err := (&core.Message{Format: Format, Bare: bareOf(props, payload, false)}).Content()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(w.String()), back
}

func TestOtherProtocolsMessages(t *testing.T) {
	all := &core.Content{ID: "ID:1", CorrelationID: "c", ReplyTo: core.Destination{Kind: core.TempQueue, Name: "ID-2"}, ContentType: "text/plain",
		Type: "T", GroupID: "g", GroupSequence: 3, Kind: core.BodyText, Body: []byte("grün")}
	all.Properties = []core.Property{{Name: "s", Value: "v"}, {Name: "b", Value: true}, {Name: "i8", Value: int8(-1)}, {Name: "i16", Value: int16(-2)},
		{Name: "i32", Value: int32(-3)}, {Name: "i64", Value: int64(-4)}, {Name: "u8", Value: uint8(1)}, {Name: "u16", Value: uint16(2)},
		{Name: "u32", Value: uint32(3)}, {Name: "u64", Value: uint64(4)}, {Name: "f32", Value: float32(0.5)}, {Name: "f64", Value: 2.25},
		{Name: "bin", Value: []byte{0, 255}}, {Name: "txt", Value: []byte("t")}, {Name: "time", Value: time.UnixMilli(7)}, {Name: "nil", Value: nil},
		{Name: "bad", Value: "a\xff\x00"}, {Name: "long", Value: strings.Repeat("x", 70000)}}
	h := core.Header{Priority: 7, TimestampMs: 99}
	got, back := bring(t, h, all)
	want := "CorrelationData=63 User=[{priority 7} {timestamp 99} {type T} {JMSXGroupID g} {JMSXGroupSeq 3} {s v} {b true} {i8 -1} {i16 -2} {i32 -3} {i64 -4} " +
		"{u8 1} {u16 2} {u32 3} {u64 4} {f32 0.5} {f64 2.25} {bin AP8=} {txt t} {time 7} {nil } {bad a\uFFFD\uFFFD}] ContentType=text/plain ResponseTopic=$temp-queue/ID-2 PayloadFormat=1"
	if got != want {
		t.Errorf("properties\n%s, want\n%s", got, want)
	}
	if back.Type != "T" || back.GroupID != "g" || back.GroupSequence != 3 || back.ReplyTo != all.ReplyTo || back.Kind != core.BodyText {
		t.Errorf("it comes back as %+v", back)
	}
	for _, c := range []struct {
		content core.Content
		want    string
	}{
		{core.Content{Kind: core.BodyBytes, Body: []byte{255}}, ""},
		{core.Content{Kind: core.BodyNone}, ""},
		{core.Content{Kind: core.BodyJSON, Body: []byte("{}")}, "PayloadFormat=1"},
		{core.Content{Kind: core.BodyText, Body: []byte{255}}, ""},
		{core.Content{Kind: core.BodyText, Body: []byte("x"), ContentType: "application/json"}, "ContentType=application/json PayloadFormat=1"},
		{core.Content{Kind: core.BodyBytes, Body: []byte("x"), ContentType: "application/json"}, "ContentType=application/json"},
		{core.Content{ReplyTo: core.Destination{Kind: core.Queue, Name: "a*b"}}, ""},
		{core.Content{Properties: []core.Property{{Name: jmsResponseTopic, Value: "$queue/"}}}, "ResponseTopic=$queue/"},
		{core.Content{CorrelationID: strings.Repeat("x", 70000)}, ""},
	} {
		if got, _ := bring(t, core.Header{Priority: core.DefaultPriority}, &c.content); got != c.want {
			t.Errorf("%+v goes out with %q, want %q", c.content, got, c.want)
		}
	}
}

// Every core code has a reason code that the packet it goes into may have.
func TestReasonCodes(t *testing.T) {
	for code := core.CodeInternal; code <= core.CodeDuplicate; code++ {
		e := wireErrorOf(&core.Error{Code: code, Detail: "why"})
		if _, ok := codesOf[code]; !ok {
			t.Errorf("core code %d has no reason code", code)
		}
		ack := ackCode(e)
		if ack >= lowestFailure && !ends(e) && !clientMaySay(kindPuback, ack) { // a server may say the same
			t.Errorf("core code %d becomes %#x in PUBACK", code, ack)
		}
		if _, ok := returnCode(e.code); !ok && code == core.CodeShutdown {
			t.Errorf("core code %d has no return code", code)
		}
	}
	for c, want := range map[reasonCode]reasonCode{codeShutdown: codeUnavailable, codeKeepAlive: codeUnspecified, codeQuota: codeQuota} {
		if got := connackCode(c); got != want {
			t.Errorf("%#x becomes %#x in CONNACK, want %#x", c, got, want)
		}
	}
	if e := wireErrorOf(&core.Error{Code: 200, Detail: "x"}); e.code != codeUnspecified {
		t.Errorf("an unknown core code becomes %v", e)
	}
	if e := wireErrorOf(peer.Sentinel(strings.Repeat("x", 600) + "\x00")); len(e.text) != maxReasonBytes {
		t.Errorf("a reason of %d bytes", len(e.text))
	}
}

// FuzzContent holds that no stored bytes make the reader panic, and that what it reads can be said in MQTT 5 again.
func FuzzContent(f *testing.F) {
	f.Add([]byte("\x00x"))
	f.Add([]byte("\x0d\x01\x01\x26\x00\x04type\x00\x01Tx"))
	f.Add([]byte("\x05\x08\x00\x02a/x"))
	f.Fuzz(func(t *testing.T, bare []byte) {
		c, err := (&core.Message{Format: Format, Bare: bare}).Content()
		if err != nil {
			return
		}
		_, back := bring(t, core.Header{Priority: core.DefaultPriority}, c)
		if string(back.Body) != string(c.Body) || back.ContentType != c.ContentType || back.Type != c.Type || back.GroupID != c.GroupID {
			t.Fatalf("%+v comes back as %+v", c, back)
		}
	})
}

// TestKindDecidesTheIndicator: whoever read the message has weighed its content type already.
func TestKindDecidesTheIndicator(t *testing.T) {
	for kind, want := range map[core.BodyKind]bool{core.BodyText: true, core.BodyJSON: true, core.BodyBytes: false, core.BodyNone: false} {
		props := propertiesOf(&core.Message{}, &core.Content{Kind: kind, ContentType: "text/plain", Body: []byte("x")})
		if got := len(props) > 1 && props[0] == packets.PropPayloadFormat; got != want {
			t.Errorf("kind %d: indicator %v", kind, got)
		}
	}
}

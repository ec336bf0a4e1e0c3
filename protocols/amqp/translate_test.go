package amqp

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/core"
)

// stored is a message as the broker keeps it after it came in as b.
func stored(t testing.TB, b []byte, to core.Destination) *core.Message {
	t.Helper()
	var e envelope
	if err := e.open(b, epoch.UnixMilli()); err != nil {
		t.Fatal(err)
	}
	e.header.To = to
	return &core.Message{Header: e.header, Format: Format, Bare: e.bare}
}

func contentOf(t testing.TB, m *core.Message) *core.Content {
	t.Helper()
	c, err := m.Content()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sections encodes described sections one after another.
func sections(parts ...described) (b []byte) {
	for _, p := range parts {
		b = appendValue(b, p)
	}
	return b
}

func section_(k kind, v any) described { return described{uint64(k), v} }

var ordersQueue = core.Destination{Kind: core.Queue, Name: "orders"}

// TestHeader reads what the broker acts on.
func TestHeader(t *testing.T) {
	now := epoch.UnixMilli()
	for name, c := range map[string]struct {
		in   []byte
		want core.Header
	}{
		"nothing":         {nil, core.Header{Priority: 4, TimestampMs: now}},
		"an empty header": {sections(section_(kindHeader, list{})), core.Header{Priority: 4, TimestampMs: now}},
		"all of a header": {sections(section_(kindHeader, list{true, uint8(7), uint32(5000), true, uint32(9)})),
			core.Header{Durable: true, Priority: 7, ExpiresMs: now + 5000, TimestampMs: now}},
		"a priority that is too high": {sections(section_(kindHeader, list{nil, uint8(200)})), core.Header{Priority: 9, TimestampMs: now}},
		"times": {sections(section_(kindProperties, list{nil, nil, nil, nil, nil, nil, nil, nil, timestamp(now + 7), timestamp(now - 7)})),
			core.Header{Priority: 4, ExpiresMs: now + 7, TimestampMs: now - 7}},
		"ttl before absolute-expiry-time": {sections(section_(kindHeader, list{nil, nil, uint32(1)}),
			section_(kindProperties, list{nil, nil, nil, nil, nil, nil, nil, nil, timestamp(now + 7)})),
			core.Header{Priority: 4, ExpiresMs: now + 1, TimestampMs: now}},
		"the longest ttl": {sections(section_(kindHeader, list{nil, nil, uint32(math.MaxUint32)})),
			core.Header{Priority: 4, ExpiresMs: now + math.MaxUint32, TimestampMs: now}},
		"a delay": {sections(section_(kindMessageNotes, pairs{{symbol("x-opt-delivery-delay"), int64(50)}})),
			core.Header{Priority: 4, TimestampMs: now, NotBeforeMs: now + 50}},
		"a delay of another type": {sections(section_(kindMessageNotes, pairs{{symbol("x-opt-delivery-delay"), int32(50)}})),
			core.Header{Priority: 4, TimestampMs: now, NotBeforeMs: now + 50}},
		"a time before a delay": {sections(section_(kindMessageNotes, pairs{{symbol("x-opt-delivery-delay"), uint32(50)},
			{symbol("x-opt-delivery-time"), timestamp(now + 9)}})), core.Header{Priority: 4, TimestampMs: now, NotBeforeMs: now + 9}},
		"delays that are none": {sections(section_(kindMessageNotes, pairs{{symbol("x-opt-delivery-delay"), int64(math.MaxInt64)},
			{symbol("x-opt-delivery-time"), "soon"}})), core.Header{Priority: 4, TimestampMs: now}},
		"a time in an ulong": {sections(section_(kindMessageNotes, pairs{{symbol("x-opt-delivery-time"), uint64(now + 3)}})),
			core.Header{Priority: 4, TimestampMs: now, NotBeforeMs: now + 3}},
		"a duplicate's id": {sections(section_(kindAppProperties, pairs{{"_AMQ_DUPL_ID", "a"}})), core.Header{Priority: 4, TimestampMs: now, DupID: "a"}},
		"bytes for it":     {sections(section_(kindAppProperties, pairs{{"_AMQ_DUPL_ID", []byte{1}}})), core.Header{Priority: 4, TimestampMs: now, DupID: "\x01"}},
		"an uuid for it": {sections(section_(kindAppProperties, pairs{{"_AMQ_DUPL_ID", uuid{1}}})),
			core.Header{Priority: 4, TimestampMs: now, DupID: "\x01" + string(make([]byte, 15))}},
		"a number for it": {sections(section_(kindAppProperties, pairs{{"_AMQ_DUPL_ID", uint32(1)}})), core.Header{Priority: 4, TimestampMs: now}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, stored(t, c.in, core.Destination{}).Header); d != "" {
				t.Error(d)
			}
		})
	}
}

// everyProperty is a properties section in which nothing is missing.
func everyProperty(id, correlation any) described {
	return section_(kindProperties, list{id, []byte("me"), "queue://orders", "kind", "topic://answers", correlation, symbol("text/plain"),
		symbol("gzip"), timestamp(5), timestamp(6), "group", uint32(3), "back"})
}

// TestContentFromAMQP reads every field of the common model out of a message.
func TestContentFromAMQP(t *testing.T) {
	property := func(name string, v any) core.Property { return core.Property{Name: name, Value: v} }
	for name, c := range map[string]struct {
		in   []byte
		want core.Content
	}{
		"nothing": {nil, core.Content{Kind: core.BodyNone}},
		"every field": {sections(section_(kindHeader, list{true}), section_(kindDeliveryNotes, pairs{{symbol("hop"), true}}),
			section_(kindMessageNotes, pairs{{symbol("x-opt-a"), int8(1)}, {symbol("x-opt-jms-dest"), int8(0)}, {symbol("x-opt-jms-msg-type"), int8(5)}, {uint64(7), "not text"}}),
			everyProperty("id", "corr"), section_(kindAppProperties, pairs{{"p", "v"}}), section_(kindData, []byte("abc")),
			section_(kindFooter, pairs{{symbol("f"), true}})),
			core.Content{ID: "id", UserID: "me", Type: "kind", ReplyTo: core.Destination{Kind: core.Topic, Name: "answers"}, CorrelationID: "corr",
				ContentType: "text/plain", GroupID: "group", GroupSequence: 3, Kind: core.BodyText, Body: []byte("abc"),
				Properties: []core.Property{property("JMS_AMQP_MA_x-opt-a", int8(1)), property("JMS_AMQP_MA_x-opt-jms-msg-type", int8(5)),
					property("JMS_AMQP_ContentEncoding", "gzip"), property("JMS_AMQP_ReplyToGroupID", "back"), property("p", "v"), property("JMS_AMQP_FT_f", true)}}},
		"a to that is elsewhere": {sections(section_(kindProperties, list{nil, nil, "topic://x"})),
			core.Content{Kind: core.BodyNone, Properties: []core.Property{property("JMS_AMQP_To", "topic://x")}}},
		"a to without a scheme":      {sections(section_(kindProperties, list{nil, nil, "orders"})), core.Content{Kind: core.BodyNone}},
		"addresses that are no text": {sections(section_(kindProperties, list{nil, nil, uint32(1), nil, uint32(2)})), core.Content{Kind: core.BodyNone}},
		"a reply-to of another kind": {sections(section_(kindMessageNotes, pairs{{symbol("x-opt-jms-reply-to"), int8(3)}}),
			section_(kindProperties, list{nil, nil, nil, nil, "answers"})),
			core.Content{Kind: core.BodyNone, ReplyTo: core.Destination{Kind: core.TempTopic, Name: "answers"}}},
		"a reply-to nobody can send to": {sections(section_(kindProperties, list{nil, nil, nil, nil, "topic://a.*"})),
			core.Content{Kind: core.BodyNone, Properties: []core.Property{property("JMS_AMQP_ReplyTo", "topic://a.*")}}},
		"every type of property": {sections(section_(kindAppProperties, pairs{{"a", nil}, {"b", true}, {"c", int8(-1)}, {"d", int16(-2)}, {"e", int32(-3)},
			{"f", int64(-4)}, {"g", uint8(1)}, {"h", uint16(2)}, {"i", uint32(3)}, {"j", uint64(4)}, {"k", float32(1.5)}, {"l", 2.5}, {"m", "s"},
			{"n", []byte{0}}, {"o", timestamp(7)}, {"p", symbol("y")}, {"q", char('é')}, {"r", uuid{0xab}}, {"s", decimal32{1}}, {"t", decimal64{2}},
			{"u", decimal128{3}}, {"not simple", list{}}, {"nor this", pairs{}}, {"nor that", array{code: codeUint}}, {"nor it", described{uint64(1), "x"}}})),
			core.Content{Kind: core.BodyNone, Properties: []core.Property{property("a", nil), property("b", true), property("c", int8(-1)),
				property("d", int16(-2)), property("e", int32(-3)), property("f", int64(-4)), property("g", uint8(1)), property("h", uint16(2)),
				property("i", uint32(3)), property("j", uint64(4)), property("k", float32(1.5)), property("l", 2.5), property("m", "s"),
				property("n", []byte{0}), property("o", time.UnixMilli(7).UTC()), property("p", "y"), property("q", "é"),
				property("r", "ab000000-0000-0000-0000-000000000000"), property("s", []byte{1, 0, 0, 0}),
				property("t", append([]byte{2}, make([]byte, 7)...)), property("u", append([]byte{3}, make([]byte, 15)...))}}},
		"data":          {sections(section_(kindData, []byte{0xff})), core.Content{Kind: core.BodyBytes, Body: []byte{0xff}}},
		"data in parts": {sections(section_(kindData, []byte("ab")), section_(kindData, []byte("cd"))), core.Content{Kind: core.BodyBytes, Body: []byte("abcd")}},
		"data that is said to be text and is not": {sections(section_(kindProperties, list{nil, nil, nil, nil, nil, nil, symbol("text/plain")}), section_(kindData, []byte{0xff})),
			core.Content{Kind: core.BodyBytes, Body: []byte{0xff}, ContentType: "text/plain"}},
		"JSON by its content type": {sections(section_(kindProperties, list{nil, nil, nil, nil, nil, nil, symbol("Application/JSON; x=y")}), section_(kindData, []byte("{}"))),
			core.Content{Kind: core.BodyText, Body: []byte("{}"), ContentType: "Application/JSON; x=y"}},
		"a charset": {sections(section_(kindProperties, list{nil, nil, nil, nil, nil, nil, symbol("a/b;charset=utf-8")}), section_(kindData, []byte("x"))),
			core.Content{Kind: core.BodyText, Body: []byte("x"), ContentType: "a/b;charset=utf-8"}},
		"a text value":  {sections(section_(kindValue, "𝄞")), core.Content{Kind: core.BodyText, Body: []byte("𝄞")}},
		"a bytes value": {sections(section_(kindValue, []byte{1})), core.Content{Kind: core.BodyBytes, Body: []byte{1}}},
		"a null value":  {sections(section_(kindValue, nil)), core.Content{Kind: core.BodyNone}},
		"a number":      {sections(section_(kindValue, int32(-5))), core.Content{Kind: core.BodyJSON, Body: []byte("-5"), Structure: sections(section_(kindValue, int32(-5)))}},
		"sequences": {sections(section_(kindSequence, list{uint8(1)}), section_(kindSequence, list{}), section_(kindSequence, list{"b"})),
			core.Content{Kind: core.BodyJSON, Body: []byte(`[1,"b"]`),
				Structure: sections(section_(kindSequence, list{uint8(1)}), section_(kindSequence, list{}), section_(kindSequence, list{"b"}))}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(&c.want, contentOf(t, stored(t, c.in, ordersQueue))); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestBareIsKept holds that AMQP to AMQP passes everything from the message-annotations on as it came, and nothing before.
func TestBareIsKept(t *testing.T) {
	bare := sections(section_(kindMessageNotes, pairs{{symbol("x-opt-a"), list{uint32(1)}}}), everyProperty(uint64(9), uuid{1}),
		section_(kindAppProperties, pairs{{"p", "v"}}), section_(kindValue, pairs{{"k", array{code: codeUint, vals: []any{uint32(1), uint32(300)}}}}),
		section_(kindFooter, pairs{{symbol("sum"), []byte{1, 2}}}))
	in := append(sections(section_(kindHeader, list{true, uint8(9)}), section_(kindDeliveryNotes, pairs{{symbol("hop"), true}})), bare...)
	m := stored(t, in, ordersQueue)
	out, err := bareOf(m)
	if err != nil || string(out) != string(bare) {
		t.Errorf("%x became %x, %v", bare, out, err)
	}
}

// TestContentToAMQP writes every field of the common model and reads it back.
func TestContentToAMQP(t *testing.T) {
	all := core.Content{ID: "id-1", CorrelationID: "c-1", ReplyTo: core.Destination{Kind: core.Topic, Name: "answers"}, ContentType: "text/plain",
		Type: "kind", GroupID: "g", GroupSequence: 4, UserID: "me", Kind: core.BodyText, Body: []byte("𝄞 text"),
		Properties: []core.Property{{Name: "JMS_AMQP_MA_x-opt-a", Value: int8(1)}, {Name: "JMS_AMQP_ContentEncoding", Value: "gzip"},
			{Name: "JMS_AMQP_ReplyToGroupID", Value: "back"}, {Name: "n", Value: int32(4)}, {Name: "t", Value: time.UnixMilli(99).UTC()},
			{Name: "b", Value: []byte{0, 1}}, {Name: "JMS_AMQP_FT_sum", Value: "x"}}}
	structure := sections(section_(kindValue, pairs{{"k", uint8(1)}}))
	for name, c := range map[string]core.Content{
		"every field": all,
		"no body":     {Kind: core.BodyNone},
		"bytes":       {Kind: core.BodyBytes, Body: []byte{0, 0xff}},
		"no bytes":    {Kind: core.BodyBytes, Body: []byte{}},
		"no text":     {Kind: core.BodyText, Body: []byte{}},
		"bytes with a text content type that is a lie": {Kind: core.BodyBytes, Body: []byte{0xff}, ContentType: "text/plain"},
		"a structure":                        {Kind: core.BodyJSON, Body: []byte(`{"k":1}`), Structure: structure},
		"a temporary reply-to":               {Kind: core.BodyNone, ReplyTo: core.Destination{Kind: core.TempQueue, Name: "x"}},
		"a to of its own":                    {Kind: core.BodyNone, Properties: []core.Property{{Name: "JMS_AMQP_To", Value: "topic://x"}}},
		"an odd reply-to":                    {Kind: core.BodyNone, Properties: []core.Property{{Name: "JMS_AMQP_ReplyTo", Value: "topic://a.*"}}},
		"bytes for a correlation":            {Kind: core.BodyNone, CorrelationID: "\xff\x00"},
		"an ulong for an id":                 {Kind: core.BodyNone, ID: "ID:AMQP_ULONG:7"},
		"a property that looks like a field": {Kind: core.BodyNone, Properties: []core.Property{{Name: "JMS_AMQP_To", Value: int32(1)}, {Name: "JMS_AMQP_Other", Value: "x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := core.Header{To: ordersQueue, ExpiresMs: epoch.UnixMilli() + 5, TimestampMs: 6}
			bare, err := bareOf(core.NewMessage(h, &c))
			if err != nil {
				t.Fatal(err)
			}
			m := stored(t, bare, ordersQueue)
			if m.ExpiresMs != h.ExpiresMs || m.TimestampMs != h.TimestampMs {
				t.Errorf("times %d %d", m.ExpiresMs, m.TimestampMs)
			}
			if d := cmp.Diff(&c, contentOf(t, m)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestForeignText writes what AMQP's types cannot say as they can.
func TestForeignText(t *testing.T) {
	c := core.Content{ContentType: "text/ü", Type: "a\xff", Kind: core.BodyText, Body: []byte{0xff},
		Properties: []core.Property{{Name: "n\xff", Value: "v\xff"}, {Name: "JMS_AMQP_MA_ü", Value: "x"}}}
	bare, err := bareOf(core.NewMessage(core.Header{To: ordersQueue}, &c))
	if err != nil {
		t.Fatal(err)
	}
	want := core.Content{ContentType: "text/?", Type: "a\uFFFD", Kind: core.BodyBytes, Body: []byte{0xff},
		Properties: []core.Property{{Name: "JMS_AMQP_MA_?", Value: "x"}, {Name: "n\uFFFD", Value: []byte("v\xff")}}}
	if d := cmp.Diff(&want, contentOf(t, stored(t, bare, ordersQueue))); d != "" {
		t.Error(d)
	}
}

// TestMessagesRefused are messages whose senders are told so.
func TestMessagesRefused(t *testing.T) {
	many := make(pairs, maxEntries+1)
	for i := range many {
		many[i] = pair{symbol("a"), true}
	}
	data := section_(kindData, []byte{})
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"no section":                 {[]byte{codeNull}, errSections},
		"an unknown section":         {sections(section_(kindFooter+1, pairs{})), errSections},
		"a section twice":            {sections(section_(kindHeader, list{}), section_(kindHeader, list{})), errSections},
		"sections out of order":      {sections(data, section_(kindProperties, list{})), errSections},
		"two kinds of body":          {sections(data, section_(kindValue, "x")), errSections},
		"two values":                 {sections(section_(kindValue, "x"), section_(kindValue, "x")), errSections},
		"a header that is a map":     {sections(section_(kindHeader, pairs{})), errType},
		"properties that are text":   {sections(section_(kindProperties, "x")), errType},
		"data that is text":          {sections(section_(kindData, "x")), errType},
		"a footer that is a list":    {sections(section_(kindFooter, list{})), errType},
		"a priority of a wrong type": {sections(section_(kindHeader, list{true, uint32(1)})), errType},
		"an id of a wrong type":      {sections(section_(kindProperties, list{int32(1)})), errType},
		"a subject that is bytes":    {sections(section_(kindProperties, list{nil, nil, nil, []byte{1}})), errType},
		"too many entries":           {sections(section_(kindAppProperties, many)), errEntries},
		"half a section":             {[]byte{codeDescribed, codeSmallUlong}, errSections},
		"a cut body":                 {sections(data)[:4], errShort},
	} {
		t.Run(name, func(t *testing.T) {
			var e envelope
			if err := e.open(c.in, 0); err != c.want {
				t.Errorf("%v, not %v", err, c.want)
			}
			m := core.Message{Format: Format, Bare: c.in}
			if _, err := m.Content(); err == nil && c.want != errType {
				t.Error("the stored message was read")
			}
		})
	}
}

// TestIDs holds that a message-id of any type comes back as it was, from its text.
func TestIDs(t *testing.T) {
	for v, want := range map[any]string{
		"abc": "abc", uint64(0): "ID:AMQP_ULONG:0", uint64(math.MaxUint64): "ID:AMQP_ULONG:18446744073709551615",
		uuid{0xff}: "ID:AMQP_UUID:ff000000-0000-0000-0000-000000000000", "ID:AMQP_ULONG:1": "ID:AMQP_STRING:ID:AMQP_ULONG:1",
		"ID:AMQP_STRING:x": "ID:AMQP_STRING:ID:AMQP_STRING:x", "ID:AMQP_ULONG:01": "ID:AMQP_ULONG:01", "ID:AMQP_UUID:ff": "ID:AMQP_UUID:ff",
		"ID:AMQP_BINARY:0g": "ID:AMQP_BINARY:0g", true: "",
	} {
		if got := idText(v); got != want {
			t.Errorf("%v is %q, not %q", v, got, want)
		} else if want != "" && idValue(got) != v {
			t.Errorf("%q is %v, not %v", got, idValue(got), v)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(rapid.Map(rapid.String(), func(s string) any { return s }), rapid.Map(rapid.Uint64(), func(n uint64) any { return n }),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) any { return uuid(b) }),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) any { return b }),
			rapid.Map(rapid.SampledFrom([]string{idUlong, idUUID, idBinary, idString}), func(s string) any { return s + "00" })).Draw(t, "id")
		if d := cmp.Diff(v, idValue(idText(v))); d != "" {
			t.Fatal(d)
		}
		if d := cmp.Diff(v, idValue(correlationText(v))); d != "" {
			t.Fatal(d)
		}
	})
}

// TestJSON shows structures to those who do not read AMQP.
func TestJSON(t *testing.T) {
	for want, v := range map[string]any{
		`{"a":1,"b":[true,null,-2]}`: pairs{{"a", uint8(1)}, {symbol("b"), list{true, nil, int16(-2)}}},
		`{"1":"x","true":"y"}`:       pairs{{uint32(1), "x"}, {true, "y"}},
		`[1,300]`:                    array{code: codeUint, vals: []any{uint32(1), uint32(300)}},
		`[[],{}]`:                    list{list{}, pairs{}},
		`"AQI="`:                     described{uint64(1), []byte{1, 2}},
		`"a\"\\\u0001é𝄞"`:            symbol("a\"\\\x01é𝄞"),
		`1.5`:                        float32(1.5),
		`[0.1,null,null]`:            list{0.1, math.NaN(), math.Inf(1)},
		`"1970-01-01T00:00:00.005Z"`: timestamp(5),
		`["é","ab000000-0000-0000-0000-000000000000","AQAAAA==","AQAAAAAAAAA=","AQAAAAAAAAAAAAAAAAAAAA=="]`: list{char('é'), uuid{0xab}, decimal32{1}, decimal64{1}, decimal128{1}},
		`[1,2,3,4,-1,-2,-3,-4]`: list{uint8(1), uint16(2), uint32(3), uint64(4), int8(-1), int16(-2), int32(-3), int64(-4)},
	} {
		if _, isText := v.(string); isText {
			continue
		}
		b, err := jsonBody(kindValue, sections(section_(kindValue, v)))
		if err != nil || string(b) != want {
			t.Errorf("%s, %v, not %s", b, err, want)
		}
	}
}

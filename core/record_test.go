package core

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/persist"
)

func drawHeader(t *rapid.T) Header {
	text := rapid.StringN(0, 20, -1)
	num := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64())
	return Header{To: Destination{Kind(rapid.IntRange(1, 4).Draw(t, "kind")), text.Draw(t, "name")}, Durable: rapid.Bool().Draw(t, "durable"),
		Retain: rapid.Bool().Draw(t, "retain"), Priority: uint8(rapid.IntRange(0, 9).Draw(t, "priority")), ExpiresMs: num.Draw(t, "expires"),
		TimestampMs: num.Draw(t, "timestamp"), NotBeforeMs: num.Draw(t, "notBefore"), DupID: text.Draw(t, "dup"), Publisher: text.Draw(t, "publisher"),
		QoS: uint8(rapid.IntRange(0, 2).Draw(t, "qos"))}
}

func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHeader(t)
		b := appendHeader(nil, &Message{Header: h, Format: rawFormat{}})
		got, format, err := readHeader(b, Destination{Name: h.To.Name})
		if err != nil || format != FormatSTOMP {
			t.Fatal(format, err)
		}
		if d := cmp.Diff(h, got); d != "" {
			t.Fatal(d)
		}
		if _, _, err := readHeader(b[:len(b)-1], Destination{}); err == nil {
			t.Fatal("a header without its end")
		}
		if _, _, err := readHeader(append(b, 0), Destination{}); err == nil {
			t.Fatal("a header with more behind it")
		}
	})
}

// What a protocol lets through must be readable for ever.
func TestHeaderOutOfBoundsIsReadable(t *testing.T) {
	m := text(queueOf("q"), "x", func(m *Message) { m.Priority, m.DupID = 200, strings.Repeat("d", 100_000) })
	h, _, err := readHeader(appendHeader(nil, m), Destination{})
	if err != nil || h.Priority != 9 || h.To != m.To || h.DupID != m.DupID {
		t.Errorf("%+v %v", h, err)
	}
}

func drawValue(t *rapid.T) any {
	return rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), toAny), rapid.Map(rapid.Int8(), toAny), rapid.Map(rapid.Int16(), toAny),
		rapid.Map(rapid.Int32(), toAny), rapid.Map(rapid.Int64(), toAny), rapid.Map(rapid.Uint8(), toAny), rapid.Map(rapid.Uint16(), toAny),
		rapid.Map(rapid.Uint32(), toAny), rapid.Map(rapid.Uint64(), toAny), rapid.Map(rapid.Float32(), toAny), rapid.Map(rapid.Float64(), toAny),
		rapid.Map(rapid.String(), toAny), rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 9), toAny),
		rapid.Map(rapid.Int64Range(-1<<50, 1<<50), func(ms int64) any { return time.UnixMilli(ms).UTC() }),
	).Draw(t, "value")
}

func toAny[T any](v T) any { return v }

func TestContentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringN(0, 10, -1)
		c := &Content{ID: s.Draw(t, "id"), CorrelationID: s.Draw(t, "corr"), ContentType: s.Draw(t, "ct"), Type: s.Draw(t, "type"), GroupID: s.Draw(t, "group"),
			UserID: s.Draw(t, "user"), GroupSequence: rapid.Uint32().Draw(t, "seq"), Kind: BodyKind(rapid.IntRange(0, 3).Draw(t, "kind")),
			ReplyTo: Destination{Kind(rapid.IntRange(0, 4).Draw(t, "reply")), s.Draw(t, "replyName")},
			Body:    rapid.SliceOfN(rapid.Byte(), 1, 30).Draw(t, "body")}
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			c.Properties = append(c.Properties, Property{s.Draw(t, "p"), drawValue(t)})
		}
		m := NewMessage(Header{To: queueOf("q")}, c)
		got, err := (&Message{Format: contentFormat{}, Bare: m.Bare}).Content()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, got, cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
			cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })); d != "" {
			t.Fatal(d)
		}
	})
}

func TestContentIsReadOnceAndKept(t *testing.T) {
	m := NewMessage(Header{}, &Content{Body: []byte("x")})
	a, err := m.Content()
	b, _ := m.Content()
	if a != b || err != nil {
		t.Error("read twice", err)
	}
	if c, err := (&Message{Format: contentFormat{}}).Content(); err != nil || c.Kind != BodyNone {
		t.Errorf("%+v %v", c, err)
	}
	for _, bad := range []string{"\x02", "\x01", "\x01\x09" + strings.Repeat("\x00", 12)} {
		if _, err := (&Message{Format: contentFormat{}, Bare: []byte(bad)}).Content(); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestNoteRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := makeGrant(uint8(rapid.IntRange(0, 2).Draw(t, "qos")), rapid.Bool().Draw(t, "as"), rapid.Bool().Draw(t, "retained"),
			rapid.SliceOf(rapid.Uint32()).Draw(t, "ids"))
		got := readNote(g.bytes())
		if got == nil || got.qos != g.qos || got.asRetain != g.asRetain || got.retained != g.retained || !bytes.Equal(got.note, g.note) {
			t.Fatalf("%+v, then %+v", g, got)
		}
	})
	many := makeGrant(1, false, false, make([]uint32, 10_000))
	if len(many.bytes()) > persist.MaxNoteBytes {
		t.Errorf("%d bytes", len(many.bytes()))
	}
	long := makeReason(strings.Repeat("x", 10_000), queueOf("q"))
	if len(long.bytes()) > persist.MaxNoteBytes || readNote(long.bytes()).reason != long.reason {
		t.Error("a long reason")
	}
	from := makeReason("expired", topicOf("news.>"))
	if got := readNote(from.bytes()); got == nil || got.reason != "expired" || got.origin != topicOf("news.>") || !bytes.Equal(got.note, from.note) {
		t.Errorf("%+v, then %+v", from, got)
	}
	for _, n := range []int{4080, 4090, 5000, MaxNameBytes} {
		g := makeReason("expired", queueOf(strings.Repeat("x", n)))
		if got := readNote(g.bytes()); len(g.bytes()) > persist.MaxNoteBytes || got.reason != "expired" || got.origin != g.origin || g.origin.IsZero() != (n > 4080) {
			t.Errorf("a name of %d bytes: %q from %d", n, got.reason, len(got.origin.Name))
		}
	}
	if (*grant)(nil).bytes() != nil {
		t.Error("no grant has a note")
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(appendHeader(nil, text(queueOf("q"), "x", expires(5), retained)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, format, err := readHeader(b, Destination{})
		if err != nil {
			return
		}
		again := appendHeader(nil, &Message{Header: h, Format: formatOf(format)})
		if got, _, err := readHeader(again, Destination{}); err != nil || got != h {
			t.Errorf("%+v, then %+v %v", h, got, err)
		}
	})
}

type formatOf byte

func (f formatOf) ID() byte                           { return byte(f) }
func (formatOf) Content(m *Message) (*Content, error) { return &Content{}, nil }

func FuzzContent(f *testing.F) {
	f.Add(NewMessage(Header{}, &Content{ID: "1", Body: []byte("x"), Properties: []Property{{"a", int8(1)}, {"b", time.UnixMilli(5)}, {"c", nil}}}).Bare)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := contentFormat{}.Content(&Message{Bare: b})
		if err != nil || len(b) == 0 {
			return
		}
		if len(c.Properties) > len(b) {
			t.Errorf("%d properties in %d bytes", len(c.Properties), len(b))
		}
		if _, err := (contentFormat{}).Content(&Message{Bare: appendContent(nil, c)}); err != nil {
			t.Error(err)
		}
	})
}

func FuzzNote(f *testing.F) {
	f.Add(makeGrant(2, true, false, []uint32{1, 300}).note)
	f.Add(makeReason("expired", Destination{}).note)
	f.Add(makeReason("expired", topicOf("news.>")).note)
	f.Fuzz(func(t *testing.T, b []byte) {
		if g := readNote(b); g != nil && len(b) <= persist.MaxNoteBytes && readNote(g.note) == nil {
			t.Errorf("%x cannot be read again", g.note)
		}
	})
}

// FuzzRows opens a broker on rows that somebody tampered with: it opens or says why not.
func FuzzRows(f *testing.F) {
	f.Add(byte(persist.TableSessions), []byte("sm"), append(sessionRow(nil, 5, 60, 0), 0))
	f.Add(byte(persist.TableSessions), []byte("wm"), []byte{1, 0, 0, 6, 1, 3, 1, 0x24, 1, 'q', 'x'})
	f.Add(byte(persist.TableFilters), filterKey(nil, "m", "a.*"), filterRow(nil, &Filter{MaxQoS: 2, ID: 77}))
	f.Add(byte(persist.TableInbound), inboundKey(nil, "m", 7), []byte{})
	f.Add(byte(persist.TableDestinations), queueKey(nil, 7), []byte("\x01orders"))
	f.Add(byte(persist.TableSubscriptions), []byte("\x01a\x01d"), []byte("\x01\x00\x00\x00\x00\x00\x00\x00\x09\x01t.*"))
	f.Add(byte(persist.TableSettings), keyLastID, queueKey(nil, 7))
	f.Add(byte(persist.TableSettings), queueKey([]byte(pausePrefix), 7), []byte{})
	f.Fuzz(func(t *testing.T, table byte, key, value []byte) {
		s := newMemStore(t)
		var u persist.Unit
		u.Put(persist.TableSessions, []byte("sm"), sessionRow(nil, 5, 60, 0))
		u.Put(persist.TableDestinations, queueKey(nil, 7), []byte("\x01q"))
		u.Put(persist.Table(table%9+1), key, value)
		if _, _, err := s.Append(&u); err != nil {
			return
		}
		s.flush()
		b, err := Open(Options{Store: s, Pagers: -1, Formats: []Format{rawFormat{}}})
		if err != nil {
			if !strings.Contains(err.Error(), "opening the broker") {
				t.Error(err)
			}
			return
		}
		b.Tick(1 << 60)
		b.Queues("", "", 0)
		b.Subscriptions("", "", 0)
		b.Shutdown()
	})
}

package amqp

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// everyValue has a value of every constructor that there is.
func everyValue() [][]byte {
	values := []any{nil, true, false, uint8(1), uint16(2), uint32(0), uint32(3), uint32(300), uint64(0), uint64(4), uint64(1 << 40), int8(-1), int16(-2),
		int32(-3), int32(-300), int64(-4), int64(-1 << 40), float32(1), 2.5, char('é'), timestamp(9), uuid{1}, decimal32{1}, decimal64{2}, decimal128{3},
		"text", string(make([]byte, 300)), symbol("sym"), symbol(make([]byte, 300)), []byte{1}, make([]byte, 300), list{}, list{"a", nil, list{}},
		list{make([]byte, 300)}, pairs{}, pairs{{"a", uint32(1)}, {symbol("b"), pairs{{"c", "d"}}}}, pairs{{"a", make([]byte, 300)}},
		array{code: codeSym8, vals: []any{symbol("a"), symbol("b")}}, array{code: codeInt, vals: []any{int32(1), int32(-1)}}, array{code: codeLong, vals: []any{int64(-1)}},
		array{code: codeBool, vals: []any{true, false}}, array{code: codeTrue, vals: []any{true}}, array{code: codeList8, vals: []any{list{"x"}}},
		array{code: codeMap32, vals: []any{pairs{{"x", "y"}}}}, array{code: codeBin32, vals: []any{[]byte{7}}, desc: symbol("d")},
		array{code: codeArray8, vals: []any{array{code: codeUbyte, vals: []any{uint8(1)}}}}, described{uint64(0x70), list{true}}, described{symbol("x"), "y"}}
	var out [][]byte
	for _, v := range values {
		out = append(out, appendValue(nil, v))
	}
	return append(out, []byte{codeBool, 1}, []byte{codeMap8, 1, 0}, []byte{codeList32, 0, 0, 0, 4, 0, 0, 0, 0})
}

// FuzzValue holds that what check lets pass is decoded without a fault, within bounds, and encodes to itself.
func FuzzValue(f *testing.F) {
	for _, b := range everyValue() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := check(b, 0)
		if err != nil {
			return
		}
		if n > len(b) {
			t.Fatalf("%d bytes of %d", n, len(b))
		}
		once := appendValue(nil, decodeValue(b[:n:n]))
		if m, err := check(once, 0); err != nil || m != len(once) {
			t.Fatalf("%x became %x: %d, %v", b[:n], once, m, err)
		}
		if twice := appendValue(nil, decodeValue(once)); !bytes.Equal(once, twice) {
			t.Fatalf("%x became %x", once, twice)
		}
		if s := (section{kindValue, b[:n:n]}); b[0] != codeNull {
			w := jsonWriter{limit: maxJSONBytes + maxJSONGrowth*n}
			if w.value(s.value); w.err == nil && len(w.out) == 0 {
				t.Fatal("no JSON")
			}
		}
	})
}

// everyPerformative has all fields set in one performative of each kind.
func everyPerformative() []performative {
	failure := &wireError{condition: condDecode, description: "d", info: pairs{{symbol("k"), "v"}}}
	source := &terminus{is: kindSource, address: "queue://A", durable: 2, expiry: expiryNever, timeoutS: 1, dynamic: true, nodeProperties: appendValue(nil, pairs{{symbol("p"), true}}),
		distribution: distributionCopy, filter: pairs{{symbol("f"), described{filterNoLocal, list{}}}}, defaultOutcome: state{is: kindModified, failed: true, here: true},
		outcomes: allOutcomes, capabilities: []symbol{capTopic}}
	target := &terminus{is: kindTarget, address: "topic://A", expiry: expirySessionEnd, capabilities: []symbol{capQueue}}
	return []performative{
		&open{containerID: "c", hostname: "h", maxFrame: 512, channelMax: 3, idleTimeoutMs: 4, outLocales: []symbol{"en"}, inLocales: []symbol{"fr", "de"},
			offered: []symbol{capSole}, desired: []symbol{capAnonymousRelay}, properties: pairs{{symbol("product"), "p"}}},
		&beginning{remoteChannel: some(1), nextOutgoingID: 2, incomingWindow: 3, outgoingWindow: 4, handleMax: 5, offered: []symbol{"a"}, desired: []symbol{"b"}, properties: pairs{{symbol("a"), nil}}},
		&attach{name: "n", handle: 1, role: true, sndMode: 1, rcvMode: 1, source: source, target: target, unsettled: appendValue(nil, pairs{{[]byte{1}, nil}}), incompleteUnsettled: true,
			initialDeliveryCount: some(7), maxMessageBytes: 8, offered: []symbol{"a"}, desired: []symbol{"b"}, properties: pairs{{symbol("a"), true}}},
		&attach{name: "", sndMode: 2, target: &terminus{is: kindCoordinator, capabilities: []symbol{"amqp:local-transactions"}}},
		&flow{nextIncomingID: some(1), incomingWindow: 2, nextOutgoingID: 3, outgoingWindow: 4, handle: some(5), deliveryCount: some(6), credit: some(7), available: some(8), drain: true, echo: true, properties: pairs{{symbol("a"), true}}},
		&transfer{handle: 1, deliveryID: some(2), tag: []byte{3}, format: 4, settled: true, settledSet: true, more: true, rcvMode: some(1), state: state{is: kindTxState, txn: []byte{1}, outcome: kindAccepted}, resume: true, aborted: true, batchable: true},
		&disposition{role: true, first: 1, last: some(2), settled: true, state: state{is: kindRejected, err: failure}, batchable: true},
		&disposition{state: state{is: kindTxState, txn: []byte{9}, outcome: kindModified, failed: true}},
		&disposition{state: state{is: kindDeclared, txn: []byte{9}}}, &disposition{state: state{is: kindReceived}}, &disposition{state: state{is: kindReleased}},
		&detach{handle: 1, closed: true, err: failure}, &ending{err: failure}, &closing{err: failure}, &closing{},
		&mechanisms{names: []symbol{mechanismPlain, mechanismAnonymous}}, &saslInit{mechanism: mechanismPlain, response: []byte{0, 1}, hostname: "h"},
		&challenge{bytes: []byte{1}}, &saslResponse{bytes: []byte{2}}, &outcome{code: 4},
	}
}

var compareAll = cmp.AllowUnexported(open{}, beginning{}, attach{}, flow{}, transfer{}, disposition{}, detach{}, ending{}, closing{}, mechanisms{}, saslInit{}, challenge{}, saslResponse{},
	outcome{}, terminus{}, optUint{}, state{}, wireError{}, pair{}, described{}, array{})

func frameOf(p performative) Frame {
	f := Frame{channel: 7, body: p}
	if p.kind() >= kindMechanisms {
		f.kind = frameSASL
	}
	return f
}

func newCodec() *codec {
	return &codec{begun: true, limits: &limits{ownFrame: 1 << 20, peerFrame: 1 << 20}}
}

// TestPerformatives holds that decode is the inverse of encode, for every field of every performative.
func TestPerformatives(t *testing.T) {
	for _, p := range everyPerformative() {
		b, err := newCodec().Append(nil, frameOf(p))
		must(t, err)
		f, n, _, err := newCodec().Decode(b)
		if err != nil || n != len(b) || f.channel != 7 {
			t.Fatalf("%T: %d of %d bytes, channel %d, %v", p, n, len(b), f.channel, err)
		}
		if d := cmp.Diff(p, f.body, compareAll); d != "" {
			t.Errorf("%T: %s", p, d)
		}
		for i := range b { // every prefix asks for more
			if f, n, need, err := newCodec().Decode(b[:i]); n != 0 || err != nil || need > len(b) {
				t.Fatalf("%T cut to %d: %v %d %d %v", p, i, f, n, need, err)
			}
		}
	}
}

// FuzzFrame holds that no bytes make the codec fail but by an error, and that what it reads it writes and reads again as
// it was.
func FuzzFrame(f *testing.F) {
	for _, p := range everyPerformative() {
		b, err := newCodec().Append(nil, frameOf(p))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("AMQP\x00\x01\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x08\x02\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, back := newCodec(), newCodec()
		fr, n, need, err := in.Decode(b)
		if err != nil || n == 0 {
			if err == nil && need <= len(b) {
				t.Fatalf("needs %d, has %d", need, len(b))
			}
			return
		}
		once, err := in.Append(nil, fr)
		if err != nil {
			return
		}
		again, m, _, err := back.Decode(once)
		if err != nil || m != len(once) {
			t.Fatalf("%x became %x: %d, %v", b[:n], once, m, err)
		}
		twice, err := back.Append(nil, again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%x became %x, %v", once, twice, err)
		}
	})
}

// FuzzMessage holds that a message which comes in is read by everybody later without an error, and that the common model
// survives the way back into AMQP.
func FuzzMessage(f *testing.F) {
	f.Add(sections(section_(kindHeader, list{true, uint8(7), uint32(5000)}), section_(kindMessageNotes, pairs{{symbol("x-opt-delivery-delay"), int64(1)}}),
		everyProperty("id", uint64(1)), section_(kindAppProperties, pairs{{"_AMQ_DUPL_ID", "a"}, {"b", int8(1)}}), section_(kindData, []byte("x")), section_(kindFooter, pairs{{symbol("f"), "x"}})))
	f.Add(sections(section_(kindSequence, list{"x"}), section_(kindSequence, list{"x"})))
	for _, v := range everyValue() {
		f.Add(append([]byte{codeDescribed, codeSmallUlong, byte(kindValue)}, v...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e envelope
		if e.open(b, 1000) != nil {
			return
		}
		e.header.To = ordersQueue
		m := &core.Message{Header: e.header, Format: Format, Bare: e.bare}
		c, err := m.Content()
		if err == errBig {
			return // a structure that JSON would blow up: a reader of JSON is told
		}
		if err != nil {
			t.Fatal(err)
		}
		bare, err := bareOf(core.NewMessage(m.Header, c))
		if err != nil {
			t.Fatal(err)
		}
		var again envelope
		if err := again.open(bare, 1000); err != nil {
			t.Fatalf("%x became %x: %v", b, bare, err)
		}
	})
}

// TestLies are headers that claim far more than is there. Nothing may be allocated for them.
func TestLies(t *testing.T) {
	huge := []byte{0x7f, 0xff, 0xff, 0xff}
	frame := func(b ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(b)+8)), append([]byte{2, 0, 0, 0}, b...)...)
	}
	nested := bytes.Repeat([]byte{codeList8, 3, 1}, 4000)
	deep := bytes.Repeat([]byte{codeDescribed}, 100_000)
	var lies [][]byte
	for _, code := range []byte{codeList32, codeMap32, codeArray32} {
		body := append([]byte{code, 0, 0, 0, 5}, append(huge, codeNull)...)
		lies = append(lies, body, append([]byte{code}, append(huge, huge...)...))
		lies = append(lies, append([]byte{codeDescribed, codeSmallUlong, byte(kindOpen)}, body...), append([]byte{codeDescribed, codeSmallUlong, byte(kindValue)}, body...))
	}
	for _, code := range []byte{codeBin32, codeStr32, codeSym32} {
		lies = append(lies, append([]byte{code}, huge...))
	}
	lies = append(lies, nested, deep, append([]byte{codeArray32, 0, 0, 0, 5}, append(huge, codeTrue)...), append([]byte{codeArray8, 10, 255}, bytes.Repeat([]byte{codeArray8}, 9)...))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, b := range lies {
		if _, err := check(b, 0); err == nil {
			t.Errorf("%x passed", b[:min(len(b), 20)])
		}
		if len(b) < 1000 {
			newCodec().Decode(frame(b...))
		}
		(&envelope{}).open(b, 0)
		(&core.Message{Format: Format, Bare: b}).Content()
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<17 {
		t.Errorf("%d lies cost %d bytes", len(lies), n)
	}
}

// TestFrameBounds are frames whose header is enough to refuse them.
func TestFrameBounds(t *testing.T) {
	c := &codec{limits: &limits{ownFrame: 1 << 17, peerFrame: 512}}
	for _, x := range []struct {
		in   string
		want error
	}{
		{"GET / HT", errNotAMQP}, {"AMQ", nil}, {"AMX", errNotAMQP}, {"AMQP\x00\x01\x00\x00", nil},
		{"\x40\x00\x00\x00\x02\x00\x00\x00", errFrameSize}, {"\x00\x02\x00\x01\x02\x00\x00\x00", errFrameSize}, {"\x00\x00\x40\x01\x02\x01\x00\x00", errFrameSize},
		{"\x00\x00\x00\x07\x02\x00\x00\x00", errFrameHead}, {"\x00\x00\x00\x08\x01\x00\x00\x00", errFrameHead}, {"\x00\x00\x00\x08\x03\x00\x00\x00", errFrameHead},
		{"\x00\x00\x00\x08\x02\x02\x00\x00", errFrameType}, {"\x00\x00\x00\x0c\x03\x00\x00\x00\xff\xff\xff\xff", nil},
		{"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x18\x45", nil}, {"\x00\x00\x00\x0d\x02\x00\x00\x00\x00\x53\x18\x45\x00", errFrameHead},
		{"\x00\x00\x00\x0c\x02\x01\x00\x00\x00\x53\x18\x45", errUnknown}, {"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x44\x45", errUnknown},
	} {
		if _, _, _, err := c.Decode([]byte(x.in)); err != x.want {
			t.Errorf("%q: %v, not %v", x.in, err, x.want)
		}
	}
	long := &attach{name: string(make([]byte, 600))}
	if b, err := c.Append([]byte("x"), Frame{body: long}); err != errPeerFrame || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestSmallMessage holds that a small message with its bytes is one object of the size that was meant.
func TestSmallMessage(t *testing.T) {
	if n := reflect.TypeFor[smallMessage]().Size(); n != 288 {
		t.Errorf("%d bytes", n)
	}
}

// TestTransferHead holds that the room that is left for a transfer's head is enough for the largest.
func TestTransferHead(t *testing.T) {
	s := sending{handle: 1<<32 - 1, first: 1<<32 - 1, attempts: 1<<32 - 1, ttlMs: some(1<<32 - 1), priority: 9, durable: true, fresh: true, settled: true, start: true, more: true}
	if n := len(appendTransfer(nil, &Frame{send: s})); n > maxTransferHead {
		t.Errorf("%d bytes, not %d", n, maxTransferHead)
	}
}

var _ peer.Flusher[Frame] = (*connection)(nil)

package amqp

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/havenmq/havenmq/core"
)

// These spell performatives as text, `attach name=a handle=0 role=true source.address=queue://A`, and read them back, so
// that sessions are tested by scripts. A field that has its zero value is not printed.

var performatives = map[string]func() performative{
	"open": func() performative {
		return &open{maxFrame: defaultMaxFrame, channelMax: defaultChannelMax}
	},
	"begin": func() performative {
		return &beginning{handleMax: defaultMaxFrame, incomingWindow: 100000, outgoingWindow: 100000}
	},
	"attach": func() performative { return &attach{sndMode: sndMixed} },
	"flow": func() performative {
		return &flow{incomingWindow: 100000, outgoingWindow: 100000, nextIncomingID: some(0)}
	},
	"transfer":        func() performative { return &transfer{} },
	"disposition":     func() performative { return &disposition{} },
	"detach":          func() performative { return &detach{} },
	"end":             func() performative { return &ending{} },
	"close":           func() performative { return &closing{} },
	"sasl-mechanisms": func() performative { return &mechanisms{} },
	"sasl-init":       func() performative { return &saslInit{} },
	"sasl-challenge":  func() performative { return &challenge{} },
	"sasl-response":   func() performative { return &saslResponse{} },
	"sasl-outcome":    func() performative { return &outcome{} },
}

var kindText = map[kind]string{
	kindOpen: "open", kindBegin: "begin", kindAttach: "attach", kindFlow: "flow", kindTransfer: "transfer",
	kindDisposition: "disposition", kindDetach: "detach", kindEnd: "end", kindClose: "close", kindMechanisms: "sasl-mechanisms",
	kindInit: "sasl-init", kindChallenge: "sasl-challenge", kindResponse: "sasl-response", kindOutcome: "sasl-outcome",
	kindReceived: "received", kindAccepted: "accepted", kindRejected: "rejected", kindReleased: "released",
	kindModified: "modified", kindSource: "source", kindTarget: "target", kindCoordinator: "coordinator",
	kindDeclared: "declared", kindTxState: "transactional", kindDeclare: "declare", kindDischarge: "discharge",
	kindHeader: "header", kindDeliveryNotes: "delivery-annotations", kindMessageNotes: "message-annotations",
	kindProperties: "properties", kindAppProperties: "application-properties", kindData: "data", kindSequence: "sequence",
	kindValue: "value", kindFooter: "footer",
}

func showPerformative(p performative) string {
	return strings.TrimSpace(kindText[p.kind()] + show("", reflect.ValueOf(p)))
}

// show prints the fields below v that are not zero.
func show(prefix string, v reflect.Value) string {
	switch v.Type() {
	case reflect.TypeFor[optUint]():
		if v.Field(1).Bool() {
			return fmt.Sprintf(" %s=%d", prefix, v.Field(0).Uint())
		}
		return ""
	case reflect.TypeFor[kind]():
		if v.Uint() != 0 {
			return fmt.Sprintf(" %s=%s", prefix, kindText[kind(v.Uint())])
		}
		return ""
	case reflect.TypeFor[pairs]():
		var b strings.Builder
		for i := range v.Len() {
			k, e := v.Index(i).Field(0), v.Index(i).Field(1)
			fmt.Fprintf(&b, " %s[%v]=%v", prefix, k, e)
		}
		return b.String()
	case reflect.TypeFor[[]byte]():
		if v.Len() > 0 {
			return fmt.Sprintf(" %s=%x", prefix, v.Bytes())
		}
		return ""
	}
	if v.IsZero() {
		return ""
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return show(prefix, v.Elem())
	case reflect.Struct:
		var b strings.Builder
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if prefix != "" {
				name = prefix + "." + name
			}
			b.WriteString(show(name, v.Field(i)))
		}
		return b.String()
	case reflect.Bool:
		return " " + prefix
	case reflect.String:
		return fmt.Sprintf(" %s=%s", prefix, quoted(v.String()))
	}
	return fmt.Sprintf(" %s=%v", prefix, v)
}

func quoted(s string) string {
	if strings.ContainsAny(s, " \"\n") || s == "" {
		return strconv.Quote(s)
	}
	return s
}

// words splits a line at spaces outside quotes.
func words(line string) (out []string) {
	var b strings.Builder
	in := false
	for _, r := range line {
		switch {
		case r == '"':
			in = !in
		case r == ' ' && !in:
			if b.Len() > 0 {
				out = append(out, b.String())
			}
			b.Reset()
		default:
			b.WriteRune(r)
		}
	}
	if b.Len() > 0 {
		out = append(out, b.String())
	}
	return out
}

// readPerformative is showPerformative's inverse, for one line of a script. It returns the words that name no field.
func readPerformative(t testing.TB, line string) (performative, map[string]string) {
	t.Helper()
	ws := words(line)
	fresh, ok := performatives[ws[0]]
	if !ok {
		t.Fatalf("no performative %q", ws[0])
	}
	p, rest := fresh(), map[string]string{}
	for _, w := range ws[1:] {
		name, value, _ := strings.Cut(w, "=")
		if !set(t, reflect.ValueOf(p).Elem(), strings.Split(name, "."), value) {
			rest[name] = value
		}
	}
	return p, rest
}

func set(t testing.TB, v reflect.Value, path []string, value string) bool {
	f := v.FieldByName(path[0])
	if !f.IsValid() {
		return false
	}
	f = reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem()
	if f.Kind() == reflect.Pointer && f.IsNil() && value != "null" {
		f.Set(reflect.New(f.Type().Elem()))
		if te, ok := f.Interface().(*terminus); ok {
			te.is = map[string]kind{"source": kindSource, "target": kindTarget}[path[0]]
			te.expiry = expirySessionEnd
		}
	}
	if len(path) > 1 {
		if f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		return set(t, f, path[1:], value)
	}
	setLeaf(t, f, value)
	return true
}

func setLeaf(t testing.TB, f reflect.Value, value string) {
	switch p := f.Addr().Interface().(type) {
	case *optUint:
		n, err := strconv.ParseUint(value, 10, 32)
		must(t, err)
		*p = some(uint32(n))
	case *kind:
		*p = kindFor(t, value)
	case *[]symbol:
		for s := range strings.SplitSeq(value, ",") {
			*p = append(*p, symbol(s))
		}
	case *[]byte:
		b, err := hex.DecodeString(value)
		must(t, err)
		*p = b
	case *any:
		*p = value
	case *pairs:
		*p = readFilter(t, value)
	case **terminus: // present, and empty
	default:
		setPlain(t, f, value)
	}
}

func setPlain(t testing.TB, f reflect.Value, value string) {
	switch f.Kind() {
	case reflect.Bool:
		f.SetBool(value == "" || value == "true")
	case reflect.String:
		f.SetString(value)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(value, 10, 64)
		must(t, err)
		f.SetUint(n)
	default:
		t.Fatalf("cannot set a %v", f.Type())
	}
}

func kindFor(t testing.TB, name string) kind {
	for k, s := range kindText {
		if s == name {
			return k
		}
	}
	t.Fatalf("no kind %q", name)
	return 0
}

// readFilter reads no-local, selector:TEXT or unknown, joined by +.
func readFilter(t testing.TB, value string) (p pairs) {
	for f := range strings.SplitSeq(value, "+") {
		name, text, _ := strings.Cut(f, ":")
		switch name {
		case "no-local":
			p = append(p, pair{symbol(name), described{filterNoLocal, list{}}})
		case "selector":
			p = append(p, pair{symbol("jms-selector"), described{filterSelectorCode, text}})
		default:
			p = append(p, pair{symbol(name), described{symbol(name), text}})
		}
	}
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// showMessage prints a message's sections.
func showMessage(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		s, rest, err := nextSection(b)
		if err != nil {
			return out.String() + " | " + err.Error()
		}
		fmt.Fprintf(&out, " | %s %s", kindText[s.kind], showValue(decodeValue(s.value)))
		b = rest
	}
	return out.String()
}

func showValue(v any) string {
	switch v := v.(type) {
	case []byte:
		if len(v) > 64 {
			return fmt.Sprintf("%d bytes", len(v))
		}
		return strconv.Quote(string(v))
	case string:
		return strconv.Quote(v)
	case list:
		var parts []string
		for _, e := range v {
			parts = append(parts, showValue(e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case pairs:
		var parts []string
		for _, e := range v {
			parts = append(parts, showValue(e.key)+":"+showValue(e.value))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case described:
		return fmt.Sprintf("@%v(%s)", v.desc, showValue(v.value))
	}
	return fmt.Sprintf("%v", v)
}

// message builds a message from a script's words.
func message(t testing.TB, w map[string]string) []byte {
	if raw, ok := w["raw"]; ok {
		b, err := hex.DecodeString(raw)
		must(t, err)
		return b
	}
	var b []byte
	_, durable := w["durable"]
	if h := (list{durable, num(t, w, "priority"), num(t, w, "ttl")}); durable || h[1] != nil || h[2] != nil {
		if h[1] != nil {
			h[1] = uint8(h[1].(uint32))
		}
		b = appendValue(b, described{uint64(kindHeader), h})
	}
	if d := num(t, w, "delay"); d != nil {
		b = appendMap(b, kindMessageNotes, pairs{{symbol(annotationDelay), int64(d.(uint32))}})
	}
	if k := num(t, w, "jmsdest"); k != nil {
		b = appendMap(b, kindMessageNotes, pairs{{symbol(annotationDest), int8(k.(uint32))}})
	}
	if to, ok := w["to"]; ok {
		b = appendValue(b, described{uint64(kindProperties), list{nil, nil, to}})
	}
	if id, ok := w["dup"]; ok {
		b = appendMap(b, kindAppProperties, pairs{{propertyDupID, id}})
	}
	if _, ok := w["declare"]; ok {
		if id, ok := w["global"]; ok {
			return appendValue(b, described{uint64(kindValue), described{uint64(kindDeclare), list{[]byte(id)}}})
		}
		return appendValue(b, described{uint64(kindValue), described{uint64(kindDeclare), list{}}})
	}
	if id, ok := w["discharge"]; ok {
		n, _ := strconv.Atoi(id)
		_, fail := w["fail"]
		return appendValue(b, described{uint64(kindValue), described{uint64(kindDischarge), list{txBytes(core.TxID(n)), fail}}})
	}
	if body, ok := w["body"]; ok {
		if n, ok := num(t, w, "bytes").(uint32); ok {
			body = strings.Repeat(body, int(n))
		}
		b = appendValue(b, described{uint64(kindData), []byte(body)})
	}
	return b
}

func num(t testing.TB, w map[string]string, name string) any {
	s, ok := w[name]
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	must(t, err)
	return uint32(n)
}

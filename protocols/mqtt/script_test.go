package mqtt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

var epoch = time.UnixMilli(1_700_000_000_000)

// script drives one connection's machine by text.
type script struct {
	t       testing.TB
	now     time.Time
	version byte
	codec   peer.Codec[Packet]
	machine peer.Machine[Packet]
	out     peer.Out[Packet]
	wake    time.Time
	deaf    bool
	tickets []core.Ticket
	tags    map[core.Tag]int
	deliv   int
	text    strings.Builder
}

func newScript(t testing.TB, o Options, l peer.Limits) *script {
	s := &script{t: t, now: epoch, tags: map[core.Tag]int{}, version: level5}
	s.codec, s.machine = New(o).New(l, "127.0.0.1:1", s.now)
	return s
}

// TestScripts runs testdata/*.txt. `go test -run Scripts -rewrite` writes what is there now.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return
		}
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				o, l := scriptOptions(d)
				s = newScript(t, o, l)
				return ""
			}
			s.t = t
			s.text.Reset()
			if d.HasArg("v5") {
				s.lines("> connect id=me clean=1\ndone")
				s.text.Reset()
			}
			if d.HasArg("v311") {
				s.lines("> connect v=4 id=me clean=1\ndone")
				s.text.Reset()
			}
			s.lines(d.Input)
			return s.text.String()
		})
	})
}

// lines runs a block. Lines of one kind that follow each other are one batch to the rim, with one Flush at its end.
func (s *script) lines(input string) {
	verb := ""
	for line := range strings.SplitSeq(strings.TrimSpace(input), "\n") {
		if v, _, _ := strings.Cut(line, " "); v != verb {
			s.line("flush")
			verb = v
		}
		s.line(line)
	}
	s.line("flush")
}

func scriptOptions(d *datadriven.TestData) (o Options, l peer.Limits) {
	l.MaxFrameBytes = 100000
	for _, a := range d.CmdArgs {
		n, _ := strconv.Atoi(a.Vals[0])
		switch a.Key {
		case "keep-alive":
			o.ServerKeepAlive = time.Duration(n) * time.Second
		case "receive":
			o.ReceiveMaximum = n
		case "in-flight":
			o.InFlight = n
		case "aliases":
			o.TopicAliasMaximum = n
		case "max-packet":
			l.MaxFrameBytes = n
		}
	}
	return o, l
}

func (s *script) line(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	w := words(rest)
	switch verb {
	case "":
	case ">":
		s.client(w)
	case "done":
		s.complete(w)
	case "deliver":
		s.deliver(w)
	case "deaf": // at the next Tick
		s.deaf = true
	case "advance":
		d, err := time.ParseDuration(rest)
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(d)
		if !s.wake.IsZero() && !s.wake.After(s.now) {
			s.out.Deaf, s.deaf = s.deaf, false
			s.machine.Tick(s.now, &s.out)
		}
	case "evict":
		s.machine.Evict(codeError(rest), s.now, &s.out)
	case "flush":
		s.machine.(peer.Flusher[Packet]).Flush(s.now, &s.out)
	default:
		s.t.Fatalf("no verb %q", verb)
	}
	s.collect()
}

// words splits at spaces; %20 in a word is one.
func words(line string) map[string]string {
	w := map[string]string{}
	for i, e := range strings.Fields(line) {
		e = strings.ReplaceAll(e, "%20", " ")
		k, v, has := strings.Cut(e, "=")
		if i == 0 && !has {
			w["verb"] = e
		}
		if !has {
			v = "1"
		}
		if old, ok := w[k]; ok {
			v = old + "," + v
		}
		w[k] = v
	}
	return w
}

func num(w map[string]string, name string) int {
	n, _ := strconv.ParseInt(w[name], 0, 64)
	return int(n)
}

// client sends one packet, through bytes.
func (s *script) client(w map[string]string) {
	if w["verb"] == "bytes" {
		b, err := hex.DecodeString(w["hex"])
		if err != nil {
			s.t.Fatal(err)
		}
		s.bytes(b)
		return
	}
	if w["v"] != "" {
		s.version = byte(num(w, "v"))
	}
	b := clientBytes(s.t, w, s.version)
	s.bytes(b)
}

func (s *script) bytes(b []byte) {
	for len(b) > 0 {
		p, n, _, err := s.codec.Decode(b)
		if err != nil {
			s.machine.Malformed(err, s.now, &s.out)
			return
		}
		if n == 0 {
			fmt.Fprintf(&s.text, "incomplete\n")
			return
		}
		s.machine.Receive(p, s.now, &s.out)
		b = b[n:]
	}
}

// complete answers the oldest op that waits; "all" answers all of them.
func (s *script) complete(w map[string]string) {
	n := 1
	if w["all"] != "" {
		n = len(s.tickets)
	}
	for range n {
		if len(s.tickets) == 0 {
			s.t.Fatal("nothing waits")
		}
		c := core.Completion{Ticket: s.tickets[0], QoS: byte(num(w, "qos")), Present: w["present"] != "", Matched: w["unmatched"] == ""}
		s.tickets = s.tickets[1:]
		if e := w["err"]; e != "" {
			c.Err = codeError(e)
		}
		c.Dest.Name = w["assigned"]
		s.machine.Done(&c, s.now, &s.out)
		s.collect()
	}
}

var codeNames = map[string]core.Code{"invalid": core.CodeInvalid, "not-found": core.CodeNotFound, "in-use": core.CodeInUse,
	"unauthorized": core.CodeUnauthorized, "forbidden": core.CodeForbidden, "full": core.CodeFull, "too-large": core.CodeTooLarge,
	"taken-over": core.CodeTakenOver, "shutdown": core.CodeShutdown, "kicked": core.CodeKicked, "duplicate": core.CodeDuplicate}

func codeError(name string) error {
	if c, ok := codeNames[name]; ok {
		return &core.Error{Code: c, Subject: "it", Detail: "because"}
	}
	if name == "moved" {
		return &core.Moved{Err: &core.Error{Code: core.CodeShutdown, Subject: "it", Detail: "because"}, Host: "agent133", Port: 1234}
	}
	if name == "sentinel" {
		return peer.Sentinel("the rim has had enough")
	}
	return errors.New("no error of the core's")
}

func newTag() core.Tag {
	return reflect.New(reflect.TypeFor[core.Tag]().Elem()).Interface().(core.Tag)
}

// deliver hands over n messages with places that follow each other.
func (s *script) deliver(w map[string]string) {
	for i := range max(num(w, "n"), 1) {
		s.deliv++
		tag := newTag()
		s.tags[tag] = s.deliv
		s.machine.Deliver(s.delivery(w, tag, i), s.now, &s.out)
		s.collect()
	}
}

func (s *script) delivery(w map[string]string, tag core.Tag, i int) *core.Delivery {
	dest, _ := core.ParseDestination(w["to"], core.Topic)
	if dest.Name == "" {
		dest.Name = "a.b"
	}
	props, err := hex.DecodeString(w["props"])
	if err != nil {
		s.t.Fatal(err)
	}
	h := core.Header{To: dest, Durable: w["qos"] != "", Priority: core.DefaultPriority, Retain: w["retain"] != ""}
	if w["expires"] != "" {
		h.ExpiresMs = epoch.UnixMilli() + int64(num(w, "expires"))
	}
	d := &core.Delivery{Sub: core.InboxSub, Tag: tag, QoS: byte(num(w, "qos")), Retained: w["retained"] != "", AsRetain: w["as-retain"] != "",
		Returned: w["returned"] != "", Received: w["received"] != "", Drained: w["drained"] != ""}
	if w["seq"] != "" {
		d.Seq = uint64(num(w, "seq") + i)
	}
	for id := range strings.SplitSeq(w["ids"], ",") {
		if n, _ := strconv.Atoi(id); n > 0 {
			d.IDs = append(d.IDs, uint32(n))
		}
	}
	d.Message = &core.Message{Header: h, Format: Format, Bare: bareOf(props, []byte(w["body"]), false)}
	if w["content"] != "" {
		d.Message = core.NewMessage(h, &core.Content{Kind: core.BodyText, Body: []byte(w["body"]), CorrelationID: "c", ContentType: "text/plain"})
	}
	return d
}

// collect prints what the machine asked for since the last time.
func (s *script) collect() {
	for _, p := range s.out.Frames {
		b, err := s.codec.Append(nil, p)
		if err != nil {
			s.t.Fatalf("append: %v", err)
		}
		fmt.Fprintf(&s.text, "< %s\n", showBytes(s.t, b, min(max(s.version, level311), level5)))
	}
	for i := range s.out.Ops {
		s.printOp(&s.out.Ops[i])
	}
	if !s.out.Wake.IsZero() && !s.out.Wake.Equal(s.wake) {
		s.wake = s.out.Wake
		fmt.Fprintf(&s.text, "wake %v\n", s.wake.Sub(s.now))
	}
	if s.out.Close != nil {
		fmt.Fprintf(&s.text, "closed: %v\n", s.out.Close)
	}
	s.out = peer.Out[Packet]{}
}

var opNames = map[core.OpKind]string{core.OpConnect: "connect", core.OpPublish: "publish", core.OpRelease: "release", core.OpFilter: "filter",
	core.OpUnfilter: "unfilter", core.OpCredit: "credit", core.OpSettle: "settle", core.OpDisconnect: "disconnect"}

var outcomeNames = map[core.Outcome]string{core.Accepted: "accepted", core.Received: "received"}

func (s *script) printOp(op *core.Op) {
	w := &s.text
	fmt.Fprintf(w, "op %s", opNames[op.Kind])
	if op.Ticket != 0 {
		w.WriteString(" ticket")
		s.tickets = append(s.tickets, op.Ticket)
	}
	switch op.Kind {
	case core.OpConnect:
		r := op.Connect
		fmt.Fprintf(w, " id=%q user=%q password=%q login=%v %+v", r.ClientID, r.User, r.Password, r.HasLogin, *r.Inbox)
		if r.Will != nil {
			fmt.Fprintf(w, " will delay=%d life=%d", r.Will.DelayS, r.Will.LifeS)
			showMessage(w, r.Will.Message)
		}
	case core.OpPublish:
		showMessage(w, op.Message)
		if op.Inbound != 0 {
			fmt.Fprintf(w, " inbound=%d", op.Inbound)
		}
	case core.OpRelease:
		fmt.Fprintf(w, " inbound=%d", op.Inbound)
	case core.OpFilter:
		fmt.Fprintf(w, " %+v", *op.Filter)
	case core.OpUnfilter:
		fmt.Fprintf(w, " %v", op.Filter.Pattern)
	case core.OpCredit:
		fmt.Fprintf(w, " limit=%d", op.Limit)
	case core.OpSettle:
		fmt.Fprintf(w, " %s", outcomeNames[op.Outcome])
		for _, tag := range op.Tags {
			fmt.Fprintf(w, " d%d", s.tags[tag])
		}
	case core.OpDisconnect:
		fmt.Fprintf(w, " expiry=%d will=%v", op.ExpiryS, op.WithWill)
	}
	w.WriteString("\n")
}

func showMessage(w *strings.Builder, m *core.Message) {
	fmt.Fprintf(w, " %v durable=%v qos=%d retain=%v", m.To, m.Durable, m.QoS, m.Retain)
	if m.Priority != core.DefaultPriority {
		fmt.Fprintf(w, " priority=%d", m.Priority)
	}
	if m.TimestampMs != epoch.UnixMilli() {
		fmt.Fprintf(w, " timestamp=%d", m.TimestampMs)
	}
	if m.ExpiresMs != 0 {
		fmt.Fprintf(w, " expires=+%dms", m.ExpiresMs-epoch.UnixMilli())
	}
	if m.DupID != "" {
		fmt.Fprintf(w, " dup=%s", m.DupID)
	}
	props, payload, _ := splitBare(m.Bare)
	fmt.Fprintf(w, " publisher=%s props=%x %q", m.Publisher, props, payload)
}

// showBytes prints one packet of ours, which must be whole.
func showBytes(t testing.TB, b []byte, version byte) string {
	t.Helper()
	length, head := varint(b[1:])
	if head <= 0 || 1+head+int(length) != len(b) {
		t.Fatalf("our own packet %x has a wrong length", b)
	}
	w := packets.Packet{ProtocolVersion: version}
	if err := w.FixedHeader.Decode(b[0]); err != nil {
		t.Fatal(err)
	}
	w.FixedHeader.Remaining = int(length)
	if err := decodeServer(&w, b[1+head:]); err != nil {
		t.Fatalf("our own packet %x: %v", b, err)
	}
	return showPacket(&w)
}

func decodeServer(w *packets.Packet, body []byte) error {
	switch w.FixedHeader.Type {
	case packets.Connack:
		return w.ConnackDecode(body)
	case packets.Publish:
		return w.PublishDecode(body)
	case packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		return w.PubackDecode(body)
	case packets.Suback:
		return w.SubackDecode(body)
	case packets.Unsuback:
		return w.UnsubackDecode(body)
	case packets.Disconnect:
		return w.DisconnectDecode(body)
	}
	if len(bytes.TrimSpace(body)) > 0 {
		return errors.New("not empty")
	}
	return nil
}

package stomp

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

var epoch = time.UnixMilli(1_700_000_000_000)

// script drives one connection's machine by text.
type script struct {
	t       testing.TB
	now     time.Time
	codec   peer.Codec[Frame]
	machine peer.Machine[Frame]
	out     peer.Out[Frame]
	wake    time.Time
	deaf    bool
	rest    []byte // bytes that are no whole frame yet
	tickets []core.Ticket
	tags    map[core.Tag]int
	subs    []core.SubID
	text    strings.Builder
}

func newScript(t testing.TB, o Options, l peer.Limits) *script {
	s := &script{t: t, now: epoch, tags: map[core.Tag]int{}}
	s.codec, s.machine = New(o).New(l, "127.0.0.1:1", s.now)
	return s
}

// TestScripts runs testdata/*.txt. `go test -run Scripts -rewrite` writes what is there now.
//
//	new [max-frame=N] [prefetch=N]   a connection; with v=1.2, one that is open
//	> SEND destination:/queue/a | body     a frame; %20 is a space, "raw" sends a quoted string as it is
//	done [err=full] | deliver sub=1 body=… | drained sub=1 | advance 1s | deaf | evict shutdown
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return
		}
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				s = scriptOf(t, d)
				return ""
			}
			s.t = t
			s.text.Reset()
			s.lines(d.Input)
			return s.text.String()
		})
	})
}

func scriptOf(t *testing.T, d *datadriven.TestData) *script {
	o, l, version := Options{Version: "1"}, peer.Limits{MaxFrameBytes: 100_000}, ""
	for _, a := range d.CmdArgs {
		n, _ := strconv.Atoi(a.Vals[0])
		switch a.Key {
		case "max-frame":
			l.MaxFrameBytes = n
		case "prefetch":
			o.Prefetch = n
		case "v":
			version = a.Vals[0]
		}
	}
	s := newScript(t, o, l)
	if version != "" {
		s.lines("> CONNECT accept-version:" + version + " client-id:me\ndone")
		s.text.Reset()
	}
	return s
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

func (s *script) line(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "":
	case ">":
		s.bytes(clientFrame(rest))
	case "raw":
		text, err := strconv.Unquote(rest)
		if err != nil {
			s.t.Fatal(err)
		}
		s.bytes([]byte(text))
	case "done":
		s.complete(rest)
	case "deliver", "drained":
		s.deliver(verb, rest)
	case "deaf": // at the next Tick
		s.deaf = true
	case "advance":
		s.advance(rest)
	case "evict":
		s.machine.Evict(codeError(rest), s.now, &s.out)
	case "flush":
		s.machine.(peer.Flusher[Frame]).Flush(s.now, &s.out)
	default:
		s.t.Fatalf("no verb %q", verb)
	}
	s.collect()
}

func (s *script) advance(rest string) {
	d, err := time.ParseDuration(rest)
	if err != nil {
		s.t.Fatal(err)
	}
	s.now = s.now.Add(d)
	if !s.wake.IsZero() && !s.wake.After(s.now) {
		s.out.Deaf, s.deaf = s.deaf, false
		s.machine.Tick(s.now, &s.out)
	}
}

func (s *script) bytes(b []byte) {
	b = append(s.rest, b...)
	for len(b) > 0 {
		f, n, need, err := s.codec.Decode(b)
		if err != nil {
			s.machine.Malformed(err, s.now, &s.out)
			return
		}
		if n == 0 {
			fmt.Fprintf(&s.text, "incomplete, needs %d\n", need)
			break
		}
		s.machine.Receive(f, s.now, &s.out)
		s.collect()
		b = b[n:]
	}
	s.rest = append([]byte(nil), b...)
}

func args(line string) map[string]string {
	w := map[string]string{}
	for _, e := range strings.Fields(line) {
		k, v, _ := strings.Cut(strings.ReplaceAll(e, "%20", " "), "=")
		w[k] = v
	}
	return w
}

// complete answers the oldest ops that wait.
func (s *script) complete(rest string) {
	w := args(rest)
	n, err := strconv.Atoi(w["n"])
	if err != nil {
		n = 1
	}
	for range n {
		if len(s.tickets) == 0 {
			s.t.Fatal("nothing waits")
		}
		c := core.Completion{Ticket: s.tickets[0]}
		s.tickets = s.tickets[1:]
		if e := w["err"]; e != "" {
			c.Err = codeError(e)
		}
		s.machine.Done(&c, s.now, &s.out)
		s.collect()
	}
}

var codeNames = map[string]core.Code{"invalid": core.CodeInvalid, "not-found": core.CodeNotFound, "in-use": core.CodeInUse,
	"unauthorized": core.CodeUnauthorized, "full": core.CodeFull, "not-implemented": core.CodeNotImplemented,
	"shutdown": core.CodeShutdown, "duplicate": core.CodeDuplicate}

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

// deliver hands over n messages to the sub-th subscription of the script.
func (s *script) deliver(verb, rest string) {
	w := args(rest)
	i, _ := strconv.Atoi(w["sub"])
	sub := s.subs[max(i, 1)-1]
	if verb == "drained" {
		s.machine.Deliver(&core.Delivery{Sub: sub, Drained: true}, s.now, &s.out)
		return
	}
	n, err := strconv.Atoi(w["n"])
	if err != nil {
		n = 1
	}
	for range n {
		tag := newTag()
		s.tags[tag] = len(s.tags) + 1
		attempts, _ := strconv.Atoi(w["attempts"])
		_, returned := w["returned"]
		_, retained := w["retained"]
		s.machine.Deliver(&core.Delivery{Sub: sub, Tag: tag, Message: deliverable(w), Attempts: uint32(attempts), Returned: returned,
			Retained: retained}, s.now, &s.out)
		s.collect()
	}
}

func deliverable(w map[string]string) *core.Message {
	to, err := core.ParseDestination(w["to"], core.Queue)
	if err != nil || to.Name == "" {
		to = core.Destination{Kind: core.Queue, Name: "a"}
	}
	h := core.Header{To: to, Priority: core.DefaultPriority}
	if w["format"] == "bad" {
		return &core.Message{Header: h, Format: Format}
	}
	return core.NewMessage(h, &core.Content{Kind: core.BodyText, Body: []byte(w["body"]), ID: w["id"], Type: w["type"]})
}

// collect prints what the machine asked for since the last time.
func (s *script) collect() {
	for _, f := range s.out.Frames {
		b, err := s.codec.Append(nil, f)
		if err != nil {
			s.t.Fatalf("append: %v", err)
		}
		fmt.Fprintf(&s.text, "< %q\n", b)
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
	s.out = peer.Out[Frame]{}
}

var opNames = map[core.OpKind]string{core.OpConnect: "connect", core.OpPublish: "publish", core.OpSubscribe: "subscribe",
	core.OpUnsubscribe: "unsubscribe", core.OpCredit: "credit", core.OpSettle: "settle", core.OpBegin: "begin", core.OpCommit: "commit",
	core.OpRollback: "rollback", core.OpDeclare: "declare", core.OpBarrier: "barrier", core.OpDisconnect: "disconnect"}

var outcomeNames = map[core.Outcome]string{core.Accepted: "accepted", core.Rejected: "rejected"}

func (s *script) printOp(op *core.Op) {
	w := &s.text
	fmt.Fprintf(w, "op %s", opNames[op.Kind])
	if op.Ticket != 0 {
		w.WriteString(" ticket")
		s.tickets = append(s.tickets, op.Ticket)
	}
	if op.Tx != 0 {
		fmt.Fprintf(w, " tx=%d", op.Tx)
	}
	switch op.Kind {
	case core.OpConnect:
		r := op.Connect
		fmt.Fprintf(w, " id=%q user=%q password=%q login=%v exclusive=%v", r.ClientID, r.User, r.Password, r.HasLogin, r.Exclusive)
	case core.OpPublish:
		showMessage(w, op.Message)
	case core.OpSubscribe:
		s.subs = append(s.subs, op.Sub)
		fmt.Fprintf(w, " %+v", *op.Subscribe)
	case core.OpUnsubscribe:
		fmt.Fprintf(w, " forget=%v", op.Forget)
	case core.OpCredit:
		fmt.Fprintf(w, " limit=%d", op.Limit)
	case core.OpSettle:
		fmt.Fprintf(w, " %s", outcomeNames[op.Outcome])
		for _, t := range op.Tags {
			fmt.Fprintf(w, " %d", s.tags[t])
		}
	case core.OpDeclare:
		fmt.Fprintf(w, " %v", op.Dest)
	}
	w.WriteString("\n")
}

func showMessage(w *strings.Builder, m *core.Message) {
	fmt.Fprintf(w, " to=%v", m.To)
	if m.Durable {
		w.WriteString(" durable")
	}
	if m.Retain {
		w.WriteString(" retain")
	}
	if m.Priority != core.DefaultPriority {
		fmt.Fprintf(w, " priority=%d", m.Priority)
	}
	if m.ExpiresMs != 0 {
		fmt.Fprintf(w, " expires=%d", m.ExpiresMs)
	}
	if m.NotBeforeMs != 0 {
		fmt.Fprintf(w, " after=%dms", m.NotBeforeMs-epoch.UnixMilli())
	}
	if m.DupID != "" {
		fmt.Fprintf(w, " dup=%q", m.DupID)
	}
	p, err := splitBare(m.Bare)
	fmt.Fprintf(w, " length=%v block=%q body=%q", p.hasLength, p.block, p.body)
	if len(p.id) > 0 {
		fmt.Fprintf(w, " id=%q", p.id)
	}
	if err != nil {
		fmt.Fprintf(w, " %v", err)
	}
}

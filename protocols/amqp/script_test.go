package amqp

import (
	"encoding/hex"
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
	t       *testing.T
	now     time.Time
	codec   peer.Codec[Frame]
	machine peer.Machine[Frame]
	in      *codec // encodes what the client sends
	back    *codec // decodes what the broker sends
	out     peer.Out[Frame]
	wake    time.Time
	tickets []core.Ticket
	subs    []core.SubID
	tags    map[core.Tag]int
	deliv   int
	text    strings.Builder
}

func newScript(t *testing.T, o Options, l peer.Limits) *script {
	unlimited := &limits{ownFrame: 1 << 30, peerFrame: 1 << 30}
	s := &script{t: t, now: epoch, in: &codec{limits: unlimited}, back: &codec{limits: unlimited}, tags: map[core.Tag]int{}}
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
				s = newScript(t, scriptOptions(d), peer.Limits{MaxFrameBytes: 100000})
				return ""
			}
			s.t = t
			s.text.Reset()
			if d.HasArg("opened") {
				s.handshake()
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

func scriptOptions(d *datadriven.TestData) Options {
	o := Options{IdleTimeout: -1, Credit: 4}
	for _, a := range d.CmdArgs {
		n, _ := strconv.Atoi(a.Vals[0])
		switch a.Key {
		case "idle":
			o.IdleTimeout = time.Duration(n) * time.Second
		case "credit":
			o.Credit = n
		case "max-message":
			o.MaxMessageBytes = n
		case "max-frame":
			o.MaxFrameBytes = n
		}
	}
	return o
}

// handshake goes as far as an open session, and prints nothing.
func (s *script) handshake() {
	s.lines("> header 3\n> sasl-init mechanism=ANONYMOUS\ndone\n> header 0\n> open containerID=me\ndone\n> begin")
	s.text.Reset()
}

func (s *script) line(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	w := words(rest)
	switch verb {
	case "":
	case ">":
		s.client(rest)
	case "done":
		s.complete(w)
	case "deliver":
		s.deliver(w)
	case "drained":
		n, _ := strconv.ParseUint(arg(w, "used"), 10, 64)
		s.machine.Deliver(&core.Delivery{Sub: s.sub(w), Drained: true, Used: n}, s.now, &s.out)
	case "advance":
		d, err := time.ParseDuration(w[0])
		must(s.t, err)
		s.now = s.now.Add(d)
		s.out.Deaf = len(w) > 1
		if !s.wake.IsZero() && !s.wake.After(s.now) {
			s.machine.Tick(s.now, &s.out)
		}
	case "evict":
		s.machine.Evict(codeError(w[0]), s.now, &s.out)
	case "flush":
		s.machine.(peer.Flusher[Frame]).Flush(s.now, &s.out)
	default:
		s.t.Fatalf("no verb %q", verb)
	}
	s.collect()
}

// client sends one frame, through bytes.
func (s *script) client(line string) {
	ws := words(line)
	f := Frame{}
	switch {
	case ws[0] == "header":
		f = Frame{kind: frameHeader, header: [4]byte{byte(ws[1][0] - '0'), 1, 0, 0}}
		if len(ws) > 2 {
			f.header[1] = ws[2][0] - '0'
		}
	case ws[0] == "empty":
	case ws[0] == "bytes":
		b, err := hex.DecodeString(ws[1])
		must(s.t, err)
		s.bytes(b)
		return
	default:
		channel := uint16(0)
		if ch, ok := strings.CutPrefix(ws[0], "#"); ok {
			n, _ := strconv.Atoi(ch)
			channel, line = uint16(n), strings.TrimSpace(strings.TrimPrefix(line, ws[0]))
		}
		p, rest := readPerformative(s.t, line)
		f = Frame{channel: channel, body: p}
		if p.kind() >= kindMechanisms {
			f.kind = frameSASL
		}
		if p.kind() == kindTransfer {
			f.payload = message(s.t, rest)
		}
	}
	b, err := s.in.Append(nil, f)
	must(s.t, err)
	s.bytes(b)
}

func (s *script) bytes(b []byte) {
	for len(b) > 0 {
		f, n, _, err := s.codec.Decode(b)
		if err != nil {
			s.machine.Malformed(err, s.now, &s.out)
			return
		}
		if n == 0 {
			fmt.Fprintf(&s.text, "incomplete\n")
			return
		}
		s.machine.Receive(f, s.now, &s.out)
		b = b[n:]
	}
}

// complete answers the oldest op that waits; "all" answers all of them.
func (s *script) complete(w []string) {
	n := 1
	if len(w) > 0 && w[0] == "all" {
		n, w = len(s.tickets), w[1:]
	}
	for range n {
		if len(s.tickets) == 0 {
			s.t.Fatal("nothing waits")
		}
		c := core.Completion{Ticket: s.tickets[0]}
		s.tickets = s.tickets[1:]
		if e := arg(w, "err"); e != "" {
			c.Err = codeError(e)
		}
		if d := arg(w, "dest"); d != "" {
			c.Dest, _ = core.ParseDestination(d, 0)
		}
		s.machine.Done(&c, s.now, &s.out)
		s.collect()
	}
}

var codeNames = map[string]core.Code{"invalid": core.CodeInvalid, "not-found": core.CodeNotFound, "in-use": core.CodeInUse,
	"unauthorized": core.CodeUnauthorized, "forbidden": core.CodeForbidden, "full": core.CodeFull, "not-implemented": core.CodeNotImplemented,
	"shutdown": core.CodeShutdown, "kicked": core.CodeKicked, "rolled-back": core.CodeRolledBack, "duplicate": core.CodeDuplicate}

func codeError(name string) error {
	if c, ok := codeNames[name]; ok {
		return &core.Error{Code: c, Subject: "it", Detail: "because"}
	}
	if name == "moved" {
		return &core.Moved{Err: &core.Error{Code: core.CodeShutdown, Subject: "it", Detail: "because"}, Host: "agent133", Port: 1234}
	}
	return errors.New("no error of the core's")
}

func (s *script) sub(w []string) core.SubID {
	n, _ := strconv.Atoi(arg(w, "sub"))
	return s.subs[n]
}

func (s *script) deliver(w []string) {
	n, _ := strconv.Atoi(arg(w, "n"))
	attempts, _ := strconv.Atoi(arg(w, "attempts"))
	for range max(n, 1) {
		s.deliv++
		m := map[string]string{}
		for _, e := range w {
			k, v, _ := strings.Cut(e, "=")
			m[k] = v
		}
		var e envelope
		must(s.t, e.open(message(s.t, m), s.now.UnixMilli()))
		e.header.To = core.Destination{Kind: core.Queue, Name: "A"}
		tag := reflect.New(reflect.TypeFor[core.Tag]().Elem()).Interface().(core.Tag)
		s.tags[tag] = s.deliv
		d := core.Delivery{Sub: s.sub(w), Tag: tag, Attempts: uint32(attempts), Returned: arg(w, "returned") != "",
			Message: &core.Message{Header: e.header, Format: Format, Bare: e.bare}}
		s.machine.Deliver(&d, s.now, &s.out)
		s.collect()
	}
}

func arg(w []string, name string) string {
	for _, e := range w {
		k, v, has := strings.Cut(e, "=")
		if k == name && has {
			return v
		}
		if k == name {
			return "yes"
		}
	}
	return ""
}

// collect prints what the machine asked for since the last time.
func (s *script) collect() {
	for _, f := range s.out.Frames {
		b, err := s.codec.Append(nil, f)
		if err != nil {
			fmt.Fprintf(&s.text, "append: %v\n", err)
			continue
		}
		s.printFrame(b)
	}
	for _, op := range s.out.Ops {
		s.printOp(&op)
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

func (s *script) printFrame(b []byte) {
	f, n, _, err := s.back.Decode(b)
	if err != nil || n != len(b) {
		s.t.Fatalf("our own frame %x: %d %v", b, n, err)
	}
	s.text.WriteString("< ")
	if f.channel != 0 {
		fmt.Fprintf(&s.text, "#%d ", f.channel)
	}
	switch {
	case f.kind == frameHeader:
		fmt.Fprintf(&s.text, "header %v\n", f.header)
	case f.body == nil:
		s.text.WriteString("empty\n")
	default:
		s.text.WriteString(showPerformative(f.body))
		if t, ok := f.body.(*transfer); ok && t.deliveryID.set && !t.more {
			s.text.WriteString(showMessage(f.payload))
		} else if ok {
			fmt.Fprintf(&s.text, " | %d bytes of %d", len(f.payload), len(b))
		}
		s.text.WriteString("\n")
	}
}

var opNames = map[core.OpKind]string{core.OpConnect: "connect", core.OpPublish: "publish", core.OpSubscribe: "subscribe",
	core.OpUnsubscribe: "unsubscribe", core.OpCredit: "credit", core.OpSettle: "settle", core.OpBegin: "begin", core.OpCommit: "commit",
	core.OpRollback: "rollback", core.OpDeclare: "declare", core.OpDisconnect: "disconnect",
	core.OpUndeclare: "undeclare"}

var outcomeNames = map[core.Outcome]string{core.Accepted: "accepted", core.Released: "released", core.Rejected: "rejected",
	core.Failed: "failed", core.FailedHere: "failed-here"}

func (s *script) printOp(op *core.Op) {
	w := &s.text
	fmt.Fprintf(w, "op %s", opNames[op.Kind])
	if op.Ticket != 0 {
		fmt.Fprintf(w, " t%d", op.Ticket)
		s.tickets = append(s.tickets, op.Ticket)
	}
	if op.Tx != 0 {
		fmt.Fprintf(w, " tx=%d", op.Tx)
	}
	switch op.Kind {
	case core.OpConnect:
		r := op.Connect
		fmt.Fprintf(w, " id=%q user=%q password=%q login=%v exclusive=%v proved=%v", r.ClientID, r.User, r.Password, r.HasLogin, r.Exclusive, r.Proved)
	case core.OpPublish:
		m := op.Message
		fmt.Fprintf(w, " %v durable=%v priority=%d", m.To, m.Durable, m.Priority)
		if m.ExpiresMs != 0 {
			fmt.Fprintf(w, " expires=+%dms", m.ExpiresMs-epoch.UnixMilli())
		}
		if m.NotBeforeMs != 0 {
			fmt.Fprintf(w, " not-before=+%dms", m.NotBeforeMs-epoch.UnixMilli())
		}
		if m.DupID != "" {
			fmt.Fprintf(w, " dup=%s", m.DupID)
		}
		fmt.Fprintf(w, " publisher=%s%s", m.Publisher, showMessage(m.Bare))
	case core.OpSubscribe:
		s.subs = append(s.subs, op.Sub)
		fmt.Fprintf(w, " sub=%d %+v", len(s.subs)-1, *op.Subscribe)
	case core.OpDeclare, core.OpUndeclare:
		fmt.Fprintf(w, " %v %q", op.Dest.Kind, op.Dest.Name)
	case core.OpDisconnect:
	default:
		s.printSubOp(op)
	}
	w.WriteString("\n")
}

func (s *script) printSubOp(op *core.Op) {
	w := &s.text
	for i, id := range s.subs {
		if id == op.Sub {
			fmt.Fprintf(w, " sub=%d", i)
		}
	}
	switch op.Kind {
	case core.OpCredit:
		fmt.Fprintf(w, " limit=%d", op.Limit)
		if op.Drain {
			w.WriteString(" drain")
		}
	case core.OpSettle:
		fmt.Fprintf(w, " %s", outcomeNames[op.Outcome])
		for _, tag := range op.Tags {
			fmt.Fprintf(w, " d%d", s.tags[tag])
		}
	case core.OpUnsubscribe:
		if op.Forget {
			w.WriteString(" forget")
		}
	}
}

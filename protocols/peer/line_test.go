package peer

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/havenmq/havenmq/core"
)

// The protocol of these tests: a frame is a line. What a line asks for is in lineMachine.Receive.

type line []byte

type lineProtocol struct{ gathers bool }

func (lineProtocol) Name() string { return "line" }

func (p lineProtocol) New(l Limits, _ string, _ time.Time) (Codec[line], Machine[line]) {
	m := &lineMachine{pubs: map[core.Ticket]string{}}
	if p.gathers {
		return &lineCodec{l.MaxFrameBytes}, &gatherer{lineMachine: m}
	}
	return &lineCodec{l.MaxFrameBytes}, m
}

type lineCodec struct{ max int }

var errLong = errors.New("line too long")

// Decode takes "#N\n" as a head that announces N more bytes, everything else as a line.
func (c *lineCodec) Decode(buf []byte) (line, int, int, error) {
	i := bytes.IndexByte(buf, '\n')
	if i < 0 {
		return nil, 0, 0, nil
	}
	if buf[0] != '#' {
		return buf[:i], i + 1, 0, nil
	}
	n, err := strconv.Atoi(string(buf[1:i]))
	if err != nil || n > c.max {
		return nil, 0, 0, errLong
	}
	if len(buf) < i+1+n {
		return nil, 0, i + 1 + n, nil
	}
	return buf[i+1 : i+1+n], i + 1 + n, 0, nil
}

func (c *lineCodec) Append(dst []byte, f line) ([]byte, error) {
	if string(f) == "unspeakable" {
		return dst, errLong
	}
	return append(append(dst, f...), '\n'), nil
}

type lineMachine struct {
	pubs map[core.Ticket]string
	last core.Ticket
	tags []core.Tag
}

func (m *lineMachine) Receive(f line, now time.Time, out *Out[line]) {
	verb, rest, _ := strings.Cut(string(f), " ")
	switch verb {
	case "echo":
		out.Send(line(rest))
	case "repeat":
		n, _ := strconv.Atoi(rest)
		out.Send(bytes.Repeat([]byte("x"), n))
	case "pub":
		m.last++
		m.pubs[m.last] = rest
		out.Do(core.Op{Kind: core.OpPublish, Ticket: m.last})
	case "settle": // the tags are this machine's own, and are overwritten by the next settle
		m.tags = append(m.tags[:0], core.Tag(nil), core.Tag(nil))
		out.Do(core.Op{Kind: core.OpSettle, Tags: m.tags})
	case "wake":
		d, _ := time.ParseDuration(rest)
		out.Wake = now.Add(d)
	case "panic":
		panic("asked for")
	case "quit":
		out.Send(line("bye"))
		out.Do(core.Op{Kind: core.OpDisconnect})
		out.Close = ErrGoodbye
	case "bad":
		out.Send(line("no such thing"))
		out.Close = errors.New("bad line")
	case "len":
		out.Send(line(strconv.Itoa(len(rest))))
	}
}

func (m *lineMachine) Malformed(err error, _ time.Time, out *Out[line]) {
	out.Send(line("malformed: " + err.Error()))
	out.Close = err
}

func (m *lineMachine) Done(c *core.Completion, _ time.Time, out *Out[line]) {
	out.Send(line("done " + m.pubs[c.Ticket]))
	delete(m.pubs, c.Ticket)
}

func (m *lineMachine) Deliver(d *core.Delivery, _ time.Time, out *Out[line]) {
	out.Send(d.Message.Bare)
}

func (m *lineMachine) Tick(_ time.Time, out *Out[line]) {
	if out.Deaf {
		out.Send(line("deaf"))
	}
	out.Send(line("tick"))
}

func (m *lineMachine) Evict(err error, _ time.Time, out *Out[line]) {
	out.Send(line("evicted: " + err.Error()))
	out.Close = err
}

// gatherer answers completions with one line a batch.
// "stream N" is answered with N lines of 10,000 bytes, one a Flush.
type gatherer struct {
	*lineMachine
	done, left int
}

func (g *gatherer) Receive(f line, now time.Time, out *Out[line]) {
	if n, ok := strings.CutPrefix(string(f), "stream "); ok {
		g.left, _ = strconv.Atoi(n)
		return
	}
	g.lineMachine.Receive(f, now, out)
}

func (g *gatherer) Done(*core.Completion, time.Time, *Out[line]) { g.done++ }

func (g *gatherer) Flush(_ time.Time, out *Out[line]) {
	if g.done > 0 {
		out.Send(line(fmt.Sprintf("done %d", g.done)))
		g.done = 0
	}
	if g.left > 0 {
		out.Send(bytes.Repeat([]byte("x"), 10000))
		g.left--
	}
	out.More = g.left > 0
}

// fakeClient is the broker's end. Unless it holds them back, it completes operations at once.
type fakeClient struct {
	sink core.Sink

	mu        sync.Mutex
	ops       []core.OpKind
	batches   []int
	tags      []int
	done      []core.Completion
	hold      bool
	list      []core.Delivery
	evicted   error
	throttled bool
	taken     int
	closed    int
	closing   chan struct{}
}

func (f *fakeClient) Do(ops []core.Op, _ int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.batches = append(f.batches, len(ops))
	for _, op := range ops {
		f.ops = append(f.ops, op.Kind)
		f.tags = append(f.tags, len(op.Tags))
		if op.Ticket != 0 {
			f.done = append(f.done, core.Completion{Ticket: op.Ticket})
		}
	}
}

func (f *fakeClient) Poll(e *core.Events, most int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.Done, e.Deliveries, e.Evicted = e.Done[:0], e.Deliveries[:0], f.evicted
	if !f.hold {
		e.Done = append(e.Done, f.done...)
		f.done = f.done[:0]
	}
	n := min(most, len(f.list))
	e.Deliveries = append(e.Deliveries, f.list[:n]...)
	f.list = f.list[n:]
	f.taken += n
	return len(f.list) > 0
}

func (f *fakeClient) Throttled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.throttled
}

func (f *fakeClient) Close(int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	if f.closed == 1 {
		close(f.closing)
	}
}

// change does something to the broker's end and wakes the connection.
func (f *fakeClient) change(do func()) {
	f.mu.Lock()
	do()
	f.mu.Unlock()
	f.sink.Wake()
}

func (f *fakeClient) look(at func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at()
}

// fakeBroker makes fakeClients and keeps what is reported.
type fakeBroker struct {
	mu      sync.Mutex
	clients []*fakeClient
	reports []Report
	changed chan struct{} // one token after each change
}

func newFakeBroker() *fakeBroker { return &fakeBroker{changed: make(chan struct{}, 1)} }

func (b *fakeBroker) Attach(s core.Sink, _ string) Client {
	c := &fakeClient{sink: s, closing: make(chan struct{})}
	b.mu.Lock()
	b.clients = append(b.clients, c)
	b.mu.Unlock()
	b.nudge()
	return c
}

func (b *fakeBroker) nudge() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

func (b *fakeBroker) report(r Report) {
	b.mu.Lock()
	b.reports = append(b.reports, r)
	b.mu.Unlock()
	b.nudge()
}

func (b *fakeBroker) options() Options { return Options{Attach: b.Attach, Report: b.report} }

// reported waits for n reports.
func (b *fakeBroker) reported(n int) []Report {
	for {
		b.mu.Lock()
		list := append([]Report(nil), b.reports...)
		b.mu.Unlock()
		if len(list) >= n {
			return list
		}
		<-b.changed
	}
}

// client waits for the n-th client, from 0.
func (b *fakeBroker) client(n int) *fakeClient {
	for {
		b.mu.Lock()
		if n < len(b.clients) {
			c := b.clients[n]
			b.mu.Unlock()
			return c
		}
		b.mu.Unlock()
		<-b.changed
	}
}

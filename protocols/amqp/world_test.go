package amqp

import (
	"reflect"
	"testing"
	"time"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// world is a rim, a core and a peer's memory around one machine, driven by bytes: whatever the peer says and the core
// answers, in whatever order, the machine keeps its promises.
type world struct {
	t       testing.TB
	choices []byte
	now     time.Time
	codec   peer.Codec[Frame]
	machine peer.Machine[Frame]
	in      *codec
	back    *codec
	out     peer.Out[Frame]
	buf     []byte
	ended   bool

	tickets []core.Ticket
	subs    map[core.SubID]*subModel
	order   []core.SubID
	tags    map[core.Tag]core.SubID // in flight
	inTx    map[core.Tag]bool       // given an outcome in a transaction
	windows map[uint16]int64        // transfers that we allow on a channel
	links   map[[2]uint32]*linkModel
	ids     map[uint16]uint32 // next delivery-id that we send

	heardIDs map[uint16]uint32 // and that we are sent: receivers take no gap
}

type subModel struct {
	used, limit uint64
	drain, auto bool
}

// linkModel is what the peer remembers of a link on which it receives.
type linkModel struct {
	count, limit uint32
	settled      bool
}

func newWorld(t testing.TB, choices []byte) *world {
	unlimited := &limits{ownFrame: 1 << 30, peerFrame: 1 << 30}
	w := &world{t: t, choices: choices, now: epoch, in: &codec{limits: unlimited}, back: &codec{limits: unlimited, begun: true}, subs: map[core.SubID]*subModel{},
		tags: map[core.Tag]core.SubID{}, inTx: map[core.Tag]bool{}, windows: map[uint16]int64{}, links: map[[2]uint32]*linkModel{}, ids: map[uint16]uint32{}, heardIDs: map[uint16]uint32{}}
	w.codec, w.machine = New(Options{Credit: 4, IdleTimeout: 10 * time.Second, MaxMessageBytes: 1000}).New(peer.Limits{MaxFrameBytes: 4096}, "127.0.0.1:1", w.now)
	return w
}

// pick answers a number below n.
func (w *world) pick(n int) int {
	if len(w.choices) == 0 {
		return 0
	}
	b := int(w.choices[0])
	w.choices = w.choices[1:]
	return b % n
}

func (w *world) yes() bool { return w.pick(2) == 1 }

// run goes on until the choices are used up or the connection ends.
func (w *world) run() {
	w.receive(Frame{kind: frameHeader, header: headerAMQP})
	w.send(0, &open{containerID: "me", maxFrame: 512, channelMax: 9})
	w.complete()
	for len(w.choices) > 0 && !w.ended {
		switch w.pick(8) {
		case 0, 1, 2, 3:
			w.speak()
		case 4:
			w.complete()
		case 5, 6:
			w.deliver()
		case 7:
			w.machine.(peer.Flusher[Frame]).Flush(w.now, &w.out)
			w.collect()
			if w.yes() {
				w.now = w.now.Add(time.Duration(w.pick(5)) * time.Second)
				w.machine.Tick(w.now, &w.out)
				w.collect()
			}
		}
		w.weigh()
	}
}

// weigh checks that the rim is told what the machine holds: of messages that came in part, and of those that the peer has
// no window for.
func (w *world) weigh() {
	c := w.machine.(*connection)
	in, out := c.HeldBytes()
	for _, s := range c.sessions {
		if s == nil {
			continue
		}
		out -= s.parked.bytes()
		s.handles.each(func(l endpoint) {
			switch r := l.(type) {
			case *receiver:
				in -= cap(r.partial)
			case *coordinator:
				in -= cap(r.partial)
			}
		})
	}
	if !w.ended && (in != 0 || out != 0) {
		w.t.Fatalf("%d bytes that came and %d that go out are told and not there", in, out)
	}
}

// speak sends any performative, as often as not one that makes sense.
func (w *world) speak() {
	channel, handle := uint16(w.pick(2)), uint32(w.pick(6))
	s := w.session(channel)
	switch {
	case s == nil:
		w.begin(channel)
		return
	case s.ended:
		w.send(channel, &ending{})
		return
	case s.handles.get(handle) == nil && w.pick(40) > 0:
		w.attach(channel, handle)
		return
	}
	switch w.pick(12) {
	case 0, 1, 2, 3:
		w.flow(channel, handle)
	case 4, 5, 6:
		w.transfer(channel, handle)
	case 7, 8, 9:
		first := s.nextDeliveryID - uint32(w.pick(8))
		d := &disposition{role: w.pick(8) > 0, first: first, settled: w.yes(), state: w.state()}
		if w.yes() {
			d.last = some(first + uint32(w.pick(4)))
		}
		w.send(channel, d)
	case 10:
		if w.pick(3) == 0 || s.handles.get(handle) != nil && s.handles.get(handle).base().status == detaching {
			w.send(channel, &detach{handle: handle, closed: w.yes()})
		}
	case 11:
		if w.pick(8) == 0 {
			w.send(channel, &ending{})
		} else {
			w.send(channel, nil)
		}
	}
}

func (w *world) session(channel uint16) *session {
	if c := w.machine.(*connection); int(channel) < len(c.sessions) {
		return c.sessions[channel]
	}
	return nil
}

func (w *world) begin(channel uint16) {
	window := uint32(w.pick(5))
	w.windows[channel], w.ids[channel], w.heardIDs[channel] = int64(window), 0, 0
	w.send(channel, &beginning{incomingWindow: window, outgoingWindow: 100, handleMax: 100})
}

func (w *world) attach(channel uint16, handle uint32) {
	a := &attach{name: string(rune('a' + w.pick(4))), handle: handle, role: w.yes(), sndMode: uint8(w.pick(3)), rcvMode: uint8(w.pick(2))}
	s := &terminus{is: kindSource, address: []any{"A", "topic://T", nil}[w.pick(3)], durable: uint32(w.pick(3)), dynamic: w.pick(8) == 0, distribution: []symbol{"", distributionCopy}[w.pick(2)]}
	switch w.pick(6) {
	case 0:
	case 1:
		a.target = &terminus{is: kindCoordinator}
	default:
		a.source = s
		t := *s
		t.is = kindTarget
		a.target = &t
	}
	if w.pick(4) == 0 {
		a.maxMessageBytes = 40
	}
	if a.role {
		w.links[[2]uint32{uint32(channel), handle}] = &linkModel{settled: a.sndMode == sndSettled}
	}
	w.send(channel, a)
}

func (w *world) flow(channel uint16, handle uint32) {
	s := w.session(channel)
	f := &flow{nextIncomingID: some(s.nextOutgoingID), incomingWindow: uint32(w.pick(6)), nextOutgoingID: s.nextIncomingID, outgoingWindow: 9, echo: w.yes()}
	w.windows[channel] = int64(f.incomingWindow)
	if l := w.links[[2]uint32{uint32(channel), handle}]; w.pick(4) > 0 && s.handles.get(handle) != nil {
		f.handle = some(handle)
		if _, ours := s.handles.get(handle).(*sender); ours {
			f.deliveryCount, f.credit, f.drain = some(l.count), some(uint32(w.pick(6))), w.yes()
			l.limit = l.count + f.credit.value
		}
	}
	w.send(channel, f)
}

func (w *world) state() state {
	s := state{is: []kind{kindNone, kindAccepted, kindRejected, kindReleased, kindModified, kindReceived, kindTxState, kindAccepted}[w.pick(8)]}
	if s.is == kindModified {
		s.failed, s.here = w.yes(), w.yes()
	}
	if s.is == kindTxState {
		s.txn, s.outcome = txBytes(core.TxID(1+w.pick(4))), kindAccepted
	}
	return s
}

func (w *world) transfer(channel uint16, handle uint32) {
	s := w.session(channel)
	in := inboundOf(s.handles.get(handle))
	if in == nil && w.pick(20) > 0 {
		return
	}
	t := &transfer{handle: handle, settled: w.pick(3) == 0, more: w.pick(4) == 0, aborted: w.pick(8) == 0, resume: w.pick(8) == 0}
	if in == nil || !in.open || w.pick(20) == 0 {
		t.deliveryID = some(w.ids[channel])
		w.ids[channel]++
	}
	if w.pick(4) == 0 {
		t.state = state{is: kindTxState, txn: txBytes(core.TxID(1 + w.pick(4)))}
	}
	body := sections(section_(kindData, make([]byte, w.pick(100))))
	if _, ok := s.handles.get(handle).(*coordinator); ok {
		body = sections(section_(kindValue, described{uint64(kindDeclare), list{}}))
	}
	switch w.pick(8) {
	case 0:
		body = sections(section_(kindValue, described{uint64(kindDeclare), list{}}))
	case 1:
		body = sections(section_(kindValue, described{uint64(kindDischarge), list{txBytes(core.TxID(1 + w.pick(4))), w.yes()}}))
	case 2:
		body = body[:w.pick(len(body))]
	}
	b, err := w.in.Append(nil, Frame{channel: channel, body: t, payload: body})
	if err != nil {
		w.t.Fatal(err)
	}
	w.bytes(b)
}

func inboundOf(l endpoint) *inbound {
	switch l := l.(type) {
	case *receiver:
		return &l.inbound
	case *coordinator:
		return &l.inbound
	}
	return nil
}

func (w *world) send(channel uint16, p performative) {
	f := Frame{channel: channel}
	if p != nil {
		f.body = p
	}
	w.receive(f)
}

func (w *world) receive(f Frame) {
	b, err := w.in.Append(nil, f)
	if err != nil {
		w.t.Fatal(err)
	}
	w.bytes(b)
}

// bytes gives what came in to the machine and then spoils it, as a read buffer that is used again does.
func (w *world) bytes(b []byte) {
	for len(b) > 0 && !w.ended {
		f, n, _, err := w.codec.Decode(b)
		if err != nil {
			w.machine.Malformed(err, w.now, &w.out)
			w.collect()
			return
		}
		if n == 0 {
			return
		}
		w.machine.Receive(f, w.now, &w.out)
		for i := range n {
			b[i] = 0xee
		}
		b = b[n:]
		w.collect()
	}
}

// complete answers the oldest ops that wait.
func (w *world) complete() {
	for n := w.pick(4) + 1; n > 0 && len(w.tickets) > 0; n-- {
		c := core.Completion{Ticket: w.tickets[0], Dest: core.Destination{Kind: core.TempQueue, Name: "x"}}
		w.tickets = w.tickets[1:]
		if len(w.tickets) > 0 && w.pick(6) == 0 {
			c.Err = &core.Error{Code: []core.Code{core.CodeFull, core.CodeNotFound, core.CodeForbidden, core.CodeDuplicate, core.CodeShutdown}[w.pick(5)]}
		}
		w.machine.Done(&c, w.now, &w.out)
		w.collect()
	}
}

// deliver hands over what credit allows on some subscription.
func (w *world) deliver() {
	if len(w.order) == 0 {
		return
	}
	id := w.order[w.pick(len(w.order))]
	s := w.subs[id]
	if s == nil {
		return
	}
	if s.used >= s.limit || w.pick(4) == 0 {
		if s.drain {
			s.used, s.drain = max(s.used, s.limit), false
			w.machine.Deliver(&core.Delivery{Sub: id, Drained: true, Used: s.used}, w.now, &w.out)
			w.collect()
		}
		return
	}
	s.used++
	d := core.Delivery{Sub: id, Attempts: uint32(w.pick(3)), Tag: reflect.New(reflect.TypeFor[core.Tag]().Elem()).Interface().(core.Tag),
		Message: &core.Message{Header: core.Header{To: ordersQueue}, Format: Format, Bare: sections(section_(kindData, make([]byte, w.pick(256)*8)))}}
	if !s.auto {
		w.tags[d.Tag] = id
	}
	w.machine.Deliver(&d, w.now, &w.out)
	w.collect()
}

// collect holds the machine to its promises.
func (w *world) collect() {
	for _, f := range w.out.Frames {
		b, err := w.codec.Append(w.buf[:0], f)
		if err != nil {
			w.t.Fatalf("our own frame: %v", err)
		}
		if len(b) > 512 {
			w.t.Fatalf("a frame of %d bytes", len(b))
		}
		back, n, _, err := w.back.Decode(b)
		if err != nil || n != len(b) {
			w.t.Fatalf("our own frame %x: %v", b, err)
		}
		w.heard(&back)
		w.buf = b
	}
	for i := range w.out.Ops {
		w.op(&w.out.Ops[i])
	}
	w.ended = w.ended || w.out.Close != nil
	w.out = peer.Out[Frame]{Frames: w.out.Frames[:0], Ops: w.out.Ops[:0]}
}

// heard is what the peer thinks of what it is sent.
func (w *world) heard(f *Frame) {
	switch p := f.body.(type) {
	case *transfer:
		l := w.links[[2]uint32{uint32(f.channel), p.handle}]
		if w.windows[f.channel]--; w.windows[f.channel] < 0 {
			w.t.Fatal("a transfer beyond the window")
		}
		if l == nil || !p.deliveryID.set {
			return
		}
		if p.deliveryID.value != w.heardIDs[f.channel] {
			w.t.Fatalf("delivery %d, not %d", p.deliveryID.value, w.heardIDs[f.channel])
		}
		w.heardIDs[f.channel]++
		if l.count++; int32(l.limit-l.count) < 0 && !l.settled {
			w.t.Fatalf("delivery %d beyond the credit of %d", l.count, l.limit)
		}
	case *flow:
		if l := w.links[[2]uint32{uint32(f.channel), p.handle.value}]; p.handle.set && l != nil && p.drain {
			l.count = p.deliveryCount.value
		}
	}
}

// op is what the core thinks of what it is asked.
func (w *world) op(op *core.Op) {
	if op.Ticket != 0 {
		w.tickets = append(w.tickets, op.Ticket)
	}
	switch op.Kind {
	case core.OpSubscribe:
		if w.subs[op.Sub] != nil {
			w.t.Fatal("a subscription twice")
		}
		w.subs[op.Sub] = &subModel{auto: op.Subscribe.Auto}
		w.order = append(w.order, op.Sub)
	case core.OpUnsubscribe:
		delete(w.subs, op.Sub)
		for tag, sub := range w.tags {
			if sub == op.Sub {
				delete(w.tags, tag)
			}
		}
	case core.OpCredit:
		s := w.subs[op.Sub]
		if s == nil {
			w.t.Fatal("credit for a subscription that is not there")
		}
		s.limit, s.drain = op.Limit, s.drain || op.Drain
	case core.OpSettle:
		w.settle(op)
	case core.OpPublish:
		if op.Message.To.IsZero() {
			w.t.Fatal("a message to nowhere")
		}
	}
}

func (w *world) settle(op *core.Op) {
	for _, tag := range op.Tags {
		if _, ok := w.tags[tag]; !ok {
			w.t.Fatalf("%v settles what is not in flight", op.Outcome)
		}
		switch {
		case op.Tx != 0:
			if w.inTx[tag] {
				w.t.Fatal("settled twice in a transaction")
			}
			w.inTx[tag] = true
		default:
			delete(w.tags, tag)
		}
	}
}

package core

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// modelMessage is what the model knows of one message of the queue.
type modelMessage struct {
	body      string
	class     int
	order     int // of publishing
	durable   bool
	attempts  uint32
	returned  bool
	holder    *modelConsumer // who has it in flight; nil nobody
	tag       Tag
	shunned   *modelConsumer
	tx        bool // an open transaction of its holder settles it
	expiresMs int64
	notBefore int64
	due       bool // it has expired: a dead letter, or about to be one when it is read back
}

func (m *modelMessage) place() int { return m.class<<32 | m.order }

type modelConsumer struct {
	p    *peer
	tx   []*modelMessage // accepted in its open transaction
	pubs []*modelMessage // published in it
	open bool
}

// machine plays with one queue, its dead letters and two consumers, and keeps a list of what must be there.
type machine struct {
	*rig
	live      []*modelMessage
	dead      int // letters
	volatile  int // of them, those that a crash forgets
	published int
	consumers [2]*modelConsumer
	producer  *peer
}

const (
	modelRedeliveries = 2
	modelWindow       = 4
)

func newMachine(tb testing.TB) *machine {
	m := &machine{rig: newRig(tb, func(o *Options) {
		o.Limits.WindowMessages = modelWindow
		o.Policies = []Policy{{Pattern: queueOf("q"), MaxRedeliveries: modelRedeliveries}}
	})}
	m.reconnect()
	return m
}

func (m *machine) reconnect() {
	m.producer = m.connect("")
	m.producer.must(Op{Kind: OpDeclare, Dest: queueOf("q")})
	for i := range m.consumers {
		m.consumers[i] = &modelConsumer{p: m.connect("")}
		m.consumers[i].p.consume(1, queueOf("q"), 0)
	}
}

func (m *machine) draw(t *rapid.T) *modelMessage {
	m.published++
	x := &modelMessage{body: fmt.Sprint(m.published), order: m.published, durable: rapid.IntRange(0, 3).Draw(t, "volatile") > 0,
		class: 9 - rapid.SampledFrom([]int{4, 4, 4, 9, 0}).Draw(t, "priority")}
	if rapid.IntRange(0, 5).Draw(t, "expires") == 0 {
		x.expiresMs = m.now + int64(rapid.IntRange(1, 3).Draw(t, "ttl"))*1000
	}
	if rapid.IntRange(0, 5).Draw(t, "delayed") == 0 {
		x.notBefore = m.now + int64(rapid.IntRange(1, 3).Draw(t, "delay"))*1000
	}
	return x
}

func (x *modelMessage) message() *Message {
	return text(queueOf("q"), x.body, func(m *Message) {
		m.Durable, m.Priority, m.ExpiresMs, m.NotBeforeMs = x.durable, uint8(9-x.class), x.expiresMs, x.notBefore
	})
}

func (m *machine) publish(t *rapid.T) {
	first := m.draw(t)
	for i := range rapid.IntRange(1, 12).Draw(t, "n") {
		x := *first // of one kind, so that all come before any is dispatched, or in their own order
		if i > 0 {
			m.published++
			x.body, x.order = fmt.Sprint(m.published), m.published
		}
		m.producer.send(Op{Kind: OpPublish, Message: x.message()})
		m.live = append(m.live, &x)
	}
	m.producer.pump()
}

func (m *machine) grantSome(t *rapid.T) {
	c := m.pick(t)
	c.p.grant(1, uint64(rapid.IntRange(1, 6).Draw(t, "credit")))
}

func (m *machine) pick(t *rapid.T) *modelConsumer {
	return m.consumers[rapid.IntRange(0, 1).Draw(t, "consumer")]
}

// held picks some of what a consumer has in flight.
func (m *machine) held(t *rapid.T, c *modelConsumer) (list []*modelMessage) {
	for _, x := range m.live {
		if x.holder == c && !x.tx && rapid.Bool().Draw(t, "settle") {
			list = append(list, x)
		}
	}
	return list
}

// shunnedBy counts what waits for anybody but c.
func (m *machine) shunnedBy(c *modelConsumer) (n int) {
	for _, x := range m.live {
		if x.holder == nil && x.shunned == c {
			n++
		}
	}
	return n
}

func tagsOf(list []*modelMessage) (tags []Tag) {
	for _, x := range list {
		tags = append(tags, x.tag)
	}
	return tags
}

func (m *machine) settleSome(t *rapid.T) {
	c := m.pick(t)
	list := m.held(t, c)
	if len(list) == 0 {
		return
	}
	o := rapid.SampledFrom([]Outcome{Accepted, Accepted, Released, Rejected, Failed, FailedHere}).Draw(t, "outcome")
	for _, x := range list {
		switch o {
		case Accepted:
			m.remove(x)
		case Rejected:
			m.bury(x)
		case Released:
			x.holder = nil
		default:
			x.attempts++
			x.holder = nil
			if o == FailedHere {
				x.shunned = c
			}
			if x.attempts > modelRedeliveries {
				m.bury(x)
			}
		}
	}
	c.p.must(Op{Kind: OpSettle, Tags: tagsOf(list), Outcome: o})
}

func (m *machine) remove(x *modelMessage) {
	m.live = slices.DeleteFunc(m.live, func(y *modelMessage) bool { return x == y })
}

func (m *machine) bury(x *modelMessage) {
	m.remove(x)
	m.dead++
	if !x.durable {
		m.volatile++
	}
}

// workInTx accepts and publishes in a transaction.
func (m *machine) workInTx(t *rapid.T) {
	c := m.pick(t)
	if !c.open {
		c.open = true
		c.p.must(Op{Kind: OpBegin, Tx: 1})
	}
	if list := m.held(t, c); len(list) > 0 {
		for _, x := range list {
			x.tx = true
		}
		c.tx = append(c.tx, list...)
		c.p.must(Op{Kind: OpSettle, Tx: 1, Tags: tagsOf(list), Outcome: Accepted})
	}
	x := m.draw(t)
	x.durable, x.expiresMs, x.notBefore = true, 0, 0
	c.pubs = append(c.pubs, x)
	c.p.must(Op{Kind: OpPublish, Tx: 1, Message: x.message()})
}

func (m *machine) endTx(t *rapid.T) {
	c := m.pick(t)
	if !c.open {
		return
	}
	if rapid.Bool().Draw(t, "commit") {
		m.committed(c)
		c.p.must(Op{Kind: OpCommit, Tx: 1})
		return
	}
	m.rolledBack(c)
	c.p.must(Op{Kind: OpRollback, Tx: 1})
}

func (m *machine) committed(c *modelConsumer) {
	for _, x := range c.tx {
		m.remove(x)
	}
	for _, x := range c.pubs { // they take their places now
		m.published++
		x.order = m.published
		m.live = append(m.live, x)
	}
	c.open, c.tx, c.pubs = false, nil, nil
}

func (m *machine) rolledBack(c *modelConsumer) {
	for _, x := range c.tx {
		x.tx = false
	}
	c.open, c.tx, c.pubs = false, nil, nil
}

func (m *machine) disconnect(t *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(t, "consumer")
	c := m.consumers[i]
	m.leave(c)
	c.p.close()
	m.consumers[i] = &modelConsumer{p: m.connect("")}
	m.consumers[i].p.consume(1, queueOf("q"), 0)
}

func (m *machine) leave(c *modelConsumer) {
	for _, x := range m.live {
		if x.holder == c {
			x.holder, x.tx = nil, false
		}
	}
}

// crash takes the power away after some operations of which the log keeps some.
func (m *machine) crash(t *rapid.T) {
	var units []func() // what each unit that is not committed yet means
	if rapid.Bool().Draw(t, "publish") {
		x := m.draw(t)
		m.producer.send(Op{Kind: OpPublish, Message: x.message()})
		if x.durable {
			units = append(units, func() { m.live = append(m.live, x) })
		}
	}
	for _, c := range m.consumers {
		list := m.held(t, c)
		durables := slices.DeleteFunc(list, func(x *modelMessage) bool { return !x.durable })
		switch {
		case len(durables) > 0 && !c.open:
			c.p.send(Op{Kind: OpSettle, Tags: tagsOf(durables), Outcome: Accepted})
			units = append(units, func() {
				for _, x := range durables {
					m.remove(x)
				}
			})
		case c.open && len(c.pubs) > 0:
			c.p.send(Op{Kind: OpCommit, Tx: 1})
			units = append(units, func() { m.committed(c) })
		}
	}
	keep := rapid.IntRange(0, len(units)).Draw(t, "keep")
	m.restart(keep)
	for _, apply := range units[:keep] {
		apply()
	}
	m.live = slices.DeleteFunc(m.live, func(x *modelMessage) bool { return !x.durable })
	m.dead, m.volatile = m.dead-m.volatile, 0
	for _, x := range m.live {
		x.holder, x.tx, x.shunned, x.returned = nil, false, nil, true
	}
	m.reconnect()
}

func (m *machine) purge(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		return
	}
	n, err := m.b.Purge(queueOf("q"))
	if err != nil {
		t.Fatal(err)
	}
	buried := len(m.live) - int(n)
	if buried < 0 || buried > m.dues() {
		t.Fatalf("purged %d of %d, of which %d had expired", n, len(m.live), m.dues())
	}
	m.live, m.dead = nil, m.dead+buried
	for _, c := range m.consumers {
		c.tx = nil
	}
}

func (m *machine) passTime(t *rapid.T) {
	m.sleep(int64(rapid.IntRange(1, 3).Draw(t, "s")) * 500)
	for range 4 { // what expires behind the window is read back a page a turn
		m.sleep(1)
	}
}

// expire marks what is due. Only what waits expires, and what is delayed does when its time has come; what is only in the
// store does when it is read back.
func (m *machine) expire() {
	for _, x := range slices.Clone(m.live) {
		switch {
		case x.expiresMs == 0 || x.expiresMs > m.now || x.holder != nil || x.notBefore > m.now:
		case x.durable:
			x.due = true
		default:
			m.remove(x)
		}
	}
}

func (m *machine) dues() (n int) {
	for _, x := range m.live {
		if x.due {
			n++
		}
	}
	return n
}

// check compares everything with the model.
func (m *machine) check(t *rapid.T) {
	m.settle()
	m.producer.pump()
	m.expire()
	worst := -1
	for _, c := range m.consumers {
		last := -1
		for _, d := range c.p.take() {
			x := m.delivered(t, c, d)
			if last > x.place() {
				t.Fatalf("%s came too late", x.body)
			}
			last = x.place()
			worst = max(worst, last)
		}
	}
	for _, c := range m.consumers {
		m.checkWaiting(t, c, worst)
	}
	info := m.queue("q")
	inFlight := 0
	for _, x := range m.live {
		if x.holder != nil {
			inFlight++
		}
	}
	buried := len(m.live) - int(info.Depth)
	if buried < 0 || buried > m.dues() || info.InFlight != uint64(inFlight) {
		t.Fatalf("%d messages, %d in flight; the model has %d, of which %d expired, %d in flight", info.Depth, info.InFlight, len(m.live), m.dues(), inFlight)
	}
	if n := m.letters(); n != m.dead+buried {
		t.Fatalf("%d dead letters; the model has %d and %d", n, m.dead, buried)
	}
}

func (m *machine) letters() int {
	i, err := m.b.Queue(dlq)
	if err != nil {
		return 0
	}
	return int(i.Depth)
}

func (m *machine) delivered(t *rapid.T, c *modelConsumer, d Delivery) *modelMessage {
	body := string(d.Message.Bare)
	i := slices.IndexFunc(m.live, func(x *modelMessage) bool { return x.body == body })
	if i < 0 {
		t.Fatalf("%s was delivered: it is not there", body)
	}
	x := m.live[i]
	if x.holder != nil || x.notBefore > m.now || x.shunned == c || x.due {
		t.Fatalf("%s was delivered, but is in flight, delayed or not for this consumer: %+v", body, x)
	}
	if d.Attempts != x.attempts || d.Returned != x.returned {
		t.Fatalf("%s: attempts %d returned %v; the model has %d %v", body, d.Attempts, d.Returned, x.attempts, x.returned)
	}
	x.holder, x.tag, x.returned = c, d.Tag, true
	return x
}

// checkWaiting sees to it that nobody with credit is kept waiting, and that nothing worse went before what waits.
func (m *machine) checkWaiting(t *rapid.T, c *modelConsumer, worst int) {
	used, limit := c.p.c.subs[1].credit.used.Load(), c.p.credit[1]
	for _, x := range m.live {
		if x.holder != nil || x.notBefore > m.now || x.shunned != nil || x.due {
			continue
		}
		if used < limit && m.shunnedBy(c) < modelWindow { // nobody looks further than the window for what they did not refuse
			t.Fatalf("%s waits, and a consumer has %d credit", x.body, limit-used)
		}
		if x.place() < worst {
			t.Fatalf("%s waits, and something behind it was delivered", x.body)
		}
	}
}

func TestQueueIsWhatTheModelSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t)
		rt.Repeat(map[string]func(*rapid.T){
			"publish": m.publish, "publish2": m.publish, "credit": m.grantSome, "credit2": m.grantSome, "settle": m.settleSome, "settle2": m.settleSome,
			"tx": m.workInTx, "endTx": m.endTx, "disconnect": m.disconnect, "crash": m.crash, "purge": m.purge, "time": m.passTime,
			"": m.check,
		})
		m.finish(rt)
	})
}

// finish drains the queue: everything comes, in order.
func (m *machine) finish(t *rapid.T) {
	m.check(t)
	for i := range m.consumers {
		m.leave(m.consumers[i])
		m.consumers[i].p.close()
	}
	m.sleep(10_000)
	for range 20 {
		m.sleep(1)
	}
	m.expire()
	m.expire()
	slices.SortFunc(m.live, func(a, b *modelMessage) int { return cmp.Compare(a.place(), b.place()) })
	last := m.connect("")
	last.consume(1, queueOf("q"), 1000)
	got := last.take()
	for _, x := range slices.Clone(m.live) {
		if x.due {
			m.bury(x)
		}
	}
	if n := m.letters(); n != m.dead {
		t.Fatalf("%d dead letters; the model has %d", n, m.dead)
	}
	if len(got) != len(m.live) {
		t.Fatalf("%d messages are left; the model has %d", len(got), len(m.live))
	}
	for i, x := range m.live {
		if body := string(got[i].Message.Bare); body != x.body {
			t.Fatalf("%s came where %s was due", body, x.body)
		}
	}
	last.settleAs(Accepted, got...)
	last.close()
	if i := m.queue("q"); i.Depth != 0 || i.Bytes != 0 || i.InMemory != 0 {
		t.Fatalf("%+v", i)
	}
	dead, size := int64(m.dead), m.b.Stats().MemoryBytes
	if size < 0 || size > dead*(entryBytes+100) {
		t.Fatalf("%d bytes in memory for %d dead letters", size, dead)
	}
}

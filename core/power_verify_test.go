package core

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

// found is one entry as the store holds it after a power loss.
type found struct {
	persist.Entry
	times int
}

// contents reads all of a queue.
func (p *power) contents(q *queue) map[string]found {
	list := map[string]found{}
	if q == nil {
		return list
	}
	entries, err := p.b.store.Entries(q.id, 0, 1<<20, nil)
	if err != nil {
		p.errorf("%v: %v", q.dest, err)
	}
	for _, e := range entries {
		m, err := q.readMessage(e.Message)
		if err != nil {
			p.errorf("%v: message at %d: %v", q.dest, e.Message, err)
			continue
		}
		list[string(m.Bare)] = found{e, list[string(m.Bare)].times + 1}
	}
	if info := q.info(); info.Depth != uint64(len(entries)) {
		p.errorf("%v has depth %d and %d entries", q.dest, info.Depth, len(entries))
	}
	return list
}

// places lists where messages wait, and the queues that stand there.
func (p *power) places() map[string]*queue {
	m := map[string]*queue{}
	for _, name := range powerQueues {
		m[name] = p.b.queues[queueOf(name)]
	}
	for _, name := range powerSubs {
		m["sub "+name] = nil
		if d := p.b.durables[subscriptionKey{"durable", name}]; d != nil {
			m["sub "+name] = d.claim.q
		}
	}
	m["inbox"] = nil
	if x := p.b.inboxes["mqtt"]; x != nil {
		m["inbox"] = x.q
	}
	return m
}

// verify compares what the store holds now with what was said and confirmed, and goes on from there.
func (p *power) verify() {
	all := map[string]map[string]found{}
	for place, q := range p.places() {
		all[place] = p.contents(q)
	}
	for place, have := range all {
		p.strangers(place, have)
		for _, x := range p.live[place] {
			p.weighBringing(x, have[x.body].times)
		}
	}
	for place, have := range all {
		for _, x := range p.live[place] {
			p.weighTaking(x, have[x.body].times)
		}
	}
	p.verifyInbound()
	for _, u := range p.units {
		switch {
		case u.confirmed && u.not != "":
			p.errorf("%s: confirmed, and yet %s", u.what, u.not)
		case u.happened != "" && u.not != "":
			p.errorf("%s: half done: %s, but %s", u.what, u.happened, u.not)
		}
	}
	p.verifyDead(all)
	for place, have := range all {
		p.adopt(place, have)
	}
	p.verifyRetained()
	p.verifySent()
	p.units = nil
}

// strangers finds what nobody said, or what is there twice.
func (p *power) strangers(place string, have map[string]found) {
	known := map[string]bool{}
	for _, x := range p.live[place] {
		known[x.body] = true
	}
	for body, e := range have {
		if !known[body] {
			p.errorf("%s: %q is back, or was never sent", place, short(body))
		}
		if e.times > 1 {
			p.errorf("%s: %q is there %d times", place, short(body), e.times)
		}
	}
}

func short(body string) string { return body[:min(len(body), 12)] }

// weighBringing says what x's being there or not means for the unit that brought it.
func (p *power) weighBringing(x *powerMessage, times int) {
	switch {
	case times > 0 || x.seen:
		x.by.happened = fmt.Sprintf("%s: %q came", x.place, short(x.body))
	case len(x.taken) == 0:
		x.by.not = fmt.Sprintf("%s: %q is not there", x.place, short(x.body))
	}
}

// weighTaking does so for those that took it away.
func (p *power) weighTaking(x *powerMessage, times int) {
	there := times > 0
	for _, u := range x.taken {
		switch {
		case there:
			u.not = fmt.Sprintf("%s: %q is back", x.place, short(x.body))
		case len(x.taken) == 1 && (x.by.confirmed || x.by.happened != ""):
			u.happened = fmt.Sprintf("%s: %q went", x.place, short(x.body))
		}
	}
}

// verifyInbound looks at the QoS 2 packet ids: each stands and falls with its message.
func (p *power) verifyInbound() {
	rows := map[uint16]bool{}
	if x := p.b.inboxes["mqtt"]; x != nil {
		for id := range x.inbound {
			rows[id] = true
		}
	}
	for id, m := range p.inbound {
		switch {
		case rows[id]:
			m.by.happened = fmt.Sprintf("packet id %d is marked", id)
			m.released = false
			delete(rows, id)
		case !m.released:
			m.by.not = fmt.Sprintf("packet id %d is not marked", id)
			delete(p.inbound, id)
		default:
			delete(p.inbound, id)
		}
	}
	for id := range rows {
		p.errorf("packet id %d is back", id)
	}
}

// verifyDead counts the dead letters: what was rejected is in one of both places.
func (p *power) verifyDead(all map[string]map[string]found) {
	for place, have := range all {
		for _, x := range p.live[place] {
			if x.moved && have[x.body].times == 0 {
				p.dead[x.body]++
			}
		}
	}
	have := p.contents(p.b.queues[dlq])
	for body, n := range p.dead {
		if have[body].times != n {
			p.errorf("dead letters: %q is there %d times, want %d", short(body), have[body].times, n)
		}
	}
	if len(have) > len(p.dead) {
		p.errorf("%d dead letters, want %d", len(have), len(p.dead))
	}
}

// adopt makes what is there what must be there the next time.
func (p *power) adopt(place string, have map[string]found) {
	var kept []*powerMessage
	for _, x := range p.live[place] {
		e := have[x.body]
		if e.times == 0 {
			continue
		}
		received := e.Assign.State == assignReceived
		switch {
		case received && x.received == 0 || !received && x.received == 2:
			p.errorf("%s: %q has state %d, was %d", place, short(x.body), e.Assign.State, x.received)
		case e.Attempts < x.attempts[0] || e.Attempts > x.attempts[1]:
			p.errorf("%s: %q has %d attempts, want %v", place, short(x.body), e.Attempts, x.attempts)
		case x.seq != 0 && x.seq != e.Seq.Counter():
			p.errorf("%s: %q has seq %d, was %d", place, short(x.body), e.Seq.Counter(), x.seq)
		}
		y := &powerMessage{body: x.body, place: place, by: &powerUnit{confirmed: true}, attempts: [2]uint32{e.Attempts, e.Attempts}}
		if received {
			y.received = 2
		}
		if place == "inbox" {
			y.seq = e.Seq.Counter()
		}
		kept = append(kept, y)
	}
	p.live[place] = kept
}

func (p *power) verifyRetained() {
	for topic, list := range p.retained {
		value, ok, err := p.b.store.Get(persist.TableRetained, []byte(topic))
		body := ""
		if ok {
			r := reader{b: value}
			r.bytes(uint64(len(value)))
			body = string(r.b)
		}
		at := -1
		for i, x := range list {
			if x.body == body {
				at = i
			}
		}
		if at < 0 || err != nil {
			p.errorf("%s: retained is %q (%v), want one of %d from %q on", topic, short(body), err, len(list), short(list[0].body))
			continue
		}
		p.retained[topic] = list[at : at+1]
	}
}

// memoryDisk plays power losses on the model of a store: quick, and a test of the test.
type memoryDisk struct {
	store *memStore
	s     *countingStore
	left  int
}

// countingStore loses its power at the n-th append.
type countingStore struct {
	*memStore
	d *memoryDisk
}

func (s *countingStore) Append(u *persist.Unit) (base, end persist.Pos, err error) {
	if s.d.left--; s.d.left == 0 {
		s.memStore.refuse = persist.ErrClosed
	}
	return s.memStore.Append(u)
}

func (d *memoryDisk) open() (Store, error) {
	d.s = &countingStore{d.store, d}
	return d.s, nil
}

func (d *memoryDisk) arm(n int) { d.left = n }

func (d *memoryDisk) hold() bool {
	d.left = 1 << 30
	return d.store.refuse == nil
}

func (d *memoryDisk) off(rng *rand.Rand) {
	d.store = d.store.reopen(rng.IntN(4)).(*memStore)
}

func (d *memoryDisk) quiet() bool {
	if d.store.refuse != nil {
		return false
	}
	d.store.flush()
	return true
}

func (d *memoryDisk) check() error { return nil }

func TestPowerLossOfTheModel(t *testing.T) {
	for seed := range uint64(200) {
		if playPower(t, seed+1, &memoryDisk{store: newMemStore(t)}); t.Failed() {
			return
		}
	}
}

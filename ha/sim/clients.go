package sim

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/havenmq/havenmq/persist"
)

const (
	queues     = 2
	mostWait   = 40 // entries of a queue, before producers pause
	priorities = 2
)

// clients are producers and consumers, and what they know: which messages were confirmed, and what of them was settled.
type clients struct {
	w         *World
	messages  []message // by number, less 1
	owed      []uint64  // confirmed, and nobody has asked to settle them: who serves must have these
	confirmed int
	settled   int
	delivered int
	refused   int                    // for want of room
	names     map[persist.Pos]uint64 // of messages that were read
	entries   []persist.Entry
	unit      persist.Unit
}

// message is what its producer and its consumers know.
type message struct {
	queue     persist.QueueID
	confirmed bool
	asked     bool   // a consumer has asked to settle it: it may be gone
	settled   bool   // that is confirmed: it is gone for good
	attempts  uint32 // confirmed to have been written
}

// session is what clients have with one master, as core would keep it.
type session struct {
	tails   [queues][priorities]uint64
	pending []pending
	held    map[heldAt]bool // delivered, and neither settled nor given back
	told    persist.Pos     // confirmed up to here
}

type heldAt struct {
	queue persist.QueueID
	seq   persist.Seq
}

// pending is what a client waits for: its unit ends at end.
type pending struct {
	end      persist.Pos
	no       uint64
	at       heldAt
	settle   bool
	attempts uint32
}

var ofPriority = [priorities]uint8{4, 7}

// openSession lets clients in, and holds I6: a master of the newest epoch has all that was confirmed and nobody settled, and
// I13: nothing that was settled.
func (n *node) openSession() {
	if n.serving == 0 {
		return
	}
	c := &session{held: map[heldAt]bool{}, told: n.store.Confirmed()}
	for q := range queues {
		s := n.store.Queue(persist.QueueID(q + 1))
		for i, p := range ofPriority {
			c.tails[q][i] = s.Tails[persist.MakeSeq(p, 0).Class()]
		}
	}
	n.clients = c
	n.w.clients.compare(n)
}

// compare looks at all that a master's queues hold.
func (c *clients) compare(n *node) {
	if m := c.w.arbiter.mandate; m == nil || m.Epoch != n.epoch {
		return
	}
	have := map[uint64]bool{}
	for q := persist.QueueID(1); q <= queues; q++ {
		last := [persist.Classes]uint64{}
		for _, e := range c.list(n, q, 10*mostWait) {
			no, ok := c.read(n, &e)
			if !ok {
				return
			}
			if class := e.Seq.Class(); no <= last[class] {
				c.w.fail("node %d: message %d stands behind message %d in queue %d", n.no, no, last[class], q)
			} else {
				last[class] = no
			}
			have[no] = true
			c.mayBeThere(n, no, &e)
		}
	}
	c.owed = slices.DeleteFunc(c.owed, func(no uint64) bool { return c.messages[no-1].asked })
	for _, no := range c.owed {
		if !have[no] {
			c.w.fail("I6: node %d serves epoch %d without message %d, which was confirmed", n.no, n.epoch, no)
			return
		}
	}
}

func (c *clients) list(n *node, q persist.QueueID, most int) []persist.Entry {
	var err error
	c.entries, err = n.store.Entries(q, 0, most, c.entries[:0])
	n.sound(err)
	return c.entries
}

// read gives the number of an entry's message.
func (c *clients) read(n *node, e *persist.Entry) (no uint64, ok bool) {
	id, _, _, err := n.store.Message(e.Message)
	if err != nil && n.disk.rot != 0 { // what cannot be read is not delivered, and is still there
		no, ok = c.names[e.Message]
		return no, ok
	}
	if !n.sound(err) {
		return 0, false
	}
	if len(id) != 8 {
		c.w.fail("node %d: the message at %d has an id of %d bytes", n.no, e.Message, len(id))
		return 0, false
	}
	if no = binary.LittleEndian.Uint64(id); no == 0 || no > uint64(len(c.messages)) {
		c.w.fail("node %d: the message at %d says that it is number %d", n.no, e.Message, no)
		return 0, false
	}
	c.names[e.Message] = no
	return no, true
}

// mayBeThere holds I13, and that no attempt is forgotten.
func (c *clients) mayBeThere(n *node, no uint64, e *persist.Entry) {
	m := &c.messages[no-1]
	switch {
	case m.settled:
		c.w.fail("I13: node %d of epoch %d holds message %d, which was settled", n.no, n.epoch, no)
	case e.Attempts < m.attempts:
		c.w.fail("node %d of epoch %d knows of %d attempts to deliver message %d, and %d were made", n.no, n.epoch, e.Attempts, no, m.attempts)
	}
}

// readable holds I16: each entry's message can be read.
func (c *clients) readable(n *node) {
	for q := persist.QueueID(1); q <= queues; q++ {
		for _, e := range c.list(n, q, 10*mostWait) {
			if _, ok := c.read(n, &e); !ok {
				return
			}
		}
	}
}

// act has clients of a master that serves do something.
func (c *clients) act(n *node) {
	s := n.clients
	if !n.up || s == nil || n.paused || n.pausedTo > c.w.now {
		return
	}
	q := persist.QueueID(1 + c.w.rng.IntN(queues))
	u := &c.unit
	u.Reset()
	at := len(s.pending)
	if c.w.rng.IntN(5) < 2 {
		c.produce(n, q)
	} else {
		c.consume(n, q)
	}
	if !n.up || u.Empty() {
		return
	}
	_, end, err := n.store.Append(u)
	if err != nil {
		s.pending = s.pending[:at]
		if errors.Is(err, persist.ErrFull) {
			c.refused++
		} else if !errors.Is(err, persist.ErrClosed) {
			c.w.fail("node %d: appending: %v", n.no, err)
		}
		clear(s.held) // whoever was refused gives all back
		return
	}
	for i := range s.pending[at:] {
		p := &s.pending[at+i]
		p.end = end
		if p.settle {
			c.messages[p.no-1].asked = true
		}
	}
	n.writeSoon()
}

func (c *clients) produce(n *node, q persist.QueueID) {
	if n.store.Queue(q).Depth > mostWait {
		return
	}
	s, i := n.clients, c.w.rng.IntN(priorities)
	for range 1 + c.w.rng.IntN(2) {
		c.messages = append(c.messages, message{queue: q})
		no := uint64(len(c.messages))
		body := c.w.body[:c.w.rng.IntN(len(c.w.body))]
		ref := c.unit.Message(binary.LittleEndian.AppendUint64(nil, no), nil, body)
		s.tails[q-1][i]++
		c.unit.Enqueue(ref, []persist.Target{{Queue: q, Seq: persist.MakeSeq(ofPriority[i], s.tails[q-1][i])}}, 0, 0)
		s.pending = append(s.pending, pending{no: no})
	}
}

// consume has a few messages delivered, most of which are settled at once.
func (c *clients) consume(n *node, q persist.QueueID) {
	s, left := n.clients, 1+c.w.rng.IntN(4)
	newest := c.w.arbiter.mandate.Epoch == n.epoch
	for _, e := range c.list(n, q, mostWait) {
		at := heldAt{q, e.Seq}
		if left == 0 || s.held[at] {
			continue
		}
		left--
		no, ok := c.read(n, &e)
		if !ok {
			return
		}
		c.delivered++
		if newest {
			c.mayBeThere(n, no, &e)
		}
		s.held[at] = true
		switch c.w.rng.IntN(16) {
		case 0: // a slow one
		case 1:
			c.unit.Attempt(q, e.Seq, e.Attempts+1, 0, nil)
			s.pending = append(s.pending, pending{no: no, at: at, attempts: e.Attempts + 1})
		default:
			c.unit.Settle(q, []persist.Range{{First: e.Seq, Last: e.Seq}})
			s.pending = append(s.pending, pending{no: no, settle: true})
		}
	}
}

// answerClients tells clients what is confirmed now.
func (n *node) answerClients() {
	s := n.clients
	if s == nil {
		return
	}
	to := n.store.Confirmed()
	if to <= s.told {
		return
	}
	n.w.confirm(n, s.told, to)
	s.told = to
	c, k := &n.w.clients, 0
	for ; k < len(s.pending) && s.pending[k].end <= to; k++ {
		p := &s.pending[k]
		m := &c.messages[p.no-1]
		switch {
		case p.settle:
			m.settled = true
			c.settled++
		case p.attempts > 0:
			m.attempts = max(m.attempts, p.attempts)
			delete(s.held, p.at)
		default:
			m.confirmed = true
			c.confirmed++
			c.owed = append(c.owed, p.no)
		}
	}
	s.pending = append(s.pending[:0], s.pending[k:]...)
}

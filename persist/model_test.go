package persist

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// modelEntry is what an entry should look like.
type modelEntry struct {
	id          string // of its message
	note        string
	session     string
	attempts    uint32
	expiry, due int64
}

// modelState is what a store should hold.
type modelState struct {
	entries  map[entryKey]modelEntry
	tails    map[QueueID]*[Classes]uint64
	rows     map[string]string
	config   string
	prepared map[string]preparedTx
	locked   map[entryKey]bool // a prepared transaction speaks of it
}

// effect is what one operation does to the state.
type effect func(*modelState)

// preparedTx is the unit of a prepared transaction, and what it will do.
type preparedTx struct {
	unit    []byte
	content []effect
}

// modelUnit is what one unit of the log does.
type modelUnit struct {
	end     Pos
	effects []effect
}

// model makes random operations, and knows what comes of them, also if the log lost its end.
type model struct {
	r      *rand.Rand
	queues []QueueID
	last   QueueID
	n      int // messages and transactions so far
	units  []modelUnit
	now    *modelState
	fresh  []effect // of the unit being made
}

func newState() *modelState {
	return &modelState{entries: map[entryKey]modelEntry{}, tails: map[QueueID]*[Classes]uint64{}, rows: map[string]string{},
		prepared: map[string]preparedTx{}, locked: map[entryKey]bool{}}
}

func newModel(seed uint64) *model {
	m := &model{r: rand.New(rand.NewPCG(seed, 7)), now: newState()}
	for range 1 + m.r.IntN(6) {
		m.newQueue()
	}
	return m
}

func (m *model) newQueue() {
	m.last++
	m.queues = append(m.queues, m.last)
}

// do notes an effect and shows it at once.
func (m *model) do(e effect) {
	m.fresh = append(m.fresh, e)
	e(m.now)
}

func (s *modelState) give(q QueueID, at Seq) {
	if s.tails[q] == nil {
		s.tails[q] = new([Classes]uint64)
	}
	t := &s.tails[q][at.Class()]
	*t = max(*t, at.Counter())
}

func (m *model) queue() QueueID { return m.queues[m.r.IntN(len(m.queues))] }

// place gives out a place, now and then far behind the last.
func (m *model) place(q QueueID) Seq {
	priority := uint8(4)
	if m.r.IntN(4) == 0 {
		priority = uint8(m.r.IntN(Classes))
	}
	step := uint64(1)
	switch m.r.IntN(60) {
	case 0:
		step = 100 + m.r.Uint64N(1000)
	case 1:
		step = 1 << 40
	}
	class, last := MakeSeq(priority, 0).Class(), uint64(0)
	if t := m.now.tails[q]; t != nil {
		last = t[class]
	}
	at := MakeSeq(priority, last+step)
	m.do(func(s *modelState) { s.give(q, at) })
	return at
}

// pick is a live entry that no transaction speaks of, mostly an old one.
func (m *model) pick() (entryKey, bool) {
	q := m.queue()
	var list []Seq
	for k := range m.now.entries {
		if k.q == q && !m.now.locked[k] {
			list = append(list, k.s)
		}
	}
	if len(list) == 0 {
		return entryKey{}, false
	}
	slices.Sort(list)
	return entryKey{q, list[m.r.IntN(min(len(list), 1+m.r.IntN(30)))]}, true
}

// enqueue puts a message into some queues; later, if a transaction holds it back.
func (m *model) publish(u *Unit, then func(effect)) {
	m.n++
	id := fmt.Sprint("m", m.n)
	size := m.r.IntN(300)
	if m.r.IntN(30) == 0 {
		size = m.r.IntN(9000)
	}
	ref := u.Message([]byte(id), []byte("h"), bytes.Repeat([]byte{'b'}, size))
	for range 1 + m.r.IntN(2)*m.r.IntN(2) {
		var targets []Target
		expiry, due := int64(m.r.IntN(3)*m.r.IntN(1000)), int64(m.r.IntN(2)*m.r.IntN(2)*m.r.IntN(1000))
		for range 1 + m.r.IntN(2)*m.r.IntN(4) {
			t := Target{Queue: m.queue(), Note: m.note()}
			t.Seq = m.place(t.Queue)
			targets = append(targets, t)
		}
		u.Enqueue(ref, targets, expiry, due)
		then(putAll(targets, modelEntry{id: id, expiry: expiry, due: due}))
	}
}

func putAll(targets []Target, e modelEntry) effect {
	return func(s *modelState) {
		for _, t := range targets {
			e.note = string(t.Note)
			s.entries[entryKey{t.Queue, t.Seq}] = e
		}
	}
}

func (m *model) note() []byte {
	if m.r.IntN(4) != 0 {
		return nil
	}
	return bytes.Repeat([]byte{'n'}, 1+m.r.IntN(40))
}

// step puts a random operation into u. s may be nil: nothing stored is looked up then.
func (m *model) step(u *Unit, s *Store) {
	k := m.r.IntN(100)
	switch {
	case k < 40:
		m.publish(u, m.do)
		return
	case k < 50:
		m.table(u)
		return
	case k < 51:
		u.Config([]byte{byte(k), byte(m.n)})
		m.do(func(s *modelState) { s.config = string([]byte{byte(k), byte(m.n)}) })
		return
	}
	at, ok := m.pick()
	if !ok {
		return
	}
	switch {
	case k < 75:
		u.Settle(at.q, []Range{{at.s, at.s}})
		m.do(func(s *modelState) { delete(s.entries, at) })
	case k < 79:
		m.settleRange(u, at)
	case k < 91:
		m.change(u, at, s)
	case k < 97:
		m.move(u, at, m.do)
	default:
		m.purge(u, at)
	}
}

func (m *model) table(u *Unit) {
	key := fmt.Sprint("k", m.r.IntN(20))
	if m.r.IntN(2) == 0 {
		u.Delete(TableRetained, []byte(key))
		m.do(func(s *modelState) { delete(s.rows, key) })
		return
	}
	value := fmt.Sprint("v", m.n, m.r.IntN(1000))
	u.Put(TableRetained, []byte(key), []byte(value))
	m.do(func(s *modelState) { s.rows[key] = value })
}

// settleRange settles a run of places, of which none is locked.
func (m *model) settleRange(u *Unit, at entryKey) {
	last := at.s + Seq(m.r.IntN(600))
	for k := range m.now.locked {
		if k.q == at.q && k.s >= at.s && k.s <= last {
			return
		}
	}
	u.Settle(at.q, []Range{{at.s, last}})
	m.do(func(s *modelState) {
		maps.DeleteFunc(s.entries, func(k entryKey, _ modelEntry) bool { return k.q == at.q && k.s >= at.s && k.s <= last })
	})
}

func (m *model) change(u *Unit, at entryKey, s *Store) {
	e := m.now.entries[at]
	switch m.r.IntN(3) {
	case 0:
		e.attempts++
		e.due, e.note = int64(m.r.IntN(1000)), string(m.note())
		u.Attempt(at.q, at.s, e.attempts, e.due, []byte(e.note))
	case 1:
		e.session = fmt.Sprint("s", m.r.IntN(3))
		u.Assign(at.q, at.s, Assignment{Session: []byte(e.session), PacketID: 3, State: 1})
	default:
		m.again(u, at, s)
		return
	}
	m.do(func(s *modelState) { s.entries[at] = e })
}

// again puts a stored message into one more queue.
func (m *model) again(u *Unit, at entryKey, s *Store) {
	e, ok, err := s.Entry(at.q, at.s)
	if !ok || err != nil {
		return // not applied yet
	}
	to := Target{Queue: m.queue(), Note: m.note()}
	to.Seq = m.place(to.Queue)
	u.EnqueueStored(e.Message, e.SizeBytes, []Target{to}, 5, 0)
	m.do(putAll([]Target{to}, modelEntry{id: m.now.entries[at].id, expiry: 5}))
}

func (m *model) move(u *Unit, at entryKey, then func(effect)) {
	to := Target{Queue: m.queue(), Note: m.note()}
	to.Seq = m.place(to.Queue)
	u.Move(at.q, at.s, to, []byte("why"))
	then(func(s *modelState) {
		e := s.entries[at]
		delete(s.entries, at)
		s.entries[entryKey{to.Queue, to.Seq}] = modelEntry{id: e.id, expiry: e.expiry, note: string(to.Note)}
	})
}

func (m *model) purge(u *Unit, at entryKey) {
	for k := range m.now.locked {
		if k.q == at.q {
			return
		}
	}
	var upTo [Classes]uint64
	gone := m.r.IntN(3) == 0
	if !gone {
		upTo[at.s.Class()] = at.s.Counter()
	}
	u.Purge(at.q, upTo, gone)
	m.do(func(s *modelState) {
		maps.DeleteFunc(s.entries, func(k entryKey, _ modelEntry) bool {
			return k.q == at.q && (gone || k.s.Counter() <= upTo[k.s.Class()])
		})
		if gone {
			delete(s.tails, at.q)
		}
	})
	if gone {
		m.queues = slices.DeleteFunc(m.queues, func(q QueueID) bool { return q == at.q })
		m.newQueue()
	}
}

// prepare makes a prepared transaction, whose content nothing else speaks of until it ends.
func (m *model) prepare(u *Unit) {
	m.n++
	id := fmt.Sprint("tx", m.n)
	u.TxPrepare([]byte(id))
	var content []effect
	later := func(e effect) { content = append(content, e) }
	var locked []entryKey
	for range 1 + m.r.IntN(3) {
		m.publish(u, later)
		if at, ok := m.pick(); ok {
			m.do(func(s *modelState) { s.locked[at] = true })
			locked = append(locked, at)
			if m.r.IntN(2) == 0 {
				m.move(u, at, later)
			} else {
				u.Settle(at.q, []Range{{at.s, at.s}})
				later(func(s *modelState) { delete(s.entries, at) })
			}
		}
	}
	u.Put(TableRetained, []byte(id), []byte(id))
	later(func(s *modelState) { s.rows[id] = id })
	content = append(content, unlock(locked))
	tx := preparedTx{bytes.Clone(u.Bytes()), content}
	m.do(func(s *modelState) { s.prepared[id] = tx })
}

func unlock(list []entryKey) effect {
	return func(s *modelState) {
		for _, k := range list {
			delete(s.locked, k)
		}
	}
}

// finish commits or rolls back a transaction. The places that it was given stay given out in the model alone, if they do
// not come to be: nobody gives them out again.
func (m *model) finish(u *Unit) {
	ids := slices.Sorted(maps.Keys(m.now.prepared))
	if len(ids) == 0 {
		return
	}
	id := ids[m.r.IntN(len(ids))]
	tx := m.now.prepared[id]
	content := tx.content
	if m.r.IntN(3) == 0 {
		u.TxRollback([]byte(id))
		content = content[len(content)-1:] // what unlocks
	} else {
		u.TxCommit([]byte(id), tx.unit)
	}
	m.do(func(s *modelState) {
		delete(s.prepared, id)
		for _, e := range content {
			e(s)
		}
	})
}

// unit appends a random unit.
func (m *model) unit(s *Store) (end Pos, err error) {
	var u Unit
	m.fresh = nil
	switch k := m.r.IntN(20); {
	case k == 0:
		m.prepare(&u)
	case k == 1:
		m.finish(&u)
	case k == 2:
		for range m.r.IntN(60) {
			m.step(&u, s)
		}
	default:
		for range 1 + m.r.IntN(3) {
			m.step(&u, s)
		}
	}
	_, end, err = s.Append(&u)
	if err == nil {
		m.units = append(m.units, modelUnit{end, m.fresh})
	}
	return end, err
}

// lose forgets what the log does not hold.
func (m *model) lose(end Pos) {
	m.units = slices.DeleteFunc(m.units, func(u modelUnit) bool { return u.end > end })
	m.now = newState()
	for _, u := range m.units {
		for _, e := range u.effects {
			e(m.now)
		}
	}
}

package persist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// check wants the store to answer what the model holds.
func (m *model) check(t testing.TB, s *Store) {
	t.Helper()
	if err := m.compare(s); err != nil {
		t.Fatal(err)
	}
}

// compare compares what a store answers with what the model holds. All must be applied.
func (m *model) compare(s *Store) error {
	want := map[QueueID][]Seq{}
	for k := range m.now.entries {
		want[k.q] = append(want[k.q], k.s)
	}
	for q := QueueID(1); q <= m.last; q++ {
		slices.Sort(want[q])
		if err := m.checkQueue(s, q, want[q]); err != nil {
			return fmt.Errorf("queue %d: %w", q, err)
		}
	}
	rows := map[string]string{}
	if err := s.Scan(TableRetained, nil, func(k, v []byte) bool { rows[string(k)] = string(v); return true }); err != nil {
		return err
	}
	if !maps.Equal(rows, m.now.rows) {
		return fmt.Errorf("rows %v, want %v", rows, m.now.rows)
	}
	for k, v := range m.now.rows {
		if got, ok, err := s.Get(TableRetained, []byte(k)); !ok || err != nil || string(got) != v {
			return fmt.Errorf("row %s: %q %v %w, want %q", k, got, ok, err, v)
		}
	}
	return nil
}

func (m *model) checkQueue(s *Store, q QueueID, want []Seq) error {
	state := s.Queue(q)
	if state.Depth != uint64(len(want)) {
		return fmt.Errorf("depth %d, want %d", state.Depth, len(want))
	}
	var lowest [Classes]uint64
	for _, at := range slices.Backward(want) {
		lowest[at.Class()] = at.Counter()
	}
	tails := [Classes]uint64{}
	for _, at := range want {
		tails[at.Class()] = max(tails[at.Class()], at.Counter())
	}
	for c := range Classes {
		if h := state.Heads[c]; h > lowest[c] || (h == 0) != (lowest[c] == 0) {
			return fmt.Errorf("class %d: head %d, and %d is the lowest", c, h, lowest[c])
		}
		if state.Tails[c] < tails[c] {
			return fmt.Errorf("class %d: tail %d, and %d was given out", c, state.Tails[c], tails[c])
		}
	}
	var got []Entry
	for from := Seq(0); ; from = got[len(got)-1].Seq + 1 {
		n := len(got)
		var err error
		if got, err = s.Entries(q, from, 1+m.r.IntN(50), got); err != nil {
			return err
		}
		if len(got) == n {
			break
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d entries, want %d", len(got), len(want))
	}
	size := uint64(0)
	for i := range got {
		size += uint64(got[i].SizeBytes)
		if err := m.checkEntry(s, q, &got[i], want[i]); err != nil {
			return err
		}
	}
	if size != state.DepthBytes {
		return fmt.Errorf("%d bytes, want %d", state.DepthBytes, size)
	}
	return nil
}

func (m *model) checkEntry(s *Store, q QueueID, e *Entry, at Seq) error {
	w := m.now.entries[entryKey{q, at}]
	got := modelEntry{note: string(e.Note), session: string(e.Assign.Session), attempts: e.Attempts, expiry: e.ExpiryMs, due: e.NotBeforeMs}
	id, _, _, err := s.Message(e.Message)
	if got.id = string(id); err != nil || e.Seq != at || got != w {
		return fmt.Errorf("entry %v %+v, %v; want %v %+v", e.Seq, got, err, at, w)
	}
	if one, ok, err := s.Entry(q, at); !ok || err != nil || one.Message != e.Message {
		return fmt.Errorf("entry %v looked up: %+v %v %v", at, one, ok, err)
	}
	return nil
}

// audit adds up what LevelDB holds and compares that with the sums that are kept: they may never drift.
func audit(t testing.TB, x *Index) {
	t.Helper()
	if err := x.flush(); err != nil {
		t.Fatal(err)
	}
	x.mu.RLock()
	v, err := x.look()
	disobeyed := x.disobeyed
	x.mu.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	a := auditor{view: v, queues: map[QueueID]*queueRow{}, strays: map[string]bool{}, relocated: map[Pos]uint64{}}
	if err := a.run(); err != nil {
		t.Fatal(err)
	}
	if disobeyed != 0 {
		t.Fatalf("%d TRIMs would have taken what lives", disobeyed)
	}
}

type auditor struct {
	view      view
	live      uint64
	counts    liveCounts
	queues    map[QueueID]*queueRow
	strays    map[string]bool
	relocated map[Pos]uint64
}

func (a *auditor) run() error {
	state, err := a.view.get(stateKey)
	if err != nil || state == nil {
		return err
	}
	kept, err := decodeFrozenState(state)
	if err != nil {
		return err
	}
	pos, live, trim, counts := kept.pos, kept.live, kept.trim, kept.counts
	for _, c := range counts {
		a.counts = append(a.counts, liveCount{first: c.first})
	}
	it := a.view.prefix(nil)
	defer it.Release()
	for it.Next() { // blocks come before queues' rows, and before what names their entries
		if err := a.row(it.Key(), it.Value()); err != nil {
			return fmt.Errorf("%q: %w", it.Key(), err)
		}
	}
	switch {
	case a.live != live:
		return fmt.Errorf("at %d: %d bytes live; the index says %d", pos, a.live, live)
	case !slices.Equal(a.counts, counts):
		return fmt.Errorf("at %d: lives %v; the index says %v", pos, a.counts, counts)
	case len(a.strays) != 0 || len(a.relocated) != 0:
		return fmt.Errorf("at %d: strays %d and relocated messages %v without rows", pos, len(a.strays), a.relocated)
	case len(counts) > 0 && counts[0].first < trim.to:
		return fmt.Errorf("at %d: %v begins before %v", pos, counts, trim)
	}
	return nil
}

func (a *auditor) row(key, value []byte) error {
	switch key[0] {
	case keyBlock:
		return a.block(QueueID(binary.BigEndian.Uint64(key[1:])), key[9], binary.BigEndian.Uint64(key[10:]), value)
	case keyQueue:
		return a.queue(QueueID(binary.BigEndian.Uint64(key[1:])), value)
	case keyStray:
		if !a.strays[string(key)] {
			return fmt.Errorf("names nothing")
		}
		delete(a.strays, string(key))
		return nil
	case keyRelocated:
		r, err := decodeRelocated(value)
		a.counts.add(r.at, 1)
		name := Pos(binary.BigEndian.Uint64(key[1:]))
		if err == nil && r.entries != a.relocated[name] {
			err = fmt.Errorf("counts %d entries of %d", r.entries, a.relocated[name])
		}
		delete(a.relocated, name)
		return err
	case keyState:
		return nil
	}
	a.live += uint64(len(key) + len(value))
	p, _, err := splitPlaced(value)
	a.counts.add(p, 1)
	return err
}

func (a *auditor) block(q QueueID, class uint8, no uint64, value []byte) error {
	b, err := decodeBlock(no, value)
	if err != nil {
		return err
	}
	if again := b.encode(nil); !bytes.Equal(again, value) {
		return fmt.Errorf("%x becomes %x", value, again)
	}
	c := a.queues[q]
	if c == nil {
		c = new(queueRow)
		a.queues[q] = c
	}
	l := c.lane(class)
	for i := range b.slots {
		s := &b.slots[i]
		seq := b.seq(class, s)
		c.depth++
		c.bytes += uint64(s.size)
		l.depth++
		l.tail = max(l.tail, seq.Counter())
		if l.head == 0 {
			l.head = seq.Counter()
		}
		a.live += s.liveBytes()
		if s.flags&slotStray != 0 {
			a.strays[string(strayKey(s.message, q, seq))] = true
		}
		if s.flags&slotRelocated != 0 {
			a.relocated[s.message]++
		} else {
			a.counts.add(s.message, 1)
		}
	}
	return nil
}

func (a *auditor) queue(q QueueID, value []byte) error {
	c, err := decodeQueueRow(value)
	if err != nil {
		return err
	}
	sum := a.queues[q]
	if sum == nil {
		sum = new(queueRow)
	}
	if sum.depth != c.depth || sum.bytes != c.bytes {
		return fmt.Errorf("%+v, the blocks say %+v", c, sum)
	}
	for _, l := range c.lanes {
		if l.tail != 0 {
			a.live += tailOverheadBytes
		}
		in := sum.lane(l.class)
		if in.depth != l.depth || in.tail > l.tail || l.head > in.head || l.depth == 0 && l.head != 0 || l.depth > 0 && l.head == 0 {
			return fmt.Errorf("class %d: %+v, the blocks say %+v", l.class, l, in)
		}
	}
	delete(a.queues, q)
	return nil
}

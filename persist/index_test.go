package persist

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"
	"time"
)

// realOptions open a store with its own index.
func realOptions(fs FS) Options {
	return Options{Dir: "d", FS: fs, LogSize: MinLogSize, ReserveBytes: 8 << 10, BootID: "boot"}
}

func openReal(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	barrier, err := s.Lead(s.NextEpoch())
	if err != nil {
		t.Fatal(err)
	}
	awaitCommit(t, s, barrier)
	return s
}

func awaitCommit(t testing.TB, s *Store, p Pos) {
	t.Helper()
	c := make(chanWaiter, 1)
	for s.Committed() < p {
		s.Await(p, c)
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			t.Fatalf("position %d not committed; %d is", p, s.Committed())
		}
	}
}

// sameAsReplay checks that the index is what the log says.
func sameAsReplay(t testing.TB, s *Store) {
	t.Helper()
	live, err := s.IndexHash()
	if err != nil {
		t.Fatal(err)
	}
	replayed, err := s.ReplayHash()
	if err != nil {
		t.Fatal(err)
	}
	if live != replayed {
		t.Fatalf("the index's hash is %s, that of a replay from %d %s", live, s.logStart(), replayed)
	}
}

type wanted struct {
	body, note string
	attempts   uint32
	state      uint8
}

// model is what a store should hold.
type model struct {
	r       *rand.Rand
	next    map[QueueID]uint64
	entries map[QueueID]map[Seq]wanted
	rows    map[string]string
	tx      map[string][]func()
	n       int
}

func newModel(seed int64) *model {
	return &model{r: rand.New(rand.NewSource(seed)), next: map[QueueID]uint64{}, rows: map[string]string{}, tx: map[string][]func(){},
		entries: map[QueueID]map[Seq]wanted{1: {}, 2: {}, 3: {}}}
}

func (m *model) place(q QueueID) Seq {
	m.next[q]++
	return MakeSeq(uint8(4+m.r.Intn(2)), m.next[q])
}

// pick is a live entry, mostly one of the oldest; 0 if there is none.
func (m *model) pick() (QueueID, Seq) {
	q := QueueID(1 + m.r.Intn(3))
	list := slices.Sorted(maps.Keys(m.entries[q]))
	if len(list) == 0 {
		return q, 0
	}
	return q, list[m.r.Intn(min(len(list), 1+m.r.Intn(30)))]
}

// publish puts a message into one queue or two.
func (m *model) publish(u *Unit) {
	m.n++
	body := fmt.Sprintf("m%d%s", m.n, bytes.Repeat([]byte{'x'}, m.r.Intn(300)))
	q := QueueID(1 + m.r.Intn(2))
	ref := u.Message([]byte("id"), []byte("h"), []byte(body))
	targets := []Target{{Queue: q, Seq: m.place(q)}}
	if m.r.Intn(4) == 0 {
		targets = append(targets, Target{Queue: 3, Seq: m.place(3), Note: []byte("note")})
	}
	u.Enqueue(ref, targets, 0, 0)
	for _, t := range targets {
		m.entries[t.Queue][t.Seq] = wanted{body: body, note: string(t.Note)}
	}
}

// step puts a random operation into u.
func (m *model) step(u *Unit) {
	k := m.r.Intn(100)
	q, s := m.pick()
	w := m.entries[q][s]
	key := fmt.Sprint("k", m.r.Intn(20))
	switch {
	case k < 40:
		m.publish(u)
	case k < 45:
		value := fmt.Sprint("v", m.n, m.r.Intn(1000))
		u.Put(TableRetained, []byte(key), []byte(value))
		m.rows[key] = value
	case k < 50:
		u.Delete(TableRetained, []byte(key))
		delete(m.rows, key)
	case s == 0:
	case k < 80:
		u.Settle(q, []Range{{s, s}})
		delete(m.entries[q], s)
	case k < 85:
		w.attempts++
		u.Attempt(q, s, w.attempts, 0, []byte(w.note))
		m.entries[q][s] = w
	case k < 90:
		w.state = uint8(m.r.Intn(3))
		u.Assign(q, s, Assignment{State: w.state})
		m.entries[q][s] = w
	case k < 95:
		to := Target{Queue: 3, Seq: m.place(3), Note: []byte("dead")}
		u.Move(q, s, to, []byte("why"))
		delete(m.entries[q], s)
		m.entries[3][to.Seq] = wanted{body: w.body, note: "dead"}
	case k < 96:
		m.purge(u, q, s)
	}
}

func (m *model) purge(u *Unit, q QueueID, s Seq) {
	var upTo [Classes]uint64
	upTo[s.Class()] = s.Counter()
	u.Purge(q, upTo, false)
	for at := range m.entries[q] {
		if at.Class() == s.Class() && at.Counter() <= s.Counter() {
			delete(m.entries[q], at)
		}
	}
}

// check compares the store with the model.
func (m *model) check(t testing.TB, s *Store) {
	t.Helper()
	for q, entries := range m.entries {
		want := slices.Sorted(maps.Keys(entries))
		if d := s.Queue(q).Depth; d != uint64(len(want)) {
			t.Fatalf("queue %d: depth %d, want %d", q, d, len(want))
		}
		var got []Entry
		for from := Seq(0); ; {
			n := len(got)
			var err error
			if got, err = s.Entries(q, from, 1+m.r.Intn(50), got); err != nil {
				t.Fatal(err)
			}
			if len(got) == n {
				break
			}
			from = got[len(got)-1].Seq + 1
		}
		if len(got) != len(want) {
			t.Fatalf("queue %d: %d entries, want %d", q, len(got), len(want))
		}
		for i, e := range got {
			w := entries[want[i]]
			_, _, body, err := s.Message(e.Message)
			if err != nil || e.Seq != want[i] || string(body) != w.body || string(e.Note) != w.note || e.Attempts != w.attempts || e.Assign.State != w.state {
				t.Fatalf("queue %d: entry %+v with body %q, %v; want %v %+v", q, e, body, err, want[i], w)
			}
			if one, ok, err := s.Entry(q, e.Seq); !ok || err != nil || one.Message != e.Message {
				t.Fatalf("queue %d: entry %v looked up: %+v %v %v", q, e.Seq, one, ok, err)
			}
		}
	}
	rows := map[string]string{}
	if err := s.Scan(TableRetained, nil, func(k, v []byte) bool { rows[string(k)] = string(v); return true }); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(rows, m.rows) {
		t.Fatalf("rows %v, want %v", rows, m.rows)
	}
}

// TestIndexAgainstModel runs random operations with random flushes, sweeps, restarts and rebuilds.
func TestIndexAgainstModel(t *testing.T) {
	for seed := range int64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			fs := NewMemFS()
			m := newModel(seed)
			o := realOptions(fs)
			s := openReal(t, o)
			defer func() { _ = s.Close() }()
			for range 60 {
				var end Pos
				for range 1 + m.r.Intn(60) {
					var u Unit
					for range 1 + m.r.Intn(3) {
						m.step(&u)
					}
					var err error
					if _, end, err = s.Append(&u); err != nil {
						t.Fatal(err)
					}
				}
				awaitCommit(t, s, end)
				switch m.r.Intn(6) {
				case 0, 1:
					if err := s.index.flush(); err != nil {
						t.Fatal(err)
					}
				case 2, 3:
					if err := s.index.keep(true); err != nil {
						t.Fatal(err)
					}
				case 4:
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = openReal(t, o)
				}
				if m.r.Intn(5) == 0 {
					m.check(t, s)
					settleSweep(t, s)
					sameAsReplay(t, s)
					m.check(t, s)
				}
			}
		})
	}
}

// settleSweep waits until what a sweep appended is applied.
func settleSweep(t testing.TB, s *Store) {
	t.Helper()
	awaitCommit(t, s, s.end())
}

// TestSweepBoundsTheLog passes many messages by one that stays.
func TestSweepBoundsTheLog(t *testing.T) {
	s := openReal(t, realOptions(NewMemFS()))
	defer func() { _ = s.Close() }()
	var u Unit
	ref := u.Message([]byte("id"), nil, []byte("stays"))
	u.Enqueue(ref, []Target{{Queue: 9, Seq: MakeSeq(4, 1)}}, 0, 0)
	base, _, err := s.Append(&u)
	if err != nil {
		t.Fatal(err)
	}
	first := base + Pos(ref)
	for n := uint64(1); n <= 2000; n++ {
		u.Reset()
		ref := u.Message([]byte("id"), nil, bytes.Repeat([]byte{'b'}, 100))
		u.Enqueue(ref, []Target{{Queue: 1, Seq: MakeSeq(4, n)}}, 0, 0)
		if _, _, err := s.Append(&u); err != nil {
			t.Fatal(err)
		}
		u.Reset()
		u.Settle(1, []Range{{MakeSeq(4, n), MakeSeq(4, n)}})
		_, end, err := s.Append(&u)
		if err != nil {
			t.Fatal(err)
		}
		if n%10 == 0 {
			awaitCommit(t, s, end)
			if err := s.index.keep(true); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 100 {
		settleSweep(t, s)
		if err := s.index.keep(true); err != nil {
			t.Fatal(err)
		}
	}
	settleSweep(t, s)
	if u := s.Usage(); u.LogStart == 0 || u.End-u.LogStart > 3*MinLogSize {
		t.Errorf("the log holds [%d, %d)", u.LogStart, u.End)
	}
	if _, _, body, err := s.Message(first); err != nil || string(body) != "stays" {
		t.Errorf("what stays: %q %v", body, err)
	}
	if s.Queue(1).Tails[MakeSeq(4, 1).Class()] != 2000 {
		t.Errorf("queue 1: %+v", s.Queue(1))
	}
	sameAsReplay(t, s)
}

// TestHeadPassesWhatWasSettledOutOfOrder settles the second block before the first, and asks where reading starts then.
func TestHeadPassesWhatWasSettledOutOfOrder(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		s := openReal(t, realOptions(NewMemFS()))
		defer func() { _ = s.Close() }()
		fill(t, s, 1, 2001)
		settle := func(first, last uint64) {
			t.Helper()
			var u Unit
			u.Settle(1, []Range{{MakeSeq(4, first), MakeSeq(4, last)}})
			_, end, err := s.Append(&u)
			if err != nil {
				t.Fatal(err)
			}
			awaitCommit(t, s, end)
			if flushed {
				if err := s.index.flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		settle(256, 1100)
		if h := s.Queue(1).Heads[MakeSeq(4, 1).Class()]; h != 1 {
			t.Fatalf("head %d; 1 still lives", h)
		}
		settle(1, 255)
		if h := s.Queue(1).Heads[MakeSeq(4, 1).Class()]; h < 1024 || h > 1101 {
			t.Errorf("flushed %v: head %d; 1101 is the first that lives", flushed, h)
		}
		if got, err := s.Entries(1, 0, 1, nil); err != nil || len(got) != 1 || got[0].Seq != MakeSeq(4, 1101) {
			t.Errorf("first entry %v, %v", got, err)
		}
		sameAsReplay(t, s)
	}
}

package persist

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// stored is a message of the model: where its enqueue and its settle end in the log.
type stored struct {
	at, end, settled Pos
	seq              Seq
	id               string
}

// wholeLife is a store with its real index through many crashes: a queue is filled and emptied.
type wholeLife struct {
	*life
	messages []stored
	last     uint64 // counter given out
	sent     int
}

func (l *wholeLife) run(powerLoss bool) {
	fs := &tripFS{MemFS: l.o.FS.(*MemFS), kill: !powerLoss, rng: rand.New(rand.NewPCG(l.rng.Uint64(), 2)), left: 1 + l.rng.IntN(300)}
	o := l.o
	o.FS, o.BootID = fs, fmt.Sprint("boot", l.boot)
	s, err := Open(o)
	if err == nil {
		l.recovered(s)
		l.load(&testStore{s, l.t, o, l.disk})
	} else if !fs.tripped() {
		l.t.Fatalf("open: %v", err)
	}
	l.o.FS = fs.next()
	if err == nil {
		s.Close()
		l.note(s)
	}
	if powerLoss {
		l.boot++
	}
}

// recovered forgets what the crash took, which nobody was told was kept.
func (l *wholeLife) recovered(s *Store) {
	end := s.Recovery().End
	if l.confirmed > 0 && l.ends[l.confirmed-1] > end {
		l.t.Fatalf("the log ends at %d, and %d was confirmed", end, l.ends[l.confirmed-1])
	}
	l.ends = slices.DeleteFunc(l.ends, func(p Pos) bool { return p > end })
	l.messages = slices.DeleteFunc(l.messages, func(m stored) bool { return m.end > end })
	for i := range l.messages {
		if l.messages[i].settled > end {
			l.messages[i].settled = 0
		}
	}
}

func (l *wholeLife) load(s *testStore) {
	if _, err := s.Lead(s.NextEpoch()); err != nil || !l.wait(s, s.end()) {
		return
	}
	l.verify(s)
	for range l.rng.IntN(150) {
		end, err := l.step(s)
		if err != nil {
			return
		}
		l.ends = append(l.ends, end)
		if l.rng.IntN(6) == 0 && !l.wait(s, end) {
			return
		}
		switch l.rng.IntN(20) {
		case 0:
			err = s.keepHouse()
		case 1:
			err = s.index.flush()
		case 2:
			err = s.writeHint()
		}
		if err != nil && !passing(err) {
			return
		}
	}
}

// step sends a message or settles one.
func (l *wholeLife) step(s *testStore) (Pos, error) {
	var u Unit
	live := []int{}
	for i := range l.messages {
		if l.messages[i].settled == 0 {
			live = append(live, i)
		}
	}
	if len(live) > 0 && l.rng.IntN(len(live)+10) > 10 {
		i := live[0]
		if l.rng.IntN(3) == 0 {
			i = live[l.rng.IntN(len(live))]
		}
		m := &l.messages[i]
		u.Settle(1, []Range{{m.seq, m.seq}})
		_, end, err := s.Append(&u)
		if err == nil {
			m.settled = end
		}
		return end, err
	}
	l.last++
	l.sent++
	m := stored{seq: MakeSeq(4, l.last), id: fmt.Sprint("m", l.sent)}
	ref := u.Message([]byte(m.id), nil, make([]byte, l.rng.IntN(1500)))
	u.Enqueue(ref, []Target{{Queue: 1, Seq: m.seq}}, 0, 0)
	base, end, err := s.Append(&u)
	if err == nil {
		m.at, m.end = base+Pos(ref), end
		l.messages = append(l.messages, m)
	}
	return end, err
}

// verify wants exactly the messages that are not settled, each with its body, and an index as a replay makes it.
func (l *wholeLife) verify(s *testStore) {
	entries, err := s.Entries(1, 0, 1<<20, nil)
	want := slices.DeleteFunc(slices.Clone(l.messages), func(m stored) bool { return m.settled != 0 })
	slices.SortFunc(want, func(a, b stored) int { return int(a.seq) - int(b.seq) })
	for i := 0; err == nil && i < max(len(want), len(entries)); i++ {
		if i >= len(want) || i >= len(entries) || entries[i].Seq != want[i].seq {
			l.t.Fatalf("%d entries, want %d; they differ at %d", len(entries), len(want), i)
		}
		var id []byte
		if id, _, _, err = s.Message(entries[i].Message); err == nil && string(id) != want[i].id {
			l.t.Fatalf("%q where %s belongs", id, want[i].id)
		}
	}
	var live, replayed string
	if err == nil {
		live, err = s.IndexHash()
	}
	if err == nil {
		replayed, err = s.ReplayHash()
	}
	if err != nil && !s.hasFailed() && !errors.Is(err, errPowerOff) {
		l.t.Fatal(err)
	}
	if err == nil && live != replayed {
		l.t.Fatalf("the index's hash is %s, a replay's %s", live, replayed)
	}
	tail := s.Queue(1).Tails[MakeSeq(4, 0).Class()]
	if err == nil && tail < l.highest() && !s.hasFailed() {
		l.t.Fatalf("counters up to %d are given out; the index says %d", l.highest(), tail)
	}
	l.last = max(l.last, tail)
}

func (l *wholeLife) highest() (n uint64) {
	for _, m := range l.messages {
		n = max(n, m.seq.Counter())
	}
	return n
}

// Nothing confirmed is lost, nothing settled comes back, through power losses, killed processes, relocation and trims.
func TestWholeStoreThroughCrashes(t *testing.T) {
	t.Parallel()
	trims := 0
	for seed := range crashRounds(t) / 80 {
		l := &wholeLife{life: newLife(t, uint64(seed), QuorumDisk)}
		l.o.openIndex = nil
		for range 20 {
			l.run(l.rng.IntN(4) != 0)
		}
		if l.logStart > 0 {
			trims++
		}
	}
	if trims == 0 {
		t.Error("nothing was ever trimmed")
	}
}

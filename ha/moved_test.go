package ha

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// TestADirectoryThatMoved: a node under another name has no vote, boots by nobody's word but ZooKeeper's, takes its seat as
// another holder, and follows from where its log ends.
func TestADirectoryThatMoved(t *testing.T) {
	boot := voter()
	boot.Meta.ReplAddr = "old:1"
	s := newStage(t, boot, Options{})
	s.view.Config.Seats[1].Addr = "old:1"
	s.n.o.NewID = nil // it has one by now
	s.step(Tick{})
	never[Dial](s)
	if st := s.n.Status(s.now); st.Voter || st.NodeID != (persist.ID{9}) {
		t.Errorf("%+v", st)
	}
	s.step(Seen{s.view})
	never[Dial](s)
	if r := want[Remember](s); r.ID != configID {
		t.Errorf("%+v", r)
	}
	c := s.ask.Txn.SetConfig
	if c == nil || c.Seats[1] != (Seat{NodeID: persist.ID{9}, Generation: 2, Addr: "b:1"}) {
		t.Fatalf("it claims %+v", c)
	}
	s.done()
	var r Remember
	for _, a := range s.last {
		if a, ok := a.(Remember); ok && a.ID == seatID {
			r = a
		}
	}
	if r.NodeID != (persist.ID{9}) || r.Addr != "b:1" || r.Voter == nil || *r.Voter {
		t.Fatalf("%+v", r)
	}
	if tell := want[Tell](s); !strings.Contains(tell.Text, "old:1") {
		t.Errorf("%+v", tell)
	}
	never[Dial](s)
	s.step(Remembered{r.ID})
	s.done()
	want[Dial](s)
	s.step(Dialed{Link: 5, Addr: "a:1"})
	if h := sent[Hello](s); len(h) != 1 || h[0].Generation != 2 || h[0].Voter || h[0].End != 100 || len(h[0].History) != 1 {
		t.Fatalf("%+v", h)
	}
	s.step(Got{5, Attach{Epoch: 1, Cut: 100, VoterAt: 130}})
	s.step(Truncated{Cut: 100, History: boot.History})
	if a := sent[Ack](s); len(a) != 1 || a[0].Voter {
		t.Fatalf("%+v", a)
	}
	s.step(Got{5, Append{Epoch: 1, Base: 100, Batches: make([]byte, 30)}})
	s.step(Wrote{Received: 130})
	s.step(Synced{Synced: 130})
	if r := want[Remember](s); r.Voter == nil || !*r.Voter {
		t.Errorf("%+v", r)
	}
}

// stray is a standalone broker's store, which has had 57 epochs.
func stray() Boot {
	return Boot{Meta: persist.Meta{NodeID: nodeID(2), Promised: 57}, Received: 900, Synced: 900, Committed: 900,
		History: []persist.EpochStart{{Epoch: 55}, {Epoch: 57, Start: 400}}}
}

// TestAStrayStore waits, says what to do, and begins the cluster by an operator's word; it serves when new members hold its log.
func TestAStrayStore(t *testing.T) {
	s := newStage(t, stray(), Options{})
	s.view.Config, s.view.Mandate = nil, nil
	s.step(Seen{s.view})
	if tell := want[Tell](s); tell.Level != Alarm || !strings.Contains(tell.Text, "cluster adopt") {
		t.Errorf("%+v", tell)
	}
	never[Transact](s)
	never[Exit](s)
	if e := s.n.Emergency(); e.Adopt != "" || !e.Begins || e.Recover == "" {
		t.Errorf("%+v", e)
	}
	if w := s.n.Status(s.now).Warnings; len(w) != 1 || w[0] != strayText {
		t.Errorf("%q", w)
	}
	s.step(AdoptAsked{})
	x := s.ask.Txn
	if x.SetConfig == nil || !x.SetConfig.Initialized || x.SetConfig.Sole != nodeID(2) || *x.IfConfig != Absent || *x.IfMandate != Absent ||
		x.SetMandate == nil || x.SetMandate.Epoch != adoptedEpochs || len(x.SetConfig.Seats) != 1 {
		t.Fatalf("it asks for %+v, %+v", x, x.SetConfig)
	}
	s.done()
	lead := until[Lead](s)
	if lead.Epoch != adoptedEpochs+1 {
		t.Errorf("%+v", lead)
	}
	s.step(Led{Epoch: lead.Epoch, Barrier: 920})
	s.done()
	never[Commit](s)
	s.step(Got{8, Hello{ClusterID: persist.ID{9}, NodeID: nodeID(3), Generation: 1}})
	if r := sent[Reject](s); len(r) != 1 || r[0].Fatal { // it has no seat yet
		t.Errorf("%+v", s.last)
	}
}

// until plays a disk and an arbiter that do as they are asked, and lets time pass, until the node asks for an A.
func until[A Action](s *stage) (found A) {
	s.t.Helper()
	for todo := slices.Clone(s.last); s.now < time.Minute; {
		if len(todo) == 0 {
			s.now += 100 * time.Millisecond
			todo = slices.Clone(s.step(Tick{}))
			continue
		}
		a := todo[0]
		todo = todo[1:]
		switch a := a.(type) {
		case A:
			return a
		case Promise:
			todo = append(todo, s.step(Promised(a))...)
		case Remember:
			todo = append(todo, s.step(Remembered{a.ID})...)
		case Transact:
			todo = append(todo, s.done()...)
		}
	}
	s.t.Fatalf("no %T: phase %d, asked %+v, %+v", found, s.n.phase, s.n.asked, s.n.said)
	return found
}

// TestAStrayStoreThatComesLate is taken into no cluster that has begun, and into none whose seats are full.
func TestAStrayStoreThatComesLate(t *testing.T) {
	for words, change := range map[string]func(*stage){
		"has begun": func(s *stage) {},
		"begun without": func(s *stage) {
			s.view.Config.Initialized = false // a master is about to begin it
		},
		"all 3 seats": func(s *stage) {
			s.view.Config.Initialized, s.view.Mandate = false, nil
			for i, addr := range []string{"a:1", "c:1", "d:1"} {
				s.view.Config.Seats[i] = Seat{NodeID: nodeID(4 + i), Generation: 1, Addr: addr}
			}
		},
		"is alive": func(s *stage) {
			s.view.Config.Initialized, s.view.Mandate = false, nil
			s.view.Config.Seats[1].NodeID = nodeID(7)
			s.row("7", false, MemberRow{NodeID: nodeID(7), Generation: 1})
		},
	} {
		s := newStage(t, stray(), Options{})
		s.view.Config.Seats[1].NodeID = nodeID(7)
		change(s)
		s.step(Seen{s.view})
		s.step(AdoptAsked{})
		never[Transact](s)
		if tell := want[Tell](s); !strings.Contains(tell.Text, words) || !strings.Contains(s.n.Emergency().Adopt, words) {
			t.Errorf("%s: %+v", words, tell)
		}
	}
}

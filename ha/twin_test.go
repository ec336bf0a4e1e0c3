package ha

import (
	"slices"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// twin puts the row of another process of the node under test.
func (s *stage) twin(seq int64, r MemberRow) {
	r.NodeID, r.Generation, r.Incarnation = nodeID(2), 1, 6
	s.view.Members = slices.Clone(s.view.Members)
	s.view.Members = append(s.view.Members, Member{Name: "twin", Seq: seq, Row: r})
	slices.SortFunc(s.view.Members, func(a, b Member) int { return int(a.Seq - b.Seq) })
}

// TestAProcessBeforeIsGivenTime to say that it lives; then its row goes.
func TestAProcessBeforeIsGivenTime(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.twin(-1, MemberRow{State: StateFrozen, Promised: 2, LastEpoch: 1, End: 100, Voter: true})
	s.step(Seen{s.view})
	if r := s.ask.Txn.PutMember; r == nil || r.State != StateIdle || r.Voter || len(s.ask.Txn.Drop) != 0 {
		t.Fatalf("it asks for %+v", s.ask.Txn)
	}
	s.done()
	s.now += twinTime - 1
	s.step(Tick{})
	never[Transact](s)
	s.now++
	s.step(Tick{})
	if x := s.ask.Txn; x.PutMember == nil || x.PutMember.State != StateSyncing || !slices.Equal(x.Drop, []string{"twin"}) {
		t.Fatalf("it asks for %+v", x)
	}
}

// TestAProcessBeforeThatLives keeps one out that was started on a copy of its directory.
func TestAProcessBeforeThatLives(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.twin(-1, MemberRow{State: StateFollowing, Voter: true})
	s.step(Seen{s.view})
	s.done()
	s.view.Members[0].Row.Twin = 7
	s.step(Seen{s.view})
	if e := want[Exit](s); e.Code != 2 {
		t.Errorf("%+v", e)
	}
}

// TestALaterProcess is told that this one lives; and once it has taken this one's place, this one leaves.
func TestALaterProcess(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.step(Seen{s.view})
	s.done()
	s.twin(9, MemberRow{State: StateIdle})
	s.step(Seen{s.view})
	if r := s.ask.Txn.PutMember; r == nil || r.Twin != 6 || len(s.ask.Txn.Drop) != 0 {
		t.Fatalf("it asks for %+v", s.ask.Txn)
	}
	s.done()
	never[Exit](s)
	s.view.Members = s.view.Members[1:]
	s.step(Seen{s.view})
	if e := want[Exit](s); e.Code != 2 {
		t.Errorf("%+v", e)
	}
}

// TestOneProcessOfAnIDIsFollowed: a master keeps the link that it has as long as that lives.
func TestOneProcessOfAnIDIsFollowed(t *testing.T) {
	s := serving(t)
	hello := Hello{ClusterID: persist.ID{9}, NodeID: nodeID(3), Generation: 1, Incarnation: 5, Promised: 2, Voter: true, History: s.n.disk.history, End: 90}
	s.step(Got{9, hello})
	if r := sent[Reject](s); len(r) != 1 || r[0].Fatal {
		t.Fatalf("%+v", s.last)
	}
	if h := want[Hang](s); h.Link != 9 {
		t.Fatalf("it hangs up %d", h.Link)
	}
	s.now += DefaultTiming().LinkTimeout + time.Millisecond // nothing was heard of the old one
	s.step(Got{10, hello})
	if a := sent[Attach](s); len(a) != 1 {
		t.Fatalf("%+v", s.last)
	}
	hello.Incarnation = 0
	s.step(Got{11, hello})
	hello.Incarnation = 5
	s.step(Got{12, hello}) // the same process over another link
	if a := sent[Attach](s); len(a) != 1 {
		t.Errorf("%+v", s.last)
	}
}

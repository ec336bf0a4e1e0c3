package ha

import (
	"slices"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// stage is one node, to which a test plays the disk, the arbiter and the two others: nodes 1, 2 and 3 at a:1, b:1 and c:1.
// The node under test is 2.
type stage struct {
	t    testing.TB
	n    *Node
	now  time.Duration
	view View
	last []Action // of the last step
	ask  Transact // the last
}

func nodeID(i int) persist.ID { return persist.ID{byte(i)} }

// cluster is the configuration of three seats that have all been taken, and that has begun.
func cluster() *Config {
	return &Config{ClusterID: persist.ID{9}, Replicas: 3, Initialized: true, Seats: []Seat{{NodeID: nodeID(1), Generation: 1, Addr: "a:1"},
		{NodeID: nodeID(2), Generation: 1, Addr: "b:1"}, {NodeID: nodeID(3), Generation: 1, Addr: "c:1"}}}
}

// voter is a store that followed epoch 1 up to 100.
func voter() Boot {
	return Boot{Meta: persist.Meta{ClusterID: persist.ID{9}, NodeID: nodeID(2), ReplAddr: "b:1", MasterAddr: "a:1", Voter: true, Promised: 1},
		Received: 100, Synced: 100, Committed: 100, History: []persist.EpochStart{{Epoch: 1}}}
}

func newStage(t testing.TB, boot Boot, o Options) *stage {
	o.Replicas, o.Addr, o.Timing, o.Incarnation = 3, "b:1", DefaultTiming(), 7
	o.NewID, o.NewNonce = func() persist.ID { return persist.ID{9} }, func() uint64 { return 77 }
	if o.Sync == 0 {
		o.Sync = persist.QuorumDisk
	}
	return &stage{t: t, n: NewNode(o, boot), now: time.Second,
		view: View{Connected: true, Config: cluster(), Mandate: &Mandate{Epoch: 1, Leader: nodeID(1), Addr: "a:1"}}}
}

// step gives the node an event.
func (s *stage) step(e Event) []Action {
	s.last = slices.Clone(s.n.Step(s.now, e))
	for _, a := range s.last {
		if a, ok := a.(Transact); ok {
			s.ask = a
		}
	}
	return s.last
}

// done answers the last Transact: what it asked for holds.
func (s *stage) done() []Action {
	t := s.ask.Txn
	if t.SetConfig != nil {
		s.view.Config = t.SetConfig
		s.view.ConfigVersion++
	}
	if t.SetMandate != nil {
		s.view.Mandate = t.SetMandate
		s.view.MandateVersion++
	}
	if t.Announce != nil {
		s.view.Master = t.Announce
	}
	if t.PutMember != nil {
		s.row("mine", true, *t.PutMember)
	}
	return s.step(Answered{ID: s.ask.ID, Outcome: Done, View: s.view})
}

// row puts a row in the place of the one of that name.
func (s *stage) row(name string, mine bool, r MemberRow) {
	s.view.Members = slices.Clone(s.view.Members)
	i := slices.IndexFunc(s.view.Members, func(m Member) bool { return m.Name == name })
	if i < 0 {
		i = len(s.view.Members)
		s.view.Members = append(s.view.Members, Member{Name: name, Seq: int64(i)})
	}
	m := &s.view.Members[i]
	m.Version, m.Mine, m.Row = m.Version+1, mine, r
}

// other puts the row of another node, of the first generation.
func (s *stage) other(i int, r MemberRow) {
	r.NodeID, r.Generation = nodeID(i), 1
	s.row(string(rune('0'+i)), false, r)
}

// find gives the one action of a kind of the last step.
func find[A Action](s *stage) (a A, ok bool) {
	for _, x := range s.last {
		if a, ok := x.(A); ok {
			return a, true
		}
	}
	return a, false
}

func want[A Action](s *stage) A {
	s.t.Helper()
	a, ok := find[A](s)
	if !ok {
		s.t.Fatalf("no %T in %+v", a, s.last)
	}
	return a
}

func never[A Action](s *stage) {
	s.t.Helper()
	if a, ok := find[A](s); ok {
		s.t.Fatalf("%+v in %+v", a, s.last)
	}
}

// follow brings the node to dial the master and to get its ATTACH.
func (s *stage) follow(a Attach) {
	s.t.Helper()
	s.step(Seen{s.view})
	s.done()
	s.step(Dialed{Link: 5, Addr: "a:1"})
	s.step(Got{5, a})
}

// freeze has the master lost and the third node suspect it, until this node has promised and published its vote.
func (s *stage) freeze() {
	s.t.Helper()
	s.step(Seen{s.view})
	s.done()
	s.other(3, MemberRow{State: StateSyncing, SuspectEpoch: 1, Promised: 1, Voter: true})
	s.step(Seen{s.view})
	s.now += time.Second
	s.step(Tick{})
	for _, a := range s.last { // its own suspicion is published beside
		if _, ok := a.(Promise); ok {
			s.step(Synced{Synced: 100})
			s.step(Promised{2})
			s.done()
			return
		}
	}
	s.t.Fatalf("no Promise in %+v", s.last)
}

// lead has the node win epoch 2 with the third node's vote, and begin it: its beginning ends at 120.
func (s *stage) lead() {
	s.t.Helper()
	s.freeze()
	s.other(3, MemberRow{State: StateFrozen, Promised: 2, LastEpoch: 1, End: 90, Voter: true})
	s.step(Seen{s.view})
	if s.ask.Txn.SetMandate == nil {
		s.t.Fatalf("it does not stand: %+v", s.last)
	}
	s.done()
	want[Lead](s)
	s.step(Led{Epoch: 2, Barrier: 120})
	if s.ask.Txn.PutMember != nil {
		s.done()
	}
}

// attach has a replica follow over a link, with all that there is.
func (s *stage) attach(i int, l Link, end persist.Pos) {
	s.t.Helper()
	s.step(Got{l, Hello{ClusterID: persist.ID{9}, NodeID: nodeID(i), Generation: 1, Promised: 2, Voter: true, History: []persist.EpochStart{{Epoch: 1}}, End: 90}})
	s.step(Got{l, Ack{Epoch: 2, Received: end, Synced: end, Voter: true}})
}

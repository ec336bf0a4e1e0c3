package ha

import (
	"slices"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// following is a replica that has attached to the master of epoch 1 at position 100.
func following(t *testing.T) *stage {
	s := newStage(t, voter(), Options{})
	s.follow(Attach{Epoch: 1, Cut: 100, VoterAt: 100})
	s.step(Truncated{Cut: 100, History: voter().History})
	s.done()
	return s
}

// beating lets time pass on a link to a master that answers heartbeats: n times a tenth of a second.
func (s *stage) beating(n int) {
	for range n {
		s.now += 100 * time.Millisecond
		b := &s.n.up.beats
		s.step(Got{5, Heartbeat{Epoch: 1, Seq: b.heard + 1, Heard: b.seq}})
		s.step(Tick{})
	}
}

// sent gives the frames of a kind of the last step.
func sent[F Frame](s *stage) (list []F) {
	for _, a := range s.last {
		if a, ok := a.(Send); ok {
			if f, ok := a.Frame.(F); ok {
				list = append(list, f)
			}
		}
	}
	return list
}

// TestAFullReplica acknowledges what is on its disk and nothing more, keeps its link, says ERROR, and goes on by itself.
func TestAFullReplica(t *testing.T) {
	s := following(t)
	s.step(Got{5, Append{Epoch: 1, Base: 100, Batches: make([]byte, 50)}})
	s.step(Got{5, Append{Epoch: 1, Base: 150, Batches: make([]byte, 50)}})
	s.step(Wrote{Received: 150, Full: true}) // the first was written, the second not
	never[Hang](s)
	if a := sent[Ack](s); len(a) != 1 || !a[0].Full || a[0].Synced != 100 {
		t.Fatalf("it acknowledges %+v", a)
	}
	s.step(Synced{Synced: 150})
	if a := sent[Ack](s); len(a) != 1 || !a[0].Full || a[0].Synced != 150 {
		t.Fatalf("it acknowledges %+v", a)
	}
	if r := s.ask.Txn.PutMember; r == nil || r.State != StateError {
		t.Fatalf("its row is %+v", r)
	}
	s.done()
	if st := s.n.Status(s.now); st.Role != RoleError || !st.Full || len(st.Warnings) != 1 {
		t.Errorf("its status is %+v", st)
	}
	s.step(Got{5, Append{Epoch: 1, Base: 200, Batches: make([]byte, 50)}})
	never[Write](s)
	s.step(Wrote{Received: 150, Misfit: true}) // of what came before
	never[Hang](s)
	s.step(Got{5, Heartbeat{Epoch: 1, Seq: 1, Heard: 0}})
	if len(sent[Heartbeat](s)) != 1 {
		t.Error("it answers no heartbeat")
	}
	s.step(DiskFull{On: true})
	s.beating(20)
	if len(sent[Hello](s)) != 0 {
		t.Fatal("it tries while there is no room")
	}
	s.step(DiskFull{})
	s.step(Tick{})
	if h := sent[Hello](s); len(h) != 1 || h[0].End != 150 {
		t.Fatalf("it says %+v", s.last)
	}
	s.step(Got{5, Append{Epoch: 1, Base: 250, Batches: make([]byte, 50)}}) // of the stream before
	never[Write](s)
	s.step(Got{5, Attach{Epoch: 1, Cut: 150, VoterAt: 300}})
	s.step(Truncated{Cut: 150, History: voter().History})
	s.step(Got{5, Append{Epoch: 1, Base: 150, Batches: make([]byte, 150)}})
	want[Write](s)
	s.step(Wrote{Received: 300})
	s.step(Synced{Synced: 300})
	if a := sent[Ack](s); len(a) != 1 || a[0].Full || a[0].Synced != 300 {
		t.Fatalf("it acknowledges %+v", a)
	}
	if st := s.n.Status(s.now); st.Role != RoleReplica || st.Full {
		t.Errorf("its status is %+v", st)
	}
}

// TestAFullReplicaVotesWithWhatItHas: its promise is written, and its vote ends where its disk does.
func TestAFullReplicaVotesWithWhatItHas(t *testing.T) {
	s := following(t)
	s.step(DiskFull{On: true})
	s.step(Got{5, Append{Epoch: 1, Base: 100, Batches: make([]byte, 50)}})
	s.step(Wrote{Received: 120, Full: true})
	s.step(Synced{Synced: 120})
	s.done()
	s.step(Lost{Link: 5, Reason: "gone"})
	s.done()
	s.other(3, MemberRow{State: StateSyncing, SuspectEpoch: 1, Promised: 1, Voter: true})
	s.step(Seen{s.view})
	s.now += time.Second
	s.step(Tick{})
	if s.n.phase != freezing {
		t.Fatalf("it does not freeze: %+v", s.n.view.Members)
	}
	s.step(Promised{2})
	s.done()
	s.done()
	r := s.n.view.Members[0].Row
	if r.State != StateFrozen || r.End != 120 || !r.Voter || !r.Full {
		t.Errorf("its vote is %+v", r)
	}
	s.step(DiskFull{})
	if x := s.ask.Txn.PutMember; x != nil && x.State == StateFrozen && !x.Full {
		t.Error("the vote was changed")
	}
}

// TestNoRoomForIncoming: a replica that cannot even begin says so, and keeps its link and its log.
func TestNoRoomForIncoming(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.follow(Attach{Epoch: 1, Cut: 500, VoterAt: 600, Restart: true, Header: []byte{1}})
	want[StartIncoming](s)
	s.step(IncomingStarted{Full: true})
	never[Hang](s)
	if a := sent[Ack](s); len(a) != 1 || !a[0].Full || a[0].Voter {
		t.Fatalf("it says %+v", s.last)
	}
	s.step(Got{5, Append{Epoch: 1, Base: 500, Batches: make([]byte, 50)}})
	never[Write](s)
	s.beating(10)
	if h := sent[Hello](s); len(h) != 1 || h[0].Incoming || h[0].End != 100 {
		t.Fatalf("it says %+v", s.last)
	}
}

// TestAMasterStopsAFullReplicasStream: it sends nothing more, holds no log for it, and neither drops it nor counts it as one
// that could take over. Its next hello comes over the same link.
func TestAMasterStopsAFullReplicasStream(t *testing.T) {
	s := serving(t)
	s.step(Got{8, Ack{Epoch: 2, Received: 130, Synced: 120, Voter: true, Full: true}})
	want[Unstream](s)
	for range 300 {
		s.now += 100 * time.Millisecond
		s.step(Got{8, Heartbeat{Epoch: 2, Seq: s.n.lead.peers[2].beats.heard + 1, Heard: s.n.lead.peers[2].beats.seq}})
		s.step(Tick{})
		never[Hang](s)
	}
	s.step(PromoteAsked{})
	never[StopServing](s)
	if p := s.n.Status(s.now).Peers[1]; !p.Full || !p.Attached {
		t.Errorf("%+v", p)
	}
	seq := s.n.lead.peers[2].beats.seq
	s.step(Got{8, Hello{ClusterID: persist.ID{9}, NodeID: nodeID(3), Generation: 1, Promised: 2, Voter: true, History: s.n.disk.history, End: 120}})
	never[Hang](s)
	order := slices.IndexFunc(s.last, func(a Action) bool { _, ok := a.(Unstream); return ok })
	if a := sent[Attach](s); len(a) != 1 || a[0].Cut != 120 || order != 0 || want[Stream](s).From != 120 {
		t.Fatalf("%+v", s.last)
	}
	if h := sent[Heartbeat](s); len(h) != 1 || h[0].Seq != seq+1 {
		t.Errorf("the heartbeats do not go on: %+v", h)
	}
	s.step(Got{8, Hello{ClusterID: persist.ID{9}, NodeID: nodeID(1), Generation: 1, Promised: 2}})
	if r := sent[Reject](s); len(r) != 1 {
		t.Errorf("one link is two nodes: %+v", s.last)
	}
}

// serving is node 2 as the master of epoch 2, which node 3 follows over link 8.
func serving(t *testing.T) *stage {
	s := newStage(t, voter(), Options{})
	s.lead()
	s.attach(3, 8, 120)
	s.step(Applied{Applied: 120})
	s.done()
	s.step(Got{8, Heartbeat{Epoch: 2, Seq: 1, Heard: want[Send](s).Frame.(Heartbeat).Seq}})
	want[Serve](s)
	s.step(Served{2})
	return s
}

// TestAFullMasterHandsOver to a replica in sync whose disk has room, once that has lasted; to no other.
func TestAFullMasterHandsOver(t *testing.T) {
	for _, c := range []struct {
		name string
		row  MemberRow
		full bool
		end  persist.Pos
		want bool
	}{
		{"it has room", MemberRow{State: StateFollowing, Voter: true}, false, 120, true},
		{"its disk is full", MemberRow{State: StateFollowing, Voter: true}, true, 120, false},
		{"its disk is almost full", MemberRow{State: StateFollowing, Voter: true, Full: true}, false, 120, false},
		{"it is drained", MemberRow{State: StateFollowing, Voter: true, Drained: true}, false, 120, false},
	} {
		s := serving(t)
		s.other(3, c.row)
		s.step(Seen{s.view})
		s.step(DiskFull{On: true})
		if tell := want[Tell](s); tell.Level != Alarm {
			t.Errorf("%s: %+v", c.name, tell)
		}
		handed := false
		for range 40 {
			s.now += 100 * time.Millisecond
			s.step(Got{8, Heartbeat{Epoch: 2, Seq: s.n.lead.peers[2].beats.heard + 1, Heard: s.n.lead.peers[2].beats.seq}})
			s.step(Got{8, Ack{Epoch: 2, Received: c.end, Synced: c.end, Voter: true, Full: c.full}})
			s.step(Tick{})
			if _, ok := find[StopServing](s); ok {
				handed = true
				if s.n.leave.to != nodeID(3) {
					t.Errorf("%s: to %v", c.name, s.n.leave.to)
				}
				break
			}
		}
		if handed != c.want {
			t.Errorf("%s: handed over: %v", c.name, handed)
		}
	}
}

// TestAFullDiskStandsLast: of two that may win, the one whose disk has room does.
func TestAFullDiskStandsLast(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.step(Seen{s.view})
	s.done()
	s.step(DiskFull{On: true})
	s.freeze()
	s.other(3, MemberRow{State: StateFrozen, Promised: 2, LastEpoch: 1, End: 100, Voter: true})
	s.ask = Transact{}
	s.step(Seen{s.view})
	if s.ask.Txn.SetMandate != nil {
		t.Error("it stands before the other")
	}
	s.now += 2 * time.Second
	s.step(Tick{})
	if s.ask.Txn.SetMandate == nil {
		t.Error("it does not stand though the other did not")
	}
}

// TestAFullReplicaAttachesAnew: while its disk is full it follows another link as far as there is room: only who halts has the master stop.
func TestAFullReplicaAttachesAnew(t *testing.T) {
	s := following(t)
	s.step(DiskFull{On: true})
	s.step(Got{5, Append{Epoch: 1, Base: 100, Batches: make([]byte, 50)}})
	s.step(Wrote{Received: 100, Full: true})
	s.step(Synced{Synced: 100})
	s.step(Lost{Link: 5})
	s.now += time.Second
	s.step(Tick{})
	s.step(Dialed{Link: 6, Addr: "a:1"})
	s.step(Got{6, Attach{Epoch: 1, Cut: 100, VoterAt: 150}})
	s.step(Truncated{Cut: 100, History: voter().History})
	if a := sent[Ack](s); len(a) != 1 || a[0].Full {
		t.Fatalf("it acknowledges %+v, and would wait for ever for what the master does not send", a)
	}
}

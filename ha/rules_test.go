package ha

import (
	"strings"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// TestPromiseBeforeTheVote: the promise is on disk before the row says FROZEN.
func TestPromiseBeforeTheVote(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.freeze()
	if r := s.ask.Txn.PutMember; r == nil || r.State != StateFrozen || r.Promised != 2 || r.LastEpoch != 1 || r.End != 100 {
		t.Errorf("the vote is %+v", r)
	}
}

// TestLeadWaitsForEverything: nothing is committed before a quorum holds the epoch's beginning, and no client comes before
// a quorum has answered a heartbeat that was sent after the announcement.
func TestLeadWaitsForEverything(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.lead()
	s.attach(3, 8, 119)
	never[Commit](s)
	s.step(Got{8, Ack{Epoch: 2, Received: 120, Synced: 120, Voter: true}})
	if c := want[Commit](s); c.Commit != 120 {
		t.Fatalf("committed up to %d", c.Commit)
	}
	s.step(Applied{Applied: 120})
	if s.ask.Txn.Announce == nil {
		t.Fatalf("it does not announce itself: %+v", s.ask)
	}
	s.step(Got{8, Heartbeat{Epoch: 2, Seq: 1, Heard: 1}})
	never[Serve](s)
	s.done()
	never[Serve](s)
	h := want[Send](s).Frame.(Heartbeat)
	s.step(Got{8, Heartbeat{Epoch: 2, Seq: 2, Heard: h.Seq}})
	want[Serve](s)
}

// TestANewSessionCountsAnew: what a replica acknowledged over a link that is gone counts no more once it has attached anew
// with less.
func TestANewSessionCountsAnew(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.lead()
	s.attach(3, 8, 120)
	s.step(Got{8, Ack{Epoch: 2, Received: 200, Synced: 200, Voter: true}})
	s.step(Lost{Link: 8})
	s.step(Got{9, Hello{ClusterID: persist.ID{9}, NodeID: nodeID(3), Generation: 1, Promised: 2}})
	s.step(Advanced{Received: 200, Synced: 200})
	if c, ok := find[Commit](s); ok {
		t.Fatalf("%+v, and one node alone holds it", c)
	}
}

// TestAVoterlessNodePromises: a node without a vote promises the newest epoch, on disk, before the others see it: what its
// seat's holder promised is not to be forgotten.
func TestAVoterlessNodePromises(t *testing.T) {
	boot := Boot{Meta: persist.Meta{ClusterID: persist.ID{9}, NodeID: nodeID(2), ReplAddr: "b:1"}}
	s := newStage(t, boot, Options{})
	s.view.Mandate.Epoch = 6
	s.step(Seen{s.view})
	if p := want[Promise](s); p.Epoch != 6 {
		t.Fatalf("it promises %d", p.Epoch)
	}
	never[Transact](s)
	never[Dial](s)
	s.step(Promised{6})
	if s.ask.Txn.PutMember == nil {
		t.Fatalf("no row: %+v", s.last)
	}
	s.done()
	want[Dial](s)
}

// TestUnknownElection: whose epoch it is after a lost answer, the nonce says.
func TestUnknownElection(t *testing.T) {
	for _, c := range []struct {
		nonce uint64
		won   bool
	}{{77, true}, {78, false}} {
		s := newStage(t, voter(), Options{})
		s.freeze()
		s.other(3, MemberRow{State: StateFrozen, Promised: 2, LastEpoch: 1, End: 90, Voter: true})
		s.step(Seen{s.view})
		m := *s.ask.Txn.SetMandate
		m.Nonce = c.nonce
		s.step(Answered{ID: s.ask.ID, Outcome: Unknown, View: s.view})
		s.view.Mandate = &m
		s.now += time.Second
		s.step(Tick{})
		s.step(Answered{ID: s.ask.ID, Outcome: Done, View: s.view})
		if _, led := find[Lead](s); led != c.won {
			t.Errorf("nonce %d: Lead %v", c.nonce, led)
		}
	}
}

// TestVotesThatDoNotCount: a vote of an older generation, of a node without a voting right, of a blank log once the
// cluster has begun, of another epoch, and of a log that is ahead elect nobody.
func TestVotesThatDoNotCount(t *testing.T) {
	good := MemberRow{State: StateFrozen, Promised: 2, LastEpoch: 1, End: 90, Voter: true}
	for name, change := range map[string]func(*MemberRow){
		"no voter":         func(r *MemberRow) { r.Voter = false },
		"blank":            func(r *MemberRow) { r.Voter, r.Blank, r.LastEpoch, r.End = false, true, 0, 0 },
		"another epoch":    func(r *MemberRow) { r.Promised = 3 },
		"not frozen":       func(r *MemberRow) { r.State = StateSyncing },
		"a longer log":     func(r *MemberRow) { r.End = 101 },
		"a later epoch":    func(r *MemberRow) { r.LastEpoch, r.End = 2, 10 },
		"a stranger":       func(r *MemberRow) { r.NodeID = nodeID(4) },
		"older generation": func(r *MemberRow) { r.Generation = 0 },
	} {
		s := newStage(t, voter(), Options{})
		s.freeze()
		r := good
		r.NodeID, r.Generation = nodeID(3), 1
		change(&r)
		s.row("3", false, r)
		s.now += 2 * time.Second
		s.ask = Transact{}
		s.step(Seen{s.view})
		if s.ask.Txn.SetMandate != nil {
			t.Errorf("%s: it stands", name)
		}
	}
}

// TestWhoMayNotVoteIsNamed: with too few votes the line says whose do not count.
func TestWhoMayNotVoteIsNamed(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.freeze()
	s.other(3, MemberRow{State: StateFrozen, Promised: 2, Blank: true, Addr: "c:1"})
	s.step(Seen{s.view})
	if tell := want[Tell](s); tell.Level != Warn || !strings.Contains(tell.Text, "c:1 may not vote") {
		t.Errorf("%+v", tell)
	}
}

// TestAnUncleanNodeSaysSo until it has caught up.
func TestAnUncleanNodeSaysSo(t *testing.T) {
	boot := voter()
	boot.Meta.Voter, boot.Unclean = false, true
	s := newStage(t, boot, Options{})
	if w := s.n.Status(s.now).Warnings; len(w) != 1 {
		t.Fatalf("%q", w)
	}
	s.follow(Attach{Epoch: 1, Cut: 100, VoterAt: 100})
	s.step(Truncated{Cut: 100, History: boot.History})
	if r := want[Remember](s); r.Voter == nil || !*r.Voter {
		t.Fatalf("%+v", r)
	}
	s.step(Remembered{voterID})
	if st := s.n.Status(s.now); len(st.Warnings) != 0 || !st.Voter {
		t.Errorf("%+v", st)
	}
}

// TestSteppingDown says what ends a master.
func TestSteppingDown(t *testing.T) {
	for name, end := range map[string]func(*stage){
		"a replica has promised more": func(s *stage) { s.step(Got{8, Reject{Epoch: 2, Promised: 3}}) },
		"a HELLO with a later promise": func(s *stage) {
			s.step(Got{9, Hello{ClusterID: persist.ID{9}, NodeID: nodeID(1), Generation: 1, Promised: 3}})
		},
		"a newer mandate": func(s *stage) {
			s.view.Mandate = &Mandate{Epoch: 3, Leader: nodeID(1), Addr: "a:1"}
			s.step(Seen{s.view})
		},
		"nobody is heard": func(s *stage) {
			for range 100 {
				s.now += 100 * time.Millisecond
				if s.step(Tick{}); s.n.phase != leading {
					return
				}
			}
		},
		"its own id with a later generation": func(s *stage) {
			s.step(Got{9, Hello{ClusterID: persist.ID{9}, NodeID: nodeID(2), Generation: 2, Promised: 2}})
		},
	} {
		s := newStage(t, voter(), Options{})
		s.lead()
		s.attach(3, 8, 120)
		if end(s); s.n.phase != yielding {
			t.Errorf("%s: it goes on", name)
			continue
		}
		want[StopServing](s)
		s.step(Withdrawn{})
		want[Reopen](s)
	}
}

// TestAnOlderMasterIsRefused: after a promise nothing of a lower epoch is taken.
func TestAnOlderMasterIsRefused(t *testing.T) {
	boot := voter()
	boot.Meta.Promised = 2
	s := newStage(t, boot, Options{})
	s.follow(Attach{Epoch: 1, Cut: 100, VoterAt: 100})
	if r, ok := want[Send](s).Frame.(Reject); !ok || r.Promised != 2 {
		t.Errorf("it answers %+v", r)
	}
	want[Hang](s)
	s.step(Got{5, Append{Epoch: 1, Base: 100, Batches: make([]byte, 10)}})
	never[Write](s)
}

// TestACutBelowTheCommitStops: a master that would have this node cut what is committed is not followed.
func TestACutBelowTheCommitStops(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.follow(Attach{Epoch: 1, Cut: 99, VoterAt: 99})
	if e := want[Exit](s); e.Code != 3 {
		t.Errorf("%+v", e)
	}
	never[Truncate](s)
}

// TestAcksWaitForTheDisk: no acknowledgement before the cut and the promise are on disk; then of what is synced.
func TestAcksWaitForTheDisk(t *testing.T) {
	boot := voter()
	boot.Meta.Promised = 0
	s := newStage(t, boot, Options{})
	s.follow(Attach{Epoch: 1, Cut: 100, VoterAt: 150})
	want[Promise](s)
	s.step(Got{5, Append{Epoch: 1, Base: 100, Batches: make([]byte, 50)}})
	want[Write](s)
	s.step(Truncated{Cut: 100, History: boot.History})
	never[Send](s)
	s.step(Promised{1})
	if a := want[Send](s).Frame.(Ack); a.Synced != 100 {
		t.Fatalf("%+v", a)
	}
	s.step(Wrote{Received: 150})
	never[Send](s)
	s.step(Synced{Synced: 150})
	if a := want[Send](s).Frame.(Ack); a.Synced != 150 || !a.Voter {
		t.Fatalf("%+v", a)
	}
}

// TestMemoryLevelsAcknowledgeWhatCame: at `quorum_mem` bytes count before they are synced.
func TestMemoryLevelsAcknowledgeWhatCame(t *testing.T) {
	s := newStage(t, voter(), Options{Sync: persist.QuorumMem})
	s.follow(Attach{Epoch: 1, Cut: 100, VoterAt: 100})
	s.step(Truncated{Cut: 100})
	s.step(Got{5, Append{Epoch: 1, Base: 100, Batches: make([]byte, 50)}})
	s.step(Wrote{Received: 150})
	if a := want[Send](s).Frame.(Ack); a.Received != 150 || a.Synced != 100 {
		t.Fatalf("%+v", a)
	}
}

// TestIncomingDoesNotCount: acknowledgements of incoming/ say that they are, and it takes the store's place only when all
// that the master had is synced.
func TestIncomingDoesNotCount(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.follow(Attach{Epoch: 1, Cut: 500, VoterAt: 600, Restart: true, Header: []byte{1}})
	want[StartIncoming](s)
	s.step(IncomingStarted{Start: 500})
	if a := want[Send](s).Frame.(Ack); !a.Incoming || a.Voter {
		t.Fatalf("%+v", a)
	}
	s.step(Got{5, Append{Epoch: 1, Base: 500, Batches: make([]byte, 100)}})
	s.step(Wrote{Incoming: true, Received: 600})
	never[Switch](s)
	s.step(Synced{Incoming: true, Synced: 600})
	want[Switch](s)
}

// TestRolledBackArbiter: a promise beyond the next epoch says that the arbiter has forgotten some: nobody freezes.
func TestRolledBackArbiter(t *testing.T) {
	boot := voter()
	boot.Meta.Promised = 5
	s := newStage(t, boot, Options{})
	s.other(3, MemberRow{State: StateSyncing, SuspectEpoch: 1, Voter: true})
	s.step(Seen{s.view})
	s.done()
	s.now += time.Second
	s.step(Tick{})
	never[Promise](s)
	if tell := want[Tell](s); tell.Level != Alarm {
		t.Errorf("%+v", tell)
	}
}

// TestSetBackArbiter: a view that lacks what an older one had is not believed, and nothing is won under it.
func TestSetBackArbiter(t *testing.T) {
	for name, lose := range map[string]func(*View){
		"the configuration": func(v *View) { v.Config = nil },
		"a seat":            func(v *View) { v.Config.Seats = v.Config.Seats[:2] },
		"a generation":      func(v *View) { v.Config.Seats[0].Generation = 0 },
		"the beginning":     func(v *View) { v.Config.Initialized = false },
		"the mandate":       func(v *View) { v.Mandate = nil },
		"an epoch":          func(v *View) { v.Mandate = &Mandate{} },
	} {
		s := newStage(t, voter(), Options{})
		s.view.ConfigVersion = 4
		s.step(Seen{s.view})
		s.done()
		v := s.view
		v.Config, v.ConfigVersion = cluster(), 1
		lose(&v)
		s.step(Seen{v})
		if tell, ok := find[Tell](s); !ok || tell.Level != Alarm {
			t.Errorf("%s: no alarm in %+v", name, s.last)
		}
		if c := s.n.view.Config; s.n.view.ConfigVersion != 4 || len(c.Seats) != 3 || !c.Initialized || s.n.view.Mandate.Epoch != 1 {
			t.Errorf("%s: it believes %+v", name, s.n.view)
		}
	}
}

// TestAckAllocatesNothing: the way of a commit costs no garbage but the actions.
func TestAckAllocatesNothing(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.lead()
	s.attach(3, 8, 120)
	at := persist.Pos(120)
	if n := testing.AllocsPerRun(100, func() {
		at += 10
		s.n.Step(s.now, Advanced{at, at})
		s.n.Step(s.now, Got{8, Ack{Epoch: 2, Received: at, Synced: at, Voter: true}})
	}); n > 6 { // two events, Ack, Acked, Commit
		t.Errorf("%v allocations", n)
	}
}

package ha

import (
	"slices"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

// TestTheElectionChecksWhatItSaw: the epoch is won only if configuration, mandate and both votes are as they were seen.
func TestTheElectionChecksWhatItSaw(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.freeze()
	s.view.ConfigVersion, s.view.MandateVersion = 3, 4
	s.other(3, MemberRow{State: StateFrozen, Promised: 2, LastEpoch: 1, End: 90, Voter: true})
	s.step(Seen{s.view})
	x := s.ask.Txn
	if x.SetMandate == nil || *x.IfConfig != 3 || *x.IfMandate != 4 {
		t.Fatalf("it asks for %+v", x)
	}
	for _, m := range s.view.Members {
		if !slices.Contains(x.IfMembers, MemberVersion{m.Name, m.Version}) {
			t.Errorf("the vote %s is not checked", m.Name)
		}
	}
}

// TestOnlyVotersCount: what a replica without a vote acknowledges, or one whose incoming/ is meant, commits nothing.
func TestOnlyVotersCount(t *testing.T) {
	for name, ack := range map[string]Ack{
		"no voter":      {Epoch: 2, Received: 120, Synced: 120},
		"incoming":      {Epoch: 2, Received: 120, Synced: 120, Voter: true, Incoming: true},
		"another epoch": {Epoch: 1, Received: 120, Synced: 120, Voter: true},
		"not synced":    {Epoch: 2, Received: 120, Synced: 119, Voter: true},
	} {
		s := newStage(t, voter(), Options{})
		s.lead()
		s.attach(3, 8, 90)
		s.step(Got{8, ack})
		if c, ok := find[Commit](s); ok {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// TestTheBeginningIsWrittenFirst: of a cluster that has not begun nothing is committed before the configuration says that it
// has, in a transaction that checks configuration and mandate.
func TestTheBeginningIsWrittenFirst(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.view.Config.Initialized = false
	s.lead()
	s.attach(3, 8, 120)
	never[Commit](s)
	x := s.ask.Txn
	if x.SetConfig == nil || !x.SetConfig.Initialized || x.IfConfig == nil || x.IfMandate == nil {
		t.Fatalf("it asks for %+v", x)
	}
	s.done()
	if c := want[Commit](s); c.Commit != 120 {
		t.Errorf("%+v", c)
	}
}

// TestTheBeginningShowsInTheView: if the answer to that transaction is lost, the view says that the cluster has begun, and what a quorum
// holds is committed although nobody acknowledges anything more.
func TestTheBeginningShowsInTheView(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.view.Config.Initialized = false
	s.lead()
	s.attach(3, 8, 120)
	s.step(Answered{ID: s.ask.ID, Outcome: Unknown})
	never[Commit](s)
	s.view.Config = cluster()
	s.view.ConfigVersion++
	s.step(Seen{s.view})
	s.now += lookPause
	s.step(Tick{})
	s.done() // it has asked how things stand
	if c := want[Commit](s); c.Commit != 120 {
		t.Errorf("%+v", c)
	}
}

// TestASeatsNewHolderStartsFromNothing: what the old one acknowledged does not count once the seat is taken over.
func TestASeatsNewHolderStartsFromNothing(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.lead()
	s.attach(3, 8, 120)
	s.step(Got{8, Ack{Epoch: 2, Received: 200, Synced: 200, Voter: true}})
	c := cluster()
	c.Seats[2] = Seat{NodeID: nodeID(4), Generation: 2, Addr: "c:1"}
	s.view.Config, s.view.ConfigVersion = c, 9
	s.step(Seen{s.view})
	s.step(Got{8, Ack{Epoch: 2, Received: 210, Synced: 210, Voter: true}})
	s.step(Advanced{Received: 210, Synced: 210})
	if c, ok := find[Commit](s); ok {
		t.Errorf("%+v", c)
	}
}

// TestHandingOver: clients go first; then a replica has everything; then the others are told, and this node leaves.
func TestHandingOver(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.lead()
	s.attach(3, 8, 120)
	s.step(Applied{Applied: 120})
	s.done()
	s.step(Got{8, Heartbeat{Epoch: 2, Seq: 1, Heard: want[Send](s).Frame.(Heartbeat).Seq}})
	want[Serve](s)
	s.step(Served{2})
	s.step(PromoteAsked{To: nodeID(1)})
	never[StopServing](s) // it is not attached
	s.step(PromoteAsked{To: nodeID(3)})
	want[StopServing](s)
	s.step(Advanced{Received: 150, Synced: 150})
	s.step(Withdrawn{})
	never[Reopen](s)
	s.step(Got{8, Ack{Epoch: 2, Received: 150, Synced: 150, Voter: true}})
	if h, ok := want[Send](s).Frame.(HandOver); ok && h.To != nodeID(3) {
		t.Errorf("%+v", h)
	}
	want[Reopen](s)
}

// TestWhoAttachesGetsWhatTheReplicasCommitted: while the master's own disk is slow two replicas of three commit. One that comes again is
// not cut below that, and one without a vote has none before it holds that too.
func TestWhoAttachesGetsWhatTheReplicasCommitted(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.lead()
	s.attach(3, 8, 120)
	s.attach(1, 9, 120)
	for _, l := range []Link{8, 9} {
		s.step(Got{l, Ack{Epoch: 2, Received: 200, Synced: 200, Voter: true}})
	}
	if c := want[Commit](s); c.Commit != 200 {
		t.Fatalf("%+v", c)
	}
	s.step(Lost{Link: 8})
	s.step(Got{10, Hello{ClusterID: persist.ID{9}, NodeID: nodeID(3), Generation: 1, Promised: 2, Voter: true, History: []persist.EpochStart{{Epoch: 1}, {Epoch: 2, Start: 100}}, End: 200}})
	if a := want[Send](s).Frame.(Attach); a.Cut != 200 || a.VoterAt != 200 || a.Commit != 200 {
		t.Errorf("%+v", a)
	}
}

// TestACutBeyondTheEnd: no log is cut where it has nothing.
func TestACutBeyondTheEnd(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.follow(Attach{Epoch: 1, Cut: persist.Pos(101), VoterAt: 200})
	never[Truncate](s)
	want[Hang](s)
}

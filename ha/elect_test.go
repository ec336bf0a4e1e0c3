package ha

import (
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// frozenAt is a vote for epoch 2 of a log of epoch 1.
func frozenAt(end persist.Pos) MemberRow {
	return MemberRow{State: StateFrozen, Promised: 2, LastEpoch: 1, End: end, Voter: true}
}

// standsOnlyLater fails unless the node leaves the others a while, and stands then.
func (s *stage) standsOnlyLater(what string) {
	s.t.Helper()
	if s.ask.Txn.SetMandate != nil {
		s.t.Errorf("%s: it stands at once", what)
	}
	s.now += time.Second
	s.step(Tick{})
	if s.ask.Txn.SetMandate == nil {
		s.t.Errorf("%s: it never stands", what)
	}
}

// TestTheHeirIsWaitedFor: when the master hands over to a member, who is sooner leaves it a while, be it the best of those
// that have voted.
func TestTheHeirIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name  string
		heir  int
		votes []int
		waits bool
	}{
		{"the heir has not voted", 3, []int{1}, true},
		{"the heir has voted", 3, []int{1, 3}, true},
		{"this node is it", 2, []int{1}, false},
		{"nobody is named", 0, []int{1}, false},
	} {
		s := newStage(t, voter(), Options{})
		s.follow(Attach{Epoch: 1, Cut: 100})
		s.other(3, MemberRow{State: StateSyncing, SuspectEpoch: 1, Promised: 1, Voter: true})
		s.step(Seen{s.view})
		f := HandOver{Epoch: 1}
		if c.heir > 0 {
			f.To = nodeID(c.heir)
		}
		s.step(Got{5, f})
		want[Promise](s)
		s.step(Synced{Synced: 100})
		s.step(Promised{2})
		s.done()
		for _, i := range c.votes {
			s.other(i, frozenAt(100))
		}
		s.step(Seen{s.view})
		if c.waits {
			s.standsOnlyLater(c.name)
		} else if s.ask.Txn.SetMandate == nil {
			t.Errorf("%s: it does not stand: %+v", c.name, s.last)
		}
	}
}

// TestASilentMasterIsSuspectedAtOnce: who hears nothing on a link for a second suspects the master of that epoch, without
// waiting for the attempt to reach it anew: against a host that is cut off, that takes until its time is over.
func TestASilentMasterIsSuspectedAtOnce(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.follow(Attach{Epoch: 1, Cut: 100})
	s.other(3, MemberRow{State: StateSyncing, SuspectEpoch: 1, Promised: 1, Voter: true})
	s.step(Seen{s.view})
	never[Promise](s)
	s.now += DefaultTiming().LinkTimeout + time.Millisecond
	s.step(Tick{})
	want[Hang](s)
	if p := want[Promise](s); p.Epoch != 2 {
		t.Errorf("it promises %d", p.Epoch)
	}
}

// TestAnOustedMasterStandsLast: a master that handed over or lost its quorum leaves the others a while, also if its own log
// goes further: nobody may reach it, and what it has beyond theirs was confirmed to nobody.
func TestAnOustedMasterStandsLast(t *testing.T) {
	for name, end := range map[string]persist.Pos{"as long a log": 130, "a longer log": 120} {
		s := newStage(t, voter(), Options{})
		s.serving()
		s.step(Got{8, Reject{Epoch: 2, Promised: 3}})
		want[StopServing](s)
		s.step(Withdrawn{})
		boot := voter()
		boot.Meta.Promised, boot.Meta.ClusterID, boot.Received, boot.Synced = 2, persist.ID{9}, 130, 130
		boot.History = append(boot.History, persist.EpochStart{Epoch: 2, Start: 100})
		s.step(Opened{boot})
		for range 3 { // its announcement goes, its row says IDLE, and that it suspects
			s.done()
		}
		s.other(3, MemberRow{State: StateSyncing, SuspectEpoch: 2, Promised: 2, Voter: true})
		s.step(Seen{s.view})
		want[Promise](s)
		s.step(Synced{Synced: 130})
		s.step(Promised{3})
		s.done()
		vote := frozenAt(end)
		vote.Promised, vote.LastEpoch = 3, 2
		s.other(3, vote)
		s.step(Seen{s.view})
		s.standsOnlyLater(name)
	}
	s := newStage(t, voter(), Options{}) // a replica whose log is no shorter does not wait for a third
	s.freeze()
	s.other(1, frozenAt(100))
	s.step(Seen{s.view})
	if s.ask.Txn.SetMandate == nil {
		t.Errorf("beside the old master it does not stand: %+v", s.last)
	}
}

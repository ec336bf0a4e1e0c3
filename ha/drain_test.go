package ha

import (
	"strings"
	"testing"
	"time"
)

// TestDraining: a drained master hands over to a member that may lead, and remembers that it is drained.
func TestDraining(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.serving()
	s.attach(1, 9, 120)
	s.other(1, MemberRow{State: StateFollowing, Voter: true, Drained: true})
	s.other(3, MemberRow{State: StateFollowing, Voter: true, Drained: true})
	s.step(Seen{s.view})
	s.step(DrainAsked{On: true})
	never[StopServing](s) // the others are drained too
	if r := want[Remember](s); r.Drained == nil || !*r.Drained {
		t.Errorf("%+v", r)
	}
	if tell := want[Tell](s); !strings.Contains(tell.Text, "leads all the same") {
		t.Errorf("%+v", tell)
	}
	s.other(1, MemberRow{State: StateFollowing, Voter: true, Drained: false})
	s.step(Seen{s.view})
	s.now += yieldPause / 2 // heartbeats are not played here
	s.n.lead.leaseFrom = s.now
	s.step(DrainAsked{On: true})
	want[StopServing](s)
	if s.n.leave.to != nodeID(1) {
		t.Errorf("handed over to %v", s.n.leave.to)
	}
	if !s.n.Status(s.now).Drained {
		t.Error("the status does not say so")
	}
	s.step(DrainAsked{On: false})
	if r := want[Remember](s); *r.Drained || s.n.disk.meta.Drained {
		t.Errorf("%+v", r)
	}
}

// TestADrainedNodeStandsLast: it leaves a while to whoever else can be elected, and stands if nobody can.
func TestADrainedNodeStandsLast(t *testing.T) {
	boot := voter()
	boot.Meta.Drained = true
	for _, c := range []struct {
		other MemberRow
		waits bool
	}{
		{MemberRow{LastEpoch: 1, End: 100}, true},
		{MemberRow{LastEpoch: 1, End: 99}, false},                // this node's log goes further: nobody else can be elected
		{MemberRow{LastEpoch: 1, End: 100, Drained: true}, true}, // the tie is broken by the id
	} {
		s := newStage(t, boot, Options{})
		s.freeze()
		if m, _ := s.n.mine(); !m.Row.Drained {
			t.Error("its row does not say so")
		}
		c.other.State, c.other.Promised, c.other.Voter = StateFrozen, 2, true
		s.other(3, c.other)
		s.step(Seen{s.view})
		if stands := s.ask.Txn.SetMandate != nil; stands == c.waits {
			t.Errorf("%+v: %+v", c, s.last)
		}
		s.now += time.Second
		s.step(Tick{})
		if s.ask.Txn.SetMandate == nil {
			t.Errorf("%+v: it never stands", c)
		}
	}
}

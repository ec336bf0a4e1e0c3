package ha

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// TestAnEpochOfTheFuture is not promised: a node that believed it would follow nobody any more.
func TestAnEpochOfTheFuture(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.follow(Attach{Epoch: math.MaxUint64, Cut: 100, VoterAt: 100})
	never[Promise](s)
	never[Truncate](s)
	want[Hang](s)
	if tell := want[Tell](s); !strings.Contains(tell.Text, "ZooKeeper knows epoch 1") {
		t.Errorf("%+v", tell)
	}
	boot := voter()
	boot.Meta.Promised = 1
	s = newStage(t, boot, Options{}) // without ZooKeeper nothing says what is newest
	s.step(Tick{})
	s.step(Dialed{Link: 5, Addr: "a:1"})
	s.step(Got{5, Attach{Epoch: 2, Cut: 100, VoterAt: 100}})
	if p := want[Promise](s); p.Epoch != 2 {
		t.Errorf("%+v", p)
	}
}

// TestOnlyMembersOust: a promise of a later epoch ends a master if a member has made it, at its newest generation.
func TestOnlyMembersOust(t *testing.T) {
	for name, change := range map[string]func(*Hello){
		"a stranger":            func(h *Hello) { h.NodeID = nodeID(9) },
		"of another cluster":    func(h *Hello) { h.ClusterID = persist.ID{8} },
		"of a seat of before":   func(h *Hello) { h.Generation = 1 },
		"of a seat of tomorrow": func(h *Hello) { h.Generation = 3 },
	} {
		s := newStage(t, voter(), Options{})
		s.view.Config.Seats[0].Generation = 2
		s.lead()
		s.attach(3, 8, 120)
		h := Hello{ClusterID: persist.ID{9}, NodeID: nodeID(1), Generation: 2, Promised: 99, Addr: "x:1"}
		change(&h)
		s.step(Got{9, h})
		if s.n.phase != leading || len(sent[Reject](s)) != 1 {
			t.Errorf("%s: phase %d, %+v", name, s.n.phase, s.last)
		}
		if tell := want[Tell](s); !strings.HasPrefix(tell.Text, "a node that would follow is not taken: x:1: ") {
			t.Errorf("%s: %+v", name, tell)
		}
		s.step(Got{10, h})
		never[Tell](s)
	}
}

// TestAReplicaThatFallsEverBehind is left, so that the log may go, and taken again a moment later; one that lacked much from the
// beginning is not, nor one that gains.
func TestAReplicaThatFallsEverBehind(t *testing.T) {
	s := newStage(t, voter(), Options{RetentionBytes: 1000})
	s.lead()
	hello := Hello{ClusterID: persist.ID{9}, NodeID: nodeID(3), Generation: 1, Promised: 2, Voter: true, History: []persist.EpochStart{{Epoch: 1}}, End: 20}
	s.step(Got{8, hello}) // it lacks 100
	seq := uint64(0)
	pass := func(end, synced persist.Pos) {
		seq++
		s.now += 100 * time.Millisecond
		s.step(Advanced{Received: end, Synced: end})
		s.step(Got{8, Ack{Epoch: 2, Received: synced, Synced: synced, Voter: true}})
		s.step(Got{8, Heartbeat{Epoch: 2, Seq: seq, Heard: s.n.lead.peers[2].beats.seq}})
		s.step(Tick{})
	}
	pass(1120, 20)
	never[Hang](s)
	pass(5000, 4000)
	never[Hang](s)
	pass(5101, 4000)
	want[Hang](s)
	s.step(Got{9, hello})
	if r := sent[Reject](s); len(r) != 1 || r[0].Fatal {
		t.Fatalf("%+v", s.last)
	}
	s.now += retentionPause
	s.step(Got{10, hello})
	if a := sent[Attach](s); len(a) != 1 {
		t.Fatalf("%+v", s.last)
	}
	if s.n.lead.peers[2].lag != 5101-20 {
		t.Errorf("it lacks %d", s.n.lead.peers[2].lag)
	}
}

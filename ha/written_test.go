package ha

import (
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// TestHelloWaitsForTheDisk: a replica that lost its link dials again only when all that it was sent is on its disk, as the
// cut that follows a HELLO must not be below what has become committed meanwhile.
func TestHelloWaitsForTheDisk(t *testing.T) {
	n := NewNode(Options{Replicas: 3, Addr: "b:1", Sync: persist.QuorumDisk, Timing: DefaultTiming()},
		Boot{Meta: persist.Meta{ClusterID: persist.ID{1}, NodeID: persist.ID{2}, ReplAddr: "b:1", MasterAddr: "a:1", Voter: true, Promised: 1}})
	dials := func(e Event) bool {
		for _, a := range n.Step(time.Second, e) {
			if _, ok := a.(Dial); ok {
				return true
			}
		}
		return false
	}
	if !dials(Tick{}) {
		t.Fatal("it does not dial the master that it remembers")
	}
	n.Step(time.Second, Dialed{Link: 1, Addr: "a:1"})
	n.Step(time.Second, Got{Link: 1, Frame: Attach{Epoch: 1}})
	n.Step(time.Second, Truncated{})
	n.Step(time.Second, Got{Link: 1, Frame: Append{Epoch: 1, Batches: make([]byte, 100)}})
	if dials(Lost{Link: 1}) || dials(Wrote{Received: 100}) {
		t.Fatal("it dials before the disk has done what it was asked for")
	}
	if !dials(Synced{Synced: 100}) {
		t.Error("it does not dial when the disk has")
	}
}

// TestAReplicaDialsAfterACut: what was written and then cut off is not waited for, if the link is lost before anything comes behind the cut.
func TestAReplicaDialsAfterACut(t *testing.T) {
	s := following(t)
	s.step(Got{5, Append{Epoch: 1, Base: 100, Batches: make([]byte, 50)}})
	s.step(Wrote{Received: 150})
	s.step(Synced{Synced: 150})
	s.step(Lost{Link: 5})
	want[Dial](s)
	s.step(Dialed{Link: 6, Addr: "a:1"})
	s.step(Got{6, Attach{Epoch: 1, Cut: 120, VoterAt: 120}})
	s.step(Truncated{Cut: 120, History: voter().History})
	s.step(Lost{Link: 6})
	want[Dial](s)
}

package ha

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/persist"
)

type ack struct {
	seat             int
	received, synced persist.Pos
}

func TestMaster(t *testing.T) {
	for _, c := range []struct {
		name            string
		seats           int
		sync            persist.Sync
		barrier         persist.Pos
		acks            []ack
		commit, confirm persist.Pos
	}{
		{"alone, disk", 1, persist.QuorumDisk, 0, []ack{{0, 90, 50}}, 50, 50},
		{"alone, memory", 1, persist.QuorumMem, 0, []ack{{0, 90, 50}}, 90, 90},
		{"alone, local_mem is answered early and shown late", 1, persist.LocalMem | persist.LocalDisk, 0, []ack{{0, 90, 50}}, 50, 50},
		{"alone, remote asks nobody", 1, persist.RemoteDisk, 0, []ack{{0, 90, 50}}, 50, 90},
		{"own disk is no quorum of three", 3, persist.QuorumDisk, 0, []ack{{0, 90, 90}}, 0, 0},
		{"two of three are", 3, persist.QuorumDisk, 0, []ack{{0, 90, 90}, {2, 80, 70}}, 70, 70},
		{"the slowest does not matter", 3, persist.QuorumDisk, 0, []ack{{0, 90, 90}, {1, 10, 5}, {2, 80, 70}}, 70, 70},
		{"two replicas ahead of the master's own disk", 3, persist.QuorumDisk, 0, []ack{{0, 90, 10}, {1, 80, 80}, {2, 70, 70}}, 70, 70},
		{"received counts at quorum_mem", 3, persist.QuorumMem, 0, []ack{{0, 90, 10}, {1, 80, 0}}, 80, 80},
		{"below the barrier nothing is committed", 3, persist.QuorumDisk, 71, []ack{{0, 90, 90}, {2, 80, 70}}, 0, 0},
		{"at the barrier everything is", 3, persist.QuorumDisk, 70, []ack{{0, 90, 90}, {2, 80, 70}}, 70, 70},
		{"local_disk answers before the commit", 3, persist.LocalDisk, 0, []ack{{0, 90, 60}}, 0, 60},
		{"remote_mem waits for N/2 others", 3, persist.RemoteMem, 0, []ack{{0, 90, 60}, {1, 40, 0}}, 40, 40},
		{"a list means all", 3, persist.LocalDisk | persist.RemoteDisk, 0, []ack{{0, 90, 60}, {1, 90, 30}}, 30, 30},
		{"old news is ignored", 3, persist.QuorumDisk, 0, []ack{{0, 90, 90}, {1, 80, 80}, {1, 20, 20}}, 80, 80},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := NewMaster(c.seats, 0, c.sync, 0, c.barrier)
			for _, a := range c.acks {
				m.Held(a.seat, a.received, a.synced)
			}
			if m.Commit() != c.commit || m.Confirm() != c.confirm {
				t.Errorf("commit %d, confirm %d; want %d, %d", m.Commit(), m.Confirm(), c.commit, c.confirm)
			}
		})
	}
}

// TestMasterCommitsWhatAQuorumHolds compares with counting: p is committed when a quorum of seats has an end >= p.
func TestMasterCommitsWhatAQuorumHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "seats")
		barrier := persist.Pos(rapid.Uint64Range(0, 100).Draw(t, "barrier"))
		m := NewMaster(n, 0, persist.QuorumDisk, 0, barrier)
		ends := make([]persist.Pos, n)
		last := persist.Pos(0)
		for range rapid.IntRange(1, 50).Draw(t, "acks") {
			seat := rapid.IntRange(0, n-1).Draw(t, "seat")
			end := persist.Pos(rapid.Uint64Range(0, 200).Draw(t, "end"))
			m.Held(seat, end, end)
			ends[seat] = max(ends[seat], end)
			if m.Commit() < last {
				t.Fatalf("the commit position moved back from %d to %d", last, m.Commit())
			}
			last = m.Commit()
			want := persist.Pos(0)
			for _, p := range ends {
				holders := 0
				for _, e := range ends {
					if e >= p {
						holders++
					}
				}
				if holders >= m.Quorum() && p >= barrier {
					want = max(want, p)
				}
			}
			if m.Commit() != want {
				t.Fatalf("ends %v, barrier %d: committed %d, want %d", ends, barrier, m.Commit(), want)
			}
		}
	})
}

func TestAlone(t *testing.T) {
	a := NewAlone(persist.QuorumDisk)
	if commit, confirm := a.Advanced(100, 40); commit != 40 || confirm != 40 {
		t.Errorf("commit %d, confirm %d; want 40, 40", commit, confirm)
	}
}

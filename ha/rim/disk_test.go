package rim

import (
	"bytes"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// lead has a node lead epoch 1 and counts its own disk as the quorum.
func (n *node) lead() persist.Pos {
	n.t.Helper()
	n.do(ha.Lead{Epoch: 1})
	led := want[ha.Led](n)
	want[ha.Advanced](n)
	n.answer(func(e ha.Event) []ha.Action {
		if a, ok := e.(ha.Advanced); ok {
			return []ha.Action{ha.Commit{Commit: a.Synced, Confirm: a.Synced}}
		}
		return nil
	})
	n.do(ha.Commit{Commit: led.Barrier, Confirm: led.Barrier})
	return led.Barrier
}

// send appends one message and waits until it is confirmed.
func (n *node) send(body string) persist.Pos {
	n.t.Helper()
	s := n.Store()
	var u persist.Unit
	u.Enqueue(u.Message(nil, nil, []byte(body)), []persist.Target{{Queue: 1, Seq: persist.MakeSeq(4, uint64(s.Received()))}}, 0, 0)
	_, end, err := s.Append(&u)
	if err != nil {
		n.t.Fatal(err)
	}
	await(s, end)
	return end
}

func await(s *persist.Store, p persist.Pos) {
	w := make(moved, 1)
	for s.Confirmed() < p {
		s.Await(p, w)
		<-w
	}
}

// log is all of a store's log.
func (n *node) log() []byte {
	n.t.Helper()
	s := n.Store()
	var all []byte
	for p := s.Start(); p < s.Received(); {
		b, err := s.ReadBatches(p, 1<<20, nil)
		if err != nil || len(b) == 0 {
			n.t.Fatalf("%d bytes at %d: %v", len(b), p, err)
		}
		all = append(all, b...)
		p += persist.Pos(len(b))
	}
	return all
}

func TestWhatAReplicaWrites(t *testing.T) {
	master, replica := begin(t, nil), begin(t, nil)
	barrier := master.lead()
	for _, body := range []string{"one", "two", "three"} {
		master.send(body)
	}
	log := master.log()
	end := persist.Pos(len(log))
	replica.do(ha.Write{Base: 0, Batches: log[:barrier]}, ha.Sync{}, ha.Write{Base: barrier, Batches: log[barrier:]}, ha.Sync{})
	var wrote ha.Wrote
	for synced := persist.Pos(0); synced < end; { // as one, or in runs as the disk comes to it
		switch e := want[ha.Event](replica).(type) {
		case ha.Wrote:
			if wrote = e; wrote.Full || wrote.Misfit {
				t.Fatalf("%#v", wrote)
			}
		case ha.Synced:
			if synced = e.Synced; synced != wrote.Received {
				t.Fatalf("%#v, synced %d", wrote, synced)
			}
		default:
			t.Fatalf("%#v", e)
		}
	}
	if !bytes.Equal(replica.log(), log) {
		t.Error("the logs differ")
	}
	replica.do(ha.Write{Base: 5, Batches: log})
	if w := want[ha.Wrote](replica); !w.Misfit || w.Received != end {
		t.Fatalf("%#v", w)
	}
	replica.do(ha.Commit{Commit: end, Confirm: end})
	await(replica.Store(), end)
	if q := replica.Store().Queue(1); q.Depth != 3 {
		t.Errorf("%d messages", q.Depth)
	}
	replica.do(ha.Truncate{Cut: end})
	if tr := want[ha.Truncated](replica); tr.Cut != end || len(tr.History) != 1 {
		t.Fatalf("%#v", tr)
	}
}

// TestOneSyncForAll: what has come while the disk was busy is synced once.
func TestOneSyncForAll(t *testing.T) {
	master, replica := begin(t, nil), begin(t, nil)
	master.lead()
	for range 20 {
		master.send("x")
	}
	log := master.log()
	var work []diskWork
	for p := 0; p < len(log); {
		b, err := master.Store().ReadBatches(persist.Pos(p), 1, nil) // one batch at least
		if err != nil || len(b) == 0 {
			t.Fatal(b, err)
		}
		work = append(work, diskWork{action: ha.Write{Base: persist.Pos(p), Batches: b}}, diskWork{action: ha.Sync{}})
		p += len(b)
	}
	work = append(work, diskWork{action: ha.Promise{Epoch: 9}})
	n, err := replica.doDisk(work)
	if err != nil || n != len(work)-1 {
		t.Fatalf("%d of %d done as one: %v", n, len(work), err)
	}
	if w := want[ha.Wrote](replica); w.Received != persist.Pos(len(log)) {
		t.Fatalf("%#v", w)
	}
	if s := want[ha.Synced](replica); s.Synced != persist.Pos(len(log)) {
		t.Fatalf("%#v", s)
	}
	replica.quiet()
	if syncs := replica.Store().Stats().Syncs; syncs > 2 { // its own start's included
		t.Errorf("%d syncs", syncs)
	}
}

func TestWhatIsRemembered(t *testing.T) {
	n := begin(t, nil)
	yes, no := true, false
	n.do(ha.Promise{Epoch: 5}, ha.Promise{Epoch: 4}, ha.Remember{ID: 1, ClusterID: persist.ID{1}, Addr: "a:1", Voter: &yes, Config: []byte("c")}, ha.Remember{ID: 2, MasterAddr: "b:2", Voter: &no})
	want[ha.Promised](n)
	want[ha.Promised](n)
	if a, b := want[ha.Remembered](n), want[ha.Remembered](n); a.ID != 1 || b.ID != 2 {
		t.Fatal(a, b)
	}
	n.do(ha.Reopen{})
	got := want[ha.Opened](n).Boot.Meta
	wanted := persist.Meta{ClusterID: persist.ID{1}, NodeID: got.NodeID, ReplAddr: "a:1", MasterAddr: "b:2", Promised: 5, Config: []byte("c"), BootID: got.BootID}
	if d := cmp.Diff(wanted, got); d != "" {
		t.Error(d)
	}
}

// TestAFailedSyncEndsTheNode: nothing is tried again, clients and cluster are left, and all is closed.
func TestAFailedSyncEndsTheNode(t *testing.T) {
	for _, role := range []string{"master", "replica"} {
		t.Run(role, func(t *testing.T) {
			fs := persist.NewFaultFS(persist.NewMemFS())
			other := begin(t, nil)
			other.lead()
			n := begin(t, func(o *Options) { o.Store.FS = fs })
			if role == "master" {
				n.lead()
				n.do(ha.Serve{Epoch: 1})
				want[ha.Served](n)
			}
			fs.Break(persist.Fault{Op: persist.FaultSync, Pattern: segmentBeingMade, Times: 1, Err: syscall.EIO})
			if role == "master" {
				var u persist.Unit
				u.Put(persist.TableSettings, []byte("k"), []byte("v"))
				_, end, err := n.Store().Append(&u)
				if err != nil {
					t.Fatal(err)
				}
				n.Store().Await(end, make(moved, 1))
			} else {
				n.do(ha.Write{Batches: other.log()}, ha.Sync{})
			}
			select {
			case <-n.Done():
			case <-time.After(patience):
				t.Fatal("the node goes on")
			}
			if e := n.Exit(); e.Code == 0 || !strings.Contains(e.Reason, syscall.EIO.Error()) {
				t.Errorf("%#v", e)
			}
			if stopped := slices.ContainsFunc(n.roles.all(), func(s string) bool { return strings.HasPrefix(s, "stop") }); stopped != (role == "master") {
				t.Error(n.roles.all())
			}
		})
	}
}

// TestAFullDisk is no error of a replica: the machine is told.
func TestAFullDisk(t *testing.T) {
	fs := persist.NewFaultFS(persist.NewMemFS())
	master := begin(t, nil)
	barrier := master.lead()
	master.send("one")
	log := master.log()
	n := begin(t, func(o *Options) { o.Store.FS = fs })
	n.do(ha.Write{Batches: log[:barrier]}, ha.Sync{})
	want[ha.Wrote](n)
	want[ha.Synced](n)
	fs.Break(persist.Fault{Op: persist.FaultWrite, Pattern: segmentBeingMade, Times: 1, Err: syscall.ENOSPC})
	n.do(ha.Write{Base: barrier, Batches: log[barrier:]}, ha.Sync{})
	if w := want[ha.Wrote](n); !w.Full || w.Misfit || w.Received != barrier {
		t.Fatalf("%#v", w)
	}
	want[ha.Synced](n)
	n.do(ha.Write{Base: barrier, Batches: log[barrier:]}, ha.Sync{}) // there is room again
	if w := want[ha.Wrote](n); w.Full || w.Received != persist.Pos(len(log)) {
		t.Fatalf("%#v", w)
	}
}

// TestNoRoomForIncoming: what came for it before the machine knew that there is none is refused like the rest, and ends nothing.
func TestNoRoomForIncoming(t *testing.T) {
	fs := persist.NewMemFS()
	master := begin(t, nil)
	master.lead()
	log := master.log()
	n := begin(t, func(o *Options) { o.Store.FS = fs })
	fs.SetRoom(1)
	n.do(ha.StartIncoming{}, ha.Write{Incoming: true, Batches: log}, ha.Sync{Incoming: true}, ha.Promise{Epoch: 3})
	if e := want[ha.IncomingStarted](n); !e.Full {
		t.Fatalf("%#v", e)
	}
	for range 2 {
		if e := want[ha.Wrote](n); !e.Full || !e.Incoming {
			t.Fatalf("%#v", e)
		}
	}
	want[ha.Promised](n)
}

// segmentBeingMade matches the names under which segments are created: a FaultFS knows an open file by that.
const segmentBeingMade = "next.*"

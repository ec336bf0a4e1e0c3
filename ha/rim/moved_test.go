package rim

import (
	"bytes"
	"testing"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// TestANodeThatMoved comes back under another address, with another id, and keeps its log.
func TestANodeThatMoved(t *testing.T) {
	c := newCluster(t, 3)
	c.start()
	m := c.master()
	m.send(0, 1000)
	c.allVote()
	x := c.nodes[(m.no+1)%3]
	id := x.Status().NodeID
	e := x.e
	x.abandon()
	e.Expire()
	m.send(1000, 1100)
	x.addr = freeAddr(t)
	x.start()
	c.until("it to follow", func() bool { st := x.Status(); return st.Role == ha.RoleReplica && st.Voter })
	if x.Status().NodeID == id || x.Store().Meta().NodeID == id || x.Store().Meta().ReplAddr != x.addr {
		t.Errorf("%+v", x.Store().Meta())
	}
	if s := x.Store().Stats(); s.Bytes > 50_000 {
		t.Errorf("%d bytes were written again", s.Bytes)
	}
	c.same()
	m.abandon()
	next := c.master()
	c.holds(next.serving(), 1100)
	x.abandon()
	x.start() // as an old member of its seat
	c.until("it to follow or to lead", func() bool { r := x.Status().Role; return r == ha.RoleReplica || r == ha.RoleMaster })
}

// TestAStandaloneStoreBeginsACluster: what a broker alone has stored is there when two empty nodes have joined it.
func TestAStandaloneStoreBeginsACluster(t *testing.T) {
	c := newCluster(t, 3)
	x := c.nodes[0]
	s, err := persist.Open(persist.Options{Dir: x.dir, Sync: persist.LocalDisk, LogSize: 1 << 20, ReserveBytes: -1, Progress: ha.NewAlone(persist.LocalDisk)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lead(s.NextEpoch()); err != nil {
		t.Fatal(err)
	}
	var u persist.Unit
	u.Enqueue(u.Message([]byte("id"), nil, bytes.Repeat([]byte{'x'}, 100)), []persist.Target{{Queue: 1, Seq: persist.MakeSeq(4, 1)}}, 0, 0)
	_, end, err := s.Append(&u)
	if err != nil {
		t.Fatal(err)
	}
	await(s, end)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	x.start()
	c.until("it to be adoptable", func() bool { return x.Emergency().Adopt == "" })
	if err := x.Adopt(); err != nil {
		t.Fatal(err)
	}
	c.until("it to begin", func() bool { return x.Status().Role == ha.RoleRecovering })
	c.nodes[1].start()
	c.until("it to serve", func() bool { return x.serving() != nil })
	c.nodes[2].start()
	c.allVote()
	c.holds(x.serving(), 1)
	x.send(1, 100)
	x.abandon()
	c.holds(c.master().serving(), 100)
}

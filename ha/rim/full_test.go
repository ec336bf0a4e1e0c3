package rim

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// smallDisks is three nodes whose disks are memory and can be bounded.
func smallDisks(t *testing.T) (*cluster, map[*member]*persist.MemFS) {
	c := newCluster(t, 3)
	disks := map[*member]*persist.MemFS{}
	for _, m := range c.nodes {
		disks[m] = persist.NewMemFS()
		m.fs, m.reserve = disks[m], 256<<10
	}
	c.start()
	c.allVote()
	c.until("both to follow", func() bool {
		for _, p := range c.master().Status().Peers {
			if !p.Attached {
				return false
			}
		}
		return true
	})
	return c, disks
}

// used is what all files of a store take.
func used(t *testing.T, fs *persist.MemFS, dir string) (sum int64) {
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := fs.Open(dir + "/" + name)
		if err != nil { // a directory
			sum += used(t, fs, dir+"/"+name)
			continue
		}
		n, err := f.Size()
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// try appends a message of n bytes; the error is the store's.
func (m *member) try(seq, n int) (persist.Pos, error) {
	s := m.serving()
	if s == nil {
		return 0, persist.ErrClosed
	}
	var u persist.Unit
	u.Enqueue(u.Message(nil, nil, bytes.Repeat([]byte{'x'}, n)), []persist.Target{{Queue: 1, Seq: persist.MakeSeq(4, uint64(seq))}}, 0, 0)
	_, end, err := s.Append(&u)
	return end, err
}

// sameLogs waits until all nodes have the same log, synced and applied.
func (c *cluster) sameLogs() {
	c.t.Helper()
	m := c.master()
	end := m.Store().Received()
	for _, x := range c.nodes {
		c.until("equal logs", func() bool { s := x.Store(); return s != nil && s.Committed() >= end && s.Synced() >= end })
		a, b := m.Store(), x.Store()
		for p := max(a.Start(), b.Start()); p < end; {
			i, errI := a.ReadBatches(p, 1<<20, nil)
			j, errJ := b.ReadBatches(p, 1<<20, nil)
			if start := max(a.Start(), b.Start()); start > p { // trimmed meanwhile
				p = start
				continue
			}
			if n := min(len(i), len(j)); errI != nil || errJ != nil || n == 0 || !bytes.Equal(i[:n], j[:n]) {
				c.t.Fatalf("the logs of nodes %d and %d differ at %d: %v %v", m.no, x.no, p, errI, errJ)
			}
			p += persist.Pos(min(len(i), len(j)))
		}
	}
}

// TestAReplicasDiskIsFull: the others go on, it says so, keeps its link, and catches up by itself once there is room.
func TestAReplicasDiskIsFull(t *testing.T) {
	c, disks := smallDisks(t)
	m := c.master()
	x := c.nodes[(m.no+1)%3]
	m.send(0, 100)
	disks[x].SetRoom(used(t, disks[x], x.dir))
	n := 100
	for began := time.Now(); x.Status().Role != ha.RoleError; n++ {
		if time.Since(began) > patience {
			t.Fatal("never full: " + x.describe())
		}
		if _, err := m.try(n+1, 10_000); err != nil {
			t.Fatal(err)
		}
	}
	m.send(n, n+100) // the others are a quorum
	if st := x.Status(); !st.Full || len(st.Warnings) == 0 || !st.Voter {
		t.Errorf("%+v", st)
	}
	c.until("the master to say so", func() bool { return m.Status().Peers[seatOf(m, x)].Full })
	if p := m.Status().Peers[seatOf(m, x)]; !p.Attached {
		t.Errorf("%+v", p)
	}
	disks[x].SetRoom(0)
	c.until("it to follow again", func() bool { return x.Status().Role == ha.RoleReplica && !x.Status().Full })
	c.sameLogs()
	if e := m.Status().Epoch; m != c.master() || len(m.epochs) != 1 {
		t.Errorf("epoch %d, and node %d served %v", e, m.no, m.epochs)
	}
}

func seatOf(m, x *member) int {
	for i, p := range m.Status().Peers {
		if p.Addr == x.addr {
			return i
		}
	}
	return -1
}

// TestBothReplicasDisksAreFull: nothing is confirmed, the master stays, and all goes on when there is room.
func TestBothReplicasDisksAreFull(t *testing.T) {
	c, disks := smallDisks(t)
	m := c.master()
	m.send(0, 100)
	for _, x := range c.nodes {
		if x != m {
			disks[x].SetRoom(used(t, disks[x], x.dir))
		}
	}
	full := func() bool {
		for _, x := range c.nodes {
			if x != m && x.Status().Role != ha.RoleError {
				return false
			}
		}
		return true
	}
	n, end := 100, persist.Pos(0)
	for began := time.Now(); !full(); n++ {
		if time.Since(began) > patience {
			t.Fatal("never full")
		}
		var err error
		if end, err = m.try(n+1, 10_000); err != nil {
			t.Fatal(err)
		}
	}
	acknowledged := persist.Pos(0)
	for _, x := range c.nodes {
		if x != m {
			acknowledged = max(acknowledged, x.Store().Synced())
		}
	}
	await(m.serving(), acknowledged)
	confirmed := m.Store().Confirmed()
	for range 30 { // longer than a quorum may be silent
		time.Sleep(100 * time.Millisecond)
		if m.serving() == nil {
			t.Fatal("the master went: " + m.describe())
		}
	}
	if now := m.Store().Confirmed(); now != confirmed || now >= end {
		t.Errorf("confirmed %d, then %d of %d", confirmed, now, end)
	}
	for _, fs := range disks {
		fs.SetRoom(0)
	}
	await(m.serving(), end)
	c.sameLogs()
	if len(m.epochs) != 1 {
		t.Errorf("it served %v", m.epochs)
	}
}

// TestAMastersDiskIsFull: it refuses messages, takes what consumers settle, and hands over to a replica that has room; all that
// was confirmed is there. The old one follows when there is room.
func TestAMastersDiskIsFull(t *testing.T) {
	c, disks := smallDisks(t)
	m := c.master()
	m.send(0, 100)
	disks[m].SetRoom(used(t, disks[m], m.dir))
	n := 100
	for began := time.Now(); ; n++ {
		end, err := m.try(n+1, 10_000)
		if errors.Is(err, persist.ErrFull) {
			break
		}
		if err != nil || time.Since(began) > patience {
			t.Fatal(n, err)
		}
		await(m.serving(), end)
	}
	for i := range 50 {
		var u persist.Unit
		u.Settle(1, []persist.Range{{First: persist.MakeSeq(4, uint64(i+1)), Last: persist.MakeSeq(4, uint64(i+1))}})
		_, end, err := m.serving().Append(&u)
		if err != nil {
			t.Fatalf("settling on a full disk: %v", err)
		}
		await(m.serving(), end)
	}
	c.until("it to say so", func() bool { st := m.Status(); return st.Full && len(st.Warnings) == 1 })
	c.until("another master", func() bool { x := c.master(); return x != m })
	next := c.master()
	c.holds(next.serving(), n-50)
	end, err := next.try(n+1, 100)
	if err != nil {
		t.Fatal(err)
	}
	await(next.serving(), end)
	disks[m].SetRoom(0)
	c.until("the old one to follow", func() bool { return m.Status().Role == ha.RoleReplica && !m.Status().Full })
	c.sameLogs()
}

// TestAFullMasterWithoutAnHeir goes on, and takes messages again once there is room. What it had taken and could not write when it
// was told to go was confirmed to nobody, and does not keep it from going.
func TestAFullMasterWithoutAnHeir(t *testing.T) {
	c, disks := smallDisks(t)
	m := c.master()
	m.send(0, 100)
	for _, fs := range disks {
		fs.SetRoom(1)
	}
	var err error
	for range 1000 { // more than the segment and the reserve take
		if _, err = m.try(1000, 10_000); err != nil {
			break
		}
	}
	if !errors.Is(err, persist.ErrFull) {
		t.Logf("taken all the same: %v", err) // they wait in memory
	}
	c.until("it to say so", func() bool { return m.Status().Full })
	m.Promote(persist.ID{})
	time.Sleep(100 * time.Millisecond)
	for _, fs := range disks {
		fs.SetRoom(0)
	}
	c.until("all to have room", func() bool {
		for _, x := range c.nodes {
			if x.Status().Full {
				return false
			}
		}
		return true
	})
	next := c.master()
	next.send(100, 110)
	c.sameLogs()
}

// TestStoppingWhileAnEpochWaitsForRoom: a node that has won and has no room to say so can be ended.
func TestStoppingWhileAnEpochWaitsForRoom(t *testing.T) {
	fs := persist.NewMemFS()
	n := begin(t, func(o *Options) { o.Store.FS = fs })
	fs.SetRoom(1)
	n.do(ha.Lead{Epoch: 1})
	n.mu.Lock()
	s := n.Store()
	n.mu.Unlock()
	for began := time.Now(); !s.NoRoom(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatal("it does not look for room")
		}
	}
	ended := make(chan struct{})
	go func() { n.end(Exit{Reason: "the test is over"}); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// TestNoRoomToBeginIncoming is no error of a replica either, nor is what its master has sent into it meanwhile.
func TestNoRoomToBeginIncoming(t *testing.T) {
	master := begin(t, nil)
	master.lead()
	header, err := master.Store().SegmentHeader(0)
	if err != nil {
		t.Fatal(err)
	}
	fs := persist.NewMemFS()
	n := begin(t, func(o *Options) { o.Store.FS = fs })
	fs.SetRoom(1)
	defer fs.SetRoom(0)
	n.do(ha.StartIncoming{Header: header}, ha.Write{Incoming: true, Batches: master.log()}, ha.Sync{Incoming: true})
	if e := want[ha.IncomingStarted](n); !e.Full {
		t.Fatalf("%#v", e)
	}
	if e := want[ha.Wrote](n); !e.Incoming || !e.Full {
		t.Fatalf("%#v", e)
	}
}

package rim

import (
	"os"
	"path/filepath"
	"testing"
)

// trimmed sends so much, and takes it off again, that the log's head goes.
func (c *cluster) trimmed(m *member) {
	c.t.Helper()
	for i := 0; m.Store().Start() == 0; i += 500 {
		m.send(i, i+500)
		m.purge()
		if err := m.Store().Keep(); err != nil {
			c.t.Log(err) // it passes
		}
		if i > 1_000_000 {
			c.t.Fatal("nothing was trimmed")
		}
	}
}

// TestAReplicaThatLacksTheLogsHead takes the whole log into incoming/, and then follows and votes.
func TestAReplicaThatLacksTheLogsHead(t *testing.T) {
	c := newCluster(t, 3)
	c.start()
	c.allVote()
	m := c.master()
	late := c.nodes[(m.no+1)%3]
	late.abandon()
	c.trimmed(m)
	m.send(0, 300)
	late.start()
	c.until("the late one to follow", func() bool { s := late.Status(); return s.Role == "replica" && s.Voter })
	c.same()
	if late.Store().Start() != m.Store().Start() {
		t.Errorf("its log begins at %d, the master's at %d", late.Store().Start(), m.Store().Start())
	}
	if left, err := filepath.Glob(filepath.Join(late.dir, "incoming", "*")); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
	c.nodes[(m.no+2)%3].abandon() // now it is the other half of the quorum
	m.send(300, 400)
	m.abandon()
	c.nodes[(m.no+2)%3].start()
	c.holds(c.master().serving(), 400)
}

// TestADamagedReplica has no vote until it has fetched the log anew, and then serves like any other.
func TestADamagedReplica(t *testing.T) {
	c := newCluster(t, 3)
	c.start()
	c.allVote()
	m := c.master()
	m.send(0, 5000)
	c.same()
	bad := c.nodes[(m.no+1)%3]
	bad.abandon()
	f, err := os.OpenFile(filepath.Join(bad.dir, "0000000000000000.log"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("rot"), 10_000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(bad.dir, "index")); err != nil { // so that the log is read
		t.Fatal(err)
	}
	bad.start()
	c.until("the damaged one to have a vote again", func() bool { s := bad.Status(); return s.Role == "replica" && s.Voter })
	c.same()
}

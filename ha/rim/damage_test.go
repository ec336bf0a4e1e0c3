package rim

import (
	"testing"

	"github.com/havenmq/havenmq/persist"
)

// TestAMasterWhoseLogIsDamaged hands over: it cannot send a blank replica the segment in which a bit turned over, and another node
// can. Until then the replica attaches to nobody.
func TestAMasterWhoseLogIsDamaged(t *testing.T) {
	c := newCluster(t, 3)
	disks := make([]*persist.MemFS, len(c.nodes))
	for i, m := range c.nodes {
		disks[i] = persist.NewMemFS()
		m.fs = disks[i]
	}
	c.nodes[0].start()
	c.nodes[1].start()
	m := c.master()
	for i := range 20 {
		m.send(i*1000, (i+1)*1000) // several segments
	}
	other := c.nodes[1-m.no]
	c.until("the other to follow", func() bool { return other.Store().Committed() >= m.Store().Received() })
	name, offset := persist.SegmentFile(m.Store().Start())
	if !disks[m.no].Flip(m.dir+"/"+name, offset+100, 3) {
		t.Fatal("there is no such segment")
	}
	c.nodes[2].start()
	c.until("the other to serve", func() bool { return other.serving() != nil })
	c.until("the third to vote", func() bool { return c.nodes[2].Status().Voter })
	c.holds(other.serving(), 20000)
}

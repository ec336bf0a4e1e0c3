package rim

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// producer sends messages one after the other to whichever node serves, and remembers which were confirmed.
type producer struct {
	c         *cluster
	stop      chan struct{}
	done      chan struct{}
	confirmed []int
}

func (c *cluster) produce() *producer {
	p := &producer{c: c, stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

func (p *producer) run() {
	defer close(p.done)
	var u persist.Unit
	for i := 0; ; i++ {
		select {
		case <-p.stop:
			return
		default:
		}
		s := p.store()
		if s == nil {
			time.Sleep(time.Millisecond)
			continue
		}
		u.Reset()
		u.Enqueue(u.Message(nil, nil, make([]byte, 100)), []persist.Target{{Queue: 1, Seq: persist.MakeSeq(4, uint64(i+1))}}, 0, 0)
		_, end, err := s.Append(&u)
		if err == nil && p.wait(s, end) {
			p.confirmed = append(p.confirmed, i)
		}
	}
}

func (p *producer) store() *persist.Store {
	for _, m := range p.c.nodes {
		if s := m.serving(); s != nil {
			return s
		}
	}
	return nil
}

// wait says whether a position was confirmed, before the store stopped serving.
func (p *producer) wait(s *persist.Store, end persist.Pos) bool {
	w := make(moved, 1)
	for s.Confirmed() < end {
		s.Await(end, w)
		select {
		case <-w:
		case <-time.After(20 * time.Millisecond):
			if p.store() != s {
				return s.Confirmed() >= end
			}
		}
	}
	return true
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestManyRoleChanges kills, restarts and promotes at random under load: what was confirmed is there in the end, once
// each, logs are the same, and neither goroutines nor descriptors are left over.
func TestManyRoleChanges(t *testing.T) {
	freeAddr(t) // the first socket opens descriptors of the runtime's own
	before := descriptors(t)
	changes := 0
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	c := newCluster(t, 3)
	c.start()
	c.allVote()
	p := c.produce()
	for range 70 {
		m := c.master()
		changes++
		switch other := c.nodes[rng.IntN(3)]; rng.IntN(4) {
		case 0:
			m.abandon()
			c.master()
			m.start()
		case 1:
			other.abandon()
			time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
			other.start()
		case 2:
			m.Promote(persist.ID{})
			time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
		case 3:
			other.e.Expire() // its session, and with it its rows
			other.e.Revive()
			time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
		}
		c.until("everybody to have a role", func() bool {
			followers, masters := 0, 0
			for _, x := range c.nodes {
				switch x.Status().Role {
				case ha.RoleMaster:
					masters++
				case ha.RoleReplica:
					followers++
				}
			}
			return masters == 1 && followers == 2
		})
	}
	close(p.stop)
	<-p.done
	c.same()
	s := c.master().serving()
	for _, i := range p.confirmed {
		if _, ok, err := s.Entry(1, persist.MakeSeq(4, uint64(i+1))); err != nil || !ok {
			t.Fatalf("message %d of %d was confirmed and is lost: %v", i, len(p.confirmed), err)
		}
	}
	for i, m := range c.nodes {
		if m.Rim == nil {
			continue
		}
		if err := stopNode(t, m.Rim, true); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("node %d: %v", i, err)
		}
		m.Rim = nil
	}
	t.Logf("%d changes, %d messages confirmed", changes, len(p.confirmed))
	c.until("as few descriptors as before", func() bool { return descriptors(t) <= before })
}

// TestHandingOverUnderLoad: what is on its way to the replicas when a master stops arrives, and nothing waits for a timeout.
func TestHandingOverUnderLoad(t *testing.T) {
	c := newCluster(t, 3)
	c.start()
	c.allVote()
	p := c.produce()
	for range 5 {
		m := c.master()
		c.until("two replicas", func() bool {
			n := 0
			for _, p := range m.Status().Peers {
				if p.Attached {
					n++
				}
			}
			return n == 2
		})
		start := time.Now()
		if err := stopGently(m.Rim); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
		m.Rim = nil
		m.start()
	}
	close(p.stop)
	<-p.done
	c.same()
}

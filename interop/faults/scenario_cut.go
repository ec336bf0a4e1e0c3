package main

import (
	"fmt"
	"slices"
	"time"
)

// cutZooKeeper is scenario 9.
func cutZooKeeper(s *stage) {
	l := s.load()
	limit := s.lasting(15*time.Second, 10*time.Minute+10*time.Second)
	s.fault()
	s.must(cut(s.master.host, s.ensemble.hosts...))
	s.serveOn(l, limit)
	s.saw("served on for %s", limit)
}

// serveOn holds that the master goes on serving for a time, and nobody is elected.
func (s *stage) serveOn(l *load, d time.Duration) {
	until := s.began.Add(d)
	for time.Now().Before(until) {
		s.service(l, startTimeout)
		if m := s.now(); m != s.master {
			s.must(fmt.Errorf("%s serves instead of %s", m.host.name, s.master.host.name))
		}
	}
	s.within("the longest stall", s.row.gap, lease)
	s.elections(0, 0)
}

// lasting is how long a fault lasts: in the shorter half, and in the whole.
func (s *stage) lasting(short, whole time.Duration) time.Duration {
	if s.short {
		return short
	}
	return whole
}

// stopEnsemble is scenario 10.
func stopEnsemble(s *stage) {
	l := s.load()
	before, _ := s.master.status()
	limit := s.lasting(20*time.Second, 5*time.Minute)
	s.fault()
	s.ensemble.kill()
	s.serveOn(l, limit)
	s.must(s.ensemble.start())
	s.must(until(startTimeout, "every node is connected and every row is back", func() bool {
		for _, n := range s.c.nodes {
			if st, ok := n.status(); !ok || !st.Cluster.Connected {
				return false
			}
		}
		st, _ := s.master.status()
		for _, p := range st.Cluster.Peers {
			if p.State == "" {
				return false
			}
		}
		return true
	}))
	if after, _ := s.master.status(); after.Epoch != before.Epoch {
		s.fail("epoch %d became %d", before.Epoch, after.Epoch)
	}
	s.saw("served on for %s, rows came back, epoch %d still", limit, before.Epoch)
}

// killWithoutZooKeeper is scenario 11.
func killWithoutZooKeeper(s *stage) {
	l := s.load()
	s.ensemble.kill()
	s.master.kill()
	s.nobody(electionWaits)
	s.must(s.ensemble.start())
	s.fault()
	gap := s.service(l, startTimeout)
	s.within("the new master, once ZooKeeper was back", gap, 2*time.Second)
	s.saw("nobody without ZooKeeper, %s served %s after it was back", s.now().host.name, ms(gap))
}

// rollZooKeeper is scenario 12.
func rollZooKeeper(s *stage) {
	l := s.load()
	s.fault()
	for _, p := range s.ensemble.servers {
		p.kill()
		s.must(s.ensemble.start())
	}
	leader := s.ensemble.leader()
	if leader < 0 {
		s.must(fmt.Errorf("ZooKeeper has no leader"))
	}
	s.ensemble.servers[leader].kill()
	s.must(until(startTimeout, "ZooKeeper has another leader", func() bool { return s.ensemble.leader() >= 0 }))
	s.serveOn(l, time.Since(s.began)+time.Second)
	s.saw("three restarts and a dead leader, no failover")
}

// failoverLimit is for a fault that only heartbeats tell.
const failoverLimit = 2500 * time.Millisecond

// cutReplicas is scenario 13.
func cutReplicas(s *stage) {
	l := s.load()
	s.fault()
	for _, n := range s.c.others(s.master) {
		s.must(cut(s.master.host, n.host))
	}
	s.replaced(l, failoverLimit)
	s.sawFailover()
}

// replaced holds that another node serves within a time and that the old master lets its clients go.
func (s *stage) replaced(l *load, limit time.Duration) {
	old := s.master
	gap := s.service(l, startTimeout)
	s.within("the new master", gap, limit)
	s.must(until(startTimeout, "the old master steps down", func() bool {
		st, ok := old.status()
		return ok && st.Role != "master"
	}))
	m := s.now()
	if m == old {
		s.fail("%s was elected again", old.host.name)
	}
	s.elections(1, 1)
	s.gaps = append(s.gaps, gap)
}

// sawFailover says who took over from whom.
func (s *stage) sawFailover() {
	s.saw("%s → %s in %s", s.master.host.name, s.now().host.name, ms(s.row.gap))
}

// cutMaster is scenario 14: once, or, in the whole run, as often as it takes to speak of a p99.
func cutMaster(s *stage) {
	l := s.load()
	rounds := 1
	if !s.short {
		rounds = 50
	}
	for i := range rounds {
		if i > 0 {
			s.must(s.mend())
			m, err := s.c.whole()
			s.must(err)
			s.master = m
			s.c.mark()
			s.service(l, startTimeout)
		}
		s.cutOff(l)
	}
	slices.Sort(s.gaps)
	s.saw("%d times: without service for p50 %s, p99 %s", rounds, ms(s.gaps[(rounds-1)/2]), ms(s.gaps[(rounds*99+99)/100-1]))
}

// cutOff cuts the master from everything, once.
func (s *stage) cutOff(l *load) {
	s.fault()
	for _, n := range s.c.others(s.master) {
		s.must(cut(s.master.host, n.host))
	}
	s.must(cut(s.master.host, s.ensemble.hosts...))
	s.must(cut(s.master.host, s.network.clients))
	done := time.Now()
	s.must(until(startTimeout, "the old master pauses", func() bool {
		st, ok := s.master.status()
		return ok && (st.Cluster.Paused || st.Role != "master")
	}))
	s.within("the pause", time.Since(done), lease+250*time.Millisecond)
	s.replaced(l, failoverLimit)
}

// cutOneReplica is scenario 15.
func cutOneReplica(s *stage) {
	l := s.load()
	replica := s.c.others(s.master)[0]
	s.fault()
	s.must(cut(s.master.host, replica.host))
	s.must(until(startTimeout, "the replica lets go", func() bool {
		st, ok := replica.status()
		return ok && !st.Ready
	}))
	s.serveOn(l, 5*time.Second)
	st, _ := replica.status()
	s.saw("no failover, the replica is %s", st.Cluster.State)
}

// deafMaster is scenario 16.
func deafMaster(s *stage) {
	l := s.load()
	s.fault()
	for _, n := range s.c.others(s.master) {
		s.must(s.master.deaf(n.addr))
	}
	s.replaced(l, failoverLimit)
	s.sawFailover()
}

// deafReplicas is scenario 17.
func deafReplicas(s *stage) {
	l := s.load()
	s.fault()
	for _, n := range s.c.others(s.master) {
		s.must(n.deaf(s.master.addr))
	}
	s.replaced(l, failoverLimit)
	s.sawFailover()
}

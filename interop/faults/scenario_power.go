package main

import (
	"math/rand"
	"time"

	"github.com/havenmq/havenmq/interop/faults/forgetful"
)

// powerAll is scenario 7: again and again, all machines lose their power at once. Half of the times a disk loses all that was
// not synced, else any part of it.
func powerAll(s *stage) {
	l := s.load()
	rng := rand.New(rand.NewSource(7))
	rounds := s.rounds(3, 20)
	var lost forgetful.Forgotten
	var longest time.Duration
	for i := range rounds {
		s.must(until(startTimeout, "messages are under way", func() bool {
			return l.confirmedBetween(s.began, time.Now()) > 100+rng.Intn(300)
		}))
		s.fault()
		for _, n := range s.c.nodes {
			n.freeze()
		}
		how := forgetful.Loss(i % 2)
		for _, n := range s.c.nodes {
			took, err := n.powerLoss(how, rng)
			s.must(err)
			lost.Pages, lost.Changes = lost.Pages+took.Pages, lost.Changes+took.Changes
		}
		for _, n := range s.c.nodes {
			s.must(n.boot())
		}
		longest = max(longest, s.service(l, startTimeout))
		s.fault()
	}
	s.saw("%d times, %d pages and %d changes of directories were forgotten; served again after %s at most", rounds, lost.Pages, lost.Changes, ms(longest))
}

// rounds is how often something is done: in the shorter half, and in the whole.
func (s *stage) rounds(short, whole int) int {
	if s.short {
		return short
	}
	return whole
}

// powerReplica is scenario 8, with a level that counts bytes before they are synced: what the replica had counted is gone.
// Two of three have votes, so that with the master dead nobody may serve.
func powerReplica(s *stage) {
	l := s.load()
	replicas := s.c.others(s.master)
	unclean := replicas[0]
	s.fault()
	lost, err := unclean.powerLoss(forgetful.All, nil)
	s.must(err)
	s.master.kill()
	s.c.mark()
	s.must(unclean.boot())
	s.nobody(wipedWait)
	s.mustSay(unclean, unclean.addr+":61619 may not vote, as what was confirmed may be missing there")
	if lost.Pages == 0 {
		s.fail("%s lost its power and forgot nothing", unclean.host.name)
	}
	began := time.Now()
	s.must(s.master.boot())
	gap := s.service(l, startTimeout)
	s.mended(unclean)
	s.saw("%s forgot %d pages and had no vote, nobody served in %s; %s after the master's start %s did, and %s votes again",
		unclean.host.name, lost.Pages, wipedWait, ms(time.Since(began)), s.now().host.name, unclean.host.name)
	s.row.gap = gap
}

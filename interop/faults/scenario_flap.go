package main

import (
	"fmt"
	"strings"
	"time"
)

// How long a bad link is down, and then up: too short to part anybody, and long enough.
const (
	flapShort = 500 * time.Millisecond
	flapLong  = 1500 * time.Millisecond
)

// flapSilence bounds how long nothing may be confirmed while links flap: the up time of a few flaps elects and serves.
const flapSilence = 15 * time.Second

// flapMaster is scenario 32: a machine's link fails and comes back, again and again: first that of one machine, as a bad cable
// does it, then that of whoever is master, as nobody deserves it; then the same so slowly that a master is lost each time.
func flapMaster(s *stage) {
	l := s.load()
	s.fault()
	each := s.lasting(10*time.Second, 100*time.Second)
	s.flap(l, each, flapShort, "one machine's link", func() *node { return s.master })
	leading := func() *node {
		if m := s.c.masters(); len(m) > 0 {
			return m[0]
		}
		return nil
	}
	s.flap(l, each, flapShort, "each master's", leading)
	s.flap(l, each, flapLong, "each master's", leading)
	s.must(s.mend())
	s.service(l, startTimeout)
}

// flap cuts a node from the others for half, and mends that for as long, until d is over. who is asked before each cut; nil:
// nobody is there to be cut. Messages must be confirmed all the while, and nobody is elected but after a quorum lost its master.
func (s *stage) flap(l *load, d, half time.Duration, whose string, who func() *node) {
	began := time.Now()
	lostBefore := s.losses()
	before, _ := s.c.elected()
	var silence time.Duration
	for time.Since(began) < d {
		if n := who(); n != nil {
			s.must(s.partition(n))
		}
		pause(s.ctx, half)
		s.must(s.healLinks())
		pause(s.ctx, half)
		silence = l.gap(began, time.Now())
		s.row.gap = max(s.row.gap, silence)
		if silence > flapSilence {
			s.must(fmt.Errorf("nothing was confirmed for %s: a livelock", ms(silence)))
		}
	}
	byEpoch, _ := s.c.elected()
	lost := s.losses()
	if len(byEpoch) > lost { // of the whole scenario: an election may come after its flapping's end
		s.fail("%d elections, and a quorum lost its master %d times", len(byEpoch), lost)
	}
	s.saw("%s, %s for %s: %d masters lost, %d elected, longest silence %s", whose, ms(half), d, lost-lostBefore, len(byEpoch)-len(before), ms(silence))
}

// partition cuts a node from the other nodes.
func (s *stage) partition(n *node) error {
	for _, o := range s.c.others(n) {
		if err := cut(n.host, o.host); err != nil {
			return err
		}
	}
	return nil
}

// healLinks ends the cuts between nodes and nothing else.
func (s *stage) healLinks() error {
	for _, n := range s.c.nodes {
		if err := n.mend(); err != nil {
			return err
		}
	}
	return nil
}

// losses is how often a quorum lost its master: two replicas have to, so half of the links that replicas lost.
func (s *stage) losses() int {
	lost := 0
	for _, n := range s.c.nodes {
		lost += strings.Count(s.c.since(n), "the link to the master is lost")
	}
	return lost / 2
}

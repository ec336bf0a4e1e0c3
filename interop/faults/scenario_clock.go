package main

import (
	"fmt"
	"time"
)

const (
	jitterMost = 100 * time.Millisecond
	// lossySilence bounds how long nothing may be confirmed: times within the protocol are for one site's network, so that a new
	// master now and then loses its office before it has begun, but not for ever.
	lossySilence = 30 * time.Second
	// lossyElectionTime is what an election takes at least there, with all its steps: no more may come than fit one behind the other.
	lossyElectionTime = 2 * time.Second
)

// stepClocks is scenario 31: wall clocks step, the master's and a replica's; then packets are lost and come late.
func stepClocks(s *stage) {
	l := s.load()
	s.fault()
	for _, n := range []*node{s.master, s.c.others(s.master)[0]} {
		s.stepClock(l, n)
	}
	s.elections(0, 0)
	s.saw("no failover by clocks, longest stall %s", ms(s.row.gap))
	s.row.gap = 0
	s.lossAndJitter(l)
}

// stepClock steps one node's wall clock by an hour ahead, then to an hour behind, and back.
func (s *stage) stepClock(l *load, n *node) {
	c, err := takeClock(n)
	s.must(err)
	defer func() { s.must(c.give()) }()
	s.fault() // the process stood still for a moment until here
	for _, offset := range []time.Duration{time.Hour, -time.Hour, 0} {
		s.must(c.set(offset))
		ahead, err := n.ahead()
		s.must(err)
		if ahead != offset {
			s.must(fmt.Errorf("the wall clock of %s is %s ahead, not %s: the step did not reach it", n.host.name, ahead, offset))
		}
		s.serveOn(l, time.Since(s.began)+s.lasting(2*time.Second, 10*time.Second))
	}
}

// lossAndJitter has every node lose 5% of what it gets, and what it sends come up to jitterMost later and out of order.
func (s *stage) lossAndJitter(l *load) {
	before, _ := s.c.elected()
	s.fault()
	for _, n := range s.c.nodes {
		var all []string
		for _, o := range s.c.nodes {
			all = append(all, o.addr)
		}
		s.must(n.lossy(all...))
		j, err := newJitter(n.host, jitterMost)
		s.must(err)
		defer func() { s.must(j.end()) }()
	}
	d := s.lasting(30*time.Second, 3*time.Minute)
	pause(s.ctx, d)
	s.row.gap = l.gap(s.began, time.Now())
	s.within("the longest silence under loss and jitter", s.row.gap, lossySilence)
	byEpoch, _ := s.c.elected()
	n := len(byEpoch) - len(before)
	if n > int(d/lossyElectionTime) {
		s.fail("%d elections in %s of loss and jitter", n, d)
	}
	s.saw("%s of 5%% loss and 0 to %s of delay between all nodes: %d confirmed, %d elections, longest silence %s", d, jitterMost,
		l.confirmedBetween(s.began, time.Now()), n, ms(s.row.gap))
}

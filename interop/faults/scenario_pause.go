package main

import (
	"fmt"
	"time"
)

// pauseMaster is scenario 18.
func pauseMaster(s *stage) {
	pauses := []time.Duration{500 * time.Millisecond, 5 * time.Second}
	if !s.short {
		pauses = append(pauses, time.Minute)
	}
	for _, p := range pauses {
		s.pauseFor(p)
	}
}

// pauseFor stops the master for a time. A short stop changes nothing; after a long one another serves, and what the old
// one wakes up to is over: it confirms nothing and lets its clients go.
func (s *stage) pauseFor(d time.Duration) {
	l := s.load()
	old := s.now()
	before, ok := old.status()
	if !ok {
		s.must(fmt.Errorf("%s does not answer", old.host.name))
	}
	s.fault()
	old.freeze()
	if d < lease {
		pause(s.ctx, d)
		old.thaw()
		s.service(l, startTimeout)
		if after, _ := s.now().status(); after.Epoch != before.Epoch {
			s.fail("a pause of %s cost the master its office", d)
		}
		s.saw("%s: no failover", d)
		return
	}
	gap := s.service(l, startTimeout)
	s.within(fmt.Sprintf("the new master, after a pause of %s", d), gap, failoverLimit)
	pause(s.ctx, time.Until(s.began.Add(d)))
	old.thaw()
	woke := time.Now()
	s.must(until(startTimeout, "the old master lets go", func() bool {
		st, ok := old.status()
		return ok && st.Role == "replica"
	}))
	if m := s.now(); m == old {
		s.fail("%s serves again", old.host.name)
	}
	s.saw("%s: another after %s, the old one let go in %s", d, ms(gap), ms(time.Since(woke)))
}

package main

import "time"

// killMaster is scenario 1.
func killMaster(s *stage) {
	l := s.load()
	old := s.master
	s.fault()
	old.kill()
	gap := s.service(l, 20*time.Second)
	s.within("the new master", gap, time.Second)
	m, err := s.c.serving(time.Second)
	s.must(err)
	s.elections(1, 1)
	s.saw("%s after %s in %s", m.host.name, old.host.name, ms(gap))
}

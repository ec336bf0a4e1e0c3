package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What waits when a member is replaced: its log takes some seconds to fetch.
const (
	replaceBody    = 50_000
	replaceBacklog = 6000
)

// replaceMember is scenario 35: a dead member's seat goes to a machine with an empty disk. While that fetches the log it is parted
// from the master, then it is killed, then the master is. At last the old one comes back.
func replaceMember(s *stage) {
	l := s.loadOf(replaceBody)
	l.consuming()
	l.consumers.Wait()
	s.must(until(3*startTimeout, "there is much to fetch", func() bool { n, _ := l.counts(); return n > replaceBacklog }))
	s.fault()
	replicas := s.c.others(s.master)
	seat, other := replicas[0], replicas[1]
	seat.kill()
	s.must(seat.setAside())
	s.must(until(startTimeout, "the dead one is away", func() bool {
		out, err := s.command("cluster", "replace", seat.addr+":61619", "--node", "http://"+s.master.addr+":8161")
		return err == nil && strings.Contains(out, seat.addr+":61619 is away")
	}))
	s.must(seat.boot())
	s.interruptFetch(seat)
	s.service(l, startTimeout)
	m, err := s.c.whole()
	s.must(err)
	s.fetched(seat, true)

	third := other
	if m == other {
		third = s.master
	}
	third.kill() // the new member is one of two
	s.fault()
	s.service(l, startTimeout)
	s.must(third.boot())
	_, err = s.c.whole()
	s.must(err)

	seat.kill()
	s.must(seat.swapAside())
	s.refused(seat, "this node has no seat in the cluster any more")
	s.must(seat.swapAside())
	s.must(seat.boot())
	_, err = s.c.whole()
	s.must(err)
	l.consume(s.ctx)
	s.saw("parted and killed, the new member went on; the master died while it fetched: nobody served without that; then the new one was one of two that served; the old one ended, and said why")
}

// interruptFetch does to a node that fetches the log whatever may befall it meanwhile. It has no vote until it has all.
func (s *stage) interruptFetch(n *node) {
	s.fetching(n)
	s.must(cut(n.host, s.master.host))
	pause(s.ctx, 2*time.Second)
	s.fetched(n, false)
	s.must(s.healLinks())
	s.fetching(n)
	n.kill()
	s.must(n.boot())
	s.fetching(n)
	s.master.kill()
	s.fetched(n, false)
	s.nobody(electionWaits / 2)
	s.must(s.master.boot())
}

// fetched holds that a node has, or has not, a vote.
func (s *stage) fetched(n *node, want bool) {
	if s.votes(n) != want {
		s.must(fmt.Errorf("%s has a vote: %t", n.host.name, !want))
	}
}

// aside is where a node's old data lies while another's stand in its place.
func (n *node) aside() string { return filepath.Join(n.dir, "aside") }

// setAside leaves an empty directory in the place of the data.
func (n *node) setAside() error {
	data := filepath.Join(n.dir, "data")
	return errors.Join(os.Rename(data, n.aside()), os.MkdirAll(data, 0o755))
}

// swapAside changes the data and those that were set aside.
func (n *node) swapAside() error {
	data, third := filepath.Join(n.dir, "data"), filepath.Join(n.dir, "third")
	return errors.Join(os.Rename(data, third), os.Rename(n.aside(), data), os.Rename(third, n.aside()))
}

// fetching waits until a node without a vote fetches the log.
func (s *stage) fetching(n *node) {
	s.must(until(startTimeout, n.host.name+" fetches the log", func() bool {
		st, ok := n.status()
		return ok && st.Cluster.State == "attaching" && st.Store.LogEnd > 0
	}))
}

// votes says whether a node has a vote.
func (s *stage) votes(n *node) bool {
	st, ok := n.status()
	if !ok {
		s.must(fmt.Errorf("%s does not answer", n.host.name))
	}
	return st.Cluster.Voter
}

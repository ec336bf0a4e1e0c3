package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// strangerTimeout is far above what a node needs to see that it may not take part.
const strangerTimeout = 20 * time.Second

// stranger makes a fourth node, on a machine of its own, which is not of the cluster. It does not start it.
func (s *stage) stranger(o nodeOptions) *node {
	if s.fourth == nil {
		h, err := s.network.add("n4", "10.77.0.4")
		s.must(err)
		s.fourth = h
	}
	n := &node{host: s.fourth, id: 4, dir: filepath.Join(s.dir, fmt.Sprintf("stranger%d", s.row.number)), binary: s.binary}
	s.must(os.MkdirAll(n.dir, 0o755))
	s.must(n.configure(o))
	return n
}

// refused holds that a node ends by itself, as failed, and says why.
func (s *stage) refused(n *node, why string) {
	from := n.logOffset()
	s.must(n.boot())
	if err := n.wait(strangerTimeout); err != nil {
		n.kill()
		s.must(fmt.Errorf("%w: it should have been refused: %s", err, why))
	}
	if code := n.cmd.ProcessState.ExitCode(); code != 1 {
		s.fail("%s ended with code %d, not 1", n.host.name, code)
	}
	if text := n.printed(from); !strings.Contains(text, why) {
		s.fail("%s did not log %q but %q", n.host.name, why, lastLine(text))
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// refuseStrangers is scenario 33.
func refuseStrangers(s *stage) {
	l := s.load()
	s.fault()
	fourth := s.stranger(s.c.settings())
	s.refused(fourth, "all 3 seats of the cluster are taken")

	other := s.c.settings()
	other.zkPath, other.replicas = s.c.zkPath+"-other", 1
	s.must(fourth.configure(other))
	s.must(fourth.boot())
	s.must(until(startTimeout, "a cluster of one serves", func() bool { st, ok := fourth.status(); return ok && st.Ready }))
	fourth.kill()
	s.must(fourth.configure(s.c.settings()))
	s.refused(fourth, "this directory belongs to cluster")
	s.must(os.RemoveAll(fourth.dir))
	s.serveOn(l, time.Since(s.began)+time.Second)
	s.wrongWord(l)
	s.saw("a fourth node and one of another cluster ended, and said why; one with another securityToken counted for nothing")
}

// wrongWord has a member come back with another securityToken: its votes are its own, but what it acknowledges counts for nothing.
func (s *stage) wrongWord(l *load) {
	replicas := s.c.others(s.master)
	odd, even := replicas[0], replicas[1]
	wrong := s.c.settings()
	wrong.token = "another word"
	odd.kill()
	s.must(odd.configure(wrong))
	defer func() { s.must(odd.configure(s.c.settings())) }()
	s.must(odd.boot())
	s.must(until(startTimeout, "the member with the wrong word says that it is not taken", func() bool { return s.c.logged(odd, "securityToken") }))
	s.serveOn(l, time.Since(s.began)+time.Second)
	st, _ := s.master.status()
	for _, p := range st.Cluster.Peers {
		if strings.HasPrefix(p.Addr, odd.addr+":") && p.Attached {
			s.fail("%s is attached, with another securityToken", odd.host.name)
		}
	}
	even.kill()
	dead := time.Now()
	pause(s.ctx, electionWaits)
	if n := l.confirmedBetween(dead.Add(lease), time.Now()); n > 0 {
		s.fail("%d messages were confirmed while only a member with another securityToken was there", n)
	}
	odd.kill()
	s.must(odd.configure(s.c.settings()))
	s.must(odd.boot())
	s.service(l, startTimeout)
}

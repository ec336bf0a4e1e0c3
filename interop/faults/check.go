package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	clients "github.com/havenmq/havenmq/interop/cluster"
)

// Bounds of the checks.
const (
	drainTimeout = 60 * time.Second
	// socketsMax is what a node holds without clients: three connectors, the admin's and the replicas' listener, ZooKeeper,
	// two links of replication each way, and the runtime's own.
	socketsMax = 14
	// problemsShown bounds what one check reports.
	problemsShown = 5
)

// settle mends everything and holds the cluster to what is true after every scenario: one node serves and the others lack
// nothing, every confirmed message came, in its producer's order, nothing settled came again, the logs are the same byte for
// byte, and no process holds what it has no use for.
func (s *stage) settle() {
	s.must(s.mend())
	master, err := s.c.whole()
	s.must(err)
	s.drainAll()
	s.must(s.sameLogs())
	for _, n := range s.c.nodes {
		s.check(until(5*time.Second, n.host.name+" holds no more descriptors than a node without clients", func() bool {
			sockets, deleted, err := n.descriptors()
			return err == nil && sockets <= socketsMax && len(deleted) == 0
		}), func() string {
			sockets, deleted, err := n.descriptors()
			return fmt.Sprintf("%d sockets, deleted files %v, %v", sockets, deleted, err)
		})
	}
	byEpoch, problems := s.c.elected()
	s.problems = append(s.problems, problems...)
	s.row.elections = len(byEpoch)
	for _, n := range s.c.nodes {
		if text := s.c.since(n); strings.Contains(text, "panic") || strings.Contains(text, "DATA RACE") {
			s.fail("%s panicked, see its log", n.host.name)
		}
	}
	if s.master = master; len(s.c.masters()) != 1 {
		s.fail("%d nodes serve", len(s.c.masters()))
	}
}

// drainAll ends the loads and adds up their ledgers.
func (s *stage) drainAll() {
	for _, l := range s.loads {
		s.check(l.drain(drainTimeout), nil)
		lost := l.lost()
		s.row.confirmed += len(l.confirmed)
		s.row.lost += len(lost)
		s.row.duplicated += l.duplicated()
		if len(lost) > 0 {
			s.fail("%d messages were confirmed and are lost: %v", len(lost), lost[:min(len(lost), problemsShown)])
		}
		slices.Sort(l.problems)
		for i, p := range l.problems {
			if i == problemsShown {
				s.fail("… and %d more like that", len(l.problems)-i)
				break
			}
			s.fail("%s", p)
		}
	}
	s.loads = nil
}

// sameLogs compares the logs of all nodes over what all of them must have.
func (s *stage) sameLogs() error {
	var err error
	for range 20 { // a trim meanwhile moves the start
		var from, to uint64
		var dirs []string
		for i, n := range s.c.nodes {
			st, ok := n.status()
			if !ok {
				return fmt.Errorf("%s does not answer", n.host.name)
			}
			dirs = append(dirs, n.store())
			from = max(from, st.Store.LogStart)
			if i == 0 || st.Store.Committed < to {
				to = st.Store.Committed
			}
		}
		if err = clients.CompareLogs(dirs, from, to); err == nil {
			s.row.compared = to - from
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

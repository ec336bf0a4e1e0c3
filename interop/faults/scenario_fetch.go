package main

import (
	"fmt"
	"path/filepath"
	"time"
)

// absentReplica is scenario 28.
func absentReplica(s *stage) {
	l := s.load()
	s.loadOf(bulkBytes)
	away := s.c.others(s.master)[0]
	end := s.end(away)
	total := uint64(s.rounds(128<<20, 1<<30))
	away.kill()
	from := time.Now()
	s.must(until(absentTimeout, fmt.Sprintf("%d bytes are written", total), func() bool { return s.end(s.master) > end+total }))
	wrote := time.Since(from)
	before := l.p99(from, time.Now())
	st, _ := s.master.status()
	kept := st.Store.LogEnd - st.Store.LogStart
	if st.Store.LogStart <= end || kept > total/2 {
		s.fail("the log holds [%d, %d): %s ends at %d", st.Store.LogStart, st.Store.LogEnd, away.host.name, end)
	}
	s.fault()
	s.must(away.boot())
	s.mended(away)
	s.attached(away)
	took := time.Since(s.began)
	during := l.p99(s.began, time.Now())
	if during > 2*before && during > lease {
		s.fail("p99 of a confirmation was %s, and %s while the replica fetched the log", ms(before), ms(during))
	}
	s.elections(0, 0)
	s.saw("%d MB in %s, of which the log kept %d MB; fetched in %s; p99 %s before, %s meanwhile", total>>20, wrote.Round(time.Second), kept>>20, ms(took), ms(before), ms(during))
}

// absentTimeout is far above what it takes to write what a scenario wants written.
const absentTimeout = 5 * time.Minute

// end is the end of a node's log.
func (s *stage) end(n *node) uint64 {
	st, ok := n.status()
	if !ok {
		return 0
	}
	return st.Store.LogEnd
}

// attached waits until the master counts a replica as one that lacks next to nothing.
func (s *stage) attached(n *node) {
	s.must(until(wholeTimeout, n.host.name+" is attached", func() bool {
		st, ok := s.now().status()
		for _, p := range st.Cluster.Peers {
			if p.Addr == n.addr+":61619" && p.Attached && p.Voter {
				return ok
			}
		}
		return false
	}))
}

// killFetching is scenario 29. The replica's old log is a vote, the master's death takes another, and two are enough.
func killFetching(s *stage) {
	l := s.loadOf(hugeBytes)
	replicas := s.c.others(s.master)
	fetching, other := replicas[0], replicas[1]
	end := s.end(fetching)
	fetching.kill()
	s.must(until(absentTimeout, "the log is trimmed beyond what the replica has", func() bool {
		st, ok := s.master.status()
		return ok && st.Store.LogStart > end
	}))
	l.stopConsuming()
	s.must(until(startTimeout, "there is a log that takes a while", func() bool {
		st, ok := s.master.status()
		return ok && st.Store.LogEnd-st.Store.LogStart > 32<<20
	}))
	s.must(fetching.host.slow())
	s.must(fetching.boot())
	incoming := filepath.Join(fetching.store(), "incoming")
	s.must(until(startTimeout, "a part of the log is fetched", func() bool {
		got, err := filepath.Glob(filepath.Join(incoming, "*.log"))
		return err == nil && len(got) > 2
	}))
	s.fault()
	fetching.kill()
	s.master.kill()
	s.must(fetching.host.fast())
	s.c.mark()
	s.must(fetching.boot())
	gap := s.service(l, startTimeout)
	if m := s.now(); m != other {
		s.fail("%s serves, and %s has the longer log", m.host.name, other.host.name)
	}
	s.elections(1, 1)
	s.mended(fetching)
	l.consume(s.ctx)
	s.row.gap = gap
	s.saw("%s, killed while it fetched, elected %s with its old log in %s", fetching.host.name, other.host.name, ms(gap))
}

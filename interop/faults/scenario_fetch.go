package main

import (
	"path/filepath"
	"time"
)

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

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	electionWait = time.Second // of the protocol: who is not the best leaves the best so long
	// electionTries bounds how often a moment of an election is aimed at: it lasts some milliseconds, and what stops a node
	// there sees it in ZooKeeper only.
	electionTries = 12
	// stopSettles is waited for after a node was stopped: what it had sent until then is done.
	stopSettles = 300 * time.Millisecond
)

// hits is how often a moment must have been hit.
func (s *stage) hits() int {
	if s.short {
		return 1
	}
	return 4
}

// stopWinner is scenario 19: the winner of an election is stopped when its epoch stands in ZooKeeper, and the beginning of that
// is on no other disk.
func stopWinner(s *stage) {
	l := s.load()
	r := s.openRows()
	defer r.close()
	hit, tries := 0, 0
	for hit < s.hits() {
		if tries++; tries > electionTries {
			s.must(fmt.Errorf("the moment was hit %d times in %d tries", hit, electionTries))
		}
		var err error
		s.master, err = s.c.whole()
		s.must(err)
		if s.stopWinnerOnce(l, r) {
			hit++
		}
	}
	s.saw("hit %d times in %d tries: another epoch was served after %s at most; the stopped one woke as a replica and never opened a port", hit, tries, ms(s.row.gap))
}

// stopWinnerOnce kills the master and stops the next one. It says whether that was in time.
func (s *stage) stopWinnerOnce(l *load, r *rows) bool {
	old := s.master
	before, next, err := s.epochRow(r)
	s.must(err)
	ends := map[*node]int64{}
	for _, n := range s.c.nodes {
		ends[n] = n.logOffset()
	}
	s.fault()
	old.kill()
	select {
	case <-next:
	case <-time.After(startTimeout):
		s.must(fmt.Errorf("nobody was elected within %s", startTimeout))
	}
	for _, n := range s.c.others(old) { // both, as to ask which it is takes too long
		n.freeze()
	}
	row, _, err := s.epochRow(r)
	s.must(err)
	winner := s.at(row.Addr)
	loser := s.c.others(old)[0]
	if loser == winner {
		loser = s.c.others(old)[1]
	}
	loser.thaw()
	pause(s.ctx, stopSettles)
	if strings.Contains(loser.printed(ends[loser]), `"Attached"`) {
		winner.thaw() // too late: the epoch's beginning may be on a quorum
		s.must(old.boot())
		return false
	}
	s.must(old.boot())
	s.service(l, startTimeout)
	now, _, err := s.epochRow(r)
	s.must(err)
	if now.Epoch <= row.Epoch || row.Epoch != before.Epoch+1 || now.Addr == row.Addr {
		s.fail("epoch %d was followed by %d, whose winner was stopped, and by %d of %s", before.Epoch, row.Epoch, now.Epoch, now.Addr)
	}
	winner.thaw()
	s.must(until(startTimeout, winner.host.name+" follows", func() bool { st, ok := winner.status(); return ok && st.Role == "replica" && st.Ready }))
	for _, line := range []string{"Master started", "Clients are served"} {
		if strings.Contains(winner.printed(ends[winner]), line) {
			s.fail("%s logged %q of an epoch that was over", winner.host.name, line)
		}
	}
	return true
}

// epochRow reads the newest epoch and watches it.
func (s *stage) epochRow(r *rows) (row epochRow, next <-chan zk.Event, err error) {
	text, next, err := r.changed("epoch")
	if err == nil {
		err = json.Unmarshal(text, &row)
	}
	return row, next, err
}

// at is the node of a replication address.
func (s *stage) at(addr string) *node {
	for _, n := range s.c.nodes {
		if n.addr+":61619" == addr {
			return n
		}
	}
	s.must(fmt.Errorf("no node is at %q", addr))
	return nil
}

// stopCandidate is scenario 20: who would win has shown its vote and is stopped, or killed, before it asks for the epoch.
func stopCandidate(s *stage) {
	r := s.openRows()
	defer r.close()
	hit, tries := 0, 0
	var waits []string
	for hit < s.hits() {
		if tries++; tries > electionTries {
			s.must(fmt.Errorf("the moment was hit %d times in %d tries", hit, electionTries))
		}
		if wait, ok := s.stopCandidateOnce(r, tries, hit%2 == 1); ok {
			hit++
			waits = append(waits, ms(wait))
		}
	}
	s.saw("hit %d times in %d tries: the other one was elected %s after", hit, tries, strings.Join(waits, ", "))
}

// stopCandidateOnce makes one replica the better one of two equal logs, kills the master, and stops that replica at its vote.
// wait is how long it took the other one to be elected.
func (s *stage) stopCandidateOnce(r *rows, try int, kill bool) (wait time.Duration, hit bool) {
	best, other := s.favour(try)
	s.drainAll()
	s.equalLogs()
	before, next, err := s.epochRow(r)
	s.must(err)
	name, err := r.member(best)
	s.must(err)
	_, moved, err := r.changed(name)
	s.must(err)
	s.master.kill()
	for frozen := false; !frozen; {
		select {
		case <-moved:
		case <-time.After(startTimeout):
			s.must(fmt.Errorf("%s does not vote", best.host.name))
		}
		best.freeze() // first, as to ask what it says takes too long
		var row memberRow
		var text []byte
		text, moved, err = r.changed(name)
		s.must(err)
		s.must(json.Unmarshal(text, &row))
		if frozen = row.State == "FROZEN"; !frozen {
			best.thaw()
		}
	}
	began := time.Now()
	pause(s.ctx, stopSettles)
	if now, _, err := s.epochRow(r); err != nil || now.Epoch != before.Epoch {
		s.must(err)
		best.thaw() // too late
		s.must(s.master.boot())
		return 0, false
	}
	if kill {
		best.kill()
	}
	select {
	case <-next:
	case <-time.After(startTimeout):
		s.must(fmt.Errorf("%s was not elected in place of %s", other.host.name, best.host.name))
	}
	wait = time.Since(began)
	s.within("the other one's election", wait, 2*electionWait+stopSettles)
	s.must(s.master.boot())
	s.load()
	if m := s.now(); m != other {
		s.fail("%s serves, not %s", m.host.name, other.host.name)
	}
	s.must(s.mend())
	return wait, true
}

// favour waits for a whole cluster, and has one of its replicas be the better one of equal logs.
func (s *stage) favour(try int) (best, other *node) {
	var err error
	s.master, err = s.c.whole()
	s.must(err)
	replicas := s.c.others(s.master)
	o := s.c.settings()
	o.weight = 100 + try
	replicas[0].kill()
	s.must(replicas[0].configure(o))
	s.must(replicas[0].boot())
	s.load()
	s.master, err = s.c.whole()
	s.must(err)
	if s.master == replicas[0] {
		s.must(fmt.Errorf("%s became the master meanwhile", s.master.host.name))
	}
	return replicas[0], replicas[1]
}

// equalLogs waits until all logs end at the same place.
func (s *stage) equalLogs() {
	s.must(until(startTimeout, "all logs end at the same position", func() bool {
		ends := map[uint64]bool{}
		for _, n := range s.c.nodes {
			st, ok := n.status()
			if !ok || st.Store.LogEnd != st.Store.Committed {
				return false
			}
			ends[st.Store.LogEnd] = true
		}
		return len(ends) == 1
	}))
}

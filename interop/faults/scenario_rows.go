package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// loseRows is scenario 34: ZooKeeper's data about the cluster is deleted, and then, whole again, set back to an older state.
func loseRows(s *stage) {
	l := s.load()
	s.fault()
	before := s.epochNow()
	told := s.alarms()
	rows := s.openRows()
	err := rows.deleteAll()
	rows.close()
	s.must(err)
	first := s.withoutRows(l, before, told)

	s.ensemble.kill()
	s.must(s.ensemble.save())
	s.must(s.ensemble.start())
	s.connected()
	old := s.now()
	old.kill() // an epoch that the saved state does not know
	s.service(l, startTimeout)
	s.must(old.boot())
	s.master, err = s.c.whole()
	s.must(err)
	before = s.epochNow()
	if before != first+1 {
		s.fail("epoch %d was followed by %d", first, before)
	}
	s.ensemble.kill()
	told = s.alarms()
	s.must(s.ensemble.restore())
	s.must(s.ensemble.start())
	second := s.withoutRows(l, before, told)
	s.saw("deleted: served on, alarm, nobody elected, adopted in epoch %d; set back from epoch %d to %d: the same, adopted in epoch %d", first, before, first, second)
}

// epochNow is the epoch of the node that serves.
func (s *stage) epochNow() uint64 {
	st, ok := s.now().status()
	if !ok {
		s.must(fmt.Errorf("the master does not answer"))
	}
	return st.Epoch
}

// connected waits until every node has a session.
func (s *stage) connected() {
	s.must(until(startTimeout, "every node is connected to ZooKeeper", func() bool {
		for _, n := range s.c.nodes {
			if st, ok := n.status(); !ok || !st.Cluster.Connected {
				return false
			}
		}
		return true
	}))
}

// alarm is what a node logs when ZooKeeper knows less than itself.
const alarm = "deleted or set back"

// alarms is how often each node has said so.
func (s *stage) alarms() map[*node]int {
	told := map[*node]int{}
	for _, n := range s.c.nodes {
		told[n] = strings.Count(s.c.since(n), alarm)
	}
	return told
}

// withoutRows holds that a cluster whose rows are gone, or older than they were, goes on, says so, and elects nobody until an
// operator has looked; and that no epoch is given out again. told are the alarms before. It returns the epoch that it was adopted in.
func (s *stage) withoutRows(l *load, before uint64, told map[*node]int) uint64 {
	s.master = s.now()
	s.connected()
	s.must(until(startTimeout, "every node sees what is missing", func() bool {
		for _, n := range s.c.nodes {
			if strings.Count(s.c.since(n), alarm) == told[n] {
				return false
			}
		}
		return true
	}))
	from := time.Now()
	for time.Since(from) < 2*time.Second {
		s.service(l, startTimeout)
	}
	if m := s.now(); m != s.master {
		s.fail("%s serves instead of %s", m.host.name, s.master.host.name)
	}
	s.master.kill()
	s.nobody(electionWaits)
	s.must(s.master.boot())
	s.nobody(electionWaits / 2)
	asked := s.c.others(s.master)[0]
	out, err := s.command("cluster", "adopt", "--yes", "--node", "http://"+asked.addr+":8161")
	if err != nil {
		s.must(fmt.Errorf("%w: %s", err, out))
	}
	s.service(l, startTimeout)
	s.master, err = s.c.whole()
	s.must(err)
	epoch := s.epochNow()
	if epoch <= before || epoch%1_000_000 != 1 {
		s.fail("epoch %d was adopted in %d, which is not the first of a new million", before, epoch)
	}
	return epoch
}

// command runs a command of havenmq's on the clients' machine and returns what it printed.
func (s *stage) command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, 2*startTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.binary, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// save copies what the servers have on disk; they do not run.
func (e *ensemble) save() error {
	for _, d := range e.dirs {
		if err := os.CopyFS(filepath.Join(d, "saved"), os.DirFS(filepath.Join(d, "data"))); err != nil {
			return err
		}
	}
	return nil
}

// restore sets the servers back to what save has copied; they do not run.
func (e *ensemble) restore() error {
	for _, d := range e.dirs {
		if err := os.RemoveAll(filepath.Join(d, "data")); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(d, "saved"), filepath.Join(d, "data")); err != nil {
			return err
		}
	}
	return nil
}

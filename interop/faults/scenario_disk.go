package main

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// fullReplica is scenario 21. Nothing is consumed meanwhile, as the log would trim itself and fit.
func fullReplica(s *stage) {
	l := s.loadOf(hugeBytes)
	l.stopConsuming()
	full := s.c.others(s.master)[0]
	s.must(until(startTimeout, full.host.name+" says that its disk is full", func() bool {
		s.fill(full)
		st, ok := full.status()
		return ok && st.Cluster.DiskFull && st.Cluster.State == "error"
	}))
	s.fault()
	s.serveOn(l, 3*time.Second)
	s.mustSay(full, "the disk is full")
	s.must(full.volume.free())
	freed := time.Now()
	_, err := s.c.whole()
	s.must(err)
	if !full.running() {
		s.fail("%s ended: %v", full.host.name, full.err)
	}
	s.elections(0, 0)
	s.saw("the others served on; %s caught up %s after there was room", full.host.name, ms(time.Since(freed)))
	l.consume(s.ctx)
}

// fill takes what room there is, again when a trim has given some back. Once the node knows, what it does with its reserve is left alone.
func (s *stage) fill(n *node) {
	if st, ok := n.status(); ok && !st.Cluster.DiskFull {
		s.must(n.volume.fill())
	}
}

// fullMaster is scenario 22: first one machine's disk is full, then all are.
func fullMaster(s *stage) {
	l := s.loadOf(hugeBytes)
	l.stopConsuming()
	old := s.master
	s.fault()
	s.must(until(startTimeout, "another serves", func() bool {
		s.fill(old)
		m := s.c.masters()
		return len(m) == 1 && m[0] != old
	}))
	s.service(l, startTimeout)
	took := s.row.gap
	s.within("the handover", took, handoverFull)
	s.fault()
	s.must(until(drainTimeout, "nobody confirms anything", func() bool {
		for _, n := range s.c.nodes {
			s.fill(n)
		}
		now := time.Now()
		return now.Sub(s.began) > handoverFull && l.confirmedBetween(now.Add(-handoverFull), now) == 0
	}))
	if m := s.c.masters(); len(m) != 1 {
		s.fail("%d nodes serve with their disks full", len(m))
	}
	owed := l.lost() // what is consumed makes room, and producers go on
	l.consume(s.ctx)
	s.must(until(drainTimeout, "consumers receive all that was confirmed", func() bool { return l.came(owed) }))
	for _, n := range s.c.nodes {
		s.must(n.volume.free())
	}
	freed := time.Now()
	s.service(l, startTimeout)
	s.row.gap = took
	s.saw("%s took over after %s; with all disks full producers were refused, consumers drained; confirmed again %s after there was room",
		s.now().host.name, ms(took), ms(time.Since(freed)))
}

// handoverFull is what a master waits for room, and a handover.
const handoverFull = 4 * time.Second

// brokenSync is scenario 23: a sync fails once, of the master and then of a replica.
func brokenSync(s *stage) {
	l := s.load()
	old := s.master
	s.fault()
	s.failSync(old)
	gap := s.service(l, startTimeout)
	s.within("the new master", gap, time.Second)
	s.elections(1, 1)
	s.must(old.boot())
	m, err := s.c.whole()
	s.must(err)
	replica := s.c.others(m)[0]
	s.fault()
	s.failSync(replica)
	s.service(l, startTimeout)
	s.elections(1, 1)
	s.saw("%s ended, %s served after %s; %s ended, %s served on", old.host.name, m.host.name, ms(gap), replica.host.name, s.now().host.name)
}

// failSync has the next sync of a running node fail, as a disk would that cannot write, and waits until the node has ended.
func (s *stage) failSync(n *node) {
	pid := n.realPID()
	trace := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-p", fmt.Sprint(pid), "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=1")
	s.must(trace.Start())
	err := n.wait(startTimeout)
	_ = trace.Process.Signal(syscall.SIGTERM) // it ends with what it traced
	_ = trace.Wait()                          // and says so
	s.must(err)
	if text := s.c.since(n); !strings.Contains(text, "input/output error") {
		s.fail("%s did not say why it ended", n.host.name)
	}
	if code := n.cmd.ProcessState.ExitCode(); code <= 0 {
		s.fail("%s ended with code %d", n.host.name, code)
	}
}

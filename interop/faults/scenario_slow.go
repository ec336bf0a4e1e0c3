package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	slowBody = 20_000 // bytes of a message: a replica that falls behind does so by much
	// slowGrowthMax is how much a process's memory may grow between the first and the second half of a slow disk's time: the
	// window is full long before, and what is behind it is read from the log when its turn comes.
	slowGrowthMax = 64 << 20
	// slowMemoryMax bounds it altogether: what it holds anyway, a window of 64 MiB, twice that on the replica's side, and as
	// much again that the collector has not returned.
	slowMemoryMax = 512 << 20
)

// slowReplica is scenario 36: the syncs of one replica take 10 ms, then 2 s, then longer than a silent one is waited for.
func slowReplica(s *stage) {
	l := s.loadOf(slowBody)
	replica := s.c.others(s.master)[0]
	disk := replica.volume.forgets
	base := s.rate(l, 3*time.Second)

	disk.Slow(10 * time.Millisecond)
	s.fault()
	ten := s.rate(l, 5*time.Second)
	s.serveOn(l, time.Since(s.began))

	disk.Slow(2 * time.Second)
	s.fault()
	half := s.lasting(10*time.Second, time.Minute)
	first := s.heaviest(half, s.master, replica)
	second := s.heaviest(half, s.master, replica)
	s.serveOn(l, time.Since(s.began))
	lag, attached := s.lag(replica)
	for i, n := range []*node{s.master, replica} {
		if second[i] > first[i]+slowGrowthMax || second[i] > slowMemoryMax {
			s.fail("%s grew from %d to %d MiB", n.host.name, first[i]>>20, second[i]>>20)
		}
	}
	if !attached {
		s.fail("%s was dropped, though it goes on", replica.host.name)
	}

	disk.Slow(25 * time.Second)
	s.fault()
	from := s.master.logOffset()
	s.must(until(20*time.Second, "the master drops a replica that acknowledges nothing for 10 s", func() bool {
		return strings.Contains(s.master.printed(from), "it has acknowledged nothing for a while")
	}))
	dropped := time.Since(s.began)
	s.serveOn(l, time.Since(s.began))
	disk.Slow(0)
	_, err := s.c.whole()
	s.must(err)
	s.saw("messages/s: %.0f before, %.0f at 10 ms, %.0f at 2 s; at 2 s %d MiB behind, memory of master and replica %d and %d MiB, then %d and %d; dropped %s after its syncs stood still, and resumed",
		base, ten, float64(l.confirmedBetween(s.began.Add(-2*half), s.began))/(2*half).Seconds(), lag>>20, first[0]>>20, first[1]>>20, second[0]>>20, second[1]>>20, dropped.Round(time.Second))
}

// rate is how many messages a second are confirmed.
func (s *stage) rate(l *load, d time.Duration) float64 {
	from := time.Now()
	pause(s.ctx, d)
	return float64(l.confirmedBetween(from, time.Now())) / time.Since(from).Seconds()
}

// memory is how many bytes a process has in memory.
func memory(pid int) int64 { return procStatus(pid, "VmRSS:") << 10 }

// procStatus is a number of /proc/pid/status; 0 if there is none.
func procStatus(pid int, field string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "\n"+field)
	words := strings.Fields(after)
	if len(words) == 0 {
		return 0
	}
	v, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// heaviest is the most memory that each of some nodes has during a time.
func (s *stage) heaviest(d time.Duration, nodes ...*node) []int64 {
	most := make([]int64, len(nodes))
	for end := time.Now().Add(d); time.Now().Before(end); pause(s.ctx, 200*time.Millisecond) {
		for i, n := range nodes {
			most[i] = max(most[i], memory(n.realPID()))
		}
	}
	return most
}

// lag is how many bytes a replica is behind, and whether it is attached, as the master says.
func (s *stage) lag(n *node) (bytes uint64, attached bool) {
	st, _ := s.master.status()
	for _, p := range st.Cluster.Peers {
		if p.Addr == n.addr+":61619" {
			return p.LagBytes, p.Attached
		}
	}
	return 0, false
}

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/havenmq/havenmq/interop/cluster"
	"github.com/havenmq/havenmq/interop/wire"
)

// The load while a replica catches up, and the targets.
const (
	probes          = 8
	probeRate       = 1000
	fillBodyBytes   = 1024
	targetAttach    = 60 * time.Second
	targetSlowdown  = 2 // of the producers' p99
	attachTimeout   = 10 * time.Minute
	attachedLagSize = 1 << 20 // bytes that a follower of a busy master may lack
)

// absence is one replica's time away.
type absence struct {
	name                 string
	missedBytes          uint64
	attached             time.Duration // from its start until it votes and lacks nothing
	before, away, during *result
}

func (a *absence) slowdown() float64 {
	return float64(a.during.percentile(99)) / float64(a.before.percentile(99))
}

// catchUp has replicas miss much of the log and come back, and writes what that costs into a document; "" none.
func catchUp(s *settings, document string) (err error) {
	dir, err := os.MkdirTemp("", "havenmq-catchup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := cluster.New(cluster.Options{Dir: dir, Binary: s.binary})
	if err != nil {
		return err
	}
	defer c.End()
	master, err := c.Start()
	if err != nil {
		return err
	}
	disk, err := diskTimes(dir)
	if err != nil {
		return err
	}
	on := trio{c, master}
	p, err := startProbe(on, probes, probeRate)
	if err != nil {
		return err
	}
	defer p.close()
	usual, err := p.during(s.usual) // before anything has happened: whatever one absence leaves behind is no excuse for the next
	if err != nil {
		return err
	}
	var all []*absence
	for i, name := range []string{"back after a while", "blank: its directory is new"} {
		a, err := on.leave(s, p, &absence{name: name, before: usual}, i == 1)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, a)
	}
	text := absences(s, all) + diskNote("before the load", []*result{disk})
	fmt.Print(text)
	if document != "" {
		if err := putSection(document, "catch-up", text); err != nil {
			return err
		}
	}
	return errors.Join(tooSlow(all)...)
}

// leave kills a replica, has the others take the load's bytes if it is to come back with its log, and starts it again.
func (t trio) leave(s *settings, p *probe, a *absence, blank bool) (_ *absence, err error) {
	replica := t.c.Others(t.master)[0]
	was, _ := replica.Status()
	replica.Kill()
	if blank {
		if err := os.RemoveAll(replica.Store()); err != nil {
			return nil, err
		}
	} else if err := t.fill(s); err != nil {
		return nil, err
	}
	if a.away, err = p.during(s.usual); err != nil {
		return nil, err
	}
	now, ok := t.master.Status()
	if !ok {
		return nil, errors.New("the master does not answer")
	}
	a.missedBytes = now.Store.LogEnd - max(was.Store.LogEnd, now.Store.LogStart)
	if blank {
		a.missedBytes = now.Store.LogEnd - now.Store.LogStart
	}
	began := time.Now()
	if err := replica.Start(); err != nil {
		return nil, err
	}
	if err := cluster.Until(attachTimeout, "the replica votes and lacks nothing", func() bool { return t.follows(replica) }); err != nil {
		return nil, err
	}
	a.attached = time.Since(began)
	a.during, err = p.between(began, began.Add(a.attached))
	return a, err
}

// follows says whether the master counts a replica, which holds all but what is under way.
func (t trio) follows(replica *cluster.Node) bool {
	s, ok := t.master.Status()
	if !ok {
		return false
	}
	for _, p := range s.Cluster.Peers {
		if strings.HasPrefix(p.Addr, replica.Host+":") {
			return p.Attached && p.Voter && p.LagBytes < attachedLagSize
		}
	}
	return false
}

// fill sends messages that nobody takes.
func (t trio) fill(s *settings) error {
	sender, err := wire.SendAMQP(wire.Options{Addr: t.Addr("amqp"), ID: "fill", Destination: "queue://fill", Window: s.window, Persistent: true})
	if err != nil {
		return err
	}
	defer func() { _ = sender.Close() }() // everything is confirmed
	body := make([]byte, fillBodyBytes)
	for range s.missed / fillBodyBytes {
		if err := sender.Send(body); err != nil {
			return err
		}
	}
	return sender.Wait()
}

// during measures from now on.
func (p *probe) during(d time.Duration) (*result, error) {
	began := time.Now()
	time.Sleep(d) // the load goes on
	return p.between(began, began.Add(d))
}

// tooSlow names the targets that are missed.
func tooSlow(all []*absence) (missed []error) {
	for _, a := range all {
		if a.attached > targetAttach {
			missed = append(missed, fmt.Errorf("%s: attached after %.1f s, at most %.0f s", a.name, a.attached.Seconds(), targetAttach.Seconds()))
		}
		if a.slowdown() >= targetSlowdown {
			missed = append(missed, fmt.Errorf("%s: p99 of confirmations is %.2f ms, under %d times the usual %.2f ms", a.name,
				ms(a.during.percentile(99)), targetSlowdown, ms(a.before.percentile(99))))
		}
	}
	return missed
}

const absencesHead = `## How a replica catches up

Three nodes on one machine (%d CPUs, %s), their logs on its one disk, ` + "`quorum_disk`" + `. %d AMQP producers send %d messages of 100 bytes a second in all,
each waits for its confirmation before the next; a consumer takes them. Meanwhile a replica is killed and misses %.1f GB in messages of %d bytes that
stay in a queue; then it is started again. In the second row its directory is emptied instead. The usual
is measured once, before the first absence. Attached means that it votes and lacks nothing, counted from its process's start.

| replica | missed MB | attached s | MB/s | usual p50 / p99 / p99.9 ms | without it p99 | while it catches up p50 / p99 / p99.9 ms | p99, times the usual |
|---|---|---|---|---|---|---|---|
`

// absences is the section of the document.
func absences(s *settings, all []*absence) string {
	var b strings.Builder
	fmt.Fprintf(&b, absencesHead, runtime.NumCPU(), kernel(), probes, probeRate, float64(s.missed)/1e9, fillBodyBytes)
	for _, a := range all {
		mb := float64(a.missedBytes) / 1e6
		fmt.Fprintf(&b, "| %s | %.0f | %.1f | %.0f | %s | %.2f | %s | %.2f |\n", a.name, mb, a.attached.Seconds(), mb/a.attached.Seconds(),
			percentiles(a.before), ms(a.away.percentile(99)), percentiles(a.during), a.slowdown())
	}
	fmt.Fprintf(&b, "\nTargets: attached within %.0f s; p99 under %d times the usual. `make catchup` measures this again and writes it here.\n", targetAttach.Seconds(), targetSlowdown)
	return b.String()
}

func percentiles(r *result) string {
	return fmt.Sprintf("%.2f / %.2f / %.2f", ms(r.percentile(50)), ms(r.percentile(99)), ms(r.percentile(99.9)))
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
	"github.com/havenmq/havenmq/interop/cluster"
)

// Targets of replication.
const (
	targetCPUPerMsgMic = 45                   // microseconds of all nodes, for a durable AMQP message as fast as they go
	targetP99          = 3 * time.Millisecond // at pacedRate
	pacedRate          = 5000
)

// lowRates are messages a second at which a message's price is that of wake-ups; 0 is a broker that nobody uses.
var lowRates = []float64{0, 100, 1000}

// contender is one set-up of the comparison.
type contender struct {
	name  string
	share float64 // of the rate of the first contender, at least; 0 no target
	held  bool    // to targetCPUPerMsgMic and targetP99

	subject
	pair        *pair
	full, paced []*result
	low         [][]*result // by lowRates, then by round
}

// compareReplication measures one node and clusters of three side by side, round by round, and writes what it finds into a document; "" none.
func compareReplication(s *settings, document string) (err error) {
	dir, err := os.MkdirTemp("", "havenmq-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	all, end, err := contenders(s, dir)
	defer end()
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.pair, err = connect(c, s, &jobs[0]); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		defer c.pair.close()
		if _, err := c.pair.run(s.warmUp, 0); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	var disk []*result
	for round := range s.rounds {
		d, err := diskTimes(dir)
		if err != nil {
			return fmt.Errorf("timing the disk, round %d: %w", round+1, err)
		}
		disk = append(disk, d)
		for _, c := range all {
			if err := c.measure(s); err != nil {
				return fmt.Errorf("%s, round %d: %w", c.name, round+1, err)
			}
		}
	}
	text := comparison(s, all) + diskNote("before each round", disk)
	fmt.Print(text)
	if document != "" {
		if err := putSection(document, "replication", text); err != nil {
			return err
		}
	}
	return errors.Join(misses(all)...)
}

// contenders starts what is compared. end stops it, after an error too.
func contenders(s *settings, dir string) (all []*contender, end func(), err error) {
	var ends []func()
	end = func() {
		for _, f := range ends {
			f()
		}
	}
	single := filepath.Join(dir, "single")
	if err := os.Mkdir(single, 0o755); err != nil {
		return nil, end, err
	}
	b, err := broker.New(broker.Options{Binary: s.binary, Dir: single})
	if err != nil {
		return nil, end, err
	}
	ends = append(ends, b.Kill)
	if err := b.Start(); err != nil {
		return nil, end, err
	}
	all = append(all, &contender{name: "one node, `disk`", subject: alone{b}})
	for _, level := range []struct {
		sync  string
		share float64
	}{{"quorum_disk", 0.4}, {"quorum_mem", 0.6}} {
		at := filepath.Join(dir, level.sync)
		if err := os.Mkdir(at, 0o755); err != nil {
			return nil, end, err
		}
		c, err := cluster.New(cluster.Options{Dir: at, Binary: s.binary, Sync: level.sync})
		if err != nil {
			return nil, end, err
		}
		ends = append(ends, c.End)
		master, err := c.Start()
		if err != nil {
			return nil, end, err
		}
		all = append(all, &contender{name: "three nodes, `" + level.sync + "`", share: level.share, held: level.sync == "quorum_disk", subject: trio{c, master}})
	}
	return all, end, nil
}

// measure runs one round on one contender.
func (c *contender) measure(s *settings) error {
	full, err := c.pair.run(s.count, 0)
	if err != nil {
		return err
	}
	paced, err := c.pair.run(int(pacedRate*s.paced.Seconds()), pacedRate)
	if err != nil {
		return err
	}
	c.full, c.paced = append(c.full, full), append(c.paced, paced)
	c.low = append(c.low, make([][]*result, len(lowRates)-len(c.low))...)
	for i, rate := range lowRates {
		r, err := c.slowly(rate, s.slow)
		if err != nil {
			return err
		}
		c.low[i] = append(c.low[i], r)
	}
	return nil
}

// slowly runs at a low rate for a time.
func (c *contender) slowly(rate float64, d time.Duration) (*result, error) {
	if rate > 0 {
		return c.pair.run(max(1, int(rate*d.Seconds())), rate)
	}
	before, err := c.costs()
	if err != nil {
		return nil, err
	}
	time.Sleep(d) // nothing happens: that is what is measured
	after, err := c.costs()
	return &result{took: d, costs: after.since(before)}, err
}

// median is that of a figure over rounds.
func median(rounds []*result, of func(*result) float64) float64 {
	all := make([]float64, len(rounds))
	for i, r := range rounds {
		all[i] = of(r)
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

func medianPercentile(rounds []*result, p float64) time.Duration {
	return time.Duration(median(rounds, func(r *result) float64 { return float64(r.percentile(p)) }))
}

func (c *contender) rate() float64 { return median(c.full, (*result).perSecond) }
func (c *contender) cpu() float64  { return median(c.full, (*result).cpuPerMessage) }

// misses names the targets that are missed.
func misses(all []*contender) (missed []error) {
	for _, c := range all {
		if share := c.rate() / all[0].rate(); share < c.share {
			missed = append(missed, fmt.Errorf("%s: %.0f%% of the rate of one node, at least %.0f%%", c.name, 100*share, 100*c.share))
		}
		if !c.held {
			continue
		}
		if cpu := c.cpu(); cpu > targetCPUPerMsgMic {
			missed = append(missed, fmt.Errorf("%s: %.1f µs of CPU a message, at most %d", c.name, cpu, targetCPUPerMsgMic))
		}
		if p99 := medianPercentile(c.paced, 99); p99 >= targetP99 {
			missed = append(missed, fmt.Errorf("%s: p99 is %.2f ms at %d/s, under %.0f ms", c.name, ms(p99), pacedRate, ms(targetP99)))
		}
	}
	return missed
}

// nodes prints a figure by node, the master first.
func nodes(rounds []*result) string {
	var parts []string
	for i := range rounds[0].nodes {
		v := median(rounds, func(r *result) float64 { return float64(r.nodes[i].Microseconds()) / float64(r.n) })
		parts = append(parts, fmt.Sprintf("%.1f", v))
	}
	return strings.Join(parts, " + ")
}

const comparisonHead = `## What replication costs

One node and two clusters of three on one machine (%d CPUs, %s), all their logs on its one disk, measured in turn:
medians of %d rounds. Durable AMQP messages of %d bytes, one producer and one consumer, window %d, credit %d. CPU is the brokers' user and system
time, of all nodes; by node, the master is first. Time is from the moment a message was due to its receipt.

As fast as they go:

| set-up | msg/s | of one node | at least | CPU µs/msg | by node | syncs/msg | bytes of log/msg and node | allocations/msg |
|---|---|---|---|---|---|---|---|---|
`

// comparison is the section of the document.
func comparison(s *settings, all []*contender) string {
	var b strings.Builder
	fmt.Fprintf(&b, comparisonHead, runtime.NumCPU(), kernel(), s.rounds, s.size, s.window, s.credit)
	for _, c := range all {
		per := func(of func(*result) float64) float64 {
			return median(c.full, func(r *result) float64 { return of(r) / float64(r.n) })
		}
		least := "–"
		if c.share > 0 {
			least = fmt.Sprintf("%.0f%%", 100*c.share)
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.0f%% | %s | %.1f | %s | %.3f | %.0f | %.1f |\n", c.name, c.rate(), 100*c.rate()/all[0].rate(), least, c.cpu(), nodes(c.full),
			per(func(r *result) float64 { return r.syncs }), per(func(r *result) float64 { return r.logBytes / float64(len(r.nodes)) }),
			per(func(r *result) float64 { return r.allocs }))
	}
	fmt.Fprintf(&b, "\nAt %d messages a second:\n\n| set-up | p50 ms | p99 ms | p99.9 ms | CPU µs/msg | by node | syncs/msg |\n|---|---|---|---|---|---|---|\n", pacedRate)
	for _, c := range all {
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f | %.1f | %s | %.3f |\n", c.name, ms(medianPercentile(c.paced, 50)), ms(medianPercentile(c.paced, 99)),
			ms(medianPercentile(c.paced, 99.9)), median(c.paced, (*result).cpuPerMessage), nodes(c.paced),
			median(c.paced, func(r *result) float64 { return r.syncs / float64(r.n) }))
	}
	b.WriteString("\nAt low rates, in parts of one CPU and per message:\n\n| set-up | idle |")
	for _, rate := range lowRates[1:] {
		fmt.Fprintf(&b, " %.0f/s | µs/msg | p50 ms | p99 ms |", rate)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", 4*(len(lowRates)-1)) + "\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| %s |", c.name)
		for i, rate := range lowRates {
			fmt.Fprintf(&b, " %.2f%% |", median(c.low[i], func(r *result) float64 { return 100 * r.costs.cpu().Seconds() / r.took.Seconds() }))
			if rate > 0 {
				fmt.Fprintf(&b, " %.0f | %.2f | %.2f |", median(c.low[i], (*result).cpuPerMessage), ms(medianPercentile(c.low[i], 50)), ms(medianPercentile(c.low[i], 99)))
			}
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\nTargets: `quorum_disk` at least 40%% and `quorum_mem` at least 60%% of the rate of one node; `quorum_disk` at most %d µs a message and, at %d/s, p99 under %.0f ms.\n",
		targetCPUPerMsgMic, pacedRate, ms(targetP99))
	b.WriteString("`make bench-cluster` measures this again and writes it here.\n")
	return b.String()
}

// diskNote says how the disk was without load, so that a reader can tell the broker's share of a latency.
func diskNote(when string, disk []*result) string {
	return fmt.Sprintf("The same disk %s, with nothing measured: a sync of %d bytes takes %.2f ms at p50, %.2f at p99, %.2f at p99.9.\n",
		when, diskSyncBytes, ms(medianPercentile(disk, 50)), ms(medianPercentile(disk, 99)), ms(medianPercentile(disk, 99.9)))
}

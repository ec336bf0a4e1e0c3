package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// target is what a row is held to; a zero bound is none.
type target struct {
	p50, p99, max time.Duration
	cuts          bool // no connection may end
}

func (t target) times(n int) target {
	d := time.Duration(n)
	return target{t.p50 * d, t.p99 * d, t.max * d, t.cuts}
}

func (t target) String() string {
	var parts []string
	for _, b := range []struct {
		name  string
		limit time.Duration
	}{{"p50", t.p50}, {"p99", t.p99}, {"max", t.max}} {
		if b.limit > 0 {
			parts = append(parts, b.name+" < "+ms(b.limit))
		}
	}
	if t.cuts {
		parts = append(parts, "no connection ends")
	}
	return strings.Join(parts, ", ")
}

// row is what producers of one protocol saw of one fault.
type row struct {
	title, proto  string
	trials        int
	p50, p99, max time.Duration
	cuts          int
	target
}

func newRow(title, proto string, gaps []time.Duration, t target) row {
	slices.Sort(gaps)
	return row{title: title, proto: proto, trials: len(gaps), p50: gaps[rank(len(gaps), 50)], p99: gaps[rank(len(gaps), 99)], max: gaps[len(gaps)-1], target: t}
}

// rank is the place of a percentile among n sorted values: the smallest that this share of them does not exceed.
func rank(n, percent int) int { return max(0, (n*percent+99)/100-1) }

// misses says what the row misses.
func (r row) misses() error {
	for _, b := range []struct {
		name       string
		got, limit time.Duration
	}{{"p50", r.p50, r.target.p50}, {"p99", r.p99, r.target.p99}, {"max", r.max, r.target.max}} {
		if b.limit > 0 && b.got > b.limit {
			return fmt.Errorf("%s, %s: %s is %s, at most %s", r.title, r.proto, b.name, ms(b.got), ms(b.limit))
		}
	}
	if r.target.cuts && r.cuts > 0 {
		return fmt.Errorf("%s: %d connections ended", r.title, r.cuts)
	}
	return nil
}

func (r row) line() string {
	return fmt.Sprintf("%s, %s: %d trials, p50 %s, p99 %s, max %s (%s)", r.title, r.proto, r.trials, ms(r.p50), ms(r.p99), ms(r.max), r.target)
}

func (r *report) missed() (all []error) {
	for _, row := range r.rows {
		if err := row.misses(); err != nil {
			all = append(all, err)
		}
	}
	return all
}

const tableHead = `# How long a failover takes

Three nodes, their three logs and one ZooKeeper on one machine (%d CPUs), ` + "`sync=quorum_disk`" + `, ZooKeeper's tickTime %d. A producer and a consumer of each
protocol, with a list of the three hosts: a producer sends a message every %s and waits for its confirmation; when its connection ends it asks all
three hosts, again every %s. Without service is the time from the last confirmation before to the first after, as a producer sees it.

| what happens | producer | trials | p50 | p99 | longest | target |
|---|---|---|---|---|---|---|
`

// table is docs/failover.md.
func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, tableHead, runtime.NumCPU(), r.tick.Milliseconds(), pace, retry)
	for _, row := range r.rows {
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s |\n", row.title, strings.ToUpper(row.proto), row.trials, ms(row.p50), ms(row.p99), ms(row.max), row.target)
	}
	b.WriteString("\n")
	for _, n := range r.notes {
		b.WriteString("- " + n + "\n")
	}
	b.WriteString("\n`make trials` measures this again and writes this file.\n")
	return b.String()
}

func ms(d time.Duration) string { return d.Round(time.Millisecond).String() }

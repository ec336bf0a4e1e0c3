package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// line is what the run prints of a scenario.
func (r row) line() string {
	verdict := "ok  "
	if len(r.problems) > 0 {
		verdict = "FAIL"
	}
	text := fmt.Sprintf("%s %2d %-60s %7d confirmed %d lost %d twice, %s without service, %d elections, took %s: %s\n", verdict, r.number, r.title,
		r.confirmed, r.lost, r.duplicated, ms(r.gap), r.elections, r.took.Round(100*time.Millisecond), strings.Join(r.seen, "; "))
	for _, p := range r.problems {
		text += "        " + p + "\n"
	}
	return text
}

const tableHead = `# What faults do to a cluster

Three nodes and three ZooKeeper servers, each in its own network namespace of one machine; AMQP, MQTT and STOMP clients with failover lists,
one producer and one consumer each, a message every %s from each producer. ` + "`make faults`" + ` makes this table, and fails where a row's expectation does not hold.

After each row: faults mended, queues drained, every confirmed message received (lost: 0), first deliveries in their producer's order, nothing settled received again,
one node serving, no epoch with two masters, the three logs the same byte for byte from the highest log_start to the commit position, no process with
leaked descriptors. "Twice" counts deliveries of what a consumer had received and not yet settled, or what a producer sent again because it was not told. "Without service" is the
longest time without any confirmation; where a row is about something else it is a dash. A page is synced on the same disk every 20 ms: for as long as
that stood still meanwhile a bound is exceeded without a failure, and the row says so.

| # | fault | expected | seen | confirmed | lost | twice | without service |
|---|---|---|---|---|---|---|---|
`

// write writes the table.
func (r *runner) write() error {
	if r.out == "" {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, tableHead, pace)
	for _, row := range r.rows {
		gap := "–"
		if row.gap > 0 {
			gap = ms(row.gap)
		}
		seen := append(row.seen, row.problems...)
		if len(row.problems) > 0 {
			seen = append([]string{"**failed**"}, seen...)
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %d | %d | %d | %s |\n", row.number, row.title, row.expected, cell(strings.Join(seen, "; ")), row.confirmed, row.lost, row.duplicated, gap)
	}
	fmt.Fprintf(&b, "\n%d scenarios in %s.\n", len(r.rows), time.Since(r.began).Round(time.Second))
	return os.WriteFile(r.out, []byte(b.String()), 0o644)
}

// cell makes a text fit into a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(text)
}

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ledger is what the clients of one scenario know for sure. Its methods may be called by any goroutine.
//
// A message is "producer-number": each producer counts up, and sends a number until it is confirmed. Each attempt is a message
// of its own to the broker, "producer-number/attempt": the broker may have settled one when the producer, who was not told
// that it arrived, sends the next.
type ledger struct {
	mu        sync.Mutex
	confirmed map[string]time.Time
	times     []confirmation // in order
	received  map[string]int
	settled   map[string]bool // attempts
	problems  []string
	newest    map[string]int // by producer: the highest number received
}

// confirmation is that a message was confirmed: when, and how long after it was sent.
type confirmation struct {
	at   time.Time
	took time.Duration
}

func newLedger() *ledger {
	return &ledger{confirmed: map[string]time.Time{}, received: map[string]int{}, settled: map[string]bool{}, newest: map[string]int{}}
}

func (l *ledger) confirm(id string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.confirmed[id] = now
	l.times = append(l.times, confirmation{now, took})
}

// receive counts a delivery. The first delivery of each message keeps its producer's order.
func (l *ledger) receive(attempt string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, _, _ := strings.Cut(attempt, "/")
	l.received[id]++
	if l.settled[attempt] {
		l.problem("%s was settled and came again", attempt)
	}
	if l.received[id] > 1 {
		return
	}
	producer, number, err := split(id)
	if err != nil {
		l.problem("%q was never sent", id)
		return
	}
	if last, ok := l.newest[producer]; ok && number < last {
		l.problem("%s came after %s-%d", id, producer, last)
	}
	l.newest[producer] = number
}

func split(id string) (producer string, number int, err error) {
	producer, text, _ := strings.Cut(id, "-")
	number, err = strconv.Atoi(text)
	return producer, number, err
}

func (l *ledger) settle(attempt string) {
	l.mu.Lock()
	l.settled[attempt] = true
	l.mu.Unlock()
}

func (l *ledger) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// counts are how many messages were confirmed, and how many of those were received.
func (l *ledger) counts() (confirmed, received int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.confirmed {
		if l.received[id] > 0 {
			received++
		}
	}
	return len(l.confirmed), received
}

// lost are the messages that were confirmed and never came.
func (l *ledger) lost() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.confirmed {
		if l.received[id] == 0 {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

// came says whether all of those were received.
func (l *ledger) came(ids []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !slices.ContainsFunc(ids, func(id string) bool { return l.received[id] == 0 })
}

// duplicated is how many deliveries were not the first of their message.
func (l *ledger) duplicated() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, times := range l.received {
		n += times - 1
	}
	return n
}

// gap is the longest time from since to until in which nobody's message was confirmed.
func (l *ledger) gap(since, until time.Time) (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := since
	for _, c := range l.times {
		if c.at.Before(since) || c.at.After(until) {
			continue
		}
		longest = max(longest, c.at.Sub(last))
		last = c.at
	}
	return max(longest, until.Sub(last))
}

// confirmedBetween counts confirmations.
func (l *ledger) confirmedBetween(from, to time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.times {
		if c.at.After(from) && c.at.Before(to) {
			n++
		}
	}
	return n
}

// p99 is how long 99 % of the confirmations between two times took at most.
func (l *ledger) p99(from, to time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []time.Duration
	for _, c := range l.times {
		if c.at.After(from) && c.at.Before(to) {
			all = append(all, c.took)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

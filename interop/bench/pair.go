package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/havenmq/havenmq/interop/wire"
)

// pair is a producer and a consumer of one job.
type pair struct {
	on       subject
	s        *settings
	sender   wire.Sender
	receiver wire.Receiver
}

// runTimeout bounds one run.
const runTimeout = 5 * time.Minute

func connect(on subject, s *settings, j *job) (*pair, error) {
	o := wire.Options{Addr: on.Addr(j.out), ID: "bench-consumer-" + j.name, Destination: j.subscribe, Window: s.window,
		Credit: s.credit, QoS: 1, Durable: j.durable, Persistent: true}
	r, err := j.receive(o)
	if err != nil {
		return nil, fmt.Errorf("consumer: %w", err)
	}
	o.Addr, o.ID, o.Destination = on.Addr(j.in), "bench-producer-"+j.name, j.sendTo
	sender, err := j.send(o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("producer: %w", err), r.Close())
	}
	return &pair{on, s, sender, r}, nil
}

func (p *pair) close() {
	_ = p.sender.Close() // everything is confirmed
	_ = p.receiver.Close()
}

// result is what a run has shown.
type result struct {
	n         int
	took      time.Duration
	costs                     // while it ran
	latencies []time.Duration // sorted
}

func (r *result) perSecond() float64     { return float64(r.n) / r.took.Seconds() }
func (r *result) cpuPerMessage() float64 { return float64(r.cpu().Microseconds()) / float64(r.n) }

func (r *result) percentile(p float64) time.Duration {
	return r.latencies[min(len(r.latencies)-1, int(float64(len(r.latencies))*p/100))]
}

// run passes n messages through, at rate messages a second or as fast as they go.
func (p *pair) run(n int, rate float64) (*result, error) {
	before, err := p.on.costs()
	if err != nil {
		return nil, err
	}
	r := &result{n: n, latencies: make([]time.Duration, 0, n)}
	began := time.Now()
	sent := make(chan error, 1)
	go func() { sent <- p.send(n, rate, began) }()
	if err := p.receive(r, began); err != nil {
		return nil, errors.Join(err, p.sender.Close(), <-sent)
	}
	if err := <-sent; err != nil {
		return nil, err
	}
	r.took = time.Since(began)
	after, err := p.on.costs()
	if err != nil {
		return nil, err
	}
	r.costs = after.since(before)
	slices.Sort(r.latencies)
	return r, nil
}

// send stamps each body with the time when it was due, so that a sender that falls behind shows as latency.
func (p *pair) send(n int, rate float64, began time.Time) error {
	body := make([]byte, max(8, p.s.size))
	for i := range n {
		due := time.Since(began)
		if rate > 0 {
			due = time.Duration(float64(i) / rate * float64(time.Second))
			if early := due - time.Since(began); early > 0 {
				if err := p.sender.Flush(); err != nil {
					return err
				}
				time.Sleep(early)
			}
		}
		binary.BigEndian.PutUint64(body, uint64(due))
		if err := p.sender.Send(body); err != nil {
			return fmt.Errorf("producer: message %d: %w", i, err)
		}
	}
	return p.sender.Wait()
}

func (p *pair) receive(r *result, began time.Time) error {
	if err := p.receiver.SetDeadline(began.Add(runTimeout)); err != nil {
		return err
	}
	for i := range r.n {
		body, err := p.receiver.Next()
		if err != nil {
			return fmt.Errorf("consumer: message %d: %w", i, err)
		}
		r.latencies = append(r.latencies, time.Since(began)-time.Duration(binary.BigEndian.Uint64(body)))
	}
	return p.receiver.Ack()
}

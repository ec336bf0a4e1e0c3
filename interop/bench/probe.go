package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/havenmq/havenmq/interop/wire"
)

// probe is a steady load whose producers time each confirmation: so many of them, each with one message under way, and a
// consumer that takes what they send.
type probe struct {
	senders  []wire.Sender
	receiver wire.Receiver
	stop     chan struct{}
	ended    sync.WaitGroup

	mu    sync.Mutex
	waits []wait
	err   error
}

// wait is one confirmation.
type wait struct {
	due  time.Time
	took time.Duration // since then
}

// startProbe has n producers send rate messages a second in all.
func startProbe(on subject, n int, rate float64) (p *probe, err error) {
	p = &probe{stop: make(chan struct{})}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	o := wire.Options{Addr: on.Addr("amqp"), ID: "probe-consumer", Destination: "queue://probe", Window: 1, Credit: 1000, Persistent: true}
	if p.receiver, err = wire.ReceiveAMQP(o); err != nil {
		return p, err
	}
	p.ended.Go(p.take)
	began := time.Now()
	for i := range n {
		o.ID = fmt.Sprintf("probe-producer-%d", i)
		s, err := wire.SendAMQP(o)
		if err != nil {
			return p, err
		}
		p.senders = append(p.senders, s)
		every := time.Duration(float64(n) / rate * float64(time.Second))
		p.ended.Go(func() { p.send(s, began.Add(every*time.Duration(i)/time.Duration(n)), every) })
	}
	return p, nil
}

// send sends one message at a time until the probe stops. One that is late because another was not confirmed counts from when it was due.
func (p *probe) send(s wire.Sender, due time.Time, every time.Duration) {
	body := make([]byte, 100)
	for ; ; due = due.Add(every) {
		time.Sleep(time.Until(due))
		select {
		case <-p.stop:
			return
		default:
		}
		err := s.Send(body)
		if err == nil {
			err = s.Wait()
		}
		p.note(wait{due, time.Since(due)}, err)
		if err != nil {
			return
		}
	}
}

func (p *probe) take() {
	for {
		if _, err := p.receiver.Next(); err != nil {
			select {
			case <-p.stop:
			default:
				p.note(wait{}, fmt.Errorf("the probe's consumer: %w", err))
			}
			return
		}
	}
}

func (p *probe) note(w wait, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.err = errors.Join(p.err, err)
		return
	}
	p.waits = append(p.waits, w)
}

// between are the times of what was due in an interval, sorted. An error ended the load, or nothing was due.
func (p *probe) between(from, to time.Time) (*result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &result{took: to.Sub(from)}
	for _, w := range p.waits {
		if !w.due.Before(from) && w.due.Before(to) {
			r.latencies = append(r.latencies, w.took)
		}
	}
	if p.err == nil && len(r.latencies) == 0 {
		return nil, fmt.Errorf("no confirmation came in %s", r.took)
	}
	slices.Sort(r.latencies)
	r.n = len(r.latencies)
	return r, p.err
}

// close ends the load.
func (p *probe) close() {
	close(p.stop)
	for _, s := range p.senders {
		_ = s.Close() // a producer that waits ends with it
	}
	if p.receiver != nil {
		_ = p.receiver.Close()
	}
	p.ended.Wait()
}

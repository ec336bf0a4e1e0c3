package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// LoadOptions say how a load's clients behave.
type LoadOptions struct {
	Name  string        // of its queues: Name-amqp and so on
	Hosts []string      // the failover list
	Pace  time.Duration // between two messages of a producer, the second of which waits for the first's confirmation too
	Retry time.Duration // between two rounds through the list
}

// Load is a producer and a consumer for each protocol, each pair with its own queue, producer and consumer of different
// protocols. One message of each producer is under way at a time, until it is confirmed.
type Load struct {
	*Ledger
	o         LoadOptions
	producing context.CancelFunc
	consuming context.CancelFunc
	producers sync.WaitGroup
	consumers sync.WaitGroup
}

// Protocols are those that have a producer in a Load, and which protocol its consumer speaks.
var Protocols = map[string]string{"amqp": "stomp", "mqtt": "amqp", "stomp": "mqtt"}

// idleTimeout is how long a consumer hears nothing before it asks who is there.
const idleTimeout = 3 * time.Second

// StartLoad starts the clients, which run until Drain or Stop.
func StartLoad(ctx context.Context, o LoadOptions) *Load {
	l := &Load{Ledger: newLedger(), o: o}
	var producing, consuming context.Context
	producing, l.producing = context.WithCancel(ctx)
	consuming, l.consuming = context.WithCancel(ctx)
	for from, to := range Protocols {
		queue := o.Name + "-" + from
		l.producers.Go(func() { l.produce(producing, from, queue) })
		l.consumers.Go(func() { l.consume(consuming, to, queue) })
	}
	return l
}

func (l *Load) produce(ctx context.Context, proto, queue string) {
	var s Sender
	defer func() {
		if s != nil {
			s.Close()
		}
	}()
	tick := time.NewTicker(l.o.Pace)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; {
		if s == nil {
			var err error
			if s, err = Failover(ctx, l.o.Hosts, l.o.Retry, proto, queue, queue+"-out", Senders[proto]); err != nil {
				s = nil
				pause(ctx, l.o.Retry)
				continue
			}
		}
		id := fmt.Sprintf("%s-%d", proto, n)
		sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), ClientTimeout)
		err := s.Send(sending, []byte(id))
		cancel()
		if err != nil {
			l.Cut()
			s.Close()
			s = nil
			continue
		}
		l.Confirm(proto, id)
		n++
		<-tick.C
	}
}

func (l *Load) consume(ctx context.Context, proto, queue string) {
	var r Receiver
	defer func() {
		if r != nil {
			r.Close()
		}
	}()
	for ctx.Err() == nil {
		var err error
		if r == nil {
			if r, err = Failover(ctx, l.o.Hosts, l.o.Retry, proto, queue, queue+"-in", Receivers[proto]); err != nil {
				r = nil
				pause(ctx, l.o.Retry)
				continue
			}
		}
		waiting, cancel := context.WithTimeout(ctx, idleTimeout)
		_, err = r.Receive(waiting, func(body []byte) { l.Receive(string(body)) })
		cancel()
		if err != nil {
			r.Close()
			r = nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Flows waits until every protocol's producer has had n messages confirmed after a moment.
func (l *Load) Flows(after time.Time, n int, limit time.Duration) error {
	return Until(limit, fmt.Sprintf("%d messages of each protocol are confirmed", n), func() bool {
		for proto := range Protocols {
			if l.Since(proto, after) < n {
				return false
			}
		}
		return true
	})
}

// Drain stops the producers, waits until every confirmed message has come, and stops the consumers.
func (l *Load) Drain(limit time.Duration) error {
	l.producing()
	l.producers.Wait()
	var confirmed, received int
	err := Until(limit, "every confirmed message is received", func() bool {
		confirmed, received = l.Counts()
		return received == confirmed
	})
	l.Stop()
	if err != nil {
		lost := l.Lost()
		return fmt.Errorf("%w: %d of %d, not for example %v", err, received, confirmed, lost[:min(len(lost), 5)])
	}
	return nil
}

// Stop ends all clients.
func (l *Load) Stop() {
	l.producing()
	l.consuming()
	l.producers.Wait()
	l.consumers.Wait()
}

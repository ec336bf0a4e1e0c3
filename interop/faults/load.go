package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	clients "github.com/havenmq/havenmq/interop/cluster"
)

const (
	// idleTimeout is how long a consumer hears nothing before it asks who is there.
	idleTimeout = 3 * time.Second
	// retryDelay is what a client waits between two rounds through its list: a failover URL's first delay.
	retryDelay = 10 * time.Millisecond
	// pace bounds a producer, bulkPace one whose messages are to fill something.
	pace     = 10 * time.Millisecond
	bulkPace = 3 * time.Millisecond
)

// load is a producer and a consumer for each protocol, each pair with its own queue, producer and consumer of different
// protocols.
type load struct {
	*ledger
	addrs     []string
	name      string // of its queues: name-amqp and so on
	producing context.CancelFunc
	consuming context.CancelFunc
	producers sync.WaitGroup
	consumers sync.WaitGroup
	errs      sync.Map // by client: its last error
}

type pair struct{ from, to string }

var pairs = []pair{{"amqp", "stomp"}, {"mqtt", "amqp"}, {"stomp", "mqtt"}}

// startLoad starts the clients.
func startLoad(ctx context.Context, name string, addrs []string, size int) *load {
	l := &load{ledger: newLedger(), addrs: addrs, name: name}
	l.produce(ctx, size)
	l.consume(ctx)
	return l
}

// produce starts the producers; bodies are size bytes and their name.
func (l *load) produce(ctx context.Context, size int) {
	ctx, l.producing = context.WithCancel(ctx)
	padding := strings.Repeat(".", size)
	for _, p := range pairs {
		l.producers.Go(func() { l.producer(ctx, p.from, padding) })
	}
}

func (l *load) consume(ctx context.Context) {
	ctx, l.consuming = context.WithCancel(ctx)
	for _, p := range pairs {
		l.consumers.Go(func() { l.consumer(ctx, p.to, l.queue(p)) })
	}
}

// stopConsuming stops the consumers, until consume.
func (l *load) stopConsuming() {
	l.consuming()
	l.consumers.Wait()
}

func (l *load) queue(p pair) string { return l.name + "-" + p.from }

func (l *load) producer(ctx context.Context, proto, padding string) {
	var s clients.Sender
	defer func() {
		if s != nil {
			s.Close()
		}
	}()
	every := pace
	if len(padding) > 1000 {
		every = bulkPace
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n, attempt := 0, 0; ctx.Err() == nil; {
		if s == nil {
			var err error
			if s, err = clients.Failover(ctx, l.addrs, retryDelay, proto, l.name+"-"+proto, l.name+"-"+proto+"-out", clients.Senders[proto]); err != nil {
				s = nil
				l.errs.Store(proto+" out", err)
				pause(ctx, retryDelay)
				continue
			}
		}
		id := fmt.Sprintf("%s-%d", proto, n)
		began := time.Now()
		sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), clients.ClientTimeout)
		err := s.Send(sending, fmt.Appendf(nil, "%s/%d %s", id, attempt, padding))
		cancel()
		if err != nil {
			l.errs.Store(proto+" out", err)
			s.Close()
			s = nil
			attempt++
			continue
		}
		l.confirm(id, time.Since(began))
		n, attempt = n+1, 0
		<-tick.C
	}
}

func (l *load) consumer(ctx context.Context, proto, queue string) {
	var r clients.Receiver
	defer func() {
		if r != nil {
			r.Close()
		}
	}()
	for ctx.Err() == nil {
		if r == nil {
			var err error
			if r, err = clients.Failover(ctx, l.addrs, retryDelay, proto, queue, queue+"-in", clients.Receivers[proto]); err != nil {
				r = nil
				l.errs.Store(proto+" in", err)
				pause(ctx, retryDelay)
				continue
			}
		}
		id := ""
		waiting, cancel := context.WithTimeout(ctx, idleTimeout)
		settled, err := r.Receive(waiting, func(body []byte) {
			id, _, _ = strings.Cut(string(body), " ")
			l.receive(id)
		})
		cancel()
		if settled {
			l.settle(id)
		}
		if err != nil {
			l.errs.Store(proto+" in", err)
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

// drain stops the producers, waits until every confirmed message has come, and stops the consumers.
func (l *load) drain(limit time.Duration) error {
	l.producing()
	l.producers.Wait()
	var confirmed, received int
	err := until(limit, "every confirmed message is received", func() bool {
		confirmed, received = l.counts()
		return received == confirmed
	})
	l.stop()
	if err != nil {
		return fmt.Errorf("%w: %d of %d; %s", err, received, confirmed, l.lastErrors())
	}
	return nil
}

// stop ends all clients.
func (l *load) stop() {
	l.producing()
	l.consuming()
	l.producers.Wait()
	l.consumers.Wait()
}

func (l *load) lastErrors() string {
	var b strings.Builder
	l.errs.Range(func(k, v any) bool {
		fmt.Fprintf(&b, "%s: %v; ", k, v)
		return true
	})
	return b.String()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/havenmq/havenmq/interop/cluster"
	"github.com/havenmq/havenmq/interop/wire"
)

// bodyBytes is the size of what fills the cluster.
const bodyBytes = 1024

// much measures on a cluster that holds much.
func (r *report) much(ctx context.Context, dir string) error {
	return r.on(dir, func(c *cluster.Cluster) error {
		master, err := c.Whole()
		if err != nil {
			return err
		}
		began := time.Now()
		if err := errors.Join(fillQueues(master, r.queues), fillSessions(master, r.sessions), fillBacklog(master, r.backlogBytes/bodyBytes)); err != nil {
			return err
		}
		s, _ := master.Status()
		r.notes = append(r.notes, fmt.Sprintf("The state: %d queues with a message of 1 KiB each, %d durable MQTT sessions, %d MB in one queue more; %d MB of log, made in %s.",
			r.queues, r.sessions, r.backlogBytes>>20, s.Store.LogEnd>>20, time.Since(began).Round(time.Second)))
		fmt.Println(r.notes[len(r.notes)-1])
		return r.measure(ctx, c, "kill -9 with that state", r.stateKills, kill, target{max: 1500 * time.Millisecond})
	})
}

// fillQueues puts a message into each of n queues.
func fillQueues(m *cluster.Node, n int) error {
	c, err := wire.DialSTOMP(m.Addr("stomp"), "")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // all is confirmed by then
	body := make([]byte, bodyBytes)
	answers := make(chan error, 1)
	go func() {
		for range n {
			if _, err := c.Expect("RECEIPT"); err != nil {
				answers <- err
				return
			}
		}
		answers <- nil
	}()
	for i := range n {
		if err := c.Write(fmt.Sprintf("SEND\ndestination:/queue/state.%d\npersistent:true\nreceipt:%d\ncontent-length:%d\n\n", i, i, len(body)), body); err != nil {
			return errors.Join(err, <-answers)
		}
	}
	return <-answers
}

// fillSessions makes n sessions with a subscription each, and leaves them.
func fillSessions(m *cluster.Node, n int) error {
	for i := range n {
		s, err := wire.ReceiveMQTT(wire.Options{Addr: m.Addr("mqtt"), ID: fmt.Sprintf("state%d", i), Destination: fmt.Sprintf("state/%d", i%100), QoS: 1, Durable: true})
		if err != nil {
			return fmt.Errorf("session %d: %w", i, err)
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// fillBacklog puts n messages into one queue.
func fillBacklog(m *cluster.Node, n int) error {
	s, err := wire.SendAMQP(wire.Options{Addr: m.Addr("amqp"), ID: "backlog", Destination: "queue://backlog", Window: 5000, Persistent: true})
	if err != nil {
		return err
	}
	body := make([]byte, bodyBytes)
	for i := range n {
		if err := s.Send(body); err != nil {
			return errors.Join(fmt.Errorf("message %d of the backlog: %w", i, err), s.Close())
		}
	}
	return errors.Join(s.Wait(), s.Close())
}

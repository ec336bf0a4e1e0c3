package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/havenmq/havenmq/cmd/internal/courier"
	"github.com/havenmq/havenmq/core"
)

// queueCommands are `havenmq queue …`.
type queueCommands struct {
	Ls     queueLs     `cmd:"" help:"List queues with depth, in-flight, consumers, counts and the oldest message's age."`
	Show   queueShow   `cmd:"" help:"Show one queue."`
	Create queueCreate `cmd:"" help:"Make a queue exist."`
	Delete queueDelete `cmd:"" help:"Throw a queue away, with its messages."`
	Purge  queuePurge  `cmd:"" help:"Throw a queue's messages away."`
	Pause  queuePause  `cmd:"" help:"Stop dispatch: messages come in and stay."`
	Resume queueResume `cmd:"" help:"Go on with dispatch."`
}

// queueFlag names a queue.
type queueFlag struct {
	Name string `arg:"" help:"The queue, as orders or queue://orders."`
	nodeFlag
}

func (f queueFlag) queue() string { return strings.TrimPrefix(f.Name, "queue://") }

type queueLs struct {
	Filter string `arg:"" optional:"" help:"Part of the names to list."`
	nodeFlag
	outputFlag
}

func (queueLs) Help() string { return "Example: havenmq queue ls orders -o json" }

func (c *queueLs) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	list, err := node.Queues(ctx, c.Filter)
	if err != nil {
		return err
	}
	return c.print(s.out, list, func() [][]string {
		rows := [][]string{{"QUEUE", "DEPTH", "IN FLIGHT", "CONSUMERS", "ENQUEUED", "DEQUEUED", "OLDEST", "STATE"}}
		for _, q := range list {
			rows = append(rows, []string{q.Name, number(q.Depth), number(q.InFlight), number(q.Consumers), number(q.Enqueued), number(q.Dequeued), ageText(q.OldestMs), queueState(q)})
		}
		return rows
	})
}

func queueState(q core.QueueInfo) string {
	if q.Paused {
		return "paused"
	}
	return "running"
}

type queueShow struct {
	queueFlag
	outputFlag
}

func (queueShow) Help() string { return "Example: havenmq queue show orders" }

func (c *queueShow) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	q, err := node.Queue(ctx, c.queue())
	if err != nil {
		return err
	}
	return c.print(s.out, q, func() [][]string {
		rows := [][]string{{"Queue", q.Name}, {"State", queueState(q)}, {"Depth", number(q.Depth)}, {"Bytes", bytesText(q.Bytes)}, {"In flight", number(q.InFlight)},
			{"In memory", number(q.InMemory)}, {"Consumers", number(q.Consumers)}, {"Enqueued", number(q.Enqueued)}, {"Dequeued", number(q.Dequeued)},
			{"Expired", number(q.Expired)}, {"Dead letters", number(q.Dead)}, {"Oldest message", ageText(q.OldestMs)}}
		for reason, n := range q.Dropped {
			rows = append(rows, []string{"Dropped", number(n) + " by " + reason})
		}
		return rows
	})
}

type queueCreate struct{ queueFlag }

func (queueCreate) Help() string { return "Example: havenmq queue create orders" }

func (c *queueCreate) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	to, err := courier.Destination(c.Name, false)
	if err != nil {
		return usageError{err}
	}
	if to.Kind != core.Queue {
		return usageError{fmt.Errorf("%s is not a queue: topics need not be created", to)}
	}
	q, err := node.CreateQueue(ctx, to.Name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Queue %s exists.\n", printable(q.Name))
	return err
}

type queueDelete struct{ queueFlag }

func (queueDelete) Help() string { return "Example: havenmq queue delete orders" }

func (c *queueDelete) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	if err := node.DeleteQueue(ctx, c.queue()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Queue %s is deleted.\n", printable(c.queue()))
	return err
}

type queuePurge struct {
	queueFlag
	outputFlag
}

func (queuePurge) Help() string { return "Example: havenmq queue purge orders" }

func (c *queuePurge) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	p, err := node.PurgeQueue(ctx, c.queue())
	if err != nil {
		return err
	}
	return c.print(s.out, p, func() [][]string {
		return [][]string{{fmt.Sprintf("%d messages of queue %s are purged.", p.Messages, p.Name)}}
	})
}

type queuePause struct{ queueFlag }

func (queuePause) Help() string { return "Example: havenmq queue pause orders" }

func (c *queuePause) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	if err := node.PauseQueue(ctx, c.queue()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Queue %s is paused.\n", printable(c.queue()))
	return err
}

type queueResume struct{ queueFlag }

func (queueResume) Help() string { return "Example: havenmq queue resume orders" }

func (c *queueResume) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	if err := node.ResumeQueue(ctx, c.queue()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Queue %s is resumed.\n", printable(c.queue()))
	return err
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/havenmq/havenmq/cmd/internal/courier"
	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/admin"
)

// browseCommand is `havenmq browse`.
type browseCommand struct {
	Dest    string        `arg:"" help:"The queue to look at."`
	N       int           `short:"n" help:"How many messages at most; 0 is all." default:"0"`
	Timeout time.Duration `help:"How long it may take." default:"60s"`
	URL     string        `name:"url" help:"Ask this broker over AMQP, instead of a node's API." placeholder:"URL"`
	nodeFlag
	outputFlag
}

func (browseCommand) Help() string {
	return "Nothing is taken, and nothing counts as delivered.\n\nExample: havenmq browse orders -n 20 -o json"
}

func (c *browseCommand) Run(ctx context.Context, s *streams) error {
	queue, err := courier.Destination(c.Dest, false)
	if err != nil {
		return usageError{err}
	}
	if queue.Kind != core.Queue {
		return usageError{fmt.Errorf("%s is not a queue: only queues hold messages to look at", queue)}
	}
	if c.N < 0 {
		return usageError{errors.New("-n must not be negative")}
	}
	if c.URL != "" {
		return c.overAMQP(ctx, s, queue)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	node, err := c.client()
	if err != nil {
		return err
	}
	seen := 0
	var failed error
	err = node.Browse(ctx, queue.Name, func(m *admin.BrowsedMessage) bool {
		seen++
		failed = c.show(s, m)
		return failed == nil && seen != c.N
	})
	return errors.Join(err, failed)
}

// show prints a message as receive does; what is only known here is in the JSON.
func (c *browseCommand) show(s *streams, m *admin.BrowsedMessage) error {
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(m)
	}
	body := m.Bytes
	if m.Text != nil {
		body = []byte(*m.Text)
	}
	if m.Unreadable != "" {
		fmt.Fprintf(s.err, "havenmq: a message cannot be read: %s\n", m.Unreadable)
	}
	if len(body) < m.BodyBytes {
		fmt.Fprintf(s.err, "havenmq: the first %d of %d bytes are shown\n", len(body), m.BodyBytes)
	}
	_, err := s.out.Write(append(body, '\n'))
	return err
}

func (c *browseCommand) overAMQP(ctx context.Context, s *streams, queue core.Destination) error {
	seen := 0
	return urlFlag{c.URL}.with(ctx, c.Timeout, never, func(ctx context.Context, conn courier.Conn) error {
		var failed error
		err := conn.Browse(ctx, queue, func(m *courier.Message) bool {
			seen++
			failed = printMessage(s.out, c.outputFlag, m)
			return failed == nil && seen != c.N
		})
		return errors.Join(err, failed)
	})
}

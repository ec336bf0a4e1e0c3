package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/signal"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/havenmq/havenmq/cmd/internal/courier"
)

// urlFlag names the broker that a command sends to or receives from.
type urlFlag struct {
	URL string `name:"url" help:"The broker: amqp://, mqtt:// or stomp://, with user:password@ if it wants a log-in, or failover:(URL,URL) for a cluster (HAVENMQ_URL)." default:"amqp://127.0.0.1:5672" variable:"HAVENMQ_URL" placeholder:"URL"`
}

func (f urlFlag) parse() ([]*url.URL, error) {
	u, err := courier.Parse(f.URL)
	if err != nil {
		return nil, usageError{err}
	}
	return u, nil
}

// closeTimeout is how long a goodbye may take.
const closeTimeout = 5 * time.Second

// errLost is what with says when a connection has ended and no other broker of the list takes its place in time.
var errLost = errors.New("the connection was lost")

// with opens a connection, uses it, and closes it; a signal or the timeout (0 is none) ends it. Of a list of brokers another takes
// its place when use fails with what again says yes to, and use goes on there; again is not called for one broker alone.
func (f urlFlag) with(ctx context.Context, timeout time.Duration, again func(error) bool, use func(context.Context, courier.Conn) error) error {
	u, err := f.parse()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var before error
	for {
		c, err := courier.OpenAny(ctx, u)
		switch {
		case err != nil && before != nil:
			return fmt.Errorf("%w (%v): %w", errLost, before, err)
		case err != nil:
			return err
		}
		err = use(ctx, c)
		closing := closed(ctx, c)
		switch {
		case err == nil:
			return closing
		case ctx.Err() != nil && before != nil:
			return fmt.Errorf("%w; before: %v", err, before)
		case len(u) == 1 || !again(err):
			return err
		}
		before = err
		select {
		case <-time.After(courier.RoundPause):
		case <-ctx.Done():
			return err
		}
	}
}

// closed says goodbye on a connection, also when ctx has ended.
func closed(ctx context.Context, c courier.Conn) error {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return c.Close(grace)
}

// never is for with: nothing is done again.
func never(error) bool { return false }

// sendCommand is `havenmq send`.
type sendCommand struct {
	Dest        string            `arg:"" help:"Where to: queue://orders, topic://news, or a queue's bare name."`
	Body        string            `arg:"" optional:"" help:"The message; without it, standard input is."`
	N           int               `short:"n" help:"How many times to send it." default:"1"`
	Property    map[string]string `help:"A property of the message; may be repeated." placeholder:"K=V" mapsep:"none"`
	ContentType string            `help:"The body's content type." placeholder:"TYPE"`
	NonDurable  bool              `help:"Let the broker keep it in memory alone."`
	Timeout     time.Duration     `help:"How long to try." default:"30s"`
	urlFlag
}

func (sendCommand) Help() string {
	return "Returns when the broker has confirmed: a durable message is on disk then. With failover:(URL,URL) it goes on at the next master\n" +
		"until the timeout, also after a refusal for want of room; what was not confirmed is sent again, and may come twice.\n\n" +
		"Example: havenmq send orders '{\"id\": 7}' --property region=eu --url stomp://127.0.0.1:61613"
}

// maxBodyBytes bounds what is read from standard input.
const maxBodyBytes = 100 << 20

func (c *sendCommand) Run(ctx context.Context, s *streams) error {
	to, err := courier.Destination(c.Dest, false)
	if err != nil {
		return usageError{err}
	}
	if c.N < 1 {
		return usageError{errors.New("-n must be at least 1")}
	}
	body := []byte(c.Body)
	if c.Body == "" {
		if body, err = io.ReadAll(io.LimitReader(s.in, maxBodyBytes+1)); err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		if len(body) > maxBodyBytes {
			return fmt.Errorf("standard input holds more than %d bytes: send less", maxBodyBytes)
		}
	}
	m := &courier.Message{Body: body, Text: utf8.Valid(body) && bytes.IndexByte(body, 0) < 0, Durable: !c.NonDurable, ContentType: c.ContentType, Properties: c.Property}
	sent := 0
	again := func(err error) bool { return courier.Lost(err) || courier.Full(err) }
	err = c.with(ctx, c.Timeout, again, func(ctx context.Context, conn courier.Conn) error {
		for ; sent < c.N; sent++ {
			if err := conn.Send(ctx, to, m); err != nil {
				return fmt.Errorf("message %d of %d to %s was not confirmed: %w", sent+1, c.N, to, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Sent %d to %s.\n", sent, to)
	return err
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/signal"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/havenmq/havenmq/cmd/internal/courier"
	"github.com/havenmq/havenmq/core"
)

// urlFlag names the broker that a command sends to or receives from.
type urlFlag struct {
	URL string `name:"url" help:"The broker: amqp://, mqtt:// or stomp://, with user:password@ if it wants a log-in (HAVENMQ_URL)." default:"amqp://127.0.0.1:5672" variable:"HAVENMQ_URL" placeholder:"URL"`
}

func (f urlFlag) parse() (*url.URL, error) {
	u, err := courier.Parse(f.URL)
	if err != nil {
		return nil, usageError{err}
	}
	return u, nil
}

// closeTimeout is how long a goodbye may take.
const closeTimeout = 5 * time.Second

// with opens a connection, uses it, and closes it; a signal or the timeout (0 is none) ends it.
func (f urlFlag) with(ctx context.Context, timeout time.Duration, use func(context.Context, courier.Conn) error) (err error) {
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
	c, err := courier.Open(ctx, u)
	if err != nil {
		return err
	}
	defer func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if closing := c.Close(grace); err == nil {
			err = closing
		}
	}()
	return use(ctx, c)
}

// sendCommand is `havenmq send`.
type sendCommand struct {
	Dest        string            `arg:"" help:"Where to: queue://orders, topic://news, or a queue's bare name."`
	Body        string            `arg:"" optional:"" help:"The message; without it, standard input is."`
	N           int               `short:"n" help:"How often to send it." default:"1"`
	Property    map[string]string `help:"A property of the message; may be repeated." placeholder:"K=V" mapsep:"none"`
	ContentType string            `help:"The body's content type." placeholder:"TYPE"`
	NonDurable  bool              `help:"Let the broker keep it in memory alone."`
	Timeout     time.Duration     `help:"How long to try." default:"30s"`
	urlFlag
}

func (sendCommand) Help() string {
	return "Returns when the broker has confirmed: a durable message is on disk then.\n\n" +
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
	err = c.with(ctx, c.Timeout, func(ctx context.Context, conn courier.Conn) error {
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

// receiveCommand is `havenmq receive`.
type receiveCommand struct {
	Dest    string        `arg:"" help:"Where from: queue://orders, topic://news.>, or a queue's bare name."`
	N       int           `short:"n" help:"How many messages; 0 goes on until the timeout or an interrupt." default:"1"`
	Timeout time.Duration `help:"How long to wait for all of them; 0 is for ever." default:"0s"`
	urlFlag
	outputFlag
}

func (receiveCommand) Help() string {
	return "Prints each body on a line, or with -o json the whole message, and acknowledges it then.\n\n" +
		"Example: havenmq receive orders -n 10 --timeout 5s --url mqtt://127.0.0.1:1883"
}

func (c *receiveCommand) Run(ctx context.Context, s *streams) error {
	from, err := courier.Destination(c.Dest, true)
	if err != nil {
		return usageError{err}
	}
	if c.N < 0 {
		return usageError{errors.New("-n must not be negative")}
	}
	got := 0
	err = c.with(ctx, c.Timeout, func(ctx context.Context, conn courier.Conn) error {
		for c.N == 0 || got < c.N {
			m, err := conn.Receive(ctx, from)
			switch {
			case ctx.Err() != nil && c.N == 0:
				return nil
			case ctx.Err() != nil:
				return fmt.Errorf("received %d of %d messages from %s before %w", got, c.N, from, ended(ctx))
			case err != nil:
				return fmt.Errorf("receiving from %s: %w", from, err)
			}
			if err := printMessage(s.out, c.outputFlag, m); err != nil {
				return err
			}
			if err := conn.Ack(ctx); err != nil {
				return fmt.Errorf("acknowledging: %w", err)
			}
			got++
		}
		return nil
	})
	return err
}

// ended is why a context ended, in words.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("the timeout")
	}
	return errors.New("an interrupt")
}

// browseCommand is `havenmq browse`.
type browseCommand struct {
	Dest    string        `arg:"" help:"The queue to look at."`
	N       int           `short:"n" help:"How many messages at most; 0 is all." default:"0"`
	Timeout time.Duration `help:"How long it may take." default:"60s"`
	urlFlag
	outputFlag
}

func (browseCommand) Help() string {
	return "Nothing is taken, and nothing counts as delivered. Over AMQP only.\n\nExample: havenmq browse orders -n 20 -o json"
}

func (c *browseCommand) Run(ctx context.Context, s *streams) error {
	queue, err := courier.Destination(c.Dest, false)
	if err != nil {
		return usageError{err}
	}
	if queue.Kind != core.Queue {
		return usageError{fmt.Errorf("%s is no queue: only queues hold messages to look at", queue)}
	}
	seen := 0
	return c.with(ctx, c.Timeout, func(ctx context.Context, conn courier.Conn) error {
		var failed error
		err := conn.Browse(ctx, queue, func(m *courier.Message) bool {
			seen++
			failed = printMessage(s.out, c.outputFlag, m)
			return failed == nil && seen != c.N
		})
		return errors.Join(err, failed)
	})
}

// shownMessage is a message as -o json prints it. Text or Bytes (base64) holds the body.
type shownMessage struct {
	Text        *string           `json:"text,omitempty"`
	Bytes       []byte            `json:"bytes,omitempty"`
	Durable     bool              `json:"durable"`
	ContentType string            `json:"contentType,omitempty"`
	Properties  map[string]string `json:"properties,omitempty"`
}

// printMessage writes one message: its body and a newline, or a line of JSON.
func printMessage(w io.Writer, f outputFlag, m *courier.Message) error {
	if f.Output != "json" {
		_, err := w.Write(append(m.Body[:len(m.Body):len(m.Body)], '\n'))
		return err
	}
	out := shownMessage{Durable: m.Durable, ContentType: m.ContentType, Properties: m.Properties}
	if text := string(m.Body); m.Text && utf8.ValidString(text) {
		out.Text = &text
	} else {
		out.Bytes = m.Body
	}
	return json.NewEncoder(w).Encode(out)
}

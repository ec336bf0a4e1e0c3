package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/havenmq/havenmq/cmd/internal/courier"
)

// receiveCommand is `havenmq receive`.
type receiveCommand struct {
	Dest    string        `arg:"" help:"Where from: queue://orders, topic://news.>, or a queue's bare name."`
	N       int           `short:"n" help:"How many messages; 0 receives until the timeout or an interrupt." default:"1"`
	Timeout time.Duration `help:"How long to wait for all of them; 0 is for ever." default:"0s"`
	urlFlag
	outputFlag
}

func (receiveCommand) Help() string {
	return "Prints each body on a line, or with -o json the whole message, and acknowledges it then. With failover:(URL,URL) it goes\n" +
		"on at the next master; what was printed and not acknowledged before comes again.\n\n" +
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
	err = c.with(ctx, c.Timeout, courier.Lost, func(ctx context.Context, conn courier.Conn) error {
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
	if c.N == 0 && errors.Is(err, errLost) {
		return nil // the timeout or an interrupt came while nobody was master
	}
	return err
}

// ended is why a context ended, in words.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("the timeout")
	}
	return errors.New("an interrupt")
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

package courier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/core"
)

// Message is what a person can write and read of one.
type Message struct {
	Body        []byte
	Text        bool // the body is text, not bytes
	Durable     bool
	ContentType string
	Properties  map[string]string
}

// Conn is a connection to a broker. One goroutine at a time.
type Conn interface {
	// Send returns when the broker has confirmed.
	Send(ctx context.Context, to core.Destination, m *Message) error
	// Receive waits for a message; the first call subscribes, later ones must name the same destination.
	Receive(ctx context.Context, from core.Destination) (*Message, error)
	// Ack acknowledges what Receive returned last.
	Ack(ctx context.Context) error
	// Browse shows what a queue holds now, in order, until see says false.
	Browse(ctx context.Context, queue core.Destination, see func(*Message) bool) error
	Close(ctx context.Context) error
}

// ErrCannotBrowse is what protocols answer that have no browsing.
var ErrCannotBrowse = errors.New("this protocol cannot browse: use an amqp:// URL")

// login is who a URL says we are; ok is false for nobody.
func login(u *url.URL) (user, password string, ok bool) {
	if u.User == nil {
		return "", "", false
	}
	password, _ = u.User.Password()
	return u.User.Username(), password, true
}

// ports are the protocols and their standard ports.
var ports = map[string]string{"amqp": "5672", "mqtt": "1883", "stomp": "61613"}

// Parse reads a broker's URL, or failover:(amqp://a,amqp://b) as ActiveMQ's clients have it; its options are not needed. A
// missing port is the protocol's own.
func Parse(text string) (list []*url.URL, err error) {
	rest, several := strings.CutPrefix(text, "failover:")
	if !several {
		u, err := parseOne(text)
		return []*url.URL{u}, err
	}
	rest, _, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	if inner, ok := strings.CutPrefix(rest, "("); ok {
		if rest, ok = strings.CutSuffix(inner, ")"); !ok {
			return nil, fmt.Errorf("%q has no closing parenthesis: write failover:(amqp://a:5672,amqp://b:5672)", text)
		}
	}
	for _, one := range strings.Split(rest, ",") {
		u, err := parseOne(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, nil
}

func parseOne(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err == nil && (u.Scheme == "tcp" || u.Scheme == "ssl") {
		return nil, fmt.Errorf("%q: OpenWire is not spoken: use amqp, mqtt or stomp, such as amqp://127.0.0.1:5672", text)
	}
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is not the URL of a broker: write one such as amqp://127.0.0.1:5672", text)
	}
	port, ok := ports[u.Scheme]
	if !ok {
		return nil, fmt.Errorf("%q: %s is not spoken here: use amqp, mqtt or stomp", text, u.Scheme)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

// Times of OpenAny.
const (
	attemptTime = 2 * time.Second        // for one of several brokers
	roundPause  = 100 * time.Millisecond // before they are tried again
)

// OpenAny connects to the first broker of a list that lets it in. One alone is tried once; several are tried in turn until
// ctx ends: a cluster that elects has no master for a moment. Its error is that of the last attempt.
func OpenAny(ctx context.Context, list []*url.URL) (Conn, error) {
	if len(list) == 1 {
		return Open(ctx, list[0])
	}
	for {
		var last error
		for _, u := range list {
			attempt, cancel := context.WithTimeout(ctx, attemptTime)
			c, err := Open(attempt, u)
			cancel()
			if err == nil {
				return c, nil
			}
			last = err
		}
		select {
		case <-time.After(roundPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("none of %d brokers lets us in: %w", len(list), last)
		}
	}
}

// Open connects to the broker at u, which Parse has read.
func Open(ctx context.Context, u *url.URL) (Conn, error) {
	open := map[string]func(context.Context, *url.URL) (Conn, error){"amqp": openAMQP, "mqtt": openMQTT, "stomp": openSTOMP}[u.Scheme]
	c, err := open(ctx, u)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil, fmt.Errorf("connecting to %s: what listens there ended the connection (%w): it does not speak %s? wrong port", u.Redacted(), err, u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w: is a node running? `havenmq status` tells; --url names another, and failover:(URL,URL) finds the master of a cluster", u.Redacted(), err)
	}
	return c, nil
}

// Destination reads queue://A.B, topic://A.B, or a queue's bare name. What looks like another dialect's spelling is
// refused: it would name a new queue that nobody meant.
func Destination(text string, pattern bool) (d core.Destination, err error) {
	if err := dialect(text); err != nil {
		return d, err
	}
	if d, err = core.ParseDestination(text, core.Queue); err != nil {
		return d, err
	}
	if d.Kind.Temporary() {
		return d, fmt.Errorf("%s: temporary destinations belong to the connection that made them: name a queue or a topic", text)
	}
	if pattern {
		return d, d.ValidatePattern()
	}
	return d, d.Validate()
}

// dialects are beginnings of destinations as other tools and protocols spell them, and the kind each means.
var dialects = []struct{ prefix, scheme string }{
	{"$queue/", "queue://"}, {"/queue/", "queue://"}, {"/topic/", "topic://"}, {"queue:", "queue://"}, {"topic:", "topic://"},
}

// dialect refuses a destination that is spelled as it is elsewhere, and says how to write it here.
func dialect(text string) error {
	first, rest, several := strings.Cut(text, ",")
	if several && (strings.Contains(first, "://") || strings.Contains(rest, "://")) {
		return fmt.Errorf("%q names several destinations: composite destinations are not supported yet, name one, such as queue://A", text)
	}
	if strings.HasPrefix(text, "queue://") || strings.HasPrefix(text, "topic://") {
		return nil
	}
	for _, d := range dialects {
		name, ok := strings.CutPrefix(text, d.prefix)
		if !ok {
			continue
		}
		if name = strings.TrimLeft(name, "/"); name == "" {
			name = "A"
		}
		if d.prefix == "$queue/" {
			name = swap.Replace(name)
		}
		return fmt.Errorf("%q is not how a destination is written here: write %s%s (a queue that is really named so is queue://%s)", text, d.scheme, name, text)
	}
	return nil
}

// swap exchanges '.' and '/', '*' and '+', '>' and '#', as MQTT's names do.
var swap = strings.NewReplacer(".", "/", "/", ".", "*", "+", "+", "*", ">", "#", "#", ">")

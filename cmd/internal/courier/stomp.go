package courier

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/havenmq/havenmq/core"
)

// stompConn is a small client of STOMP 1.2.
type stompConn struct {
	socket  net.Conn
	in      *bufio.Reader // of maxStompLine
	bound   bool
	receipt int
	held    []stompFrame // messages that came while a receipt was awaited
	last    string       // id to acknowledge
}

func openSTOMP(ctx context.Context, u *url.URL) (Conn, error) {
	socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	c := &stompConn{socket: socket, in: bufio.NewReaderSize(socket, maxStompLine)}
	h := []string{"accept-version", "1.2", "host", u.Hostname(), "heart-beat", "0,0"}
	if user, password, ok := login(u); ok {
		h = append(h, "login", user, "passcode", password)
	}
	defer c.until(ctx)()
	f, err := stompFrame{}, c.write("CONNECT", h, nil)
	if err == nil {
		f, err = readStomp(c.in)
	}
	if err == nil && f.command != "CONNECTED" {
		err = fmt.Errorf("the broker answered CONNECT with %s", f.command)
	}
	if err != nil {
		_ = socket.Close() // the error that matters is the connection's
		return nil, errors.Join(context.Cause(ctx), err)
	}
	return c, nil
}

// until ends reads and writes when ctx ends; its result gives that up.
func (c *stompConn) until(ctx context.Context) (stop func() bool) {
	_ = c.socket.SetDeadline(time.Time{}) // a socket that is closed says so when it is used
	return context.AfterFunc(ctx, func() { _ = c.socket.SetDeadline(time.Unix(1, 0)) })
}

// write sends a frame; headers are names and values in turn. CONNECT's are not escaped (STOMP 1.2, value encoding).
func (c *stompConn) write(command string, headers []string, body []byte) error {
	b := append([]byte(command), '\n')
	for i := 0; i < len(headers); i += 2 {
		name, value := headers[i], headers[i+1]
		if command != "CONNECT" {
			name, value = stompEscape.Replace(name), stompEscape.Replace(value)
		}
		b = fmt.Appendf(b, "%s:%s\n", name, value)
	}
	b = append(append(append(b, '\n'), body...), 0, '\n')
	_, err := c.socket.Write(b)
	return err
}

// confirmed sends a frame and waits for its receipt.
func (c *stompConn) confirmed(ctx context.Context, command string, headers []string, body []byte) error {
	defer c.until(ctx)()
	c.receipt++
	id := strconv.Itoa(c.receipt)
	if err := c.write(command, append(headers, "receipt", id), body); err != nil {
		return cut(ctx, err)
	}
	for {
		f, err := readStomp(c.in)
		switch {
		case err != nil:
			return cut(ctx, err)
		case f.command == "MESSAGE":
			c.held = append(c.held, f)
		case f.command == "RECEIPT" && f.headers["receipt-id"] == id:
			return nil
		}
	}
}

func stompName(d core.Destination) string { return "/" + d.Kind.String() + "/" + d.Name }

func (c *stompConn) Send(ctx context.Context, to core.Destination, m *Message) error {
	h := []string{"destination", stompName(to)}
	if m.Durable {
		h = append(h, "persistent", "true")
	}
	if m.ContentType != "" {
		h = append(h, "content-type", m.ContentType)
	}
	if !m.Text || bytes.IndexByte(m.Body, 0) >= 0 {
		h = append(h, "content-length", strconv.Itoa(len(m.Body)))
	}
	for name, value := range m.Properties {
		h = append(h, name, value)
	}
	return c.confirmed(ctx, "SEND", h, m.Body)
}

func (c *stompConn) Receive(ctx context.Context, from core.Destination) (*Message, error) {
	if !c.bound {
		h := []string{"id", "1", "destination", stompName(from), "ack", "client-individual", "activemq.prefetchSize", "1"}
		if err := c.confirmed(ctx, "SUBSCRIBE", h, nil); err != nil {
			return nil, err
		}
		c.bound = true
	}
	defer c.until(ctx)()
	for len(c.held) == 0 {
		f, err := readStomp(c.in)
		if err != nil {
			return nil, cut(ctx, err)
		}
		if f.command == "MESSAGE" {
			c.held = append(c.held, f)
		}
	}
	f := c.held[0]
	c.held = c.held[1:]
	c.last = f.headers["ack"]
	return fromSTOMP(&f), nil
}

func (c *stompConn) Ack(ctx context.Context) error {
	return c.confirmed(ctx, "ACK", []string{"id", c.last}, nil)
}

func (c *stompConn) Browse(context.Context, core.Destination, func(*Message) bool) error {
	return ErrCannotBrowse
}

func (c *stompConn) Close(ctx context.Context) error {
	return errors.Join(c.confirmed(ctx, "DISCONNECT", nil, nil), c.socket.Close())
}

// stompOwn are headers that are the protocol's, not the sender's.
var stompOwn = map[string]bool{"destination": true, "message-id": true, "subscription": true, "ack": true, "content-type": true, "content-length": true,
	"persistent": true, "priority": true, "timestamp": true, "redelivered": true, "expires": true}

func fromSTOMP(f *stompFrame) *Message {
	_, sized := f.headers["content-length"]
	m := &Message{Body: f.body, Text: !sized || strings.HasPrefix(f.headers["content-type"], "text/"), ContentType: f.headers["content-type"],
		Durable: f.headers["persistent"] == "true", Properties: map[string]string{}}
	for name, value := range f.headers {
		if !stompOwn[name] {
			m.Properties[name] = value
		}
	}
	return m
}

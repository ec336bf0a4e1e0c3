package courier

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	in      *bufio.Reader
	bound   bool
	receipt int
	held    []stompFrame // messages that came while a receipt was awaited
	last    string       // id to acknowledge
}

type stompFrame struct {
	command string
	headers map[string]string
	body    []byte
}

// Bounds of what a broker may send.
const (
	maxStompLine    = 64 << 10
	maxStompHeaders = 1000
	maxStompBody    = 1 << 30
)

var (
	stompEscape   = strings.NewReplacer(`\`, `\\`, "\r", `\r`, "\n", `\n`, ":", `\c`)
	stompUnescape = strings.NewReplacer(`\\`, `\`, `\r`, "\r", `\n`, "\n", `\c`, ":")
)

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
		f, err = c.read()
	}
	if err == nil && f.command != "CONNECTED" {
		err = fmt.Errorf("the broker answered CONNECT with %s", f.command)
	}
	if err != nil {
		_ = socket.Close() // the error that matters is the connection's
		return nil, err
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

// read takes the next frame; ERROR is an error.
func (c *stompConn) read() (f stompFrame, err error) {
	f.headers = map[string]string{}
	for f.command == "" { // empty lines are heart-beats
		if f.command, err = c.line(); err != nil {
			return f, err
		}
	}
	for {
		line, err := c.line()
		if err != nil {
			return f, err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || len(f.headers) >= maxStompHeaders {
			return f, fmt.Errorf("the broker sent a %s frame with headers that cannot be read", f.command)
		}
		if name = stompUnescape.Replace(name); f.headers[name] == "" { // the first of a name counts
			f.headers[name] = stompUnescape.Replace(value)
		}
	}
	if f.body, err = c.body(f.headers["content-length"]); err != nil {
		return f, err
	}
	if f.command == "ERROR" {
		return f, fmt.Errorf("the broker says: %s", strings.TrimSpace(f.headers["message"]+" "+string(f.body)))
	}
	return f, nil
}

func (c *stompConn) line() (string, error) {
	line, err := c.in.ReadSlice('\n')
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), err
}

func (c *stompConn) body(length string) ([]byte, error) {
	if length == "" {
		text, err := c.in.ReadBytes(0)
		return bytes.TrimSuffix(text, []byte{0}), err
	}
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > maxStompBody {
		return nil, fmt.Errorf("the broker sent content-length %q", length)
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, c.in, int64(n)); err != nil {
		return nil, err
	}
	if end, err := c.in.ReadByte(); err != nil || end != 0 {
		return nil, errors.Join(errors.New("the broker sent a frame that does not end where it says"), err)
	}
	return b.Bytes(), nil
}

// confirmed sends a frame and waits for its receipt.
func (c *stompConn) confirmed(ctx context.Context, command string, headers []string, body []byte) error {
	defer c.until(ctx)()
	c.receipt++
	id := strconv.Itoa(c.receipt)
	if err := c.write(command, append(headers, "receipt", id), body); err != nil {
		return err
	}
	for {
		f, err := c.read()
		switch {
		case err != nil:
			return errors.Join(context.Cause(ctx), err)
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
		f, err := c.read()
		if err != nil {
			return nil, errors.Join(context.Cause(ctx), err)
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

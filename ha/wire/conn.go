package wire

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	readBuffer = 64 << 10
	// growBytes is how much memory an APPEND is given before its bytes have arrived.
	growBytes = 4 << 20
)

// DefaultHandshake is how long a handshake may take, and how long a peer may be silent before its first frame.
const DefaultHandshake = 3 * time.Second

// Options of connections.
type Options struct {
	Token     string        // securityToken; an empty one is a token like any other
	TLS       *tls.Config   // nil none; for both roles: certificates, RootCAs, and ClientCAs with ClientAuth
	Handshake time.Duration // DefaultHandshake by default
}

func (o Options) handshake() time.Duration {
	if o.Handshake <= 0 {
		return DefaultHandshake
	}
	return o.Handshake
}

// Conn is a connection that passed the challenge. One goroutine reads and one writes; Close and RemoteAddr are for any.
type Conn struct {
	socket  net.Conn
	in      *bufio.Reader
	appends bool // this end takes them: it dialed
}

// Dial connects to a master's replication address. The context ends the attempt, at the latest Options.Handshake after
// the TCP connection stands.
func Dial(ctx context.Context, addr string, o Options) (*Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	socket, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if o.TLS != nil {
		c := o.TLS.Clone()
		if c.ServerName == "" {
			c.ServerName, _, _ = net.SplitHostPort(addr)
		}
		socket = tls.Client(socket, c)
	}
	c, err := shake(ctx, socket, o, dial)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return c, nil
}

// Accept has a socket that was accepted prove itself. It closes the socket if it does not.
func Accept(ctx context.Context, socket net.Conn, o Options) (*Conn, error) {
	if o.TLS != nil {
		socket = tls.Server(socket, o.TLS)
	}
	return shake(ctx, socket, o, accept)
}

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// shake runs one side of the handshake, under its deadline and ctx.
func shake(ctx context.Context, socket net.Conn, o Options, side func(*Conn, string, []byte) error) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) }) // what is under way fails then
	c := &Conn{socket: socket, in: bufio.NewReaderSize(socket, readBuffer)}
	err := socket.SetDeadline(time.Now().Add(o.handshake()))
	var binding []byte
	if err == nil {
		binding, err = bind(ctx, socket)
	}
	if err == nil {
		err = side(c, o.Token, binding)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = socket.SetDeadline(time.Time{})
	}
	if err == nil {
		return c, nil
	}
	_ = socket.Close() // the error that counts is the handshake's
	return nil, err
}

// bind completes TLS, if there is any, and gives what ties the proofs to it.
func bind(ctx context.Context, socket net.Conn) ([]byte, error) {
	t, ok := socket.(*tls.Conn)
	if !ok {
		return nil, nil
	}
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	state := t.ConnectionState()
	return state.ExportKeyingMaterial("EXPORTER-HavenMQ-replication", nil, 32)
}

func dial(c *Conn, token string, binding []byte) error {
	c.appends = true
	mine, err := c.sendPreface()
	if err != nil {
		return err
	}
	theirs, err := c.readPreface()
	if err != nil {
		return err
	}
	if _, err := c.socket.Write(prove(token, roleDials, mine, theirs, binding)); err != nil {
		return err
	}
	var proof [proofBytes]byte
	if _, err := io.ReadFull(c.in, proof[:]); err != nil {
		return fmt.Errorf("no answer to the challenge: %w", err)
	}
	if !hmac.Equal(proof[:], prove(token, roleAccepts, mine, theirs, binding)) {
		return ErrToken
	}
	return nil
}

func accept(c *Conn, token string, binding []byte) error {
	theirs, err := c.readPreface()
	if err != nil {
		return err
	}
	mine, err := c.sendPreface()
	if err != nil {
		return err
	}
	var proof [proofBytes]byte
	if _, err := io.ReadFull(c.in, proof[:]); err != nil {
		return fmt.Errorf("no answer to the challenge: %w", err)
	}
	if !hmac.Equal(proof[:], prove(token, roleDials, theirs, mine, binding)) {
		_, err := c.socket.Write(make([]byte, proofBytes))
		return errors.Join(ErrToken, err)
	}
	_, err = c.socket.Write(prove(token, roleAccepts, theirs, mine, binding))
	return err
}

func (c *Conn) sendPreface() (nonce [nonceBytes]byte, err error) {
	if _, err := rand.Read(nonce[:]); err != nil {
		return nonce, err
	}
	_, err = c.socket.Write(putPreface(nonce))
	return nonce, err
}

func (c *Conn) readPreface() (nonce [nonceBytes]byte, err error) {
	var b [prefaceBytes]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return nonce, fmt.Errorf("no preface: %w", err)
	}
	if string(b[:len(magic)]) != magic {
		return nonce, ErrNotHaven
	}
	if v := b[len(magic)]; v != version {
		return nonce, fmt.Errorf("the other node speaks version %d of replication, this one %d: bring all nodes to one release", v, version)
	}
	copy(nonce[:], b[16:])
	return nonce, nil
}

// Read waits for a frame and decodes it into m. A frame that is no APPEND aliases nothing. An APPEND's body goes into
// what room gives, which is asked for at least n bytes of capacity; it is cut to its length. io.EOF is an orderly end.
func (c *Conn) Read(m *Message, room func(n int) []byte) error {
	b, err := c.in.Peek(HeaderBytes)
	if err != nil {
		if len(b) != 0 && errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	h, err := DecodeHeader(b, c.appends)
	if err != nil {
		return err
	}
	n := h.Bytes - HeaderBytes
	if h.Kind == KindAppend {
		if _, err := c.in.Discard(HeaderBytes); err != nil {
			return err
		}
		body, err := c.readBody(n, room)
		if err != nil {
			return err
		}
		return m.Decode(h, body)
	}
	if b, err = c.in.Peek(h.Bytes); err != nil {
		return err
	}
	if err := m.Decode(h, b[HeaderBytes:]); err != nil {
		return err
	}
	_, err = c.in.Discard(h.Bytes)
	return err
}

// readBody reads n bytes. Memory beyond growBytes is taken as they come.
func (c *Conn) readBody(n int, room func(n int) []byte) ([]byte, error) {
	b := room(min(n, growBytes))[:0]
	for len(b) < n {
		if len(b) == cap(b) {
			b = append(b, make([]byte, min(n-len(b), max(len(b), growBytes)))...)[:len(b)]
		}
		next := b[:min(n, cap(b))]
		got, err := io.ReadFull(c.in, next[len(b):])
		b = next[:len(b)+got]
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Write sends frames that Put made.
func (c *Conn) Write(b []byte) error {
	_, err := c.socket.Write(b)
	return err
}

// SetReadDeadline bounds how long Read waits; zero: for ever.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.socket.SetReadDeadline(t) }

// SetWriteDeadline bounds how long Write waits; zero: for ever.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.socket.SetWriteDeadline(t) }

// Remote is the other end's address.
func (c *Conn) Remote() string { return c.socket.RemoteAddr().String() }

// CloseWrite says that nothing more comes; Read goes on.
func (c *Conn) CloseWrite() error {
	switch s := c.socket.(type) {
	case *net.TCPConn:
		return s.CloseWrite()
	case *tls.Conn:
		return s.CloseWrite()
	}
	return nil
}

// Close ends the connection at once; what was written before is sent, as far as the other end reads it.
func (c *Conn) Close() error {
	if t, ok := c.socket.(*tls.Conn); ok {
		return t.NetConn().Close() // its own Close waits for a peer that does not read
	}
	return c.socket.Close()
}

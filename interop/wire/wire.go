// Package wire has raw clients of AMQP 1.0, MQTT 3.1.1 and STOMP 1.2: no library in the way, so that a load costs its
// generator little beside what it costs the broker. They speak what a load needs and refuse the rest.
package wire

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Options say how a client connects and what it asks for.
type Options struct {
	Addr        string // host:port
	ID          string // container-id, client id
	Destination string // as the protocol spells it
	Window      int    // how many messages a sender leaves unconfirmed
	Credit      int    // how many messages a receiver takes unacknowledged
	QoS         byte   // MQTT's
	Durable     bool   // a receiver's subscription outlives its connection; a sender's messages are durable
	Persistent  bool   // a sender's messages are durable (AMQP, STOMP; MQTT's QoS says it)
}

// Sender sends messages. One goroutine uses it.
type Sender interface {
	// Send hands one message over; it waits while the window is full.
	Send(body []byte) error
	// Flush writes out what Send has gathered.
	Flush() error
	// Wait returns when every message is confirmed.
	Wait() error
	Close() error
}

// Receiver takes messages and acknowledges them. One goroutine uses it.
type Receiver interface {
	// Next returns the body of the next message, good until the next call. Acknowledgements are gathered and written before
	// it waits for the network.
	Next() ([]byte, error)
	// Ack acknowledges all that Next has returned.
	Ack() error
	// SetDeadline bounds the calls of Next.
	SetDeadline(t time.Time) error
	Close() error
}

var errProtocol = errors.New("the broker said what this client does not understand")

const bufferBytes = 1 << 16

type conn struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
}

func dial(addr string) (conn, error) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return conn{}, err
	}
	return buffered(c), nil
}

func buffered(c net.Conn) conn {
	return conn{c, bufio.NewReaderSize(c, bufferBytes), bufio.NewWriterSize(c, bufferBytes)}
}

// handshakeTimeout bounds each step before messages flow.
const handshakeTimeout = 10 * time.Second

// handshake runs f within its time and closes the connection if it fails.
func (c conn) handshake(f func() error) error {
	err := c.SetDeadline(time.Now().Add(handshakeTimeout))
	if err == nil {
		err = f()
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		return errors.Join(err, c.Close())
	}
	return nil
}

// window counts a sender's messages: how many may go, how many went, how many are confirmed.
type window struct {
	mu        sync.Mutex
	cond      sync.Cond
	allowed   uint64 // the peer's credit: the count of messages that may have been sent
	size      uint64
	sent      uint64
	confirmed uint64
	err       error
}

func newWindow(size int, allowed uint64) *window {
	w := &window{size: uint64(size), allowed: allowed}
	w.cond.L = &w.mu
	return w
}

func (w *window) full() bool {
	return w.err == nil && (w.sent >= w.allowed || w.sent-w.confirmed >= w.size)
}

// take waits for room, calling flush before it sleeps, and returns the number of the message to send.
func (w *window) take(flush func() error) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full() {
		w.mu.Unlock()
		err := flush()
		w.mu.Lock()
		if err != nil {
			return 0, err
		}
		for w.full() {
			w.cond.Wait()
		}
	}
	w.sent++
	return w.sent - 1, w.err
}

// wait returns when all that was sent is confirmed.
func (w *window) wait() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && w.confirmed < w.sent {
		w.cond.Wait()
	}
	return w.err
}

func (w *window) confirm(n uint64) {
	w.mu.Lock()
	wasFull := w.full()
	w.confirmed += n
	if wasFull || w.confirmed == w.sent {
		w.cond.Signal()
	}
	w.mu.Unlock()
}

func (w *window) allow(count uint64) {
	w.mu.Lock()
	w.allowed = count
	w.cond.Signal()
	w.mu.Unlock()
}

func (w *window) fail(err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	w.cond.Signal()
	w.mu.Unlock()
}

func protocolError(what string, detail any) error {
	return fmt.Errorf("%w: %s: %v", errProtocol, what, detail)
}

package interop

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
)

// The attack: connections of random bytes and of mutated valid sessions, on all ports. The broker goes on serving all
// others, its memory stays bounded, and nothing of the attackers is left behind.

const (
	attackRSSMax     = 400 << 20
	attackWorkers    = 32
	attackBatch      = 1000 // connections between two looks at the broker
	attackFDsMore    = 5    // what may be left over the count before
	settleTimeout    = 30 * time.Second
	attackersPatient = 20 * time.Millisecond // how long an attacker waits for an answer
)

// attackConnections is how many connections to make.
func attackConnections(t *testing.T) (n int) {
	t.Helper()
	n = 20_000
	if s := os.Getenv("HAVENMQ_ATTACK_CONNECTIONS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatalf("HAVENMQ_ATTACK_CONNECTIONS: %v", err)
		}
	}
	return n
}

func TestAttack(t *testing.T) {
	b := start(t, 5000)
	sessions := recordSessions(t, b)
	before := look(t, b)
	for done, n := 0, attackConnections(t); done < n; done += attackBatch {
		attack(t, b, sessions, uint64(done))
		if !b.Running() {
			t.Fatalf("havenmq died within the connections %d to %d (the seeds): %v", done, done+attackBatch, string(b.Tail(8192)))
		}
		for _, scheme := range broker.Schemes {
			if err := roundTrip(scheme, b.Port(scheme), "canary."+scheme); err != nil {
				t.Fatalf("after %d connections: %v", done+attackBatch, err)
			}
		}
		if rss, err := b.RSSBytes(); err != nil || rss > attackRSSMax {
			t.Fatalf("after %d connections: resident memory of %d bytes (%v)", done+attackBatch, rss, err)
		}
	}
	settles(t, b, before)
}

// attack makes a batch of connections; each has its own seed.
func attack(t *testing.T, b *broker.Broker, sessions []session, seed uint64) {
	t.Helper()
	var workers sync.WaitGroup
	seeds := make(chan uint64)
	for range attackWorkers {
		workers.Go(func() {
			for s := range seeds {
				if err := attackOnce(b, sessions, s); err != nil {
					t.Errorf("seed %d: %v", s, err)
				}
			}
		})
	}
	for i := range uint64(attackBatch) {
		seeds <- seed + i
	}
	close(seeds)
	workers.Wait()
}

// attackOnce is one connection; only failing to connect is an error.
func attackOnce(b *broker.Broker, sessions []session, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 7))
	scheme := broker.Schemes[r.IntN(len(broker.Schemes))]
	// Many source addresses, so that the ports do not run out.
	d := net.Dialer{Timeout: answerTimeout, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+seed%200))}}
	c, err := d.Dial("tcp", b.Addr(scheme))
	if err != nil {
		return err
	}
	text := attackBytes(r, sessions)
	for len(text) > 0 {
		n := 1 + r.IntN(len(text))
		if _, err := c.Write(text[:n]); err != nil {
			break // the broker has had enough
		}
		text = text[n:]
	}
	if r.IntN(2) == 0 {
		_ = c.(*net.TCPConn).CloseWrite() // it may be gone already
	}
	_ = c.SetReadDeadline(time.Now().Add(attackersPatient))
	_, _ = io.Copy(io.Discard, c) // whatever it says
	if r.IntN(2) == 0 {
		_ = c.(*net.TCPConn).SetLinger(0)
	}
	_ = c.Close()
	return nil
}

// footprint is what a broker holds.
type footprint struct {
	fds        int
	goroutines float64
}

func look(t *testing.T, b *broker.Broker) footprint {
	t.Helper()
	fds, err := b.FDs()
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	return footprint{fds, m["go_goroutines"]}
}

// settles waits until the broker holds no more than before.
func settles(t *testing.T, b *broker.Broker, before footprint) {
	t.Helper()
	var now footprint
	for deadline := time.Now().Add(settleTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		now = look(t, b)
		if now.fds <= before.fds+attackFDsMore && now.goroutines <= before.goroutines+attackFDsMore {
			return
		}
	}
	t.Errorf("the broker held %+v before and holds %+v %s after the last connection closed", before, now, settleTimeout)
}

// giants are beginnings of frames that claim to be of a gigabyte, or of the most that the protocol can say.
var giants = map[string][]string{
	"amqp": {
		"\x40\x00\x00\x00\x02\x00\x00\x00",
		"AMQP\x00\x01\x00\x00\x40\x00\x00\x00\x02\x00\x00\x00\x00\x53\x10",
		"AMQP\x03\x01\x00\x00\x40\x00\x00\x00\x02\x01\x00\x00\x00\x53\x41",
		"AMQP\x00\x01\x00\x00\x00\x00\x00\x14\x02\x00\x00\x00\x00\x53\x10\xd0\x40\x00\x00\x00\x40\x00\x00\x00",
	},
	"mqtt":  {"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\x02", "\x10\xff\xff\xff\xff\x7f", "\x30\xff\xff\xff\x7f\x00\x01a"},
	"stomp": {"CONNECT\naccept-version:1.2\nhost:/\ncontent-length:1073741824\n\n", "SEND\ndestination:/queue/a\ncontent-length:1073741824\n\n"},
}

// TestGiantLengths claims a gigabyte on many connections at once: the broker gives up on each, and reserves nothing.
func TestGiantLengths(t *testing.T) {
	b := start(t, 0)
	before, err := b.RSSBytes()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for scheme, texts := range giants {
		for _, text := range texts {
			for range 20 {
				all.Go(func() {
					if err := refused(b.Addr(scheme), text); err != nil {
						t.Errorf("%s: after %q: %v", scheme, text, err)
					}
				})
			}
		}
	}
	all.Wait()
	if after, err := b.PeakRSSBytes(); err != nil || after-before > 64<<20 {
		t.Errorf("memory grew from %d to %d bytes (%v)", before, after, err)
	}
}

// refused writes text and expects the broker to end the connection.
func refused(addr, text string) error {
	c, err := net.DialTimeout("tcp", addr, answerTimeout)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // the broker has closed it
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(2 * answerTimeout)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("the connection is still open: %w", err)
	}
	return nil // EOF or a reset
}

// TestHalfOpen says nothing, or half a word: the broker waits for no one for ever.
func TestHalfOpen(t *testing.T) {
	b := start(t, 0)
	var all sync.WaitGroup
	for _, scheme := range broker.Schemes {
		for _, text := range []string{"", "A", "\x10", "CONN"} {
			all.Go(func() {
				if err := refused(b.Addr(scheme), text); err != nil {
					t.Errorf("%s: after %q: %v", scheme, text, err)
				}
			})
		}
	}
	all.Wait()
}

// TestOneByteAtATime plays valid sessions so slowly that each byte is a packet of its own; the broker answers all the same.
func TestOneByteAtATime(t *testing.T) {
	b := start(t, 0)
	for _, s := range recordSessions(t, b) {
		t.Run(s.scheme, func(t *testing.T) {
			t.Parallel()
			if err := slowly(b.Addr(s.scheme), s.bytes); err != nil {
				t.Error(err)
			}
		})
	}
}

func slowly(addr string, text []byte) error {
	c, err := net.DialTimeout("tcp", addr, answerTimeout)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // nothing is under way
	if err := c.(*net.TCPConn).SetNoDelay(true); err != nil {
		return err
	}
	for i := range text {
		if _, err := c.Write(text[i : i+1]); err != nil {
			return fmt.Errorf("after %d bytes: %w", i, err)
		}
		time.Sleep(time.Millisecond) // so that the kernel sends each on its own
	}
	if err := c.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	n, err := c.Read(make([]byte, 4096))
	if n == 0 {
		return fmt.Errorf("no answer: %w", err)
	}
	return nil
}

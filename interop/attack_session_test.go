package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
	"github.com/havenmq/havenmq/interop/wire"
)

// session is what a client wrote in a conversation that went well.
type session struct {
	scheme string
	bytes  []byte
}

// recorder passes connections through to a broker and keeps what the clients write.
type recorder struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	sessions [][]byte
	open     sync.WaitGroup
}

func newRecorder(t *testing.T, to string) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{listener: l, to: to}
	r.open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			r.open.Go(func() { r.pass(c) })
		}
	})
	return r
}

func (r *recorder) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

func (r *recorder) pass(c net.Conn) {
	b, err := net.Dial("tcp", r.to)
	if err != nil {
		_ = c.Close() // the client will tell
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(c, b) // ends with either side
		_ = c.Close()
	})
	var kept bytesKept
	_, _ = io.Copy(io.MultiWriter(b, &kept), c)
	_ = b.Close()
	back.Wait()
	r.mu.Lock()
	r.sessions = append(r.sessions, kept)
	r.mu.Unlock()
}

type bytesKept []byte

func (k *bytesKept) Write(p []byte) (int, error) {
	*k = append(*k, p...)
	return len(p), nil
}

func (r *recorder) stop() [][]byte {
	_ = r.listener.Close()
	r.open.Wait()
	return r.sessions
}

// recordSessions holds a valid conversation over each protocol and returns what the clients wrote.
func recordSessions(t *testing.T, b *broker.Broker) (all []session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTimeout)
	defer cancel()
	for _, scheme := range broker.Schemes {
		r := newRecorder(t, b.Addr(scheme))
		if err := talk(ctx, scheme, r.port()); err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		for _, s := range r.stop() {
			all = append(all, session{scheme, s})
		}
	}
	return all
}

// talk uses most of what a protocol has, once.
func talk(ctx context.Context, scheme string, port int) error {
	switch scheme {
	case "amqp":
		return errors.Join(talkAs(ctx, openGoAMQP, port, "queue://recorded"), roundTrip(scheme, port, "recorded.raw"))
	case "mqtt":
		return errors.Join(talkAs(ctx, openPahoGo, port, "recorded/topic"), roundTrip(scheme, port, "recorded.raw"))
	}
	return errors.Join(talkSTOMP(port), roundTrip(scheme, port, "recorded.raw"))
}

func talkAs(ctx context.Context, open func(context.Context, *drivers, int, string) (client, error), port int, address string) error {
	c, err := open(ctx, nil, port, "recorded")
	if err != nil {
		return err
	}
	sub, err := c.subscribe(ctx, address)
	if err != nil {
		return errors.Join(err, c.close(ctx))
	}
	m := textMessage(text)
	m.Properties = map[string]any{"colour": "green"}
	m.ReplyTo, m.Correlation = address, "1"
	if err = c.send(ctx, address, m); err == nil {
		_, err = sub.receive(ctx)
	}
	return errors.Join(err, sub.close(ctx), c.close(ctx))
}

func talkSTOMP(port int) error {
	c, err := wire.DialSTOMP(fmt.Sprintf("127.0.0.1:%d", port), "recorded")
	if err != nil {
		return err
	}
	for _, head := range []string{
		"SUBSCRIBE\nid:1\ndestination:/topic/recorded\nack:client\n\n", "BEGIN\ntransaction:1\n\n",
		"SEND\ndestination:/topic/recorded\ntransaction:1\ncontent-length:0\n\n", "COMMIT\ntransaction:1\n\n",
		"UNSUBSCRIBE\nid:1\n\n", "DISCONNECT\nreceipt:bye\n\n",
	} {
		if err := c.Write(head, nil); err != nil {
			return err
		}
	}
	for {
		f, err := c.Read()
		if err != nil || f.Command == "RECEIPT" {
			return errors.Join(err, c.Close())
		}
	}
}

// roundTrip sends one message to a queue and takes it out again: the sign that a protocol serves.
func roundTrip(scheme string, port int, queue string) error {
	o := wire.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port), Window: 1, Credit: 10, QoS: 1, Persistent: true}
	send, receive := wire.SendAMQP, wire.ReceiveAMQP
	switch scheme {
	case "mqtt":
		send, receive, o.Destination = wire.SendMQTT, wire.ReceiveMQTT, "$queue/"+queue
	case "stomp":
		send, receive, o.Destination = wire.SendSTOMP, wire.ReceiveSTOMP, "/queue/"+queue
	default:
		o.Destination = "queue://" + queue
	}
	o.ID = queue + "-sender"
	s, err := send(o)
	if err != nil {
		return fmt.Errorf("%s: %w", scheme, err)
	}
	if err = s.Send([]byte("are you there?")); err == nil {
		err = s.Wait()
	}
	if err != nil {
		return fmt.Errorf("%s: send: %w", scheme, errors.Join(err, s.Close()))
	}
	o.ID = queue + "-receiver"
	r, err := receive(o)
	if err != nil {
		return fmt.Errorf("%s: subscribe: %w", scheme, errors.Join(err, s.Close()))
	}
	err = r.SetDeadline(time.Now().Add(answerTimeout))
	if err == nil {
		_, err = r.Next()
	}
	if err == nil {
		err = r.Ack()
	}
	return errors.Join(err, s.Close(), r.Close())
}

// attackBytes makes what one connection writes: random bytes, or a valid session with a few mutations.
func attackBytes(r *rand.Rand, sessions []session) []byte {
	if r.IntN(4) == 0 {
		b := make([]byte, r.IntN(2000))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	b := append([]byte(nil), sessions[r.IntN(len(sessions))].bytes...)
	for range 1 + r.IntN(4) {
		b = mutate(r, b, sessions)
	}
	return b
}

func mutate(r *rand.Rand, b []byte, sessions []session) []byte {
	if len(b) < 8 {
		return b
	}
	at := r.IntN(len(b) - 4)
	end := at + r.IntN(min(64, len(b)-at))
	switch r.IntN(8) {
	case 0: // a bit
		b[at] ^= 1 << r.IntN(8)
	case 1: // a byte
		b[at] = byte(r.Uint32())
	case 2: // a huge length
		copy(b[at:], [][]byte{{0xff, 0xff, 0xff, 0xff}, {0x40, 0, 0, 0}, {0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0x7f}, {0, 0, 0, 0}}[r.IntN(5)])
	case 3: // cut off
		b = b[:at]
	case 4: // something missing
		b = append(b[:at], b[end:]...)
	case 5: // something twice
		b = append(append(append([]byte(nil), b[:end]...), b[at:end]...), b[end:]...)
	case 6: // another session from the middle on
		other := sessions[r.IntN(len(sessions))].bytes
		b = append(append([]byte(nil), b[:at]...), other[r.IntN(len(other)):]...)
	case 7: // a byte too many
		b = append(append(append([]byte(nil), b[:at]...), byte(r.Uint32())), b[at:]...)
	}
	return b
}

package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/eclipse/paho.golang/paho"

	"github.com/havenmq/havenmq/interop/broker"
	"github.com/havenmq/havenmq/interop/wire"
)

// serveMax is how long an empty node may take until it serves.
const serveMax = 2 * time.Second

func TestServeIsQuickAndSaysWhereEverythingIs(t *testing.T) {
	b, err := broker.New(broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	launch(t, b)
	if took := time.Since(began); took > serveMax {
		t.Errorf("it serves after %s; at most %s are allowed", took, serveMax)
	}
	printed := string(b.Tail(8192))
	for _, want := range []string{b.URL("amqp"), b.URL("mqtt"), b.URL("stomp"), "http://" + b.Addr("admin"), "master", b.DataDir()} {
		if !strings.Contains(printed, want) {
			t.Errorf("it does not say %q:\n%s", want, printed)
		}
	}
}

// TestGracefulStopTellsClients holds a connection of each protocol open and stops the broker.
func TestGracefulStopTellsClients(t *testing.T) {
	b, err := broker.New(broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	defer b.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), answerTimeout)
	defer cancel()
	a, err := openGoAMQP(ctx, nil, b.Port("amqp"), "stays")
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan byte, 1)
	conn, err := net.Dial("tcp", b.Addr("mqtt"))
	if err != nil {
		t.Fatal(err)
	}
	m := paho.NewClient(paho.ClientConfig{Conn: conn, OnServerDisconnect: func(d *paho.Disconnect) { told <- d.ReasonCode }})
	if _, err := m.Connect(ctx, &paho.Connect{ClientID: "stays", KeepAlive: 60}); err != nil {
		t.Fatal(err)
	}
	s, err := wire.DialSTOMP(b.Addr("stomp"), "stays too")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
	_, err = a.(*goAMQP).session.NewReceiver(ctx, "queue://x", nil)
	var closed *amqp.ConnError
	if !errors.As(err, &closed) || closed.RemoteErr == nil || closed.RemoteErr.Condition != amqp.ErrCondConnectionForced {
		t.Errorf("AMQP was told %v", err)
	}
	select {
	case code := <-told:
		if code != 0x8b { // server shutting down
			t.Errorf("MQTT was told %#x", code)
		}
	case <-ctx.Done():
		t.Error("MQTT was told nothing")
	}
	if f, err := s.Expect("ERROR"); err != nil {
		t.Errorf("STOMP was told %v %v", f, err)
	}
}

// TestConnectionLimit fills a connector: the next client is refused in its protocol's words, and let in when another has gone.
func TestConnectionLimit(t *testing.T) {
	const limit = 10
	b := start(t, limit)
	for _, c := range []struct {
		scheme, refusal string
		open            func(ctx context.Context, id string) (io.Closer, error)
	}{
		{"amqp", "failed with code 0x4", func(ctx context.Context, id string) (io.Closer, error) {
			c, err := openGoAMQP(ctx, nil, b.Port("amqp"), id)
			return closer{c}, err
		}},
		{"mqtt", "maximumConnections", func(ctx context.Context, id string) (io.Closer, error) {
			c, err := openPahoGo(ctx, nil, b.Port("mqtt"), id)
			return closer{c}, err
		}},
		{"stomp", "ERROR", func(_ context.Context, id string) (io.Closer, error) { return wire.DialSTOMP(b.Addr("stomp"), id) }},
	} {
		t.Run(c.scheme, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), answerTimeout)
			defer cancel()
			var open []io.Closer
			for i := range limit {
				conn, err := c.open(ctx, fmt.Sprintf("guest %d", i))
				if err != nil {
					t.Fatalf("connection %d: %v", i, err)
				}
				open = append(open, conn)
			}
			if _, err := c.open(ctx, "one too many"); err == nil || !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("one too many: %v", err)
			}
			closing := open[0].Close()
			waitFor(t, "there is room again", func() error {
				conn, err := c.open(ctx, "late guest")
				if err == nil {
					open[0] = conn
				}
				return err
			})
			for _, conn := range open {
				closing = errors.Join(closing, conn.Close())
			}
			if closing != nil {
				t.Error(closing)
			}
		})
	}
}

// closer makes a client's close an io.Closer's.
type closer struct{ client }

func (c closer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	return c.close(ctx)
}

// waitFor tries until there is no error: from outside there is nothing to wait on.
func waitFor(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(answerTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Errorf("%s: %v", what, err)
}

package courier

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/havenmq/havenmq/core"
)

func TestReadStomp(t *testing.T) {
	for _, c := range []struct {
		in      string
		command string
		headers map[string]string
		body    string
		fails   bool
	}{
		{in: "\n\r\n\nMESSAGE\na:b\n\nhi\x00", command: "MESSAGE", headers: map[string]string{"a": "b"}, body: "hi"},
		{in: "MESSAGE\r\na\\cb:c\\nd\\\\e\r\na\\cb:second\n\n\x00", command: "MESSAGE", headers: map[string]string{"a:b": "c\nd\\e"}},
		{in: "MESSAGE\ncontent-length:3\n\na\x00b\x00", command: "MESSAGE", headers: map[string]string{"content-length": "3"}, body: "a\x00b"},
		{in: "MESSAGE\n\n" + strings.Repeat("x", 3*maxStompLine) + "\x00", command: "MESSAGE", headers: map[string]string{}, body: strings.Repeat("x", 3*maxStompLine)},
		{in: "ERROR\nmessage:no\n\nreally\x00", fails: true},
		{in: "MESSAGE\nnothing\n\n\x00", fails: true},
		{in: "MESSAGE\ncontent-length:-1\n\n\x00", fails: true},
		{in: "MESSAGE\ncontent-length:1\n\nab\x00", fails: true},
		{in: "MESSAGE\ncontent-length:9\n\nab", fails: true},
		{in: "MESSAGE\n\nab", fails: true},
		{in: "MESSAGE\n" + strings.Repeat("x", 2*maxStompLine), fails: true},
		{in: "", fails: true},
	} {
		f, err := readStomp(bufio.NewReaderSize(strings.NewReader(c.in), maxStompLine))
		if c.fails != (err != nil) {
			t.Errorf("%.60q: %v", c.in, err)
		}
		if !c.fails && (f.command != c.command || string(f.body) != c.body || !cmp.Equal(f.headers, c.headers)) {
			t.Errorf("%.60q is read as %s %v %.60q", c.in, f.command, f.headers, f.body)
		}
	}
}

func FuzzReadStomp(f *testing.F) {
	f.Add([]byte("MESSAGE\na:b\ncontent-length:2\n\nhi\x00\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(strings.NewReader(string(in)), maxStompLine)
		for {
			frame, err := readStomp(r)
			if err != nil {
				return
			}
			if len(frame.body) > len(in) || len(frame.headers) > maxStompHeaders {
				t.Fatalf("%q makes %d bytes and %d headers", in, len(frame.body), len(frame.headers))
			}
		}
	})
}

// A broker that says nothing is not waited for longer than ctx lasts.
func TestStompInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return // the test has ended
		}
		defer c.Close()
		_, _ = io.Copy(io.Discard, c) // until the client gives up
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, &url.URL{Scheme: "stomp", Host: l.Addr().String()}); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Cause(ctx)) {
		t.Errorf("%v", err)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ in, mqtt, stomp string }{
		{"orders", "$queue/orders", "/queue/orders"}, {"queue://a.b", "$queue/a/b", "/queue/a.b"}, {"topic://a.*.>", "a/+/#", "/topic/a.*.>"}, {"topic://a/b", "a.b", "/topic/a/b"},
	} {
		d, err := Destination(c.in, true)
		if err != nil || topicOf(d) != c.mqtt || stompName(d) != c.stomp {
			t.Errorf("%s is %s and %s, %v", c.in, topicOf(d), stompName(d), err)
		}
	}
	for _, bad := range []string{"", "queue://", "temp-queue://a"} {
		if _, err := Destination(bad, false); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, err := Destination("topic://a.>", false); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a pattern is taken for a name: %v", err)
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{"amqp://h": "h:5672", "mqtt://u:p@h": "h:1883", "stomp://[::1]:1": "[::1]:1"} {
		if u, err := Parse(in); err != nil || len(u) != 1 || u[0].Host != want {
			t.Errorf("%s: %v, %v", in, u, err)
		}
	}
	for _, in := range []string{"failover:(amqp://a,stomp://b:1)", "failover://(amqp://a, stomp://b:1)?maxReconnectDelay=1000", "failover:amqp://a,stomp://b:1"} {
		if u, err := Parse(in); err != nil || len(u) != 2 || u[0].Host != "a:5672" || u[1].Host != "b:1" {
			t.Errorf("%s: %v, %v", in, u, err)
		}
	}
	for _, bad := range []string{"", "h:1", "http://h", "amqps://h", "amqp://", "failover:", "failover:(amqp://a", "failover:(amqp://a,tcp://b)"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

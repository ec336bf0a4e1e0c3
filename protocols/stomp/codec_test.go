package stomp

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// feed gives a codec bytes without end, a piece at a time, until it has had enough.
func feed(c *codec, head, piece string, most int) (read int, err error) {
	buf := []byte(head)
	for len(buf) <= most {
		_, n, need, err := c.Decode(buf)
		if err != nil || n > 0 || need > c.limit {
			return len(buf), err
		}
		buf = append(buf, piece...)
	}
	return len(buf), nil
}

// TestWhatHasNoEnd is refused while it is still small.
func TestWhatHasNoEnd(t *testing.T) {
	long := strings.Repeat("a", 1000)
	for _, c := range []struct {
		name, head, piece string
		opened            bool
		most              int
		want              error
	}{
		{"command", "SEND", "D", true, 64, errCommand},
		{"no command at all", "\x16\x03\x01", "x", true, 64, errCommand},
		{"header line", "SEND\nx:", long, true, maxLineBytes + 4096, errLongLine},
		{"many long lines", "SEND\n", "x:" + strings.Repeat(long, 60) + "\n", true, maxHeadBytes + 1<<17, errLongHead},
		{"many short lines", "SEND\n", "x:y\n", true, 8192, errManyHeaders},
		{"body", "SEND\ndestination:/queue/a\n\n", long, true, 1<<20 + 4096, errFrameSize},
		{"content-length", "SEND\ncontent-length:1000000000\n\n", "x", true, 64, errFrameSize},
		{"content-length past all numbers", "SEND\ncontent-length:9999999999999999999\n\n", "x", true, 64, errFrameSize},
		{"body of what has none", "ACK\nid:1\n\n", "x", true, 64, errBody},
		{"headers before CONNECTED", "CONNECT\n", "x:" + long + "\n", false, maxFirstBytes + 4096, errFrameSize},
		{"content-length before CONNECTED", "SEND\ncontent-length:70000\n\n", "x", false, 64, errFrameSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			codec, _ := newPair(v12)
			codec.limit, codec.dialect.opened = 1<<20+2048, c.opened
			n, err := feed(codec, c.head, c.piece, c.most)
			if !errors.Is(err, c.want) {
				t.Errorf("%v after %d bytes, want %v", err, n, c.want)
			}
		})
	}
}

// TestLineEnds: a carriage return before a line's end is one in 1.2, and forgiven in 1.0; in 1.1 it is part of the line.
func TestLineEnds(t *testing.T) {
	const frame = "SEND\r\ndestination:/queue/a\r\nx:y\r\n\r\nbody\r\n\x00\r\n"
	for v, want := range map[version]string{v10: "y", v11: "", v12: "y"} {
		c, _ := newPair(v)
		f, n, _, err := c.Decode([]byte(frame))
		if want == "" {
			if err == nil {
				t.Errorf("%v: no error", v)
			}
			continue
		}
		if err != nil || n != len(frame) || string(f.get("x")) != want || string(f.body) != "body\r\n" {
			t.Errorf("%v: %q %q %d %v", v, f.get("x"), f.body, n, err)
		}
	}
}

// TestFramesArePassedOn sends random headers and bodies in one version and reads them in another: all that can be said in
// both comes back.
func TestFramesArePassedOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := version(rapid.IntRange(1, 3).Draw(t, "from")), version(rapid.IntRange(1, 3).Draw(t, "to"))
		runes := `[a-zA-Z0-9.\-_ grüß𝄞:\\]{0,12}`
		if from >= v11 && to >= v11 {
			runes = `[a-z:\\\n grüß𝄞]{0,12}`
		}
		if from == v12 && to == v12 {
			runes = `[a-z:\\\n\r grüß𝄞]{0,12}`
		}
		headers := rapid.MapOfN(rapid.StringMatching(`h[a-z0-9 \-]{0,8}`), rapid.StringMatching(runes), 0, 8).Draw(t, "headers")
		body := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "body")
		in := []byte("SEND\ndestination:/queue/a\n")
		for name, value := range headers {
			if from == v10 || to == v10 {
				value = strings.TrimSpace(value) // 1.0 pads them
				headers[name] = value
			}
			in = append(appendEscaped(in, name, from, true), ':')
			in = append(appendEscaped(in, value, from, false), '\n')
		}
		in = append(append(fmt.Appendf(in, "content-length:%d\n\n", len(body)), body...), 0)
		f := passOn(t, in, from, to)
		for name, value := range headers {
			if f.headers[name] != value {
				t.Fatalf("%v to %v: %q is %q, was %q", from, to, name, f.headers[name], value)
			}
		}
		if f.body != string(body) {
			t.Fatalf("body %q, was %q", f.body, body)
		}
	})
}

// passOn is a frame's way from one connection to another, through what is stored.
func passOn(t interface{ Fatalf(string, ...any) }, in []byte, from, to version) (m served) {
	c, s := newPair(from)
	f, n, _, err := c.Decode(in)
	if err != nil || n != len(in) {
		t.Fatalf("%q: %d, %v", in, n, err)
	}
	var out peer.Out[Frame]
	s.Receive(f, epoch, &out)
	for _, op := range out.Ops {
		if op.Kind == core.OpPublish {
			return deliverTo(t, op.Message, to)
		}
	}
	t.Fatalf("%q: %v", in, out.Close)
	return m
}

// deliverTo is the message as a client of a version reads it.
func deliverTo(t interface{ Fatalf(string, ...any) }, message *core.Message, v version) served {
	c, s := newPair(v)
	s.slots = []*subscription{{head: []byte("subscription:1\n"), confirmed: true, prefetch: 10}}
	var out peer.Out[Frame]
	s.Deliver(&core.Delivery{Message: message}, epoch, &out)
	b, err := c.Append(nil, out.Frames[0])
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	m, err := readServed(b, v)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return m
}

// FuzzPassOn passes on whatever SEND can be read: what comes out is a MESSAGE, and nothing in the headers or body made
// another frame of it.
func FuzzPassOn(f *testing.F) {
	f.Add([]byte("SEND\ndestination:/queue/a\nx:a\\nb\\c\\\\\n\nbody\x00"), byte(10))
	f.Add([]byte("SEND\ndestination:/topic/a\nreply-to:/temp-queue/x\ncontent-length:3\n\na\x00b\x00"), byte(6))
	f.Fuzz(func(t *testing.T, in []byte, versions byte) {
		from, to := version(versions%3)+v10, version(versions/3%3)+v10
		c, s := newPair(from)
		frame, n, _, err := c.Decode(in)
		if err != nil || n == 0 || frame.command != cmdSend {
			return
		}
		var out peer.Out[Frame]
		s.Receive(frame, epoch, &out)
		for _, op := range out.Ops {
			if op.Kind != core.OpPublish {
				continue
			}
			m := deliverTo(t, op.Message, to)
			if m.command != "MESSAGE" || m.body != string(frame.body) || m.headers["subscription"] != "1" {
				t.Fatalf("%q became %v", in, m)
			}
		}
	})
}

package stomp

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/persist"
	"github.com/havenmq/havenmq/protocols/peer"
)

// world is a broker on a store in memory, for machines without sockets.
type world struct {
	testing.TB
	fs     *persist.MemFS
	rng    *rand.Rand
	store  *persist.Store
	broker *core.Broker
	nowMs  int64
}

func newWorld(tb testing.TB, seed uint64) *world {
	w := &world{TB: tb, fs: persist.NewMemFS(), rng: rand.New(rand.NewPCG(seed, 1)), nowMs: epoch.UnixMilli()}
	w.start()
	tb.Cleanup(w.stop)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) start() {
	var err error
	w.store, err = persist.Open(persist.Options{Dir: "data", FS: w.fs, LogSize: 1 << 20, ReserveBytes: -1, BootID: "boot"})
	w.must(err)
	barrier, err := w.store.Lead(w.store.NextEpoch())
	w.must(err)
	w.until("the store leads", func() bool { return w.store.Committed() >= barrier })
	w.broker, err = core.Open(core.Options{Store: w.store, NowMs: w.nowMs, Formats: []core.Format{Format}})
	w.must(err)
}

func (w *world) stop() {
	w.broker.Shutdown()
	w.must(w.store.Close())
}

// crash cuts the power, and begins another life on what the disk holds.
func (w *world) crash() {
	fs := w.fs.Crash(w.rng)
	w.broker.Shutdown()
	if err := w.store.Close(); err == nil {
		w.Fatal("a store closed well, though its files are gone")
	}
	w.fs = fs
	w.nowMs += 1000
	w.start()
}

// until waits for what other goroutines bring about.
func (w *world) until(what string, done func() bool) {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			w.Fatalf("not in time: %s", what)
		}
	}
}

func (w *world) now() time.Time { return time.UnixMilli(w.nowMs) }

// link is a client at the other end of a machine, its socket left out.
type link struct {
	*world
	version version
	client  *core.Client
	codec   peer.Codec[Frame]
	machine peer.Machine[Frame]
	out     peer.Out[Frame]
	events  core.Events
	got     []served // not looked at yet
	closed  error
}

// Wake is core.Sink: pump looks all the time.
func (l *link) Wake() {}

var errCut = errors.New("the line was cut")

// attach is a connection on which nothing was said.
func (w *world) attach() *link {
	l := &link{world: w}
	l.client = w.broker.Attach(l, "test")
	w.nowMs++ // no two connections begin at once
	l.codec, l.machine = New(Options{Prefetch: 20}).New(peer.Limits{}, "test", w.now())
	return l
}

// connect opens a connection of a version.
func (w *world) connect(v version, headers ...string) *link {
	w.Helper()
	l := w.attach()
	l.version = v
	l.say("CONNECT accept-version:" + v.String() + " " + strings.Join(headers, " "))
	l.hear("CONNECTED")
	return l
}

// say sends one frame, in a buffer that is spoilt as soon as it was read.
func (l *link) say(line string) {
	l.Helper()
	for b := clientFrame(line); len(b) > 0 && l.closed == nil; {
		f, n, _, err := l.codec.Decode(b)
		if err != nil {
			l.machine.Malformed(err, l.now(), &l.out)
			n = len(b)
		} else {
			l.machine.Receive(f, l.now(), &l.out)
		}
		l.collect()
		for i := range b[:n] {
			b[i] = 0xff
		}
		b = b[n:]
	}
	if l.rng.IntN(4) > 0 { // otherwise more comes in the same read
		l.pump()
	}
}

// pump does what the rim does, once.
func (l *link) pump() {
	if l.closed != nil {
		return
	}
	l.client.Poll(&l.events, 7)
	for i := range l.events.Done {
		l.machine.Done(&l.events.Done[i], l.now(), &l.out)
		l.collect()
	}
	if l.events.Evicted != nil {
		l.machine.Evict(l.events.Evicted, l.now(), &l.out)
		l.collect()
		return
	}
	for i := range l.events.Deliveries {
		l.machine.Deliver(&l.events.Deliveries[i], l.now(), &l.out)
		l.collect()
	}
	l.machine.(peer.Flusher[Frame]).Flush(l.now(), &l.out)
	l.collect()
}

func (l *link) collect() {
	l.Helper()
	for i := range l.out.Frames {
		b, err := l.codec.Append(nil, l.out.Frames[i])
		l.must(err)
		f, err := readServed(b, l.version)
		l.must(err)
		l.got = append(l.got, f)
	}
	l.client.Do(l.out.Ops, l.nowMs)
	closed := l.out.Close
	l.out = peer.Out[Frame]{}
	if closed != nil {
		l.hangUp(closed)
	}
}

// hangUp ends the connection without a word.
func (l *link) hangUp(why error) {
	if l.closed == nil {
		l.closed = why
		l.client.Close(l.nowMs)
	}
}

// hear waits for the next frame of a command; others stay.
func (l *link) hear(command string) (f served) {
	l.Helper()
	l.until("a frame "+command, func() bool {
		l.pump()
		for i := range l.got {
			if l.got[i].command == command {
				f = l.got[i]
				l.got = append(l.got[:i:i], l.got[i+1:]...)
				return true
			}
			if command != "ERROR" && l.got[i].command == "ERROR" {
				l.Fatalf("waiting for %s: %v", command, l.got[i])
			}
		}
		return false
	})
	return f
}

// quiet looks that nothing comes.
func (l *link) quiet() {
	l.Helper()
	for range 20 {
		l.pump()
		time.Sleep(50 * time.Microsecond)
	}
	if len(l.got) > 0 {
		l.Fatalf("got %v", l.got)
	}
}

// clientFrame makes a frame of text: COMMAND name:value … | body. %20 in a header is a space.
func clientFrame(line string) []byte {
	head, body, _ := strings.Cut(line, " | ")
	var b bytes.Buffer
	for i, w := range strings.Fields(head) {
		if i > 0 {
			w = strings.ReplaceAll(w, "%20", " ")
		}
		b.WriteString(w + "\n")
	}
	b.WriteString("\n" + body + "\x00")
	return b.Bytes()
}

// served is a frame of the server's, as a client reads it.
type served struct {
	command string
	headers map[string]string
	body    string
}

// readServed reads one that is all of b, strictly.
func readServed(b []byte, v version) (f served, err error) {
	head, body, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return f, fmt.Errorf("no empty line in %q", b)
	}
	lines := bytes.Split(head, []byte("\n"))
	f.command, f.headers = string(lines[0]), map[string]string{}
	for _, line := range lines[1:] {
		name, value, ok := readLine(line, v, f.command != "CONNECTED")
		if !ok {
			return f, fmt.Errorf("line %q in %q", line, b)
		}
		if _, twice := f.headers[name]; !twice {
			f.headers[name] = value
		}
	}
	n := bytes.IndexByte(body, 0)
	if text, ok := f.headers["content-length"]; ok {
		if n, err = strconv.Atoi(text); err != nil {
			return f, err
		}
	}
	if n < 0 || string(body[n:]) != "\x00\n" {
		return f, fmt.Errorf("%q does not end with NUL after its body", b)
	}
	f.body = string(body[:n])
	return f, nil
}

func readLine(line []byte, v version, escapes bool) (name, value string, ok bool) {
	n, val, ok := bytes.Cut(line, []byte(":"))
	if !ok || !escapes || v < v11 {
		return string(n), string(val), ok
	}
	a, ok1 := appendUnescaped(nil, n, v)
	b, ok2 := appendUnescaped(nil, val, v)
	return string(a), string(b), ok1 && ok2
}

package peer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/havenmq/havenmq/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is a connection under test, as its peer sees it.
type wire struct {
	t      *testing.T
	broker *fakeBroker
	net.Conn
	in   *bufio.Reader
	conn Connection
}

// kinds are the sockets that each test runs on: a pipe in memory, and TCP on loopback.
var kinds = []string{"pipe", "tcp"}

func connect(t *testing.T, kind string, p Protocol[line], l Limits, also ...func(*Options)) *wire {
	t.Helper()
	w := &wire{t: t, broker: newFakeBroker()}
	var ours net.Conn
	if kind == "pipe" {
		ours, w.Conn = net.Pipe()
	} else {
		ours, w.Conn = tcpPair(t)
	}
	o := w.broker.options()
	o.Limits = l
	for _, set := range also {
		set(&o)
	}
	w.in = bufio.NewReader(w.Conn)
	w.conn = NewHandler(p, o).Open(ours, nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.conn.Run()
	}()
	t.Cleanup(func() {
		_ = w.Conn.Close() // some tests have
		<-ended
	})
	return w
}

func tcpPair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	if theirs, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	return <-accepted, theirs
}

func (w *wire) say(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.Conn, text); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) hear(want ...string) {
	w.t.Helper()
	for _, s := range want {
		got, err := w.in.ReadString('\n')
		if err != nil || got != s+"\n" {
			w.t.Fatalf("heard %.80q, %v; want %.80q", got, err, s)
		}
	}
}

func (w *wire) hearEnd() {
	w.t.Helper()
	if rest, err := io.ReadAll(w.in); len(rest) > 0 || err != nil {
		w.t.Fatalf("heard %q, %v; want the end", rest, err)
	}
	_ = w.Conn.Close() // else the other end lingers
}

func (w *wire) client() *fakeClient { return w.broker.client(0) }

// ended waits for the connection's report.
func (w *wire) ended() Report { return w.broker.reported(1)[0] }

func each(t *testing.T, f func(t *testing.T, kind string)) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) { f(t, kind) })
	}
}

func TestEchoAndGoodbye(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		w.say("echo a\necho b\n")
		w.hear("a", "b")
		w.say("quit\n")
		w.hear("bye")
		w.hearEnd()
		if r := w.ended(); r.Err != ErrGoodbye || r.Kind != ReportEnded || r.Protocol != "line" {
			t.Errorf("reported %+v", r)
		}
		<-w.client().closing
		w.client().look(func() {
			if w.client().closed != 1 || fmt.Sprint(w.client().ops) != fmt.Sprint([]core.OpKind{core.OpDisconnect}) {
				t.Errorf("closed %d times after %v", w.client().closed, w.client().ops)
			}
		})
	})
}

func TestOneByteAtATime(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		for _, b := range []byte("echo slow\n") {
			w.say(string(b))
		}
		w.hear("slow")
	})
}

func TestFramesOfManySizes(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		go func() {
			for _, n := range []int{1, smallBytes, readBytes - 3, readBytes, readBytes + 1, 3 * readBytes, 1 << 20, 5} {
				if _, err := fmt.Fprintf(w.Conn, "#%d\nlen %s", n+4, strings.Repeat("y", n)); err != nil {
					t.Error(err)
				}
				if _, err := fmt.Fprintf(w.Conn, "len %s\n", strings.Repeat("z", n)); err != nil {
					t.Error(err)
				}
			}
		}()
		for _, n := range []int{1, smallBytes, readBytes - 3, readBytes, readBytes + 1, 3 * readBytes, 1 << 20, 5} {
			w.hear(fmt.Sprint(n), fmt.Sprint(n))
		}
	})
}

func TestHugeLengthAllocatesNothing(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{MaxFrameBytes: 1 << 30})
		w.say("#1000000000\nabc")
		w.conn.(*conn[line]).Wake()
		w.say("def")
		if kind == "pipe" { // its write returns when the bytes were read
			c := w.conn.(*conn[line])
			_ = w.Conn.Close()
			w.ended()
			if c.in.buf != nil {
				t.Errorf("the input still holds %d bytes", len(c.in.buf.b))
			}
		}
	})
	in := input{}
	in.prepare(1 << 30)
	in.to, in.need = 20, 1<<30
	if in.prepare(1 << 30); len(in.buf.b) != readBytes {
		t.Errorf("20 bytes of a huge frame take %d bytes", len(in.buf.b))
	}
	in.to = readBytes
	if in.prepare(1 << 30); len(in.buf.b) != 2*readBytes {
		t.Errorf("%d bytes of a huge frame take %d bytes", readBytes, len(in.buf.b))
	}
}

func TestFrameAboveTheLimit(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{MaxFrameBytes: 1 << 10})
		w.say("#2000\n")
		w.hear("malformed: line too long")
		w.hearEnd()
		if r := w.ended(); !errors.Is(r.Err, errLong) {
			t.Errorf("reported %v", r.Err)
		}
	})
}

// A codec that does not know how long its frame will be is stopped by the rim.
func TestEndlessFrame(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{MaxFrameBytes: 100 << 10})
		go func() {
			_, _ = io.WriteString(w.Conn, strings.Repeat("y", 1<<20)) // fails when we are cut off
		}()
		w.hear("malformed: " + errFrameTooLarge.Error())
		if r := w.ended(); !errors.Is(r.Err, core.ErrTooLarge) {
			t.Errorf("reported %v", r.Err)
		}
	})
}

func TestOperationsAndAnswers(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		w.say("pub a\nsettle\nsettle\npub b\necho c\n")
		w.hear("c", "done a", "done b")
		w.client().look(func() {
			if len(w.client().batches) != 1 || fmt.Sprint(w.client().tags) != "[0 2 2 0]" {
				t.Errorf("batches of %v operations, with %v tags", w.client().batches, w.client().tags)
			}
		})
	})
}

func TestAnswersThatComeLater(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{gathers: true}, Limits{})
		f := w.client()
		f.change(func() { f.hold = true })
		w.say("pub a\npub b\npub c\necho d\n")
		w.hear("d")
		f.change(func() { f.hold = false })
		w.hear("done 3")
	})
}

func TestDeliveries(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		f := w.client()
		const n = 1000
		go f.change(func() { f.list = deliveries(n, 10) })
		for i := range n {
			w.hear(fmt.Sprintf("%010d", i))
		}
	})
}

func deliveries(n, size int) []core.Delivery {
	list := make([]core.Delivery, n)
	for i := range list {
		list[i].Message = &core.Message{Bare: fmt.Appendf(nil, "%0*d", size, i)}
	}
	return list
}

func TestConsumerThatNeverReadsIsNotFed(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		const size, most = 10_000, 64 << 10
		w := connect(t, kind, lineProtocol{}, Limits{MaxOutBufferBytes: most})
		f := w.client()
		f.change(func() { f.list = deliveries(2000, size) })
		c := w.conn.(*conn[line])
		steady(t, func() int {
			c.mu.Lock()
			defer c.mu.Unlock()
			if n := c.unwritten(); n > most+size+1 {
				t.Errorf("%d bytes wait to be written, at most %d should", n, most)
			}
			return c.unwritten()
		}, func(n int) bool { return n >= most })
		f.look(func() {
			if f.taken > 2000/2 {
				t.Errorf("%d deliveries were taken", f.taken)
			}
		})
		for i := range 2000 {
			w.hear(fmt.Sprintf("%0*d", size, i))
		}
	})
}

// steady polls until a state is reached; the state does not leave it again by itself.
func steady(t *testing.T, state func() int, reached func(int) bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		n := state()
		if reached(n) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still at %d", n)
		}
	}
}

// What a machine says piece by piece is asked for as the reader reads, and no faster.
func TestMoreToSay(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		const most, n = 16 << 10, 3000
		w := connect(t, kind, lineProtocol{gathers: true}, Limits{MaxOutBufferBytes: most})
		w.say(fmt.Sprintf("stream %d\n", n))
		c := w.conn.(*conn[line])
		for i := range n {
			w.hear(strings.Repeat("x", 10000))
			if i%100 != 0 {
				continue
			}
			c.mu.Lock()
			if waits := c.unwritten(); waits > most+10_001 {
				t.Errorf("%d bytes wait to be written", waits)
			}
			c.mu.Unlock()
		}
		w.say("echo end\n")
		w.hear("end")
	})
}

// Who asks and never reads the answers is not read either, and goes on when it reads.
func TestAsksAndNeverReads(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		const most, n = 16 << 10, 3000
		w := connect(t, kind, lineProtocol{}, Limits{MaxOutBufferBytes: most})
		go func() {
			for range n {
				if _, err := io.WriteString(w.Conn, "repeat 10000\n"); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		c := w.conn.(*conn[line])
		steady(t, func() int {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.unwritten()
		}, func(n int) bool {
			if n > 2*most+10_001 {
				t.Errorf("%d bytes wait to be written", n)
			}
			return n > 2*most && c.paused.Load()
		})
		for range n {
			w.hear(strings.Repeat("x", 10000))
		}
	})
}

func TestThrottledIsNotRead(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		f := w.client()
		f.look(func() { f.throttled = true })
		w.say("wake 1ms\necho a\n")
		w.hear("a")
		w.hear("deaf") // silence is not the peer's then
		w.hear("tick")
		steady(t, func() int { return 0 }, func(int) bool { return w.conn.(*conn[line]).paused.Load() })
		go func() {
			if _, err := io.WriteString(w.Conn, "echo b\n"); err != nil {
				t.Error(err)
			}
		}()
		f.change(func() { f.list = deliveries(1, 5) }) // what goes out still does
		w.hear("00000")
		f.change(func() { f.throttled = false })
		w.hear("b")
		w.say("wake 1ms\n")
		w.hear("deaf")
		w.hear("tick")
		w.say("wake 1ms\n")
		w.hear("tick")
	})
}

func TestEvicted(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		f := w.client()
		f.change(func() { f.evicted = core.ErrKicked })
		w.hear("evicted: ")
		w.hearEnd()
		if r := w.ended(); !errors.Is(r.Err, core.ErrKicked) {
			t.Errorf("reported %v", r.Err)
		}
	})
}

func TestPanicEndsItsConnectionAlone(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		w.say("panic\n")
		list := w.broker.reported(2)
		if list[0].Kind != ReportFault || !strings.Contains(string(list[0].Stack), "lineMachine") || list[1].Err != ErrFault {
			t.Errorf("reported %+v", list)
		}
		<-w.client().closing
		w.hearEnd()
	})
}

func TestAnswerThatCannotBeEncoded(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		w.say("echo unspeakable\n")
		w.hearEnd()
		if r := w.ended(); !errors.Is(r.Err, errLong) {
			t.Errorf("reported %v", r.Err)
		}
	})
}

func TestPeerGoesAway(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		w.say("echo a\n")
		w.hear("a")
		_ = w.Conn.Close()
		if r := w.ended(); !Expected(r.Err) {
			t.Errorf("reported %v", r.Err)
		}
		<-w.client().closing
	})
}

func TestAbort(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		w := connect(t, kind, lineProtocol{}, Limits{})
		w.say("echo a\n")
		w.hear("a")
		w.conn.Abort()
		if r := w.ended(); r.Err != ErrAborted {
			t.Errorf("reported %v", r.Err)
		}
	})
}

// The goodbye reaches a peer that is still sending: the connection is not reset under it.
func TestGoodbyeIsNotLost(t *testing.T) {
	for range 50 {
		w := connect(t, "tcp", lineProtocol{}, Limits{})
		w.say("bad\n" + strings.Repeat("echo more\n", 10_000))
		w.hear("no such thing")
		w.hearEnd()
		if r := w.ended(); r.Err == nil || r.Err.Error() != "bad line" {
			t.Fatalf("reported %v", r.Err)
		}
	}
}

func TestHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := connect(t, "pipe", lineProtocol{}, Limits{HandshakeTimeout: 3 * time.Second})
		began := time.Now()
		w.say("ech")
		w.hear("tick")
		w.hearEnd()
		if r := w.ended(); r.Err != ErrHandshake || time.Since(began) != 3*time.Second {
			t.Errorf("reported %v after %v", r.Err, time.Since(began))
		}
	})
}

func TestTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := connect(t, "pipe", lineProtocol{}, Limits{HandshakeTimeout: 3 * time.Second})
		began := time.Now()
		w.say("wake 10s\n")
		time.Sleep(9 * time.Second)
		w.say("wake 20s\n") // later: the timer that fires too early is set anew
		w.hear("tick")
		if d := time.Since(began); d != 29*time.Second {
			t.Errorf("ticked after %v", d)
		}
		w.say("wake 1h\nwake 1s\n") // earlier
		w.hear("tick")
		if d := time.Since(began); d != 30*time.Second {
			t.Errorf("ticked after %v", d)
		}
	})
}

// A peer that does not read its goodbye is waited for no longer than closeTimeout.
func TestGoodbyeThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := connect(t, "pipe", lineProtocol{}, Limits{})
		began := time.Now()
		w.say("quit\n")
		if r := w.ended(); r.Err != ErrGoodbye || time.Since(began) != closeTimeout {
			t.Errorf("reported %v after %v", r.Err, time.Since(began))
		}
	})
}

// Each delivery is put while the reader, the writer or nobody is at work, and wakes the connection once. If a wake were
// lost, the peer would wait for ever.
func TestNoWakeIsLost(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		const rounds = 20_000
		w := connect(t, kind, lineProtocol{}, Limits{})
		f := w.client()
		heard := make(chan struct{}, 1)
		go func() {
			for i := range rounds {
				f.change(func() { f.list = append(f.list, deliveries(1, 4)...) })
				if i%3 == 0 { // the reader has something to do too
					if _, err := io.WriteString(w.Conn, "nothing\n"); err != nil {
						t.Error(err)
					}
				}
				<-heard
			}
		}()
		for range rounds {
			w.hear("0000")
			heard <- struct{}{}
		}
	})
}

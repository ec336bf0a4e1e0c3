package peer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/havenmq/havenmq/core"
)

// house is a listener on loopback and what it reports.
type house struct {
	t      *testing.T
	broker *fakeBroker
	*Listener
	served chan struct{}
}

func listen(t *testing.T, maxConnections int) *house {
	t.Helper()
	socket, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, socket, maxConnections)
}

func serve(t *testing.T, socket net.Listener, maxConnections int) *house {
	h := &house{t: t, broker: newFakeBroker(), served: make(chan struct{})}
	h.Listener = NewListener(socket, NewHandler(lineProtocol{}, h.broker.options()), maxConnections, h.broker.report)
	go func() {
		defer close(h.served)
		h.Serve()
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		h.Stop(ctx, core.ErrShutdown)
		<-h.served
	})
	return h
}

func (h *house) dial() *wire {
	h.t.Helper()
	c, err := net.Dial("tcp", h.socket.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	return &wire{t: h.t, broker: h.broker, Conn: c, in: bufio.NewReader(c)}
}

func TestMaximumConnections(t *testing.T) {
	h := listen(t, 2)
	var in []*wire
	for range 2 {
		w := h.dial()
		w.say("echo in\n")
		w.hear("in")
		in = append(in, w)
	}
	out := h.dial()
	out.say("echo out\n")
	out.hear("out", "evicted: "+errCrowded(2).Error())
	out.hearEnd()
	if r := h.broker.reported(1)[0]; r.Kind != ReportRefused || !errors.Is(r.Err, core.ErrFull) {
		t.Errorf("reported %+v", r)
	}
	in[0].say("quit\n")
	in[0].hear("bye")
	in[0].hearEnd()
	h.broker.reported(2)
	steady(t, func() int { return h.Stats().Open }, func(n int) bool { return n == 1 })
	again := h.dial()
	again.say("echo again\n")
	again.hear("again")
	if s := h.Stats(); s != (ListenerStats{Open: 2, Accepted: 4, Refused: 1}) {
		t.Errorf("stats %+v", s)
	}
}

// More than maxRefusing connections at the limit are closed without a word.
func TestCrowdAtTheDoor(t *testing.T) {
	h := listen(t, 1)
	w := h.dial()
	w.say("echo in\n")
	w.hear("in")
	for range maxRefusing {
		h.dial()
	}
	late := h.dial()
	if _, err := io.ReadAll(late.in); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	w.say("echo still in\n")
	w.hear("still in")
}

func TestStopSaysGoodbye(t *testing.T) {
	h := listen(t, 0)
	var list []*wire
	for range 10 {
		w := h.dial()
		w.say("echo in\n")
		w.hear("in")
		list = append(list, w)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		h.Stop(ctx, &core.Moved{Err: core.ErrShutdown, Host: "next"})
	}()
	_, port, err := net.SplitHostPort(h.socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range list {
		w.hear("evicted: : it is not master any more: connect to next:" + port)
		w.hearEnd()
	}
	<-stopped
	if _, err := net.Dial("tcp", h.socket.Addr().String()); err == nil {
		t.Error("it still listens")
	}
	for _, r := range h.broker.reported(10) {
		if !errors.Is(r.Err, core.ErrShutdown) {
			t.Errorf("reported %+v", r)
		}
	}
}

// A client that does not read cannot hold up a stop.
func TestStopCutsWhoDoesNotRead(t *testing.T) {
	h := listen(t, 0)
	w := h.dial()
	w.say("echo in\n")
	w.hear("in")
	f := h.broker.client(0)
	f.change(func() { f.list = deliveries(3000, 10_000) })
	steady(t, func() int { f.mu.Lock(); defer f.mu.Unlock(); return f.taken }, func(n int) bool { return n > 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	h.Stop(ctx, core.ErrShutdown)
	if r := h.broker.reported(1)[0]; r.Kind != ReportEnded {
		t.Errorf("reported %+v", r)
	}
}

// flaky fails to accept a few times before it does.
type flaky struct {
	net.Listener
	left int
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.left > 0 {
		f.left--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestAcceptErrorsAreWaitedOut(t *testing.T) {
	socket, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, &flaky{socket, 4}, 0)
	w := h.dial()
	w.say("echo in\n")
	w.hear("in")
	if list := h.broker.reported(1); len(list) != 1 || list[0].Kind != ReportAccept || !errors.Is(list[0].Err, syscall.EMFILE) {
		t.Errorf("reported %+v", list)
	}
}

// A thousand connections come, talk, and leave in every way there is; goleak sees whether anything of them is left.
func TestThousandConnections(t *testing.T) {
	h := listen(t, 2000)
	var list []*wire
	for range 1000 {
		w := h.dial()
		w.say("echo in\n")
		list = append(list, w)
	}
	for i, w := range list {
		w.hear("in")
		switch i % 4 {
		case 0:
			w.say("quit\n")
			w.hear("bye")
		case 1:
			w.say("panic\n")
		case 2:
			w.say("half a li")
		}
		if i%4 != 3 {
			_ = w.Close()
		}
	}
	h.broker.reported(1000 - 250)
}

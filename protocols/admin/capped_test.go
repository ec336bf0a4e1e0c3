package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"
)

// The connection above the limit waits for another to end if all have a request, and Close ends the wait.
func TestCapped(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newCapped(socket, 1)
	var peers []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", socket.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		peers = append(peers, c)
	}
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	type accepted struct {
		c   net.Conn
		err error
	}
	second := make(chan accepted, 2)
	accept := func() {
		c, err := l.Accept()
		second <- accepted{c, err}
	}
	first.(*cappedConn).work()
	go accept()
	if len(l.free) != 1 || len(second) != 0 {
		t.Errorf("%d of 1 are open", len(l.free))
	}
	if err := errors.Join(first.Close(), peers[0].Close()); err != nil {
		t.Fatal(err)
	}
	got := <-second
	if got.err != nil || got.c.RemoteAddr().String() != peers[1].LocalAddr().String() {
		t.Fatalf("%v, want the second", got)
	}
	defer got.c.Close()
	got.c.(*cappedConn).work()
	go accept()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-second; !errors.Is(got.err, net.ErrClosed) {
		t.Errorf("after Close: %v", got.err)
	}
}

// Whoever holds all connections, idle or in the middle of a header, keeps nobody from asking how the node is.
func TestHoldersMakeRoom(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(nil, func() NodeInfo { return NodeInfo{} }, true).Serve(ctx, l) }()
	for i := range 3 * maxConnections {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		text := "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n"
		if i%2 == 0 {
			text += "\r\n"
		}
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	reply, err := http.Get("http://" + l.Addr().String() + "/livez")
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Errorf("%v %v", reply, err)
	} else if err := reply.Body.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 4*time.Second { // before a header's time is over
		t.Errorf("answered after %v", took)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

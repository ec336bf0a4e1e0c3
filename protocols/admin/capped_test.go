package admin

import (
	"errors"
	"net"
	"testing"
)

// The connection above the limit waits for another to end, and Close ends the wait.
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
	go accept()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-second; !errors.Is(got.err, net.ErrClosed) {
		t.Errorf("after Close: %v", got.err)
	}
}

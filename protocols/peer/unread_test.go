package peer

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/havenmq/havenmq/core"
)

// Large messages to peers that do not read wait for each other; a peer that reads gets its own, and small ones never wait.
func TestUnreadWaits(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			const size = 8 << 20 // more than sockets buffer
			unread := NewAllowance(22 << 20)
			body := strings.Repeat("x", size)
			large := []core.Delivery{{Message: &core.Message{Bare: []byte(body)}}}
			var list []*wire
			for range 4 {
				w := connect(t, kind, lineProtocol{}, Limits{}, func(o *Options) { o.Unread = unread })
				w.say("echo here\n")
				w.hear("here")
				list = append(list, w)
			}
			for i, w := range list[:3] {
				w.broker.client(0).change(func() { w.broker.client(0).list = large })
				if i < 2 {
					settled(t, func() bool { return unread.HeldBytes() >= int64(i+1)*size })
				}
			}
			if held := unread.HeldBytes(); held >= 3*size {
				t.Errorf("%d bytes wait for three that do not read", held)
			}
			list[3].broker.client(0).change(func() { list[3].broker.client(0).list = deliveries(1, 10) })
			list[3].hear(string(deliveries(1, 10)[0].Message.Bare))
			for _, w := range list[:3] { // the third's comes when the first has read
				w.hear(body)
			}
			settled(t, func() bool { return unread.HeldBytes() == 0 })
		})
	}
}

// stalls has a peer stop, and answers its end, and why the connection ended.
func stalls(t *testing.T, a *Allowance, do func(peer net.Conn, f *fakeClient)) (peer net.Conn, why error) {
	t.Helper()
	b := newFakeBroker()
	o := b.options()
	o.Allowance, o.Unread = a, a
	ours, theirs := net.Pipe()
	go NewHandler(lineProtocol{}, o).Open(ours, nil).Run()
	if _, err := io.WriteString(theirs, "echo here\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := bufio.NewReader(theirs).ReadString('\n'); got != "here\n" {
		t.Fatal(got, err)
	}
	do(theirs, b.client(0))
	return theirs, b.reported(1)[0].Err
}

// Who holds an allowance and does not move for a minute is cut, as others wait for it.
func TestStalledPeersAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAllowance(5 << 20)
		peer, why := stalls(t, a, func(_ net.Conn, f *fakeClient) {
			f.change(func() { f.list = []core.Delivery{{Message: &core.Message{Bare: make([]byte, 2<<20)}}} })
		})
		_ = peer.Close() // the test's own end
		synctest.Wait()
		if !errors.Is(why, ErrUnread) || a.HeldBytes() != 0 {
			t.Errorf("a peer that does not read: %v; %d bytes are held", why, a.HeldBytes())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		a := NewAllowance(5 << 20)
		peer, why := stalls(t, a, func(peer net.Conn, _ *fakeClient) {
			if _, err := io.WriteString(peer, "#2000000\n"+strings.Repeat("x", 1_000_000)); err != nil {
				t.Fatal(err)
			}
			if got, err := bufio.NewReader(peer).ReadString('\n'); got != "malformed: "+errStalled.Error()+"\n" {
				t.Errorf("%q %v", got, err)
			}
			_ = peer.Close()
		})
		_ = peer.Close()
		synctest.Wait()
		if !errors.Is(why, errStalled) || a.HeldBytes() != 0 {
			t.Errorf("a peer that does not go on: %v; %d bytes are held", why, a.HeldBytes())
		}
	})
}

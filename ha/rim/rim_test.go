package rim

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/wire"
)

func TestALinkThatWasAccepted(t *testing.T) {
	n := begin(t, nil)
	n.do(ha.Listen{}, ha.Listen{}) // twice does no harm
	c := n.call()
	say(t, c, ha.Hello{Addr: "replica"})
	got := want[ha.Got](n)
	if h, ok := got.Frame.(ha.Hello); !ok || h.Addr != "replica" || got.Link == 0 {
		t.Fatalf("%#v", got)
	}
	n.do(ha.Send{Link: got.Link, Frame: ha.Attach{Epoch: 7, Cut: 9}}, ha.Send{Link: got.Link, Frame: ha.Heartbeat{Seq: 1}})
	if f, ok := hear(t, c).(ha.Attach); !ok || f.Epoch != 7 || f.Cut != 9 {
		t.Fatalf("%#v", f)
	}
	if f := hear(t, c); f != (ha.Heartbeat{Seq: 1}) {
		t.Fatalf("%#v", f)
	}
	n.do(ha.Send{Link: got.Link, Frame: ha.Reject{Reason: "no seat", Fatal: true}}, ha.Hang{Link: got.Link})
	if f, ok := hear(t, c).(ha.Reject); !ok || f.Reason != "no seat" {
		t.Fatalf("what was said before hanging up was not sent: %#v", f)
	}
	closed(t, c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if lost := want[ha.Lost](n); lost.Link != got.Link {
		t.Fatalf("%#v", lost)
	}
	n.do(ha.Send{Link: got.Link, Frame: ha.Heartbeat{}}, ha.Hang{Link: got.Link}, ha.Acked{Link: got.Link, Pos: 1}) // of a link that is gone
	n.quiet()
}

func TestAnotherFirstFrameThanHello(t *testing.T) {
	n := begin(t, nil)
	n.do(ha.Listen{})
	c := n.call()
	say(t, c, ha.Heartbeat{Seq: 1})
	closed(t, c)
	n.quiet()
}

func TestTheOtherEndCloses(t *testing.T) {
	n := begin(t, nil)
	n.do(ha.Listen{})
	c := n.call()
	say(t, c, ha.Hello{})
	link := want[ha.Got](n).Link
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if lost := want[ha.Lost](n); lost.Link != link {
		t.Fatalf("%#v", lost)
	}
}

func TestUnlistenEndsWhatWasAccepted(t *testing.T) {
	n := begin(t, nil)
	n.do(ha.Listen{})
	c := n.call()
	say(t, c, ha.Hello{})
	want[ha.Got](n)
	n.do(ha.Unlisten{})
	want[ha.Lost](n)
	closed(t, c)
	n.do(ha.Listen{}) // and once more
	say(t, n.call(), ha.Hello{})
	want[ha.Got](n)
	n.do(ha.Listen{}, ha.Unlisten{})
	want[ha.Lost](n)
	n.do(ha.Unlisten{}, ha.Listen{}, ha.Unlisten{}) // before it was bound
	n.quiet()
}

func TestDialing(t *testing.T) {
	n, master := begin(t, nil), begin(t, nil)
	n.do(ha.Dial{Addr: master.bind}) // nobody listens yet
	if f := want[ha.DialFailed](n); !f.Refused || f.Addr != master.bind {
		t.Fatalf("%#v", f)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	master.do(ha.Listen{})
	master.call()
	n.do(ha.Dial{Addr: l.Addr().String()}, ha.Dial{Addr: master.bind}) // the second gives the first up
	d := want[ha.Dialed](n)
	if d.Addr != master.bind {
		t.Fatalf("%#v", d)
	}
	n.do(ha.Send{Link: d.Link, Frame: ha.Hello{Addr: "me"}})
	g := want[ha.Got](master)
	master.do(ha.Send{Link: g.Link, Frame: ha.Heartbeat{Seq: 3}})
	if g := want[ha.Got](n); g.Link != d.Link || g.Frame != (ha.Heartbeat{Seq: 3}) {
		t.Fatalf("%#v", g)
	}
	master.do(ha.Hang{Link: g.Link})
	want[ha.Lost](n)
	want[ha.Lost](master)
}

func TestAnotherTokenIsRefused(t *testing.T) {
	n := begin(t, func(o *Options) { o.Token = "one" })
	other := begin(t, func(o *Options) { o.Token = "two" })
	n.do(ha.Listen{})
	for {
		other.do(ha.Dial{Addr: n.bind})
		f := want[ha.DialFailed](other)
		if f.Refused { // not bound yet
			continue
		}
		if !strings.Contains(f.Reason, wire.ErrToken.Error()) {
			t.Fatalf("%#v", f)
		}
		break
	}
	n.quiet()
}

// TestAPeerThatDoesNotRead costs a bounded amount of memory and then its link.
func TestAPeerThatDoesNotRead(t *testing.T) {
	n := begin(t, nil)
	n.do(ha.Listen{})
	c := n.call()
	say(t, c, ha.Hello{})
	link := want[ha.Got](n).Link
	header := ha.Attach{Header: make([]byte, wire.MaxSegmentHeader)}
	for range 100_000 { // far more than the sockets' buffers hold
		n.do(ha.Send{Link: link, Frame: header})
		n.mu.Lock()
		p := n.peers[link]
		n.mu.Unlock()
		if p == nil || p.isParting() {
			break
		}
	}
	if lost := want[ha.Lost](n); lost.Link != link || !strings.Contains(lost.Reason, "read") {
		t.Fatalf("%#v", lost)
	}
}

func TestRolesInOrder(t *testing.T) {
	n := begin(t, nil)
	n.do(ha.StopServing{Reason: "never served"})
	want[ha.Withdrawn](n)
	n.do(ha.Lead{Epoch: 1})
	want[ha.Led](n)
	want[ha.Advanced](n)
	n.do(ha.Serve{Epoch: 1}, ha.Pause{On: true}, ha.Pause{On: false}, ha.StopServing{Reason: "deposed"}, ha.Pause{On: true})
	if s := next[ha.Served](n); s.Epoch != 1 {
		t.Fatalf("%#v", s)
	}
	next[ha.Withdrawn](n)
	n.do(ha.Reopen{})
	if o := next[ha.Opened](n); o.Boot.Received == 0 || len(o.Boot.History) != 1 || o.Boot.Meta.Promised != 1 {
		t.Fatalf("%#v", o)
	}
	if all := n.roles.all(); !slices.Equal(all, []string{"serve 1", "pause true", "pause false", "stop: deposed"}) {
		t.Fatal(all)
	}
}

func TestExit(t *testing.T) {
	n := begin(t, nil)
	n.do(ha.Lead{Epoch: 1}, ha.Serve{Epoch: 1})
	n.answer(func(e ha.Event) []ha.Action {
		if s, ok := e.(ha.StopAsked); ok && s.Force {
			return []ha.Action{ha.Exit{Code: 3, Reason: "asked to"}}
		}
		return nil
	})
	var e Exit
	if err := stopNode(t, n.Rim, true); !errors.As(err, &e) || e != (Exit{3, "asked to"}) {
		t.Fatal(err)
	}
	if all := n.roles.all(); !slices.Equal(all, []string{"serve 1", "stop: asked to"}) {
		t.Fatal(all)
	}
	if n.Store() != nil {
		t.Error("the store is open still")
	}
}

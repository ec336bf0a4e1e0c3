package sim

import (
	"time"

	"github.com/havenmq/havenmq/ha"
)

func (n *node) act(a ha.Action) {
	n.w.acts(n, a)
	switch a := a.(type) {
	case ha.Commit:
		n.advance(a)
	case ha.Send:
		n.send(a.Link, a.Frame)
	case ha.Acked:
		n.acked(a)
	case ha.Stream:
		n.startStream(a)
	case ha.Unstream:
		if e := n.links[a.Link]; e != nil {
			e.feed.close()
		}
	case ha.Hang:
		if n.links[a.Link] != nil {
			n.hang(a.Link, false)
			n.mine(0, func() { n.step(ha.Lost{Link: a.Link, Reason: "hung up"}) })
		}
	case ha.Dial:
		n.dial(a.Addr)
	case ha.Listen:
		n.listening = true
	case ha.Unlisten:
		n.listening = false
		for _, l := range n.sorted() {
			n.hang(l, false)
			n.mine(0, func() { n.step(ha.Lost{Link: l, Reason: "closed"}) })
		}
	case ha.Transact:
		n.transact(a)
	case ha.Tell:
		n.w.tell(n, a)
	default:
		n.actAtHome(a)
	}
}

// actAtHome sees to what concerns the disk and the node itself.
func (n *node) actAtHome(a ha.Action) {
	switch a := a.(type) {
	case ha.Serve:
		n.serving = a.Epoch
		n.w.served(n)
		n.mine(0, func() {
			n.openSession()
			n.step(ha.Served(a))
		})
	case ha.Pause:
		n.paused = a.On
	case ha.StopServing:
		n.serving, n.clients = 0, nil
		n.mine(n.w.delay(time.Millisecond), func() { n.step(ha.Withdrawn{}) })
	case ha.Exit:
		if a.Code == 3 {
			n.w.fail("I8: node %d ends: %s", n.no, a.Reason)
		}
		session := n.session
		n.kill(false)
		n.w.arbiter.expire(session)
		n.w.changed()
	case ha.Reopen, ha.Switch:
		n.leading = false
		n.ask(a)
	default:
		n.ask(a)
	}
}

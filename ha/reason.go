package ha

import (
	"fmt"
	"time"
)

// said is a line that was written.
type said struct {
	text   string
	at     time.Duration // when it was written
	seen   time.Duration // when it was true last
	reason bool          // it says why this node has no master
}

const (
	saidAgain  = 10 * time.Second // a line that stays true is written so often
	reasonTime = 5 * time.Second  // a reason that was not true for so long is none any more
	firstView  = 2 * time.Second  // the arbiter may take so long to show itself before it is missed
)

// explainOnce writes a line that others cause, and not again for a while, whatever comes between.
func (n *Node) explainOnce(l Level, text string) { n.sayOnce(l, text, false) }

// explain writes a line that says why nothing happens, once, and again when a while has passed or there was a master between.
func (n *Node) explain(l Level, text string) { n.sayOnce(l, text, true) }

func (n *Node) sayOnce(l Level, text string, reason bool) {
	s := &n.said[0]
	for i := range n.said {
		if n.said[i].text == text {
			s = &n.said[i]
			break
		}
		if n.said[i].at < s.at {
			s = &n.said[i]
		}
	}
	if s.text == text && n.now < s.at+saidAgain {
		s.seen = n.now
		return
	}
	*s = said{text, n.now, n.now, reason}
	n.tell(l, text)
}

// settled forgets why there was no master.
func (n *Node) settled() {
	for i := range n.said {
		if n.said[i].reason {
			n.said[i] = said{}
		}
	}
}

// reasons say why this node has no master at now.
func (n *Node) reasons(now time.Duration) (out []string) {
	if r := n.role(); r != RoleElecting && r != RoleAttaching || n.phase == switching {
		return nil
	}
	for _, s := range n.said {
		if s.reason && now < s.seen+reasonTime {
			out = append(out, s.text)
		}
	}
	return out
}

// shortText says that a quorum is missing, of which there are so many members.
func (n *Node) shortText(members int) string {
	text := fmt.Sprintf("Not enough cluster members connected to elect a master: %d of %d members", members, n.view.Config.Replicas)
	if n.o.ArbiterPath != "" {
		text += " at " + n.o.ArbiterPath
	}
	if members >= n.needed() {
		text += ", and the others have not lost the master or have not voted"
	}
	return text
}

// unreachable says that the arbiter is, and where it was looked for.
func (n *Node) unreachable() string {
	if n.o.ArbiterAddr == "" {
		return "ZooKeeper cannot be reached"
	}
	return fmt.Sprintf("ZooKeeper cannot be reached (zkAddress %s)", n.o.ArbiterAddr)
}

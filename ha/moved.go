package ha

import "fmt"

// A directory whose remembered address is not this node's belongs to a node that has another name now, or is a copy of one
// that still runs. Either way it comes as a stranger: with another id, as the next holder of a seat, without a vote. Its log is
// worth something all the same: what it has in common with the master's need not be fetched.

// comeAnew makes another node of this one, if its address has changed. Nothing is written before it has a seat.
func (n *Node) comeAnew() {
	m := &n.disk.meta
	if m.ClusterID.IsZero() || m.ReplAddr == "" || m.ReplAddr == n.o.Addr || n.weak("moved") {
		return
	}
	n.former = m.ReplAddr
	m.NodeID, m.Voter = n.o.NewID(), false
}

// formerSeat is the seat that a node may take which was at another address before: the one of that address or, if that is no
// more, of its present one. at is the seat of its present address, -1 none. ok: go on with that seat, -1 none.
func (n *Node) formerSeat(c *Config, at int) (seat int, ok bool) {
	for i, s := range c.Seats {
		if s.Addr != n.former {
			continue
		}
		if at >= 0 && at != i && !n.disk.blank() {
			n.exit(2, fmt.Sprintf("this directory belongs to the node at %s, and this node's hostname and port are those of another, at %s: set them back, or start with an empty directory",
				n.former, n.o.Addr))
			return -1, false
		}
		if at < 0 {
			return i, true
		}
	}
	return at, true
}

// movedText says how a node comes back under another name.
func (n *Node) movedText() string {
	return fmt.Sprintf("this directory was the node's at %s, and comes back as %s: it has a new id, and votes when it has caught up", n.former, n.o.Addr)
}

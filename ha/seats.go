package ha

import (
	"fmt"
	"slices"
	"strings"

	"github.com/havenmq/havenmq/persist"
)

// join brings this node into its seat, step by step: each call asks for the next one. true: it sits, the meta says so, and
// it may publish a row.
func (n *Node) join() bool {
	c := n.view.Config
	if c != nil {
		if why := n.refusal(c); why != "" {
			n.exit(2, why)
			return false
		}
	}
	if n.strays() {
		n.adoptStore()
		return false
	}
	if c == nil {
		n.found()
		return false
	}
	i := c.Seat(n.disk.meta.NodeID)
	if i < 0 {
		if n.seat >= 0 && n.weak("own-takeover") {
			return true
		}
		if !n.weak("claim-epoch") || n.promiseForSeat() {
			n.claim(c)
		}
		return false
	}
	if n.seat >= 0 && n.gen != 0 && c.Seats[i].Generation != n.gen {
		n.exit(2, "this node's seat was taken over by another: start it with an empty directory")
		return false
	}
	n.seat, n.gen = i, c.Seats[i].Generation
	return n.rememberSeat(c) && n.promiseForSeat() && n.onlyOne()
}

// promiseForSeat has a node without a vote promise the newest epoch, known after its claim, before others see its row and
// before it dials: whoever held the seat may have promised as much, and a master of a lower epoch must not count this node in
// that one's place.
func (n *Node) promiseForSeat() bool {
	if n.joined || n.weak("seat-promise") {
		return true
	}
	if e := n.mandated(); !n.disk.meta.Voter && n.promise < e {
		n.promise = e
		n.do(Promise{e})
	}
	n.joined = n.disk.meta.Promised >= n.promise
	return n.joined
}

// refusal says why this node can be no member of a cluster, if it cannot.
func (n *Node) refusal(c *Config) string {
	m := &n.disk.meta
	switch {
	case c.Replicas != n.o.Replicas:
		return fmt.Sprintf("the cluster has replicas: %d, this node's configuration says replicas: %d: they must be the same on all nodes", c.Replicas, n.o.Replicas)
	case len(c.Seats) > c.Replicas:
		return fmt.Sprintf("ZooKeeper's configuration of this cluster has %d seats taken of %d: give ZooKeeper its data back", len(c.Seats), c.Replicas)
	case !m.ClusterID.IsZero() && m.ClusterID != c.ClusterID:
		return fmt.Sprintf("this directory belongs to cluster %s, and zkPath holds cluster %s: give this node an empty directory, or the zkPath of its own cluster",
			m.ClusterID, c.ClusterID)
	}
	return ""
}

// found makes the cluster's configuration, with this node in the first seat. What has been in a cluster does not found
// another: the arbiter has lost its rows then.
func (n *Node) found() {
	if !n.disk.meta.ClusterID.IsZero() {
		n.explain(Alarm, "ZooKeeper holds no configuration of this cluster, to which this directory belongs: zkPath is another, or its data was lost")
		return
	}
	absent := Absent
	c := &Config{ClusterID: n.o.NewID(), Replicas: n.o.Replicas, Seats: []Seat{n.mySeat(1)}}
	n.ask(askClaim, Txn{IfConfig: &absent, SetConfig: c})
}

// unseated is why a node with a log has no seat; i is the seat of its address, -1 none.
func (n *Node) unseated(c *Config, i int) string {
	if i >= 0 {
		return fmt.Sprintf("this node has no seat in the cluster any more: that of its address, %s, was vacated or given to another: start it with an empty directory", n.o.Addr)
	}
	return fmt.Sprintf("this node has no seat in the cluster any more (%s)%s: start it with an empty directory", occupants(c), n.copied())
}

// copied says where this node's directory comes from, if it was another address's.
func (n *Node) copied() string {
	if n.former == "" || n.former == n.o.Addr {
		return ""
	}
	return fmt.Sprintf("; this directory was that of the node at %s: is it a copy?", n.former)
}

// claim takes the seat that has this node's address, if its holder is away, or a free one. Only an empty directory may, or one
// that has moved (moved.go).
func (n *Node) claim(c *Config) {
	if n.seat >= 0 {
		n.exit(2, "this node's seat was taken over by another: start it with an empty directory")
		return
	}
	i := slices.IndexFunc(c.Seats, func(s Seat) bool { return s.Addr == n.o.Addr })
	if n.former != "" {
		var ok bool
		if i, ok = n.formerSeat(c, i); !ok {
			return
		}
	}
	if !n.disk.blank() && (n.former == "" || i < 0) {
		n.exit(2, n.unseated(c, i))
		return
	}
	next := *c
	next.Seats = slices.Clone(c.Seats)
	vacant := slices.IndexFunc(c.Seats, func(s Seat) bool { return s.NodeID.IsZero() })
	switch {
	case i >= 0 && n.alive(c.Seats[i].NodeID) && n.copied() != "":
		n.exit(2, fmt.Sprintf("this directory belongs to the node at %s, which is alive: start this one with an empty directory", n.former))
		return
	case i >= 0 && n.alive(c.Seats[i].NodeID):
		n.explain(Warn, fmt.Sprintf("another node holds the seat of %s and is alive: this node's hostname or bind is another's, or its directory is a copy; "+
			"it tries again, and takes the seat once ZooKeeper's session of a node that was killed there has ended", c.Seats[i].Addr))
		return
	case i >= 0:
		next.Seats[i] = n.mySeat(c.Seats[i].Generation + 1)
	case vacant >= 0:
		next.Seats[vacant] = n.mySeat(c.Seats[vacant].Generation + 1)
	case len(c.Seats) < c.Replicas:
		next.Seats = append(next.Seats, n.mySeat(1))
	default:
		n.exit(2, fmt.Sprintf("all %d seats of the cluster are taken (%s): see `havenmq cluster replace`%s", c.Replicas, occupants(c), n.copied()))
		return
	}
	t := Txn{IfConfig: new(n.view.ConfigVersion), SetConfig: &next}
	if n.weak("claim") {
		t.IfConfig = nil
	}
	n.ask(askClaim, t)
}

func (n *Node) mySeat(generation uint64) Seat {
	return Seat{NodeID: n.disk.meta.NodeID, Generation: generation, Addr: n.o.Addr, Weight: n.o.Weight}
}

func occupants(c *Config) string {
	var all []string
	for _, s := range c.Seats {
		all = append(all, s.Addr)
	}
	return strings.Join(all, ", ")
}

// alive says whether a node has a row.
func (n *Node) alive(id persist.ID) bool {
	return slices.ContainsFunc(n.view.Members, func(m Member) bool { return m.Row.NodeID == id })
}

// rememberSeat writes what the claim says to the meta.
func (n *Node) rememberSeat(c *Config) bool {
	if n.remembered {
		return true
	}
	m := &n.disk.meta
	if m.ClusterID == c.ClusterID && m.ReplAddr == n.o.Addr {
		n.remembered = true
		return true
	}
	if !n.claiming {
		n.claiming = true
		r := Remember{ID: seatID, ClusterID: c.ClusterID, Addr: n.o.Addr}
		if n.former != "" {
			n.tell(Warn, n.movedText())
			no := false
			r.NodeID, r.Voter = m.NodeID, &no
		}
		n.do(r)
	}
	return false
}

// Numbers of Remember.
const (
	seatID = 1 + iota
	voterID
	masterID
	configID
	drainID
)

func (n *Node) rememberedAs(id uint64) {
	switch id {
	case seatID:
		n.claiming, n.remembered, n.former = false, true, ""
		n.disk.meta.ClusterID, n.disk.meta.ReplAddr = n.view.Config.ClusterID, n.o.Addr
	case voterID:
		n.disk.meta.Voter, n.disk.damaged, n.disk.unclean = true, false, false
		n.up.votes = false
		n.sendAck()
	}
}

// isMember says whether a row is that of a seat's present holder.
func (c *Config) isMember(r *MemberRow) bool {
	i := c.Seat(r.NodeID)
	return i >= 0 && c.Seats[i].Generation == r.Generation
}

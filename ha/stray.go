package ha

import (
	"fmt"
	"slices"
)

// A stray store holds data and belongs to no cluster: it was a standalone broker's. By an operator's word a cluster begins with
// it. Its node's vote alone elects it then, once, and it serves when new members hold its log: as after `cluster recover`.

// strays says whether this node's store is one, and no seat is its yet.
func (n *Node) strays() bool {
	c := n.view.Config
	return n.disk.meta.ClusterID.IsZero() && !n.disk.blank() && (c == nil || c.Seat(n.disk.meta.NodeID) < 0)
}

const strayText = "this directory holds a store that belongs to no cluster: `havenmq cluster adopt` on this node begins the cluster with it; " +
	"else stop this node and start it with an empty directory, or alone with persistenceAdapter.levelDB"

// adoptStore waits for the operator's word and carries it out.
func (n *Node) adoptStore() {
	if n.order != adopting {
		n.explain(Alarm, strayText)
		return
	}
	why := n.strayRefusal()
	if why == "" && n.now-n.orderAt >= orderTime {
		why = lateText
	}
	if why != "" {
		n.dropOrder(why)
		return
	}
	n.ask(askOrder, n.strayTxn())
}

// strayRefusal is why a cluster cannot begin with this node's store; "" it can.
func (n *Node) strayRefusal() string {
	c := n.view.Config
	switch {
	case !n.view.Connected:
		return "ZooKeeper cannot be reached: start it first"
	case n.view.Mandate != nil || c != nil && c.Initialized:
		return "the cluster has begun without this store: start this node with an empty directory; or stop all nodes, delete the cluster's rows in ZooKeeper, " +
			"empty the other nodes' directories, and start this node first"
	case c == nil:
		return ""
	}
	if i := n.straySeat(c); i < len(c.Seats) && n.alive(c.Seats[i].NodeID) {
		return fmt.Sprintf("another node holds the seat of %s and is alive: this node's hostname or bind is another's", n.o.Addr)
	} else if i >= c.Replicas {
		return fmt.Sprintf("all %d seats of the cluster are taken (%s)", c.Replicas, occupants(c))
	}
	return ""
}

// straySeat is the seat of this node's address, or the next.
func (n *Node) straySeat(c *Config) int {
	if i := slices.IndexFunc(c.Seats, func(s Seat) bool { return s.Addr == n.o.Addr }); i >= 0 {
		return i
	}
	return len(c.Seats)
}

// strayTxn begins the cluster with this store, in an epoch that it has not had.
func (n *Node) strayTxn() Txn {
	absent := Absent
	t := Txn{IfConfig: &absent, IfMandate: &absent}
	c := &Config{ClusterID: n.o.NewID(), Replicas: n.o.Replicas}
	if n.view.Config != nil {
		*c = *n.view.Config
		t.IfConfig = new(n.view.ConfigVersion)
	}
	c.Seats = slices.Clone(c.Seats)
	if i := n.straySeat(c); i < len(c.Seats) {
		c.Seats[i] = n.mySeat(c.Seats[i].Generation + 1)
	} else {
		c.Seats = append(c.Seats, n.mySeat(1))
	}
	c.Initialized, c.Sole = true, n.disk.meta.NodeID
	t.SetConfig = c
	t.SetMandate = &Mandate{Epoch: n.unusedEpoch(), Nonce: n.o.NewNonce()}
	return t
}

package ha

import (
	"fmt"
	"strings"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// What only an operator may decide. Both orders are carried out by one transaction, which checks the versions of the rows that
// the node has looked at, and both say before what they would do.

// order is an operator's word that was taken and is not carried out yet.
type order uint8

const (
	noOrder order = iota
	adopting
	recovering
)

// orderTime is how long a node tries to carry an order out.
const orderTime = 10 * time.Second

// adoptedEpochs is what an adopted cluster's epochs are a multiple of: whoever was away, and whatever the lost rows said, no
// epoch is given out a second time.
const adoptedEpochs = 1_000_000

// Emergency is what an operator may order a node to do, and why not.
type Emergency struct {
	Adopt   string // why it cannot be adopted; "" it can
	Recover string // why this node cannot lead alone; "" it can
	Loss    string // what may be lost if it does
	Begins  bool   // Adopt begins a cluster with this node's store
}

// Emergency says what may be ordered now.
func (n *Node) Emergency() Emergency {
	e := Emergency{Adopt: n.adoptRefusal(), Recover: n.recoverRefusal(), Begins: n.strays()}
	if e.Recover == "" {
		e.Loss = n.loss()
	}
	return e
}

func (n *Node) ordered(o order) {
	n.order, n.orderAt = o, n.now
	n.again(orderTime)
}

// unsettled says whether the arbiter lacks epochs that this node knows of.
func (n *Node) unsettled() bool {
	return n.behind || n.promise > n.mandated()+1 || n.disk.lastEpoch() > n.mandated()
}

// emergencyRefusal is why this node can do nothing about its cluster.
func (n *Node) emergencyRefusal() string {
	switch {
	case n.strays():
		return strayText
	case !n.view.Connected:
		return "ZooKeeper cannot be reached: start it first"
	case n.known == nil || n.seat < 0:
		return "this node does not know its cluster's members, or has no seat among them: ask another node"
	}
	return ""
}

// adoptRefusal is why this node cannot give ZooKeeper the cluster's configuration back. Enough members must run for an election,
// and none of them may know of claims that this node has not seen: it would undo them.
func (n *Node) adoptRefusal() string {
	if n.strays() {
		return n.strayRefusal()
	}
	if why := n.emergencyRefusal(); why != "" {
		return why
	}
	if !n.unsettled() {
		return "ZooKeeper lacks nothing that this node knows of the cluster: there is nothing to adopt"
	}
	var away []string
	for _, s := range n.known.Seats {
		row := n.rowOf(s.NodeID)
		switch {
		case s.NodeID == n.disk.meta.NodeID:
		case row == nil:
			away = append(away, s.Addr)
		case row.Claims > n.known.claims():
			return fmt.Sprintf("the node at %s knows of seats that were taken later than this node knows: ask it, at %s", row.Addr, row.Admin)
		}
	}
	if runs := len(n.known.Seats) - len(away); runs < n.known.Quorum() {
		return fmt.Sprintf("%d of %d members run, and %d are needed: start %s first; if they are gone for ever, see `havenmq cluster recover`",
			runs, n.known.Replicas, n.known.Quorum(), strings.Join(away, ", "))
	}
	return ""
}

// rowOf is a node's newest row, nil if it has none.
func (n *Node) rowOf(id persist.ID) (row *MemberRow) {
	for i := range n.view.Members {
		if m := &n.view.Members[i]; m.Row.NodeID == id {
			row = &m.Row
		}
	}
	return row
}

// recoverRefusal is why this node may not lead by its own vote alone: there is a better way, or a better node.
func (n *Node) recoverRefusal() string {
	if why := n.emergencyRefusal(); why != "" {
		return why
	}
	switch {
	case n.up.attached || n.phase == taking || n.phase == leading:
		return "there is a master: nothing is to be recovered"
	case n.disk.damaged:
		return "this node's log is damaged, and was set aside: recover on a node whose log is whole"
	case n.disk.blank():
		return "this node's log holds nothing"
	case n.phase != seeking && n.phase != frozen:
		return "this node is about to vote: ask again in a moment"
	}
	voters := 0
	if n.disk.meta.Voter {
		voters++
	}
	me := n.holds()
	for _, s := range n.known.Seats {
		row := n.rowOf(s.NodeID)
		if row == nil || s.NodeID == n.disk.meta.NodeID {
			continue
		}
		if row.Voter {
			voters++
		}
		switch {
		case row.LastEpoch == 0 && !row.Blank:
			return fmt.Sprintf("the node at %s has not said yet what its log holds: ask again in a moment", row.Addr)
		case atLeast(row, &me) > 0:
			return fmt.Sprintf("the log of the node at %s goes further, to position %d of epoch %d: recover there", row.Addr, row.End, row.LastEpoch)
		}
	}
	if voters >= n.known.Quorum() {
		return fmt.Sprintf("%d members that may vote run, and are a quorum: they elect a master by themselves", voters)
	}
	return ""
}

// holds is this node's log as a row has it.
func (n *Node) holds() MemberRow {
	return MemberRow{NodeID: n.disk.meta.NodeID, LastEpoch: n.disk.lastEpoch(), End: n.disk.synced, Blank: n.disk.blank() && !n.disk.damaged}
}

// loss names what may be missing once this node leads alone.
func (n *Node) loss() string {
	me := n.holds()
	var gone []string
	for _, s := range n.known.Seats {
		if n.rowOf(s.NodeID) == nil && !s.NodeID.IsZero() && s.NodeID != n.disk.meta.NodeID {
			gone = append(gone, s.Addr)
		}
	}
	text := fmt.Sprintf("This node's log ends at position %d of epoch %d, and is known to be committed up to %d.", me.End, me.LastEpoch,
		max(n.disk.applied, min(n.disk.meta.CommitHint, me.End)))
	if e := n.mandated(); e > me.LastEpoch {
		text += fmt.Sprintf(" Epoch %d has begun since, of which it has nothing: all that was confirmed in it is lost.", e)
	}
	if len(gone) > 0 {
		text += fmt.Sprintf(" What was confirmed behind that position is lost with %s: their seats are vacated, and they can come back with empty directories only.",
			strings.Join(gone, ", "))
	}
	if n.disk.unclean {
		text += " Its machine went down before its disk had all that it had acknowledged: that is lost too."
	}
	return text + " What was behind the committed position and was never confirmed may be delivered."
}

// obey carries an order out. true: it has asked the arbiter for that.
func (n *Node) obey() bool {
	var why string
	switch n.order {
	case noOrder:
		return false
	case adopting:
		why = n.adoptRefusal()
	case recovering:
		why = n.recoverRefusal()
	}
	if why == "" && n.now-n.orderAt >= orderTime {
		why = lateText
	}
	if why != "" {
		n.dropOrder(why)
		return false
	}
	n.ask(askOrder, n.orderTxn())
	return true
}

const lateText = "ZooKeeper did not take it in time"

func (n *Node) dropOrder(why string) {
	n.tell(Warn, "the operator's order was not carried out: "+why)
	n.order = noOrder
}

// unusedEpoch is one that nobody has had.
func (n *Node) unusedEpoch() uint64 {
	highest := max(n.promise, n.disk.lastEpoch(), n.mandated())
	if n.weak("unused-epoch") {
		return highest + 1
	}
	return (highest/adoptedEpochs + 1) * adoptedEpochs
}

func (n *Node) orderTxn() Txn {
	c := n.knowledge()
	if n.order == recovering {
		c.Sole = n.disk.meta.NodeID
		for i := range c.Seats {
			if s := &c.Seats[i]; s.NodeID != c.Sole && n.rowOf(s.NodeID) == nil {
				s.NodeID = persist.ID{}
				s.Generation++
			}
		}
	}
	absent := Absent
	t := Txn{IfConfig: &absent, IfMandate: &absent, SetConfig: c}
	if n.shown.Config != nil {
		t.IfConfig = new(n.shown.ConfigVersion)
	}
	if n.shown.Mandate != nil {
		t.IfMandate = new(n.shown.MandateVersion)
	}
	if n.unsettled() {
		t.SetMandate = &Mandate{Epoch: n.unusedEpoch(), Nonce: n.o.NewNonce()}
	}
	return t
}

// obeyed says that an order was carried out.
func (n *Node) obeyed() {
	text := "ZooKeeper has this cluster's configuration again: a master is elected anew"
	if n.disk.meta.ClusterID.IsZero() {
		text = "the cluster begins with this node's store: this node serves as soon as enough new members hold its log"
	} else if n.order == recovering {
		text = "this node leads by the operator's word, as soon as enough new members hold its log"
	}
	n.order = noOrder
	n.tell(Warn, text)
}

// sole says whether this node's vote is enough, by an operator's word.
func (n *Node) sole() bool {
	c := n.view.Config
	return c != nil && c.Sole == n.disk.meta.NodeID
}

// needed is how many votes elect this node.
func (n *Node) needed() int {
	if n.sole() {
		return 1
	}
	return n.view.Config.Quorum()
}

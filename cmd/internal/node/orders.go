package node

import (
	"fmt"
	"net"
	"net/http"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
	"github.com/havenmq/havenmq/protocols/admin"
)

// Promote is admin.Cluster.
func (n *Node) Promote(member string) error {
	m := n.member.Load()
	if m == nil {
		return errNoBroker
	}
	s := m.Status()
	if !s.Connected {
		return conflict("ZooKeeper cannot be reached, and nobody could be elected: start it first")
	}
	var attached, meant []ha.PeerStatus
	for _, p := range s.Peers {
		if p.Attached && !p.Full {
			attached = append(attached, p)
		}
		if named(p, member) {
			meant = append(meant, p)
		}
	}
	switch {
	case member == "" && len(attached) == 0:
		return conflict("no replica that has room on its disk follows this master: there is nobody to hand over to")
	case member == "":
		m.Promote(persist.ID{})
		return nil
	case len(meant) == 0:
		return conflict(fmt.Sprintf("%s is no other member of this cluster: `havenmq cluster ls` lists them", member))
	case len(meant) > 1:
		return conflict(fmt.Sprintf("%s is the host of several members: name one with its port, such as %s", member, meant[0].Addr))
	case !meant[0].Attached:
		return conflict(fmt.Sprintf("%s does not follow this master: wait until `havenmq cluster ls` shows it attached", meant[0].Addr))
	}
	if meant[0].Full {
		return conflict(fmt.Sprintf("the disk of %s is full: free some there first", meant[0].Addr))
	}
	m.Promote(meant[0].NodeID)
	return nil
}

// Drain is admin.Cluster.
func (n *Node) Drain(on bool) error {
	m := n.member.Load()
	if m == nil {
		return errNoBroker
	}
	m.Drain(on)
	return nil
}

// Emergency is admin.Cluster.
func (n *Node) Emergency() admin.Emergency {
	m := n.member.Load()
	if m == nil {
		why := errNoBroker.Detail
		return admin.Emergency{Adopt: why, Recover: why}
	}
	return admin.Emergency(m.Emergency())
}

// Adopt is admin.Cluster.
func (n *Node) Adopt() error {
	return n.order("It cannot be adopted", func() error { return n.member.Load().Adopt() })
}

// Recover is admin.Cluster.
func (n *Node) Recover() error {
	return n.order("It cannot be recovered", func() error { return n.member.Load().Recover() })
}

func (n *Node) order(title string, do func() error) error {
	if n.member.Load() == nil {
		return errNoBroker
	}
	if err := do(); err != nil {
		return &admin.Problem{Title: title, Status: http.StatusConflict, Code: "in-use", Detail: err.Error()}
	}
	return nil
}

func conflict(detail string) error {
	return &admin.Problem{Title: "It cannot be handed over", Status: http.StatusConflict, Code: "in-use", Detail: detail}
}

// named says whether an operator's word means this member.
func named(p ha.PeerStatus, word string) bool {
	host, _, _ := net.SplitHostPort(p.Addr)
	return word == p.Addr || word == host || word == p.Admin || word == p.NodeID.String()
}

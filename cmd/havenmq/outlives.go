package main

import (
	"context"

	"github.com/havenmq/havenmq/cmd/internal/client"
	"github.com/havenmq/havenmq/protocols/admin"
)

// standing is what the question whether a member may be stopped needs.
type standing struct {
	node      admin.NodeInfo
	master    *admin.NodeInfo // the master's own view, if the node is a replica and the master answers
	emergency admin.Emergency // of the node
}

// stopRefusal says why the service ends if this process stops; "" it goes on, or cannot be asked.
func stopRefusal(ctx context.Context, address string, pid int) string {
	if address == "" {
		return ""
	}
	node, err := client.New(address)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var s standing
	if s.node, err = node.Node(ctx); err != nil || s.node.PID != pid || s.node.Cluster == nil {
		return ""
	}
	s.emergency.Adopt = "not asked"
	if e, err := node.Emergency(ctx); err == nil {
		s.emergency = e
	}
	if s.node.Role == admin.RoleReplica && s.node.Master != "" {
		if m, err := client.New(s.node.Master); err == nil {
			if i, err := m.Node(ctx); err == nil && i.Role == admin.RoleMaster {
				s.master = &i
			}
		}
	}
	return s.refusal()
}

// refusal says why the service ends without the node; "" it goes on.
func (s *standing) refusal() string {
	c := s.node.Cluster
	switch {
	case c == nil || c.Replicas < 2:
		return ""
	case s.node.Role == admin.RoleReplica:
		return s.replicaRefusal()
	case s.node.Role != admin.RoleMaster:
		return ""
	case !c.Connected:
		return "this node is its cluster's master, and nobody can be elected in its place, as ZooKeeper cannot be reached: start ZooKeeper first, or stop it with --force"
	case s.emergency.Adopt == "":
		return "this node is its cluster's master, and nobody can be elected in its place, as ZooKeeper's data about the cluster was lost: " +
			"give it back with `havenmq cluster adopt` first, or stop it with --force"
	case !c.Outlives():
		return "this node is its cluster's master, and the others are too few to go on without it: " +
			"start another member first (`havenmq cluster ls` shows who is away), or stop it with --force"
	}
	return ""
}

// replicaRefusal refuses to take the replica away that the master needs for its quorum. Where the master does not answer, the
// members' rows tell.
func (s *standing) replicaRefusal() string {
	c, others := s.node.Cluster, 0
	if s.master != nil && s.master.Cluster != nil {
		needed := false
		for _, p := range s.master.Cluster.Peers {
			switch {
			case !p.Attached:
			case p.NodeID == c.NodeID:
				needed = true
			default:
				others++
			}
		}
		if !needed {
			return "" // it is no part of the quorum now
		}
	} else {
		for _, p := range c.Peers {
			if p.State == "FOLLOWING" {
				others++
			}
		}
	}
	if 1+others >= c.Replicas/2+1 { // the master, and those that follow it
		return ""
	}
	return "this replica is needed: without it the master has no quorum, and stops serving: " +
		"start another member first (`havenmq cluster ls` shows who is away), or stop it with --force"
}

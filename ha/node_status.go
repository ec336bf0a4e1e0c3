package ha

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is how this node sees itself and its cluster at now.
func (n *Node) Status(now time.Duration) Status {
	d := &n.disk
	s := Status{Role: n.role(), Epoch: n.promise, NodeID: d.meta.NodeID, ClusterID: d.meta.ClusterID, Voter: d.meta.Voter, Drained: d.meta.Drained, Paused: n.lead.paused, Full: n.full || n.up.full,
		Received: d.received, Synced: d.synced, Committed: d.applied, Connected: n.view.Connected}
	_, s.Listed = n.mine()
	if m := n.view.Mandate; m != nil {
		s.Master = Announcement{NodeID: m.Leader, Epoch: m.Epoch, Addr: m.Addr}
	}
	if a := n.view.Master; a != nil && !a.NodeID.IsZero() {
		s.Master = *a
	}
	u := &n.up
	if u.stalled {
		s.Epoch, s.Progress = u.epoch, Progress{u.from, u.synced, u.voterAt}
	}
	if n.phase == leading {
		s.Epoch, s.Committed = n.lead.epoch, n.lead.commit
	}
	s.Peers = n.peerStatus(now)
	s.Warnings = n.warnings()
	for _, r := range n.reasons(now) {
		if !slices.Contains(s.Warnings, r) {
			s.Warnings = append(s.Warnings, r)
		}
	}
	return s
}

func (n *Node) role() Role {
	switch {
	case n.phase == leading && n.lead.serving:
		return RoleMaster
	case n.phase == leading || n.phase == taking:
		return RoleRecovering
	case n.phase == seeking && n.up.full:
		return RoleError
	case n.phase == seeking && n.up.attached:
		return RoleReplica
	case n.phase == seeking && n.up.link != 0 || n.phase == switching:
		return RoleAttaching
	}
	return RoleElecting
}

func (n *Node) peerStatus(now time.Duration) (out []PeerStatus) {
	c := n.view.Config
	if c == nil {
		return nil
	}
	for i, seat := range c.Seats {
		if seat.NodeID == n.disk.meta.NodeID {
			continue
		}
		p := PeerStatus{NodeID: seat.NodeID, Addr: seat.Addr, Generation: seat.Generation, SilentMs: -1}
		for _, m := range n.view.Members {
			if m.Row.NodeID == seat.NodeID {
				p.State, p.Voter, p.Drained, p.Full, p.Admin = m.Row.State, m.Row.Voter, m.Row.Drained, m.Row.Full || m.Row.State == StateError, m.Row.Admin
			}
		}
		if n.phase == leading && i < len(n.lead.peers) {
			x := &n.lead.peers[i]
			p.Attached, p.Voter, p.Received, p.Synced = x.attached, x.voter, x.received, x.synced
			p.Full = p.Full || x.full
			p.LagBytes = uint64(max(n.disk.received, x.synced) - x.synced)
			if x.link != 0 {
				p.SilentMs = (now - x.beats.heardAt).Milliseconds()
			}
		}
		out = append(out, p)
	}
	return out
}

func (n *Node) warnings() (out []string) {
	if !n.view.Connected && (n.knowsTree || n.now >= firstView) {
		out = append(out, n.unreachable()+": nobody can be elected")
	}
	if n.strays() {
		out = append(out, strayText)
	} else if n.knowsTree && n.view.Connected && n.unsettled() && n.phase != taking && !n.up.attached || n.behind {
		out = append(out, "ZooKeeper's data about this cluster was deleted or set back: nobody can be elected: give it back, or see `havenmq cluster adopt`")
	}
	out = append(out, n.differences()...)
	if n.sole() {
		out = append(out, "this node leads by an operator's word: it serves as soon as new members hold its log")
	}
	if n.disk.damaged {
		out = append(out, "this node's log is damaged: it has no vote until it has fetched the log anew")
	}
	if n.disk.unclean {
		out = append(out, "this node's machine went down before its disk had all that it had acknowledged: it has no vote until it has caught up with a master")
	}
	if w := n.fullWarning(); w != "" {
		out = append(out, w)
	}
	return out
}

// differences are settings that should be the same on all nodes, and are not.
func (n *Node) differences() (out []string) {
	for _, m := range n.newestRows() {
		other := settings(m.Row.Settings)
		for _, s := range settings(n.o.Settings) {
			for _, o := range other {
				if s.key == o.key && s.value != o.value {
					out = append(out, fmt.Sprintf("%s is %s here and %s on the node at %s: it should be the same on all nodes", s.key, s.value, o.value, m.Row.Addr))
				}
			}
		}
	}
	return out
}

// newestRows are the other members', once a configuration is known.
func (n *Node) newestRows() []Member {
	if n.view.Config == nil {
		return nil
	}
	return slices.DeleteFunc(n.newest(), func(m Member) bool { return m.Row.NodeID == n.disk.meta.NodeID })
}

type setting struct{ key, value string }

func settings(words string) (out []setting) {
	for _, w := range strings.Fields(words) {
		if key, value, ok := strings.Cut(w, "="); ok {
			out = append(out, setting{key, value})
		}
	}
	return out
}

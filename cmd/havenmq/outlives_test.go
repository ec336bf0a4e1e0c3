package main

import (
	"strings"
	"testing"

	"github.com/havenmq/havenmq/protocols/admin"
)

// TestWhoMayBeStopped: a node without which the service ends is not stopped, and the refusal says what is missing.
func TestWhoMayBeStopped(t *testing.T) {
	peer := func(id, state string, attached bool) admin.PeerInfo {
		return admin.PeerInfo{NodeID: id, State: state, Attached: attached}
	}
	node := func(role string, connected bool, replicas int, peers ...admin.PeerInfo) admin.NodeInfo {
		return admin.NodeInfo{Role: role, Cluster: &admin.ClusterInfo{NodeID: "a", Connected: connected, Replicas: replicas, Peers: peers}}
	}
	b, c, cAway, a := peer("b", "FOLLOWING", true), peer("c", "FOLLOWING", true), peer("c", "", false), peer("a", "FOLLOWING", true)
	m := peer("m", "MASTER", false)
	seenBy := func(peers ...admin.PeerInfo) *admin.NodeInfo {
		i := node(admin.RoleMaster, true, 3, peers...)
		return &i
	}
	settled := admin.Emergency{Adopt: "there is nothing to adopt"}
	for name, x := range map[string]struct {
		s    standing
		want string // part of the refusal; "" none
	}{
		"master of three":            {standing{node(admin.RoleMaster, true, 3, b, c), nil, settled}, ""},
		"master, one away":           {standing{node(admin.RoleMaster, true, 3, b, cAway), nil, settled}, "start another member"},
		"master, no ZooKeeper":       {standing{node(admin.RoleMaster, false, 3, b, c), nil, settled}, "start ZooKeeper"},
		"master, ZooKeeper is blank": {standing{node(admin.RoleMaster, true, 3, peer("b", "", false), cAway), nil, admin.Emergency{}}, "cluster adopt"},
		"master of one":              {standing{node(admin.RoleMaster, false, 1), nil, settled}, ""},
		"replica of three":           {standing{node(admin.RoleReplica, true, 3, m, c), seenBy(a, c), settled}, ""},
		"replica, one away":          {standing{node(admin.RoleReplica, true, 3, m, cAway), seenBy(a, cAway), settled}, "this replica is needed"},
		"replica, one just killed":   {standing{node(admin.RoleReplica, true, 3, m, c), seenBy(a, cAway), settled}, "this replica is needed"},
		"replica that attaches":      {standing{node(admin.RoleReplica, true, 3, m, cAway), seenBy(peer("a", "SYNCING", false), cAway), settled}, ""},
		"replica, master is silent":  {standing{node(admin.RoleReplica, true, 3, m, cAway), nil, settled}, "this replica is needed"},
		"two of five left":           {standing{node(admin.RoleReplica, true, 5, m, c), nil, settled}, "this replica is needed"},
		"electing":                   {standing{node(admin.RoleElecting, false, 3, b, c), nil, settled}, ""},
		"alone":                      {standing{admin.NodeInfo{Role: admin.RoleMaster}, nil, settled}, ""},
	} {
		if got := x.s.refusal(); (got == "") != (x.want == "") || !strings.Contains(got, x.want) {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

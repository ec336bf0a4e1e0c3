package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/havenmq/havenmq/protocols/admin"
)

// told is a node that answers what a test says.
type told struct {
	mu        sync.Mutex
	info      admin.NodeInfo
	promoted  []string
	asked     []string
	emergency admin.Emergency
}

func (n *told) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.URL.Path == "/api/v1/cluster/promote" {
		n.promoted = append(n.promoted, r.URL.Query().Get("to"))
		n.info.Role, n.info.Epoch, n.info.Master, n.info.Cluster.MasterAddr = admin.RoleReplica, n.info.Epoch+1, "http://b", "b:1"
		w.WriteHeader(http.StatusNoContent)
		return
	}
	switch what := strings.TrimPrefix(r.URL.Path, "/api/v1/cluster/"); what {
	case "drain", "undrain", "adopt", "recover":
		n.asked = append(n.asked, what+r.URL.Query().Get("confirm"))
		if what == "adopt" || what == "drain" && n.info.Role == admin.RoleMaster {
			n.info.Role, n.info.Epoch, n.info.Master, n.info.Cluster.MasterAddr = admin.RoleReplica, n.info.Epoch+1, "http://b", "b:1"
		}
		w.WriteHeader(http.StatusNoContent)
		return
	case "emergency":
		_ = json.NewEncoder(w).Encode(n.emergency) // the client reads it all
		return
	}
	_ = json.NewEncoder(w).Encode(n.info) // the client reads it all
}

func clusterOf(role string, peers ...admin.PeerInfo) *told {
	return &told{info: admin.NodeInfo{Role: role, Epoch: 4, Ready: true, Cluster: &admin.ClusterInfo{State: role, Voter: true, Connected: true,
		Addr: "a:1", NodeID: "aa", Replicas: 3, Peers: peers}}}
}

var (
	follower = admin.PeerInfo{NodeID: "bb", Addr: "b:1", State: "FOLLOWING", Attached: true, Position: 77, LagBytes: 2048, Voter: true}
	dead     = admin.PeerInfo{NodeID: "cc", Addr: "c:1", SilentMs: -1}
)

func TestClusterCommands(t *testing.T) {
	n := clusterOf(admin.RoleMaster, follower, dead)
	s := httptest.NewServer(n)
	defer s.Close()
	havenmq(t, "status", "--node", s.URL).want(t, 0, "b:1 attached at 77, behind by 2.0 KiB", "c:1 away", "votes: yes, ZooKeeper: yes")
	havenmq(t, "cluster", "ls", "--node", s.URL).want(t, 0, "a:1 (asked)", "attached at 77", "away: start it")
	havenmq(t, "cluster", "ls", "--node", s.URL, "-o", "json").want(t, 0, `"replicationAddress": "b:1"`)
	havenmq(t, "cluster", "replace", "--node", s.URL).want(t, 0, "c:1 is away", "Leave its data directory empty")
	havenmq(t, "cluster", "replace", "b:1", "--node", s.URL).want(t, exitFailed, "b:1 is alive")
	havenmq(t, "cluster", "replace", "x:1", "--node", s.URL).want(t, exitFailed, "no other member")
	havenmq(t, "cluster", "promote", "a:1", "--node", s.URL).want(t, 0, "a:1 is the master already")
	havenmq(t, "cluster", "promote", "b:1", "--node", s.URL).want(t, 0, "b:1 is master of epoch 5")
	havenmq(t, "cluster", "drain", "--node", s.URL).want(t, 0, "This node is drained now (role: replica)")
	havenmq(t, "cluster", "undrain", "--node", s.URL).want(t, 0, "may lead again")
	if len(n.promoted) != 1 || n.promoted[0] != "b:1" {
		t.Errorf("promoted: %q", n.promoted)
	}
}

// TestTheRowsOfTheDead: a member that was killed is no master and no replica, though its row stands until its session ends.
func TestTheRowsOfTheDead(t *testing.T) {
	old := admin.PeerInfo{NodeID: "bb", Addr: "b:1", State: "MASTER", SilentMs: -1}
	next := admin.PeerInfo{NodeID: "cc", Addr: "c:1", State: "MASTER", SilentMs: -1}
	replica := clusterOf(admin.RoleReplica, old, next)
	replica.info.Cluster.MasterAddr = "c:1"
	s := httptest.NewServer(replica)
	defer s.Close()
	if out := havenmq(t, "cluster", "ls", "--node", s.URL).out; strings.Count(out, " master ") != 1 || !strings.Contains(out, "no longer heard") {
		t.Error(out)
	}
	killed := admin.PeerInfo{NodeID: "bb", Addr: "b:1", State: "FOLLOWING", SilentMs: -1}
	m := httptest.NewServer(clusterOf(admin.RoleMaster, killed, follower))
	defer m.Close()
	havenmq(t, "cluster", "replace", "--node", m.URL).want(t, 0, "No member is away", "session has ended")
	havenmq(t, "cluster", "replace", "b:1", "--node", m.URL).want(t, exitFailed, "no longer heard")
}

func TestDrainingAMaster(t *testing.T) {
	n := clusterOf(admin.RoleMaster, follower, dead)
	s := httptest.NewServer(n)
	defer s.Close()
	havenmq(t, "cluster", "drain", "--node", s.URL).want(t, 0, "b:1 is master of epoch 5")
	n = clusterOf(admin.RoleMaster, dead)
	n.info.Cluster.Drained = true
	s.Config.Handler = n
	havenmq(t, "cluster", "drain", "--node", s.URL).want(t, 0, "leads until another member follows it")
}

func TestEmergencies(t *testing.T) {
	n := clusterOf(admin.RoleElecting, dead)
	n.info.BrokerName = "mqHa"
	n.emergency = admin.Emergency{Adopt: "nothing to adopt", Recover: "there is a master"}
	s := httptest.NewServer(n)
	defer s.Close()
	havenmq(t, "cluster", "adopt", "--node", s.URL).want(t, exitFailed, "nothing to adopt")
	havenmq(t, "cluster", "recover", "--node", s.URL).want(t, exitFailed, "there is a master")
	n.emergency = admin.Emergency{Loss: "the log ends at 7"}
	havenmq(t, "cluster", "recover", "--node", s.URL).want(t, exitFailed, "the log ends at 7", "it needs --accept-loss")
	havenmqWith(t, "mqha\n", nil, "cluster", "recover", "--accept-loss", "--node", s.URL).want(t, exitFailed, "Type the cluster's name, mqHa", "not its name")
	havenmqWith(t, "", nil, "cluster", "adopt", "--node", s.URL).want(t, exitFailed, "c:1, away", "not its name")
	if len(n.asked) != 0 {
		t.Errorf("done without the name: %q", n.asked)
	}
	havenmqWith(t, "mqHa\n", nil, "cluster", "recover", "--accept-loss", "--node", s.URL).want(t, 0, "as soon as 2 of 3 members hold its log")
	n.info.Ready = true
	havenmq(t, "cluster", "adopt", "--yes", "--node", s.URL).want(t, 0, "http://b is master of epoch 5")
	if got := strings.Join(n.asked, ","); got != "recovermqHa,adoptmqHa" {
		t.Errorf("asked: %s", got)
	}
}

func TestAttachingAndAlone(t *testing.T) {
	n := clusterOf(admin.RoleReplica, follower)
	n.info.Cluster.Attach = &admin.Attach{From: 0, At: 1 << 20, To: 2 << 20}
	s := httptest.NewServer(n)
	defer s.Close()
	if got := havenmq(t, "status", "--node", s.URL); got.code != 3 || !strings.Contains(got.out, "[###############---------------]  50%, 1.0 MiB of 2.0 MiB") {
		t.Errorf("%+v", got)
	}
	havenmq(t, "cluster", "promote", "--node", s.URL).want(t, exitFailed, "nobody is master now")
	havenmq(t, "cluster", "replace", "--node", s.URL).want(t, 0, "nothing to replace")
	n.mu.Lock()
	n.info.Cluster = nil
	n.mu.Unlock()
	havenmq(t, "cluster", "drain", "--node", s.URL).want(t, exitFailed, "in no cluster")
}

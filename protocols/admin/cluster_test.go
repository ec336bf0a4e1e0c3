package admin

import (
	"fmt"
	"strings"
	"testing"
)

// fakeCluster remembers who was to be promoted.
type fakeCluster []string

func (f *fakeCluster) Promote(member string) error {
	*f = append(*f, member)
	return nil
}

func (f *fakeCluster) Drain(on bool) error {
	*f = append(*f, fmt.Sprint("drain ", on))
	return nil
}

func (f *fakeCluster) Emergency() Emergency { return Emergency{Adopt: "nothing to adopt", Loss: "all"} }

func (f *fakeCluster) Adopt() error {
	*f = append(*f, "adopt")
	return nil
}

func (f *fakeCluster) Recover() error { return &Problem{"No", 409, "in-use", "there is a master"} }

func TestClusterAPI(t *testing.T) {
	now := NodeInfo{BrokerName: "mqHa", Role: RoleMaster, Ready: true, Cluster: &ClusterInfo{ID: "c", State: "master", Voter: true, Elections: 2,
		Peers: []PeerInfo{{Addr: "b:61619", Attached: true, LagBytes: 7}, {Addr: "c:61619", LagBytes: 9}}}}
	var asked fakeCluster
	s := New(&fakeBroker{}, func() NodeInfo { return now }, true)
	expect(t, s, "GET", "/api/v1/cluster", 404, "in no cluster")
	s.Join(&asked)
	expect(t, s, "GET", "/api/v1/cluster", 200, `"replicationAddress":"b:61619"`)
	expect(t, s, "POST", "/api/v1/cluster", 405, "takes GET")
	expect(t, s, "GET", "/api/v1/cluster/promote", 405, "takes POST")
	expect(t, s, "POST", "/api/v1/cluster/explode", 404, "promote, drain")
	expect(t, s, "POST", "/api/v1/cluster/promote?to=b:61619", 204, "")
	expect(t, s, "POST", "/api/v1/cluster/promote", 204, "")
	for _, line := range []string{`havenmq_ha_replica_lag_bytes{replica="b:61619"} 7`, `havenmq_ha_replica_lag_bytes{replica="c:61619"} 9`,
		"havenmq_ha_members_attached 1", "havenmq_ha_elections_total 2", "havenmq_ha_voter 1", "havenmq_ha_disk_full 0", "havenmq_ha_zookeeper_connected 0"} {
		expect(t, s, "GET", "/metrics", 200, line)
	}
	now.Role, now.Master = RoleReplica, "http://b:8161"
	expect(t, s, "POST", "/api/v1/cluster/promote", 409, "ask the master, http://b:8161")
	expect(t, s, "GET", "/readyz", 200, "ready: replica")
	expect(t, s, "GET", "/master", 503, "not the master: replica")
	expect(t, s, "POST", "/api/v1/cluster/drain", 204, "")
	expect(t, s, "POST", "/api/v1/cluster/undrain", 204, "")
	expect(t, s, "GET", "/api/v1/cluster/emergency", 200, `"adopt":"nothing to adopt"`)
	expect(t, s, "POST", "/api/v1/cluster/adopt", 400, "confirm=mqHa")
	expect(t, s, "GET", "/api/v1/cluster/adopt?confirm=mqHa", 405, "takes POST")
	expect(t, s, "POST", "/api/v1/cluster/adopt?confirm=mqHa", 204, "")
	expect(t, s, "POST", "/api/v1/cluster/recover?confirm=other", 400, "confirm=mqHa")
	expect(t, s, "POST", "/api/v1/cluster/recover?confirm=mqHa", 409, "there is a master")
	expect(t, s, "POST", "/api/v1/cluster/promote/b", 404, "promote/b")
	if got := strings.Join(asked, ","); got != "b:61619,,drain true,drain false,adopt" {
		t.Errorf("promoted: %s", got)
	}
	if w := ask(t, s, "GET", "/metrics"); strings.Contains(w.Body.String(), "lag_bytes") {
		t.Error("a replica shows the others' lag, which it cannot know")
	}
}

func TestAttachShare(t *testing.T) {
	for a, want := range map[Attach]float64{{0, 50, 100}: 0.5, {100, 100, 300}: 0, {5, 5, 5}: 1, {10, 400, 300}: 1, {10, 0, 300}: 0} {
		if got := a.Share(); got != want {
			t.Errorf("%+v: %v, want %v", a, got, want)
		}
	}
}

func TestOutlives(t *testing.T) {
	both, one := []PeerInfo{{Attached: true}, {Attached: true}}, []PeerInfo{{Attached: true}, {}}
	for _, c := range []struct {
		replicas int
		peers    []PeerInfo
		want     bool
	}{{3, both, true}, {3, one, false}, {2, one, false}, {5, both, false}} {
		if got := (&ClusterInfo{Replicas: c.replicas, Peers: c.peers}).Outlives(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

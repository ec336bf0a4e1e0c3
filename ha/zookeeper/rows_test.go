package zookeeper

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

func TestRowsComeBack(t *testing.T) {
	c := &ha.Config{ClusterID: persist.ID{1}, Replicas: 3, Initialized: true, Seats: []ha.Seat{
		{NodeID: persist.ID{2}, Generation: 3, Addr: "a:1", Weight: 4}, {NodeID: persist.ID{3}, Generation: 1, Addr: "b:1"}}}
	if got, err := decodeConfig(encodeConfig(c)); err != nil || cmp.Diff(c, got) != "" {
		t.Error(err, cmp.Diff(c, got))
	}
	m := &ha.Mandate{Epoch: 1, Leader: persist.ID{2}, Addr: "a:1", Nonce: ^uint64(0), LastEpoch: 4, Start: 5}
	if got, err := decodeMandate(encodeMandate(m)); err != nil || cmp.Diff(m, got) != "" {
		t.Error(err, cmp.Diff(m, got))
	}
	r := ha.MemberRow{NodeID: persist.ID{2}, Generation: 1, Incarnation: ^uint64(0), State: ha.StateFrozen, SuspectEpoch: 2, Promised: 3, LastEpoch: 4,
		End: 5, Voter: true, Blank: true, Weight: 6, Addr: "a:1", Admin: "http://a"}
	if got, err := decodeMember(encodeMember(&r)); err != nil || cmp.Diff(r, got) != "" {
		t.Error(err, cmp.Diff(r, got))
	}
	a := &ha.Announcement{NodeID: persist.ID{2}, Epoch: 1, Addr: "a:1", Admin: "http://a"}
	if got, err := decodeMaster(encodeMaster(a)); err != nil || cmp.Diff(a, got) != "" {
		t.Error(err, cmp.Diff(a, got))
	}
}

func TestRowsThatAreNone(t *testing.T) {
	for _, s := range []string{"", "x", "{}", `{"cluster_id":"00"}`, `{"cluster_id":"00000000000000000000000000000000","replicas":0}`,
		`{"cluster_id":"00000000000000000000000000000000","replicas":1000}`,
		`{"cluster_id":"00000000000000000000000000000000","replicas":1,"seats":[{"node_id":"x"}]}`,
		`{"cluster_id":"00000000000000000000000000000000","replicas":1,"seats":[{},{}]}`} {
		if c, err := decodeConfig([]byte(s)); err == nil {
			t.Errorf("%q is %v", s, c)
		}
	}
	if _, err := decodeMandate([]byte(`{"epoch":1}`)); err == nil {
		t.Error("a mandate of nobody")
	}
	if _, err := decodeMember([]byte(`{"epoch":-1}`)); err == nil {
		t.Error("a member that is nobody")
	}
	if _, err := decodeMaster([]byte(`[]`)); err == nil {
		t.Error("a master that is nobody")
	}
}

func TestPathsAreChecked(t *testing.T) {
	for _, p := range []string{"", "/", "a", "/a/../b", "/a/"} {
		if e, err := Connect(Options{Servers: []string{"127.0.0.1:1"}, Path: p}); err == nil {
			t.Errorf("%q was taken", p)
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add(encodeConfig(&ha.Config{Replicas: 3}))
	f.Add(encodeMember(&ha.MemberRow{State: ha.StateFrozen}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := decodeConfig(b); err == nil {
			again, err := decodeConfig(encodeConfig(c))
			if err != nil || cmp.Diff(c, again) != "" {
				t.Error(err, cmp.Diff(c, again))
			}
		}
		if m, err := decodeMember(b); err == nil {
			again, err := decodeMember(encodeMember(&m))
			if err != nil || cmp.Diff(m, again) != "" {
				t.Error(err, cmp.Diff(m, again))
			}
		}
	})
}

package memory

import (
	"testing"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/electortest"
	"github.com/havenmq/havenmq/persist"
)

func TestWhatAClusterAsks(t *testing.T) {
	tree := New()
	electortest.Run(t, func() ha.Elector { return tree.Join() })
}

// session joins with a row of node's.
func session(t *testing.T, tree *Tree, node byte) *Elector {
	t.Helper()
	e := tree.Join()
	if o, _ := electortest.Do(t, e, ha.Txn{PutMember: &ha.MemberRow{NodeID: persist.ID{node}}}); o != ha.Done {
		t.Fatal(o)
	}
	return e
}

func closed(t *testing.T, e *Elector) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAKilledNodesRowsStayUntilItsSessionExpires(t *testing.T) {
	tree := New()
	witness := tree.Join()
	defer closed(t, witness)
	views := make(chan ha.View, 100)
	witness.Watch(func(v ha.View) { views <- v })
	dead := session(t, tree, 7)
	if o, _ := electortest.Do(t, dead, ha.Txn{Announce: &ha.Announcement{NodeID: persist.ID{7}, Epoch: 1}}); o != ha.Done {
		t.Fatal(o)
	}
	dead.Kill()
	closed(t, dead)
	if _, v := electortest.Do(t, witness, ha.Txn{}); len(v.Members) != 1 || v.Master == nil {
		t.Fatal("the rows of a killed node went with its process: ", v)
	}
	dead.Expire()
	electortest.Seen(t, views, func(v ha.View) bool { return len(v.Members) == 0 && v.Master == nil })
}

func TestARevivedSessionOwnsNothing(t *testing.T) {
	tree := New()
	e := session(t, tree, 7)
	defer closed(t, e)
	_, before := electortest.Do(t, e, ha.Txn{})
	e.Expire()
	e.Revive()
	if _, v := electortest.Do(t, e, ha.Txn{}); v.Session == before.Session || len(v.Members) != 0 {
		t.Fatalf("session %d after %d, members %v", v.Session, before.Session, v.Members)
	}
}

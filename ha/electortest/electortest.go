package electortest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// Run asks an empty arbiter what a cluster asks of it. join opens a session with the arbiter, which Run closes.
func Run(t *testing.T, join func() ha.Elector) {
	a, _ := watched(t, join)
	b, views := watched(t, join)
	bootstrap(t, a, b)
	me := vote(t, a, views)
	mandate(t, a, me)
	announcements(t, a, b)
	rows(t, a, b, views)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	Seen(t, views, func(v ha.View) bool { return len(v.Members) == 0 && v.Master != nil && v.Master.Epoch == 2 })
}

// watched joins, and waits until the session stands.
func watched(t *testing.T, join func() ha.Elector) (ha.Elector, chan ha.View) {
	t.Helper()
	e := join()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	views := make(chan ha.View, 1000)
	e.Watch(func(v ha.View) { views <- v })
	Seen(t, views, func(v ha.View) bool { return v.Connected })
	return e, views
}

// Seen waits for a view of which so is true, 20 s at most, and fails if one comes that is older than the one before it.
func Seen(t *testing.T, views chan ha.View, so func(ha.View) bool) ha.View {
	t.Helper()
	last := uint64(0)
	for never := time.After(20 * time.Second); ; {
		select {
		case v := <-views:
			if v.Serial <= last && v.Serial != 0 {
				t.Fatalf("view %d after %d", v.Serial, last)
			}
			if last = v.Serial; so(v) {
				return v
			}
		case <-never:
			t.Fatal("the view never came")
		}
	}
}

// Do asks within 5 s.
func Do(t *testing.T, e ha.Elector, x ha.Txn) (ha.Outcome, ha.View) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return e.Do(ctx, x)
}

// expect asks, and fails unless the answer is want.
func expect(t *testing.T, want ha.Outcome, e ha.Elector, x ha.Txn) ha.View {
	t.Helper()
	o, v := Do(t, e, x)
	if o != want {
		t.Fatalf("outcome %d, not %d, of %+v: %+v", o, want, x, v)
	}
	return v
}

// bootstrap: of two that make the configuration, the second finds the first's.
func bootstrap(t *testing.T, a, b ha.Elector) {
	t.Helper()
	first := ha.Txn{IfConfig: new(ha.Absent),
		SetConfig: &ha.Config{ClusterID: persist.ID{1}, Replicas: 3, Seats: []ha.Seat{{NodeID: persist.ID{7}, Generation: 1, Addr: "a:1"}}}}
	if v := expect(t, ha.Done, a, first); v.Config == nil || v.Config.Replicas != 3 {
		t.Fatal(v)
	}
	if v := expect(t, ha.Conflict, b, first); v.Config == nil {
		t.Fatal(v)
	}
}

// vote: a row belongs to its session, counts its versions, and is seen by others.
func vote(t *testing.T, a ha.Elector, views chan ha.View) ha.MemberVersion {
	t.Helper()
	row := &ha.MemberRow{NodeID: persist.ID{7}, State: ha.StateSyncing}
	v := expect(t, ha.Done, a, ha.Txn{PutMember: row})
	if len(v.Members) != 1 || !v.Members[0].Mine || v.Members[0].Version != 0 {
		t.Fatal(v)
	}
	me := ha.MemberVersion{Name: v.Members[0].Name}
	if other := Seen(t, views, func(v ha.View) bool { return len(v.Members) == 1 }); other.Members[0].Mine {
		t.Error("another's row is ours")
	}
	frozen := *row // rows are shared, never changed
	frozen.State, frozen.Promised = ha.StateFrozen, 1
	if v = expect(t, ha.Done, a, ha.Txn{PutMember: &frozen, Member: me}); v.Members[0].Version != 1 || v.Members[0].Row.State != ha.StateFrozen {
		t.Fatal(v)
	}
	Seen(t, views, func(v ha.View) bool { return v.Members[0].Row.State == ha.StateFrozen })
	expect(t, ha.Conflict, a, ha.Txn{PutMember: row, Member: me}) // a version that was
	return me
}

// mandate: an epoch is won only while the voters' rows stand as they were read.
func mandate(t *testing.T, a ha.Elector, me ha.MemberVersion) {
	t.Helper()
	v := expect(t, ha.Done, a, ha.Txn{})
	claim := ha.Txn{IfConfig: new(v.ConfigVersion), IfMandate: new(ha.Absent), IfMembers: []ha.MemberVersion{me},
		SetMandate: &ha.Mandate{Epoch: 1, Leader: persist.ID{7}, Nonce: 9}}
	expect(t, ha.Conflict, a, claim) // the voter's version was 0, is 1
	me.Version = 1
	claim.IfMembers[0] = me
	if v = expect(t, ha.Done, a, claim); v.Mandate == nil || v.Mandate.Nonce != 9 {
		t.Fatal(v)
	}
	expect(t, ha.Conflict, a, claim) // won already
}

// announcements: the newest replaces, and only the announcer withdraws.
func announcements(t *testing.T, a, b ha.Elector) {
	t.Helper()
	v := expect(t, ha.Done, a, ha.Txn{})
	for range 2 { // whatever announcement there is
		x := ha.Txn{IfMandate: new(v.MandateVersion), Announce: &ha.Announcement{NodeID: persist.ID{7}, Epoch: 1}}
		if v = expect(t, ha.Done, a, x); v.Master == nil {
			t.Fatal(v)
		}
	}
	if v = expect(t, ha.Done, b, ha.Txn{Withdraw: true}); v.Master == nil {
		t.Fatal("another's announcement was withdrawn: ", v)
	}
	if v = expect(t, ha.Done, a, ha.Txn{Withdraw: true}); v.Master != nil {
		t.Fatal("its own announcement was not withdrawn: ", v)
	}
	if v = expect(t, ha.Done, b, ha.Txn{Announce: &ha.Announcement{NodeID: persist.ID{8}, Epoch: 2}}); v.Master.Epoch != 2 {
		t.Fatal(v)
	}
}

// rows: another's row can be dropped once, as that of a process which has gone.
func rows(t *testing.T, a, b ha.Elector, views chan ha.View) {
	t.Helper()
	v := expect(t, ha.Done, b, ha.Txn{PutMember: &ha.MemberRow{NodeID: persist.ID{8}, State: ha.StateIdle}})
	i := slices.IndexFunc(v.Members, func(m ha.Member) bool { return m.Mine })
	drop := ha.Txn{Drop: []string{v.Members[i].Name}}
	if v = expect(t, ha.Done, a, drop); len(v.Members) != 1 {
		t.Fatal(v)
	}
	expect(t, ha.Conflict, a, drop)
	Seen(t, views, func(v ha.View) bool { return len(v.Members) == 1 })
}

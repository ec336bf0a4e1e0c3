package sim

import (
	"fmt"
	"slices"

	"github.com/havenmq/havenmq/ha"
)

// arbiter is the tree of rows. Sessions own members and the announcement.
type arbiter struct {
	config   *ha.Config
	mandate  *ha.Mandate
	configV  int32
	mandateV int32
	members  []ha.Member
	owners   map[string]uint64
	master   *ha.Announcement
	masterOf uint64
	seq      int64
	sessions uint64
	serial   uint64
}

func newArbiter() *arbiter {
	return &arbiter{owners: map[string]uint64{}, configV: ha.Absent, mandateV: ha.Absent}
}

func (a *arbiter) view(session uint64) ha.View {
	a.serial++
	v := ha.View{Connected: true, Session: session, Config: a.config, Mandate: a.mandate, Master: a.master, Serial: a.serial,
		ConfigVersion: a.configV, MandateVersion: a.mandateV}
	for _, m := range a.members {
		m.Mine = a.owners[m.Name] == session
		v.Members = append(v.Members, m)
	}
	return v
}

func (a *arbiter) find(name string) int {
	return slices.IndexFunc(a.members, func(m ha.Member) bool { return m.Name == name })
}

func (a *arbiter) holds(x *ha.Txn) bool {
	if x.IfConfig != nil && *x.IfConfig != a.configV || x.IfMandate != nil && *x.IfMandate != a.mandateV {
		return false
	}
	checks := slices.Clone(x.IfMembers)
	if x.PutMember != nil && x.Member.Name != "" {
		checks = append(checks, x.Member)
	}
	for _, c := range checks {
		if i := a.find(c.Name); i < 0 || a.members[i].Version != c.Version {
			return false
		}
	}
	return !slices.ContainsFunc(x.Drop, func(name string) bool { return a.find(name) < 0 })
}

// do is a transaction, all or nothing.
func (a *arbiter) do(session uint64, x *ha.Txn) ha.Outcome {
	if !a.holds(x) {
		return ha.Conflict
	}
	if x.SetConfig != nil {
		a.config = x.SetConfig
		a.configV++
	}
	if x.SetMandate != nil {
		a.mandate = x.SetMandate
		a.mandateV++
	}
	a.members = slices.DeleteFunc(slices.Clone(a.members), func(m ha.Member) bool { return slices.Contains(x.Drop, m.Name) })
	if x.PutMember != nil {
		if i := a.find(x.Member.Name); i >= 0 {
			a.members[i].Version++
			a.members[i].Row = *x.PutMember
		} else {
			a.seq++
			name := fmt.Sprintf("m-%d", a.seq)
			a.owners[name] = session
			a.members = append(a.members, ha.Member{Name: name, Seq: a.seq, Row: *x.PutMember})
		}
	}
	if x.Withdraw && a.masterOf == session {
		a.master = nil
	}
	if x.Announce != nil {
		a.master, a.masterOf = x.Announce, session
	}
	return ha.Done
}

// expire ends a session.
func (a *arbiter) expire(session uint64) {
	a.members = slices.DeleteFunc(slices.Clone(a.members), func(m ha.Member) bool { return a.owners[m.Name] == session })
	if a.masterOf == session {
		a.master = nil
	}
}

package sim

import (
	"fmt"
	"slices"
	"time"

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
	gone     map[uint64]bool // sessions that have ended
	serial   uint64
}

func newArbiter() *arbiter {
	return &arbiter{owners: map[string]uint64{}, gone: map[uint64]bool{}, configV: ha.Absent, mandateV: ha.Absent}
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

// expire ends a session: its rows are gone, and it may ask for nothing more.
func (a *arbiter) expire(session uint64) {
	a.gone[session] = true
	a.members = slices.DeleteFunc(slices.Clone(a.members), func(m ha.Member) bool { return a.owners[m.Name] == session })
	if a.masterOf == session {
		a.master = nil
	}
}

// sessionTime is how long the rows of a process outlive it.
const sessionTime = 2 * time.Second

// connect gives a node a new session.
func (n *node) connect() {
	n.w.arbiter.sessions++
	n.session = n.w.arbiter.sessions
	n.sights.read = nil
}

// setOffline cuts a node from the arbiter, or brings it back. Away for long it loses its session.
func (n *node) setOffline(on bool) {
	if n.offline == on {
		return
	}
	n.offline = on
	n.look()
	if session := n.session; on {
		n.w.after(sessionTime+n.w.delay(sessionTime), func() {
			if n.offline && n.session == session {
				n.w.expire(n)
			}
		})
	}
}

// look has the machine see the arbiter's rows as they are now, a little later, sometimes much later and sometimes out of
// order. One that is cut off sees that.
func (n *node) look() {
	if !n.up {
		return
	}
	w := n.w
	late := w.delay(5 * time.Millisecond)
	if w.rng.IntN(20) == 0 {
		late = w.delay(time.Second)
	}
	if w.rng.IntN(20) > 0 {
		n.lastLook = max(n.lastLook, w.now+late)
		late = n.lastLook - w.now
	}
	if n.offline {
		w.arbiter.serial++
		v := ha.View{Serial: w.arbiter.serial}
		n.mine(late, func() { n.step(ha.Seen{View: v}) })
		return
	}
	v, session := n.read(), n.session
	n.mine(late, func() {
		if !n.offline && n.session == session {
			n.step(ha.Seen{View: v})
		}
	})
}

// read makes a view as a client does that reads row by row: those whose watch has not fired yet are as they were. Such a
// view is not the last one.
func (n *node) read() ha.View {
	w := n.w
	v := w.arbiter.view(n.session)
	if old := n.sights.read; old != nil && w.rng.IntN(10) == 0 {
		which := w.rng.IntN(8)
		if which&1 > 0 {
			v.Config, v.ConfigVersion = old.Config, old.ConfigVersion
		}
		if which&2 > 0 {
			v.Mandate, v.MandateVersion = old.Mandate, old.MandateVersion
		}
		if which&4 > 0 {
			v.Members = old.Members
		}
		n.mine(w.delay(200*time.Millisecond), n.look)
	}
	if old := n.sights.read; old != nil && n.torn {
		v.Mandate, v.MandateVersion = old.Mandate, old.MandateVersion
	}
	n.sights.read = &v
	return v
}

// transact asks the arbiter. The answer may get lost, before or after it was done; a process that dies or is stopped may
// have sent it already.
func (n *node) transact(a ha.Transact) {
	w, session, life, sent := n.w, n.session, n.life, n.w.rng.IntN(2) == 0
	n.lastAsk = max(n.lastAsk, w.now) + w.delay(10*time.Millisecond)
	answer := func(most time.Duration, o ha.Outcome, v ha.View) {
		w.after(w.delay(most), func() { n.of(life, func() { n.step(ha.Answered{ID: a.ID, Outcome: o, View: v}) }) })
	}
	do := func() {
		lost := w.rng.IntN(30)
		if n.offline || lost == 0 || w.arbiter.gone[session] {
			answer(50*time.Millisecond, ha.Unknown, ha.View{})
			return
		}
		outcome := w.decide(n, session, &a.Txn)
		switch {
		case lost == 1:
			answer(50*time.Millisecond, ha.Unknown, ha.View{})
		case n.life == life && n.session == session:
			v := w.arbiter.view(session)
			n.sights.read = &v
			answer(5*time.Millisecond, outcome, v)
		default:
			answer(5*time.Millisecond, outcome, w.arbiter.view(session))
		}
	}
	w.after(n.lastAsk-w.now, func() {
		if sent {
			do()
		} else {
			n.of(life, do)
		}
	})
}

// decide does a transaction, and looks at what it has done.
func (w *World) decide(n *node, session uint64, x *ha.Txn) ha.Outcome {
	if n.no >= w.replicas && x.SetConfig != nil {
		return ha.Conflict // a copy takes no seat: it is gone before the seat's holder is
	}
	before := w.arbiter.config
	outcome := w.arbiter.do(session, x)
	if outcome == ha.Done {
		w.decided(n, x, before)
		w.notice(occurrence{n: n, txn: x})
	}
	w.changed()
	return outcome
}

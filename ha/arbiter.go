package ha

import (
	"slices"
	"time"
)

// what a Transact is about.
type errand uint8

const (
	askClaim errand = iota
	askRow
	askElect
	askInit
	askAnnounce
	askLook
	askOrder
)

// asked is the Transact under way.
type asked struct {
	id     uint64
	errand errand
	nonce  uint64
	epoch  uint64
}

func (n *Node) ask(e errand, t Txn) *asked {
	n.lastID++
	n.asked = &asked{id: n.lastID, errand: e}
	n.do(Transact{ID: n.lastID, Txn: t})
	return n.asked
}

// see takes in a view, unless a newer one has come by another way.
func (n *Node) see(v View) {
	if v.Serial < n.view.Serial {
		return
	}
	if !v.Connected {
		if n.view.Connected {
			n.tell(Warn, n.unreachable()+": what is going on goes on, but nobody can be elected")
		}
		n.view.Connected = false
		return
	}
	n.noteMandate(v)
	v = n.believe(v)
	n.view, n.knowsTree = v, true
	n.keepConfig()
	n.seatMoved()
}

// noteMandate acts on a newer epoch at once, whatever else is under way.
func (n *Node) noteMandate(v View) {
	if v.Mandate == nil || n.view.Mandate != nil && v.Mandate.Epoch <= n.view.Mandate.Epoch {
		return
	}
	n.view.Mandate, n.view.MandateVersion = v.Mandate, v.MandateVersion
	n.newEpoch(v.Mandate)
}

// newEpoch leaves what belongs to an older one.
func (n *Node) newEpoch(m *Mandate) {
	n.suspects, n.handed = false, false
	if n.phase >= taking && n.phase <= leading && m.Epoch > n.lead.epoch {
		n.stepDown("a newer epoch has begun")
		return
	}
	if m.Leader == n.disk.meta.NodeID {
		return
	}
	if n.phase == freezing || n.phase == frozen {
		n.phase = seeking
	}
	if n.up.link != 0 && n.up.epoch < m.Epoch {
		n.hangUp()
	}
	n.up.refusals, n.up.lostAt, n.up.dialAt, n.up.dialing = 0, n.now, n.now, false
}

// seatMoved looks at the configuration after it may have changed.
func (n *Node) seatMoved() {
	c := n.view.Config
	if c == nil || n.seat < 0 {
		return
	}
	why := n.refusal(c)
	if i := c.Seat(n.disk.meta.NodeID); i < 0 || c.Seats[i].Generation != n.gen {
		why = "this node's seat was taken over by another: start it with an empty directory"
	}
	if why != "" && !n.weak("own-takeover") {
		n.exit(2, why)
		return
	}
	n.lead.seatsChanged(n)
}

func (n *Node) answered(e Answered) {
	a := n.asked
	if a == nil || a.id != e.ID {
		return
	}
	n.asked = nil
	n.see(e.View)
	if n.phase == gone {
		return
	}
	if e.Outcome == Done {
		n.asDone(a)
		return
	}
	n.lead.announcing = n.lead.announcing && a.errand != askAnnounce
	n.lead.initing = n.lead.initing && a.errand != askInit
	switch e.Outcome {
	case Unknown:
		n.look, n.lookAt = true, n.now+lookPause
		if a.errand == askElect {
			n.unsure = a
		}
		n.again(lookPause)
	case Refused:
		n.explain(Alarm, "ZooKeeper refuses what this node asks: look at zkPassword and at the rows' access lists")
		n.look, n.lookAt = true, n.now+time.Second
		n.again(time.Second)
	}
}

// lookPause is waited for before the arbiter is asked again how things stand.
const lookPause = 100 * time.Millisecond

func (n *Node) asDone(a *asked) {
	switch a.errand {
	case askElect:
		n.won(a.epoch)
	case askAnnounce:
		n.announced()
	case askInit:
		n.initialized()
	case askOrder:
		n.obeyed()
	case askLook:
		u, m := n.unsure, n.view.Mandate
		n.look, n.unsure = false, nil
		if u != nil && m != nil && m.Nonce == u.nonce && m.Epoch == u.epoch && m.Leader == n.disk.meta.NodeID {
			n.won(u.epoch)
		}
	}
}

// consider looks at everything that a change may have made possible, and asks the arbiter for the next thing.
func (n *Node) consider() {
	if n.phase == gone {
		return
	}
	n.follow()
	if n.asked != nil || !n.view.Connected || !n.knowsTree {
		return
	}
	if n.look {
		if n.now >= n.lookAt {
			n.ask(askLook, Txn{})
		} else {
			n.again(n.lookAt - n.now)
		}
		return
	}
	if !n.join() || n.phase == gone {
		return
	}
	if n.obey() {
		return
	}
	if n.behind { // what needs the arbiter's word waits
		n.publish()
		return
	}
	n.considerFreeze()
	if n.publish() {
		return
	}
	switch n.phase {
	case frozen:
		n.elect()
	case leading:
		n.considerServing()
	}
}

// mine is this node's row of its present session.
func (n *Node) mine() (m Member, ok bool) {
	i := slices.IndexFunc(n.view.Members, func(m Member) bool { return m.Mine })
	if i < 0 {
		return m, false
	}
	return n.view.Members[i], true
}

// publish brings this node's row in line with what it is. true: it has asked for that.
func (n *Node) publish() bool {
	row, ok := n.row()
	if !ok {
		return false
	}
	m, have := n.mine()
	if have && m.Row == row && !slices.ContainsFunc(n.view.Members, func(x Member) bool { return n.superseded(&x, &m) }) {
		return false
	}
	t := Txn{PutMember: &row}
	if have {
		t.Member = MemberVersion{m.Name, m.Version}
	}
	for _, x := range n.view.Members {
		if n.superseded(&x, &m) {
			t.Drop = append(t.Drop, x.Name)
		}
	}
	n.ask(askRow, t)
	return true
}

// row is what this node says of itself. While its vote is being prepared it says nothing new.
func (n *Node) row() (MemberRow, bool) {
	r := MemberRow{NodeID: n.disk.meta.NodeID, Generation: n.gen, Incarnation: n.o.Incarnation, Voter: n.disk.meta.Voter, Drained: n.disk.meta.Drained, Weight: n.o.Weight,
		Addr: n.o.Addr, Admin: n.o.Admin, Settings: n.o.Settings, Promised: n.disk.meta.Promised}
	if n.suspects {
		r.SuspectEpoch = n.suspect
	}
	r.Claims, r.Full, r.Twin = n.known.claims(), n.full, n.twin
	switch n.phase {
	case freezing, switching:
		return r, false
	case frozen:
		h := n.holds()
		r.State, r.LastEpoch, r.End, r.Blank, r.Claims = StateFrozen, h.LastEpoch, h.End, h.Blank, 0
		r.Full = n.voteFull // it stays as it is
	case taking, leading:
		r.State = StateMaster
	case yielding:
		r.State = StateIdle
	default:
		r.State = StateSyncing
		if n.up.full {
			r.State = StateError
		} else if n.up.attached {
			r.State = StateFollowing
		}
		if h := n.holds(); n.suspects && n.up.link == 0 { // nothing moves it
			r.LastEpoch, r.End, r.Blank = h.LastEpoch, h.End, h.Blank
		}
	}
	return r, true
}

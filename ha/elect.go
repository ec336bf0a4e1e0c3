package ha

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// mandated is the newest epoch that was won; 0 none yet.
func (n *Node) mandated() uint64 {
	if n.view.Mandate == nil {
		return 0
	}
	return n.view.Mandate.Epoch
}

// newest gives, for each seat's present holder, the row of its newest process.
func (n *Node) newest() []Member {
	var out []Member
	for _, m := range n.view.Members { // in order of Seq
		if !n.view.Config.isMember(&m.Row) && !n.weak("members") {
			continue
		}
		if i := slices.IndexFunc(out, func(o Member) bool { return o.Row.NodeID == m.Row.NodeID }); i >= 0 && !n.weak("one-row") {
			out[i] = m
		} else {
			out = append(out, m)
		}
	}
	return out
}

// considerFreeze freezes when a quorum, this node included, has lost the master of the newest epoch.
func (n *Node) considerFreeze() {
	if n.phase != seeking || n.leave.asked {
		return
	}
	e := n.mandated()
	if !n.suspects || n.suspect != e {
		return
	}
	if n.promise > e+1 {
		n.explain(Alarm, fmt.Sprintf("this node has promised epoch %d, and ZooKeeper knows epoch %d only: its data was lost or set back: give ZooKeeper its data back, or see `havenmq cluster adopt`",
			n.promise, e))
		return
	}
	count := 1
	for _, m := range n.newest() {
		if m.Row.NodeID != n.disk.meta.NodeID && (e == 0 || m.Row.SuspectEpoch == e) {
			count++
		}
	}
	if count < n.needed() {
		n.explain(Info, n.shortText(len(n.newest())))
		return
	}
	n.freeze(e + 1)
}

// freeze stops following, and promises to accept nothing of a lower epoch, before the vote is published.
func (n *Node) freeze(epoch uint64) {
	if _, have := n.mine(); !have {
		return // the row comes first: it says that those of before are gone
	}
	if !n.weak("promise") {
		n.hangUp()
	}
	n.phase = freezing
	n.promise = max(n.promise, epoch)
	if !n.weak("vote-synced") {
		n.do(Sync{})
	}
	n.do(Promise{n.promise})
	if n.weak("promise-first") {
		n.promisedTo(n.promise)
	}
}

// froze lets the vote be published.
func (n *Node) froze() {
	n.phase, n.frozenAt, n.voteFull = frozen, n.now, n.full
	n.again(n.o.Timing.ElectionWait)
}

// thaw lets a node that nobody froze with look for a master again. It keeps its promise: a master of a lower epoch that it
// reaches must step down.
func (n *Node) thaw() {
	patience := 3 * n.o.Timing.ElectionWait
	if n.phase != frozen || n.asked != nil {
		return
	}
	if n.now-n.frozenAt < patience {
		n.again(n.frozenAt + patience - n.now)
		return
	}
	n.phase = seeking
	n.suspects = false
	n.up.lostAt, n.up.dialAt, n.up.had = n.now, n.now, 0
}

// votes says whether a row's vote counts for an epoch.
func (n *Node) votes(r *MemberRow, epoch uint64) bool {
	c := n.view.Config
	voter := r.Voter || r.Blank && (!c.Initialized || n.weak("blank-votes")) || r.NodeID == c.Sole || n.weak("votes")
	return r.State == StateFrozen && r.Promised == epoch && voter
}

// better orders votes: by the last epoch and the end of the log first; what comes then only spares a race.
func better(a, b *MemberRow) int {
	if c := atLeast(a, b); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Weight, b.Weight), slices.Compare(a.NodeID[:], b.NodeID[:]))
}

func atLeast(a, b *MemberRow) int {
	return cmp.Or(cmp.Compare(a.LastEpoch, b.LastEpoch), cmp.Compare(a.End, b.End))
}

// elect makes this node the master of the epoch that it has promised, if a quorum has promised too and none of that
// quorum's logs is ahead of its own. Who is not the best of all that voted leaves the best a while.
func (n *Node) elect() {
	epoch := n.mandated() + 1
	if n.promise != epoch {
		return
	}
	var votes []Member
	for _, m := range n.newest() {
		if n.votes(&m.Row, epoch) {
			votes = append(votes, m)
		}
	}
	i := slices.IndexFunc(votes, func(m Member) bool { return m.Mine })
	if i < 0 {
		if len(votes) < n.needed() {
			n.tellShort(epoch)
		}
		return
	}
	me := votes[i]
	below := votes[:0:0]
	for _, m := range votes {
		if atLeast(&me.Row, &m.Row) >= 0 || n.weak("longest") || n.weak("position") && me.Row.End >= m.Row.End {
			below = append(below, m)
		}
	}
	if len(below) < n.needed() && !n.weak("quorum") {
		n.tellShort(epoch)
		return
	}
	if wait := n.frozenAt + n.o.Timing.ElectionWait - n.now; wait > 0 && n.favourite(votes).Row.NodeID != me.Row.NodeID {
		n.again(wait)
		return
	}
	n.stand(epoch, me, below)
}

// tellShort says why there are not enough votes: too few members, or some that have none.
func (n *Node) tellShort(epoch uint64) {
	var without []string
	for _, m := range n.newest() {
		if m.Row.State == StateFrozen && m.Row.Promised == epoch && !n.votes(&m.Row, epoch) {
			without = append(without, m.Row.Addr)
		}
	}
	if len(without) == 0 {
		n.explain(Info, n.shortText(len(n.newest())))
		return
	}
	n.explain(Warn, fmt.Sprintf("Not enough cluster members connected to elect a master: %s may not vote, as what was confirmed may be missing there: start the others",
		strings.Join(without, ", ")))
}

// favourite is who should win, of those that voted; nobody, if that is somebody whose vote may be on its way. First comes whom
// the master handed over to; that master, or one that has just lost its quorum, drained nodes and those whose disk is full come last.
func (n *Node) favourite(votes []Member) Member {
	if n.handed && !n.heir.IsZero() {
		if i := slices.IndexFunc(votes, func(m Member) bool { return m.Row.NodeID == n.heir }); i >= 0 {
			return votes[i]
		}
		return Member{}
	}
	if m := n.view.Mandate; m != nil {
		others := slices.DeleteFunc(slices.Clone(votes), func(x Member) bool { return x.Row.NodeID == m.Leader })
		if n.oneWins(others, votes) {
			votes = others
		} else if n.ousted && m.Leader == n.disk.meta.NodeID {
			return Member{}
		}
	}
	for _, last := range []func(Member) bool{func(x Member) bool { return x.Row.Drained }, func(x Member) bool { return x.Row.Full }} {
		if others := slices.DeleteFunc(slices.Clone(votes), last); n.oneWins(others, votes) {
			votes = others
		}
	}
	return slices.MaxFunc(votes, func(a, b Member) int { return better(&a.Row, &b.Row) })
}

// oneWins says whether one of some votes can be elected by all of them.
func (n *Node) oneWins(some, all []Member) bool {
	return slices.ContainsFunc(some, func(c Member) bool {
		below := 0
		for _, m := range all {
			if atLeast(&c.Row, &m.Row) >= 0 {
				below++
			}
		}
		return below >= n.view.Config.Quorum()
	})
}

// stand asks the arbiter for the epoch, if all is as it was seen.
func (n *Node) stand(epoch uint64, me Member, quorum []Member) {
	v := n.view
	t := Txn{IfConfig: &v.ConfigVersion, IfMandate: &v.MandateVersion}
	if v.Mandate == nil {
		absent := Absent
		t.IfMandate = &absent
	}
	if n.weak("check-config") {
		t.IfConfig = nil
	}
	if n.weak("check-mandate") {
		t.IfMandate = nil
	}
	if !n.weak("check-voters") {
		for _, m := range quorum {
			t.IfMembers = append(t.IfMembers, MemberVersion{m.Name, m.Version})
		}
	}
	nonce := n.o.NewNonce()
	t.SetMandate = &Mandate{Epoch: epoch, Leader: n.disk.meta.NodeID, Addr: n.o.Addr, Nonce: nonce, LastEpoch: me.Row.LastEpoch, Start: me.Row.End}
	a := n.ask(askElect, t)
	a.nonce, a.epoch = nonce, epoch
}

// won begins the epoch.
func (n *Node) won(epoch uint64) {
	if n.phase != frozen || n.promise != epoch {
		return
	}
	n.tell(Info, fmt.Sprintf("Elected as the master of epoch %d", epoch))
	n.phase = taking
	n.suspects, n.handed, n.ousted = false, false, false
	n.settled()
	n.lead.begin(n, epoch)
	n.do(Listen{}, Lead{Epoch: epoch})
	if !n.disk.meta.Voter { // it holds all that there is
		yes := true
		n.do(Remember{ID: voterID, Voter: &yes})
	}
	n.again(n.o.Timing.Heartbeat)
}

package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/havenmq/havenmq/ha"
)

// Tree is the arbiter, shared by the electors of all nodes. Any goroutine may call its methods and theirs.
type Tree struct {
	mu       sync.Mutex
	config   *ha.Config
	mandate  *ha.Mandate
	configV  int32
	mandateV int32
	members  []ha.Member // Mine is not set here
	owners   map[string]uint64
	master   *ha.Announcement
	masterOf uint64
	seq      int64
	sessions uint64
	serial   uint64 // of views
	electors []*Elector
}

// New is an arbiter that holds nothing.
func New() *Tree {
	return &Tree{owners: map[string]uint64{}, configV: ha.Absent, mandateV: ha.Absent}
}

// Lose takes all rows away but the sessions, as a restart of an arbiter whose disks are empty does.
func (t *Tree) Lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.config, t.mandate, t.master, t.members = nil, nil, nil, nil
	t.configV, t.mandateV = ha.Absent, ha.Absent
	t.changed()
}

// Elector is one node's session with the tree.
type Elector struct {
	t       *Tree
	session uint64 // guarded by t.mu, as is killed
	killed  bool   // its rows stay when it closes, as those of a killed process do until its session expires
	notify  chan struct{}
	stop    chan struct{}
	once    sync.Once
	done    sync.WaitGroup
}

// Join opens a session.
func (t *Tree) Join() *Elector {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sessions++
	e := &Elector{t: t, session: t.sessions, notify: make(chan struct{}, 1), stop: make(chan struct{})}
	t.electors = append(t.electors, e)
	return e
}

func (t *Tree) changed() {
	for _, e := range t.electors {
		select {
		case e.notify <- struct{}{}:
		default:
		}
	}
}

func (e *Elector) view() ha.View {
	t := e.t
	t.serial++
	v := ha.View{Connected: true, Serial: t.serial, Session: e.session, Config: t.config, Mandate: t.mandate, Master: t.master,
		ConfigVersion: t.configV, MandateVersion: t.mandateV}
	for _, m := range t.members {
		m.Mine = t.owners[m.Name] == e.session
		v.Members = append(v.Members, m)
	}
	return v
}

// Do is ha.Elector.
func (e *Elector) Do(_ context.Context, x ha.Txn) (ha.Outcome, ha.View) {
	t := e.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if !e.holds(x) {
		return ha.Conflict, e.view()
	}
	e.apply(x)
	t.changed()
	return ha.Done, e.view()
}

func (t *Tree) find(name string) int {
	return slices.IndexFunc(t.members, func(m ha.Member) bool { return m.Name == name })
}

func (e *Elector) holds(x ha.Txn) bool {
	t := e.t
	if x.IfConfig != nil && *x.IfConfig != t.configV || x.IfMandate != nil && *x.IfMandate != t.mandateV {
		return false
	}
	checks := x.IfMembers
	if x.PutMember != nil && x.Member.Name != "" {
		checks = append(slices.Clone(checks), x.Member)
	}
	for _, c := range checks {
		if i := t.find(c.Name); i < 0 || t.members[i].Version != c.Version {
			return false
		}
	}
	for _, name := range x.Drop {
		if t.find(name) < 0 {
			return false
		}
	}
	return true
}

func (e *Elector) apply(x ha.Txn) {
	t := e.t
	if x.SetConfig != nil {
		t.config = x.SetConfig
		t.configV++
	}
	if x.SetMandate != nil {
		t.mandate = x.SetMandate
		t.mandateV++
	}
	for _, name := range x.Drop {
		i := t.find(name)
		t.members = slices.Delete(slices.Clone(t.members), i, i+1)
	}
	if x.PutMember != nil {
		if i := t.find(x.Member.Name); i >= 0 {
			t.members = slices.Clone(t.members)
			t.members[i].Version++
			t.members[i].Row = *x.PutMember
		} else {
			t.seq++
			name := fmt.Sprintf("m-%d", t.seq)
			t.owners[name] = e.session
			t.members = append(slices.Clone(t.members), ha.Member{Name: name, Seq: t.seq, Row: *x.PutMember})
		}
	}
	if x.Withdraw && t.masterOf == e.session {
		t.master = nil
	}
	if x.Announce != nil {
		t.master, t.masterOf = x.Announce, e.session
	}
}

// Watch is ha.Elector.
func (e *Elector) Watch(f func(ha.View)) {
	e.done.Go(func() {
		for {
			e.t.mu.Lock()
			v := e.view()
			e.t.mu.Unlock()
			f(v)
			select {
			case <-e.notify:
			case <-e.stop:
				return
			}
		}
	})
}

// Kill has the rows stay when the elector is closed, as those of a killed process do until its session expires.
func (e *Elector) Kill() {
	e.t.mu.Lock()
	defer e.t.mu.Unlock()
	e.killed = true
}

// Close ends the session: its ephemeral rows go.
func (e *Elector) Close() error {
	e.t.mu.Lock()
	killed := e.killed
	e.t.mu.Unlock()
	if !killed {
		e.Expire()
	}
	e.once.Do(func() { close(e.stop) })
	e.done.Wait()
	return nil
}

// Revive gives an elector whose session has expired another one, as go-zookeeper does by itself.
func (e *Elector) Revive() {
	t := e.t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sessions++
	e.session = t.sessions
	t.electors = append(t.electors, e)
	t.changed()
}

// Expire ends the session, and with it its rows, unless Revive opens another.
func (e *Elector) Expire() {
	t := e.t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.members = slices.DeleteFunc(slices.Clone(t.members), func(m ha.Member) bool { return t.owners[m.Name] == e.session })
	if t.masterOf == e.session {
		t.master = nil
	}
	t.electors = slices.DeleteFunc(slices.Clone(t.electors), func(x *Elector) bool { return x == e })
	t.changed()
}

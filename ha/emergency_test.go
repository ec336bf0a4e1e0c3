package ha

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

func TestConfigInMeta(t *testing.T) {
	c := cluster()
	c.Seats[1].Generation, c.Seats[1].Weight, c.Seats[2].NodeID = 300, -4, persist.ID{}
	b := c.encode()
	if got := decodeConfig(b); !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, want %+v", got, c)
	}
	for i := range b {
		if got := decodeConfig(b[:i]); got != nil {
			t.Errorf("%d of %d bytes: %+v", i, len(b), got)
		}
	}
	if decodeConfig(append(b, 0)) != nil {
		t.Error("a byte too many is overlooked")
	}
	c.Seats[0].Addr = strings.Repeat("x", persist.MaxMetaConfig)
	if c.encode() != nil {
		t.Error("too large for the meta")
	}
}

// remembering is a voter that has seen the configuration.
func remembering() Boot {
	b := voter()
	b.Meta.Config = cluster().encode()
	return b
}

// wait lets time pass until the node suspects its master.
func (s *stage) wait() {
	s.now += time.Second
	s.step(Tick{})
}

// publish answers rows, until the node asks for none.
func (s *stage) publish() {
	for s.ask.Txn.PutMember != nil {
		if s.done(); !slices.ContainsFunc(s.last, func(a Action) bool { _, asks := a.(Transact); return asks }) {
			return
		}
	}
}

// TestAdopt: a node that is started when ZooKeeper has lost the cluster votes for nothing, shows its row, and by an operator's
// word gives back what it knew, with an epoch that nobody has had.
func TestAdopt(t *testing.T) {
	s := newStage(t, remembering(), Options{})
	s.view.Config, s.view.Mandate = nil, nil
	s.step(Seen{s.view})
	if tell := want[Tell](s); tell.Level != Alarm || !strings.Contains(tell.Text, "cluster adopt") {
		t.Errorf("%+v", tell)
	}
	s.publish()
	s.wait()
	s.publish()
	never[Promise](s)
	if m, _ := s.n.mine(); m.Row.State != StateSyncing || m.Row.End != 100 || m.Row.LastEpoch != 1 || m.Row.Claims != 3 {
		t.Errorf("its row: %+v", m.Row)
	}
	if why := s.n.Emergency().Adopt; !strings.Contains(why, "1 of 3 members run, and 2 are needed: start a:1, c:1 first") {
		t.Error(why)
	}
	s.other(3, MemberRow{State: StateSyncing, Claims: 4, Voter: true, Addr: "c:1", Admin: "http://c"})
	s.step(Seen{s.view})
	if why := s.n.Emergency().Adopt; !strings.Contains(why, "c:1 knows of seats that were taken later") {
		t.Error(why)
	}
	s.other(3, MemberRow{State: StateSyncing, Claims: 3, Voter: true, SuspectEpoch: 9})
	s.step(Seen{s.view})
	s.step(AdoptAsked{})
	x := s.ask.Txn
	if *x.IfConfig != Absent || *x.IfMandate != Absent || x.SetMandate == nil || x.SetMandate.Epoch != adoptedEpochs || !reflect.DeepEqual(x.SetConfig, cluster()) {
		t.Fatalf("it asks for %+v, %+v", x, x.SetConfig)
	}
	s.done()
	if s.n.behind || s.n.unsettled() {
		t.Error("something is still lacking")
	}
	s.publish()
	s.other(3, MemberRow{State: StateSyncing, SuspectEpoch: adoptedEpochs, Voter: true})
	s.step(Seen{s.view})
	if p := want[Promise](s); p.Epoch != adoptedEpochs+1 {
		t.Errorf("%+v", p)
	}
	if why := s.n.Emergency().Adopt; !strings.Contains(why, "nothing to adopt") {
		t.Error(why)
	}
}

// TestAdoptJoins: of each seat the newer holder stays, whoever knows of it; and epochs go beyond all that were ever promised.
func TestAdoptJoins(t *testing.T) {
	boot := remembering()
	boot.Meta.Promised = 3*adoptedEpochs + 7
	s := newStage(t, boot, Options{})
	s.view.ConfigVersion, s.view.MandateVersion = 5, 6
	s.view.Config.Seats[0] = Seat{NodeID: nodeID(8), Generation: 4, Addr: "a:1"}
	s.view.Config.Seats = s.view.Config.Seats[:2]
	s.step(Seen{s.view})
	s.publish()
	s.other(3, MemberRow{State: StateSyncing, Claims: 3})
	s.step(Seen{s.view})
	s.step(AdoptAsked{})
	x := s.ask.Txn
	if x.SetConfig == nil || *x.IfConfig != 5 || *x.IfMandate != 6 || x.SetMandate.Epoch != 4*adoptedEpochs {
		t.Fatalf("%+v", x)
	}
	if c := x.SetConfig.Seats; len(c) != 3 || c[0].NodeID != nodeID(8) || c[2].NodeID != nodeID(3) {
		t.Errorf("%+v", c)
	}
	s.now += orderTime
	s.step(Answered{ID: s.ask.ID, Outcome: Conflict, View: s.view})
	if !slices.ContainsFunc(s.last, func(a Action) bool { l, ok := a.(Tell); return ok && strings.Contains(l.Text, "in time") }) || s.n.order != noOrder {
		t.Errorf("%+v", s.last)
	}
}

// TestAnotherClustersRows end a node that starts, and not one that runs.
func TestAnotherClustersRows(t *testing.T) {
	other := cluster()
	other.ClusterID = persist.ID{8}
	s := newStage(t, remembering(), Options{})
	v := s.view
	v.Config = other
	s.step(Seen{v})
	want[Exit](s)
	s = newStage(t, remembering(), Options{})
	s.step(Seen{s.view})
	s.done()
	s.step(Seen{v})
	never[Exit](s)
}

// TestRecover: by an operator's word this node's vote is enough. Nothing is committed before a quorum has its log and the
// configuration says that elections are as before.
func TestRecover(t *testing.T) {
	boot := remembering()
	boot.Meta.Voter, boot.Unclean = false, true // the bytes that it lost are named
	s := newStage(t, boot, Options{})
	s.step(Seen{s.view})
	s.publish()
	s.wait()
	s.publish()
	e := s.n.Emergency()
	if e.Recover != "" {
		t.Fatal(e.Recover)
	}
	for _, words := range []string{"position 100 of epoch 1", "lost with a:1, c:1", "went down before"} {
		if !strings.Contains(e.Loss, words) {
			t.Errorf("%q is not said: %s", words, e.Loss)
		}
	}
	s.step(RecoverAsked{})
	x := s.ask.Txn
	if x.SetConfig == nil || x.SetConfig.Sole != nodeID(2) || x.SetMandate != nil || !x.SetConfig.Seats[0].NodeID.IsZero() || x.SetConfig.Seats[0].Generation != 2 ||
		x.SetConfig.Seats[1] != cluster().Seats[1] {
		t.Fatalf("it asks for %+v, %+v", x, x.SetConfig)
	}
	s.done()
	s.publish()
	if s.n.phase != freezing {
		t.Fatalf("phase %d after %+v", s.n.phase, s.last)
	}
	s.step(Synced{Synced: 100})
	s.step(Promised{2})
	s.publish()
	if s.ask.Txn.SetMandate == nil {
		t.Fatalf("it does not stand: %+v", s.last)
	}
	s.done()
	s.step(Led{Epoch: 2, Barrier: 120})
	s.publish()
	for range 100 { // it waits for the first replica
		s.now += time.Second
		s.step(Tick{})
		never[StopServing](s)
	}
	c := *s.view.Config
	c.Seats = append([]Seat(nil), c.Seats...)
	c.Seats[2] = Seat{NodeID: nodeID(7), Generation: 3, Addr: "d:1"}
	s.view.Config = &c
	s.view.ConfigVersion++
	s.step(Seen{s.view})
	s.publish()
	s.step(Got{8, Hello{ClusterID: persist.ID{9}, NodeID: nodeID(7), Generation: 3, Promised: 2}})
	s.step(Got{8, Ack{Epoch: 2, Received: 120, Synced: 120, Voter: true}})
	never[Commit](s)
	if x := s.ask.Txn; x.SetConfig == nil || !x.SetConfig.Sole.IsZero() {
		t.Fatalf("it asks for %+v", x)
	}
	s.done()
	if c := want[Commit](s); c.Commit != 120 {
		t.Errorf("%+v", c)
	}
}

// TestRecoverIsRefused where there is a better way.
func TestRecoverIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		boot func(*Boot)
		row  MemberRow
		why  string
	}{
		"another's log goes further":  {row: MemberRow{LastEpoch: 1, End: 101, Addr: "c:1"}, why: "c:1 goes further, to position 101"},
		"another has not said":        {row: MemberRow{Addr: "c:1"}, why: "has not said yet"},
		"a quorum of voters":          {row: MemberRow{LastEpoch: 1, End: 99, Voter: true}, why: "are a quorum"},
		"nothing to recover":          {boot: func(b *Boot) { b.Received, b.Synced, b.History = 0, 0, nil }, row: MemberRow{Blank: true}, why: "holds nothing"},
		"a damaged log":               {boot: func(b *Boot) { b.Damaged = true }, row: MemberRow{Blank: true}, why: "is damaged"},
		"a node that knows no member": {boot: func(b *Boot) { b.Meta = persist.Meta{}; b.Received, b.Synced, b.History = 0, 0, nil }, row: MemberRow{Blank: true}, why: "ask another node"},
	} {
		boot := remembering()
		if c.boot != nil {
			c.boot(&boot)
		}
		s := newStage(t, boot, Options{})
		c.row.State = StateSyncing
		s.other(3, c.row)
		s.step(Seen{s.view})
		if why := s.n.Emergency().Recover; !strings.Contains(why, c.why) {
			t.Errorf("%s: %q", name, why)
		}
		s.done()
		s.step(RecoverAsked{})
		if x := s.ask.Txn; x.SetConfig != nil && !x.SetConfig.Sole.IsZero() {
			t.Errorf("%s: it asks for %+v", name, x)
		}
	}
	s := newStage(t, remembering(), Options{})
	s.follow(Attach{Epoch: 1, Cut: 100, VoterAt: 100})
	s.step(Truncated{Cut: 100, History: voter().History})
	if why := s.n.Emergency().Recover; !strings.Contains(why, "there is a master") {
		t.Error(why)
	}
}

// TestAVacatedSeat goes to whoever comes with an empty directory, whatever its address; its old holder is refused.
func TestAVacatedSeat(t *testing.T) {
	s := newStage(t, Boot{Meta: persist.Meta{NodeID: nodeID(6)}}, Options{})
	s.view.Config.Seats[1] = Seat{NodeID: nodeID(5), Generation: 1, Addr: "z:1"}
	s.view.Config.Seats[2] = Seat{Generation: 2, Addr: "c:1"}
	s.step(Seen{s.view})
	if c := s.ask.Txn.SetConfig; c == nil || c.Seats[2] != (Seat{NodeID: nodeID(6), Generation: 3, Addr: "b:1"}) {
		t.Errorf("%+v", c)
	}
	s = newStage(t, remembering(), Options{})
	s.view.Config.Seats[1] = Seat{Generation: 2, Addr: "b:1"}
	s.step(Seen{s.view})
	if e := want[Exit](s); !strings.Contains(e.Reason, "no seat") {
		t.Errorf("%+v", e)
	}
}

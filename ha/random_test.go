package ha

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/persist"
)

// chaos draws what a broken network and a broken arbiter could send, in any order. The disk answers what it was asked for,
// with any positions.
type chaos struct {
	t      *rapid.T
	asked  uint64 // the last Transact
	link   Link   // the last one that a Dial of this node's got
	now    time.Duration
	serial uint64
	wild   bool    // any numbers
	disk   []Event // what the disk has yet to answer
}

func (c *chaos) id() persist.ID { return persist.ID{byte(rapid.IntRange(0, 4).Draw(c.t, "id"))} }
func (c *chaos) num() uint64 {
	if c.wild && c.pick(20) == 0 {
		return rapid.Uint64().Draw(c.t, "n")
	}
	return rapid.Uint64Range(0, 4).Draw(c.t, "n")
}
func (c *chaos) bool() bool { return rapid.Bool().Draw(c.t, "b") }
func (c *chaos) addr() string {
	return rapid.SampledFrom([]string{"a:1", "b:1", "c:1", ""}).Draw(c.t, "addr")
}
func (c *chaos) pos() persist.Pos {
	if c.wild && c.pick(20) == 0 {
		return persist.Pos(rapid.Uint64().Draw(c.t, "pos"))
	}
	return persist.Pos(rapid.Uint64Range(0, 300).Draw(c.t, "pos"))
}
func (c *chaos) aLink() Link     { return rapid.SampledFrom([]Link{c.link, 1, 2, 3, 0}).Draw(c.t, "link") }
func (c *chaos) pick(of int) int { return rapid.IntRange(0, of-1).Draw(c.t, "kind") }
func (c *chaos) meta() persist.Meta {
	return persist.Meta{ClusterID: persist.ID{9 * byte(c.pick(2))}, NodeID: persist.ID{2}, Promised: c.num(), Voter: c.bool(), CommitHint: c.pos(),
		MasterAddr: c.addr()}
}

func (c *chaos) history() (h []persist.EpochStart) {
	for range c.pick(4) {
		h = append(h, persist.EpochStart{Epoch: c.num(), Start: c.pos()})
	}
	return h
}

func (c *chaos) boot() Boot {
	b := Boot{Meta: c.meta(), Damaged: c.bool(), Received: c.pos(), Committed: c.pos(), History: c.history()}
	b.Synced = b.Received
	if c.bool() {
		b.Incoming = &Boot{Start: c.pos(), Received: c.pos(), Synced: c.pos(), History: c.history()}
	}
	return b
}

func (c *chaos) view() View {
	c.serial++
	v := View{Connected: c.pick(5) > 0, Serial: c.serial, Config: cluster()}
	switch c.pick(30) {
	case 0:
		v.Config = nil
	case 1:
		v.Config.Replicas = c.pick(6)
	case 2:
		v.Config.Seats = append(v.Config.Seats, v.Config.Seats...)
	case 3:
		v.Config.Seats = v.Config.Seats[:c.pick(3)]
	case 4, 5:
		v.Config.Seats[c.pick(3)].Generation += c.num()
	}
	if c.bool() {
		v.Mandate = &Mandate{Epoch: c.num(), Leader: c.id(), Addr: c.addr(), Nonce: c.num()}
	}
	for i := range c.pick(5) {
		v.Members = append(v.Members, Member{Name: string(rune('a' + i)), Seq: int64(i), Mine: i == 1 && c.bool(), Row: c.row(i)})
	}
	return v
}

func (c *chaos) row(i int) MemberRow {
	return MemberRow{NodeID: persist.ID{byte(i + 1)}, Generation: 1, State: rapid.SampledFrom([]MemberState{StateFrozen, StateSyncing}).Draw(c.t, "state"),
		SuspectEpoch: c.num(), Promised: c.num(), LastEpoch: c.num(), End: c.pos(), Voter: c.bool(), Blank: c.bool()}
}

func (c *chaos) frame() Frame {
	switch c.pick(8) {
	case 0:
		return Hello{ClusterID: persist.ID{9}, NodeID: c.id(), Generation: c.num() / 2, Promised: c.num(), Incoming: c.bool(), Voter: c.bool(),
			History: c.history(), Start: c.pos(), End: c.pos()}
	case 1:
		a := Attach{Epoch: c.num(), Cut: c.pos(), VoterAt: c.pos(), Commit: c.pos(), Restart: c.bool()}
		if c.bool() {
			a.Header = []byte{1}
		}
		return a
	case 2:
		return Append{Epoch: c.num(), Base: c.pos(), Commit: c.pos(), Batches: make([]byte, c.pick(100))}
	case 3:
		return Ack{Epoch: c.num(), Received: c.pos(), Synced: c.pos(), Voter: c.bool(), Incoming: c.bool(), Full: c.bool()}
	case 4, 5:
		return Heartbeat{Epoch: c.num(), Seq: c.num() * 30, Heard: c.num() * 30, Commit: c.pos()}
	case 6:
		return Reject{Epoch: c.num(), Promised: c.num(), Fatal: c.pick(20) == 0}
	}
	return HandOver{Epoch: c.num(), To: c.id()}
}

func (c *chaos) event() Event {
	if k := c.pick(10); k < 3 {
		return Got{Link: c.aLink(), Frame: c.frame()}
	} else if k < 6 && len(c.disk) > 0 {
		e := c.disk[0]
		c.disk = c.disk[1:]
		return e
	}
	switch c.pick(19) {
	case 0, 1, 2:
		return Tick{}
	case 3:
		return Seen{c.view()}
	case 4, 5, 6:
		return Answered{ID: c.asked, Outcome: Outcome(c.pick(4)), View: c.view()}
	case 7:
		return Applied{Applied: c.pos(), Start: c.pos()}
	case 8:
		return Dialed{Link: 1 + c.link, Addr: c.addr()}
	case 9:
		return DialFailed{Addr: c.addr(), Refused: c.bool()}
	case 10:
		return Lost{Link: c.aLink()}
	case 11:
		return Advanced{c.pos(), c.pos()}
	case 12:
		return PromoteAsked{To: c.id()}
	case 13:
		return AdoptAsked{}
	case 14:
		return RecoverAsked{}
	case 15:
		return DiskFull{On: c.bool()}
	case 16:
		return DrainAsked{On: c.bool()}
	}
	if c.pick(10) > 0 {
		return Tick{}
	}
	return StopAsked{Force: c.bool()}
}

// did queues the answer to an action.
func (c *chaos) did(a Action) {
	switch a := a.(type) {
	case Transact:
		c.asked = a.ID
	case Promise:
		c.disk = append(c.disk, Promised(a))
	case Remember:
		c.disk = append(c.disk, Remembered{a.ID})
	case Write:
		c.disk = append(c.disk, Wrote{Incoming: a.Incoming, Received: c.pos(), Full: c.bool(), Misfit: c.bool()})
	case Sync:
		c.disk = append(c.disk, Synced{Incoming: a.Incoming, Synced: c.pos(), History: c.history()})
	case Truncate:
		c.disk = append(c.disk, Truncated{Incoming: a.Incoming, Cut: a.Cut, History: c.history()})
	case StartIncoming:
		c.disk = append(c.disk, IncomingStarted{Start: c.pos(), Full: c.pick(4) == 0})
	case DropIncoming:
		c.disk = append(c.disk, IncomingDropped{})
	case Switch, Reopen:
		c.disk = append(c.disk, Opened{c.boot()})
	case Lead:
		c.disk = append(c.disk, Led{Epoch: a.Epoch, Barrier: c.pos()})
	case Serve:
		c.disk = append(c.disk, Served(a))
	case StopServing:
		c.disk = append(c.disk, Withdrawn{})
	}
}

// somewhere is a node that has come some way: blank or from any store, following, or leading.
func (c *chaos) somewhere(t testing.TB) *Node {
	s := newStage(t, voter(), Options{})
	switch c.pick(4) {
	case 0:
		s = newStage(t, c.boot(), Options{})
	case 1:
		s.follow(Attach{Epoch: 1, Cut: 100, VoterAt: c.pos()})
	case 2:
		s.freeze()
	default:
		s.lead()
		s.attach(3, 2, 120)
		s.step(Applied{Applied: 120})
	}
	c.now, c.asked, c.link = s.now, s.ask.ID, 5
	for _, a := range s.last {
		c.did(a)
	}
	return s.n
}

// TestAnyEvents: whatever comes, in whatever order, the machine does not panic, and promises and commits never go back.
func TestAnyEvents(t *testing.T) {
	rapid.Check(t, anyEvents(t))
}

// anyEvents is a run; t is for its beginning.
func anyEvents(t testing.TB) func(*rapid.T) {
	return func(r *rapid.T) {
		c := &chaos{t: r, serial: 1, wild: rapid.Bool().Draw(r, "wild")}
		n := c.somewhere(t)
		var promised uint64
		var committed persist.Pos
		for range rapid.IntRange(0, 150).Draw(r, "steps") {
			c.now += time.Duration(c.pick(400)) * time.Millisecond
			e := c.event()
			if _, ok := e.(Opened); ok {
				committed = 0 // a store that is opened anew knows less
			}
			for _, a := range n.Step(c.now, e) {
				c.did(a)
				switch a := a.(type) {
				case Promise:
					if a.Epoch < promised {
						r.Fatalf("after %T: promise %d after %d", e, a.Epoch, promised)
					}
					promised = a.Epoch
				case Commit:
					if n.phase == leading && a.Commit < committed {
						r.Fatalf("after %T: commit %d after %d", e, a.Commit, committed)
					}
					committed = a.Commit
				}
			}
			if d, ok := e.(Dialed); ok {
				c.link = d.Link
			}
			n.Status(c.now)
			n.Emergency()
			n.Wake()
		}
	}
}

// FuzzNode: a fuzzer finds what chance does not.
func FuzzNode(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) { rapid.MakeFuzz(anyEvents(t))(t, data) })
}

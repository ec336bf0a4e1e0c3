package core

import (
	"errors"
	"testing"

	"github.com/havenmq/havenmq/persist"
)

func will(body string, delayS int64) *Will {
	return &Will{Message: text(topicOf("will"), body), DelayS: delayS}
}

// withWill connects an MQTT client that leaves a will.
func (r *rig) withWill(id string, clean bool, expiryS int64, w *Will) *peer {
	r.Helper()
	p := r.attach()
	q := mqttRequest(id, clean, expiryS)
	q.Will = w
	p.must(Op{Kind: OpConnect, Connect: q})
	return p
}

func watchWills(r *rig) *peer {
	w := r.connect("watcher")
	w.consume(1, topicOf("will"), 100)
	return w
}

func TestWillIsPublishedUnlessThePeerSaysGoodbye(t *testing.T) {
	r := newRig(t)
	w := watchWills(r)
	r.withWill("a", true, 0, will("1", 0)).close()
	w.want("1")
	p := r.withWill("a", true, 0, will("2", 0))
	p.must(Op{Kind: OpDisconnect, ExpiryS: ExpiryKeep})
	p.close()
	w.want("")
	p = r.withWill("a", true, 0, will("3", 0))
	p.must(Op{Kind: OpDisconnect, ExpiryS: ExpiryKeep, WithWill: true})
	p.close()
	w.want("3")
	plain := r.attach() // no inbox: another protocol's
	plain.must(Op{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "x", Will: will("4", 5)}})
	plain.close()
	w.want("4")
	if n := r.rows(persist.TableSessions); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestWillDelay(t *testing.T) {
	r := newRig(t)
	w := watchWills(r)
	r.withWill("a", true, 60, will("1", 10)).close()
	r.sleep(9_999)
	w.want("")
	r.sleep(1)
	w.want("1")
	r.withWill("b", true, 5, will("2", 10)).close() // the session ends first
	r.sleep(5_000)
	w.want("2")
	r.withWill("c", true, 60, will("3", 10)).close()
	r.withWill("c", false, 60, nil) // it came back in time
	r.sleep(20_000)
	w.want("")
	if n := r.rows(persist.TableSessions); n != 2 { // the sessions of a and c
		t.Errorf("%d rows", n)
	}
}

func TestWillOfASessionThatWasThrownAway(t *testing.T) {
	r := newRig(t)
	w := watchWills(r)
	r.withWill("a", true, 60, will("1", 10)).close()
	r.withWill("a", true, 60, nil) // clean: the session ends, and with it the delay
	w.want("1")
	old := r.withWill("b", true, 60, will("2", 10))
	r.withWill("b", true, 60, will("x", 10))
	old.close()
	w.want("2")
}

func TestWillAndTakeover(t *testing.T) {
	r := newRig(t)
	w := watchWills(r)
	old := r.withWill("a", true, 60, will("1", 0))
	r.withWill("a", false, 60, will("x", 0))
	old.close()
	w.want("1")
	old = r.withWill("b", true, 60, will("2", 10))
	next := r.withWill("b", false, 60, will("3", 0))
	old.close()
	r.sleep(20_000)
	w.want("")
	next.close()
	w.want("3")
}

func TestWillsAreKeptForTheNextMaster(t *testing.T) {
	r := newRig(t)
	r.withWill("a", true, 60, will("1", 0))
	r.withWill("b", true, 0, will("2", 0))
	r.withWill("c", true, 60, will("3", 0)).close() // published by this one
	gone := r.withWill("d", true, 600, will("4", 30))
	gone.close()
	r.withWill("e", true, 0, will("5", 0)) // its session ends with its connection: so it stays away for ever
	r.b.Shutdown()
	r.stop()
	w := watchWills(r)
	r.withWill("b", true, 0, nil) // it came back
	w.want("")
	r.sleep(willGraceMs)
	w.want("1 5")
	r.sleep(30_000)
	w.want("4")
	r.stop()
	w = watchWills(r)
	r.sleep(60_000)
	w.want("")
}

func TestWillWaitsForRoom(t *testing.T) {
	r := newRig(t)
	p := r.attach()
	q := mqttRequest("a", true, 0)
	q.Will = &Will{Message: text(queueOf("wills"), "1")}
	p.must(Op{Kind: OpConnect, Connect: q})
	r.memory().full = true
	p.close()
	r.memory().full = false
	r.sleep(5_000)
	if i := r.queue("wills"); i.Depth != 1 {
		t.Errorf("%+v", i)
	}
	if n := r.rows(persist.TableSessions); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestRefusedConnectLeavesNoWill(t *testing.T) {
	r := newRig(t)
	w := watchWills(r)
	r.memory().full = true
	p := r.attach()
	q := mqttRequest("a", true, 0)
	q.Will = will("1", 0)
	if done := p.ask(Op{Kind: OpConnect, Connect: q}); !errors.Is(done.Err, ErrFull) {
		t.Fatal(done.Err)
	}
	p.close()
	w.want("")
}

// An MQTT will's expiry counts from when it is published, here and on the next master.
func TestWillThatExpires(t *testing.T) {
	r := newRig(t)
	w := watchWills(r)
	dying := func(delayS int64) *Will { return &Will{Message: text(topicOf("will"), "x"), DelayS: delayS, LifeS: 7} }
	r.withWill("a", true, 60, dying(10)).close()
	r.sleep(10_000)
	if got := w.want("x")[0].Message.ExpiresMs; got != r.now+7000 {
		t.Errorf("it expires %d ms from now, want 7000", got-r.now)
	}
	r.withWill("b", true, 60, dying(10))
	r.stop()
	w = watchWills(r)
	r.sleep(10_000)
	if got := w.want("x")[0].Message.ExpiresMs; got != r.now+7000 {
		t.Errorf("after a restart it expires %d ms from now, want 7000", got-r.now)
	}
}

// noWills forbids writing to topic://will.
type noWills struct{ AllowAll }

func (noWills) Authorize(_ *Identity, a Action, d Destination) error {
	if a == ActionWrite && d.Name == "will" {
		return &Error{CodeForbidden, d.String(), "you may not write there"}
	}
	return nil
}

func TestWillMustBeAllowed(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Access = noWills{} })
	p := r.attach()
	q := mqttRequest("a", true, 0)
	q.Will = will("1", 0)
	if done := p.ask(Op{Kind: OpConnect, Connect: q}); !errors.Is(done.Err, ErrForbidden) {
		t.Errorf("connect with a will: %v, want forbidden", done.Err)
	}
}

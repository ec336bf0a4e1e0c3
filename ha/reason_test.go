package ha

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestReasonsInTurn: lines that alternate are written once each, and the status shows all of them, until there is a master or
// they are true no more.
func TestReasonsInTurn(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.step(Seen{s.view})
	s.done()
	told := 0
	for range 20 {
		s.now += 100 * time.Millisecond
		s.n.Step(s.now, Tick{})
		for _, text := range []string{"the token is another", "the seat is taken"} {
			before := len(s.n.out)
			s.n.explain(Warn, text)
			told += len(s.n.out) - before
		}
	}
	if told != 2 {
		t.Errorf("%d lines, want 2", told)
	}
	shown := func() bool {
		w := s.n.Status(s.now).Warnings
		return slices.Contains(w, "the token is another") && slices.Contains(w, "the seat is taken")
	}
	if !shown() {
		t.Errorf("not shown: %q", s.n.Status(s.now).Warnings)
	}
	s.now += reasonTime
	if shown() {
		t.Error("shown though it is true no more")
	}
	s.now -= reasonTime
	s.n.settled()
	if shown() {
		t.Error("shown though there is a master")
	}
}

// TestWhereZooKeeperIsLookedFor: a node that never reached it says so, and where.
func TestWhereZooKeeperIsLookedFor(t *testing.T) {
	s := newStage(t, voter(), Options{ArbiterAddr: "z:1", ArbiterPath: "/other/mq"})
	s.now = 3 * time.Second
	s.step(Tick{})
	if w := s.n.Status(s.now).Warnings; !strings.Contains(strings.Join(w, "\n"), "zkAddress z:1") {
		t.Errorf("%q", w)
	}
	s.step(Seen{s.view})
	s.done()
	s.now += time.Second
	s.step(Tick{})
	if w := s.n.Status(s.now).Warnings; !strings.Contains(strings.Join(w, "\n"), "1 of 3 members at /other/mq") {
		t.Errorf("%q", w)
	}
}

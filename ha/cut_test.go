package ha

import (
	"testing"

	"github.com/havenmq/havenmq/persist"
)

func TestCutPoint(t *testing.T) {
	h := func(pairs ...uint64) (out []persist.EpochStart) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, persist.EpochStart{Epoch: pairs[i], Start: persist.Pos(pairs[i+1])})
		}
		return out
	}
	for _, c := range []struct {
		name                  string
		master                []persist.EpochStart
		masterEnd, replicaEnd persist.Pos
		replica               []persist.EpochStart
		cut                   persist.Pos
	}{
		{"a blank replica", h(1, 0), 100, 0, nil, 0},
		{"the same log", h(1, 0, 2, 50), 100, 100, h(1, 0, 2, 50), 100},
		{"behind in the same epoch", h(1, 0, 2, 50), 100, 70, h(1, 0, 2, 50), 70},
		{"behind by epochs", h(1, 0, 2, 50, 3, 80), 100, 40, h(1, 0), 40},
		{"a tail of an old epoch that nobody else has", h(1, 0, 3, 80), 100, 95, h(1, 0), 80},
		{"an epoch of its own", h(1, 0, 3, 80), 100, 95, h(1, 0, 2, 60), 60},
		{"an epoch of its own, longer than the master's log", h(1, 0, 3, 80), 100, 500, h(1, 0, 2, 90), 80},
		{"ahead in the same epoch", h(1, 0), 100, 120, h(1, 0), 100},
		{"nothing in common", h(5, 300), 400, 100, h(1, 0), 0},
		{"one epoch, two beginnings", h(1, 0, 2, 50), 100, 90, h(1, 0, 2, 60), 50},
	} {
		if got := cutPoint(c.master, c.masterEnd, c.replica, c.replicaEnd); got != c.cut {
			t.Errorf("%s: %d, want %d", c.name, got, c.cut)
		}
	}
}

package main

import (
	"testing"
	"time"
)

// Three kills and a stop, some state and a short outage: the same trials as the long way's, held to three times its bounds, because other
// tests run beside them.
func TestTrials(t *testing.T) {
	r, err := run(t.Context(), plan{kills: 3, stops: 1, stateKills: 1, queues: 500, sessions: 100, backlogBytes: 1 << 20, outage: time.Second,
		tick: 500 * time.Millisecond, slack: 3}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range r.missed() {
		t.Error(err)
	}
	t.Log(r.table())
}

func TestRank(t *testing.T) {
	for _, c := range []struct{ n, percent, want int }{{1, 50, 0}, {1, 99, 0}, {2, 50, 0}, {3, 50, 1}, {100, 99, 98}, {200, 99, 197}, {200, 50, 99}} {
		if got := rank(c.n, c.percent); got != c.want {
			t.Errorf("the %d-th percentile of %d values is the one at %d, want %d", c.percent, c.n, got, c.want)
		}
	}
}

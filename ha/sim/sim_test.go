package sim

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	seeds = flag.Int("seeds", 100, "how many runs")
	seed  = flag.Uint64("seed", 0, "run this seed alone")
)

// run is one world: trouble for a while, then peace, after which one node serves and all hold the same.
func run(seed uint64, nodes int, weaken ...string) (*World, error) {
	w := New(seed, nodes, weaken...)
	if err := w.Run(3 * time.Second); err != nil {
		return w, err
	}
	if err := w.Faults(20*time.Second, 700*time.Millisecond); err != nil {
		return w, err
	}
	if err := w.Run(40 * time.Second); err != nil {
		return w, err
	}
	return w, w.settled()
}

// settled is I18: after faults have stopped one node serves, and the others hold all that it holds.
func (w *World) settled() error {
	var master *node
	for _, n := range w.nodes {
		if n.up && n.serving != 0 {
			if master != nil {
				return fmt.Errorf("nodes %d and %d serve", master.no, n.no)
			}
			master = n
		}
	}
	if master == nil {
		return fmt.Errorf("I18: nobody serves: %s", w.describe())
	}
	for _, n := range w.nodes {
		if !n.up || n.store.Committed() != master.store.Received() {
			return fmt.Errorf("I18: not everybody holds everything: %s", w.describe())
		}
	}
	return nil
}

func (w *World) describe() (s string) {
	for _, n := range w.nodes {
		s += fmt.Sprintf("\nnode %d up %v, disk %+v", n.no, n.up, n.disk.synced)
		if n.up {
			s += fmt.Sprintf(", log [%d, %d), commit %d, applied %d, %+v", n.store.Start(), n.store.Received(), n.commitAt, n.store.Committed(), n.m.Status(w.now))
		}
	}
	return s
}

func TestSeeds(t *testing.T) {
	first, last := uint64(1), uint64(*seeds)
	if *seed != 0 {
		first, last = *seed, *seed
	}
	confirmed, served := 0, 0
	var all tally
	var storage storageTally
	for s := first; s <= last; s++ {
		w, err := run(s, []int{3, 3, 5}[s%3])
		if err != nil {
			t.Fatalf("seed %d: %v", s, err)
		}
		confirmed += w.Confirmed()
		served += w.Served()
		all.add(w.faults)
		storage.add(w.storage)
	}
	t.Logf("%d runs, %d masters, %d messages confirmed, %+v, %+v", last-first+1, served, confirmed, all, storage)
}

// TestWeakenings leaves out one rule at a time: some run must notice that what was confirmed is lost, or worse.
func TestWeakenings(t *testing.T) {
	for _, rule := range []string{"quorum", "longest", "initialized", "blank-votes"} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			for s := uint64(1); s <= 300; s++ {
				if _, err := run(s, []int{3, 3, 5}[s%3], rule); err != nil {
					t.Logf("seed %d: %v", s, err)
					return
				}
			}
			t.Errorf("nobody noticed that %q was left out", rule)
		})
	}
}

// TestDeterministic runs seeds twice: a failing one must fail again.
func TestDeterministic(t *testing.T) {
	for s := uint64(1); s <= 6; s++ {
		a, errA := run(s, 3)
		b, errB := run(s, 3)
		if a.trace != b.trace || fmt.Sprint(errA) != fmt.Sprint(errB) {
			t.Errorf("seed %d: two runs differ: %x and %x, %v and %v", s, a.trace, b.trace, errA, errB)
		}
	}
}

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
	steps = flag.Bool("steps", false, "print what happens")
)

// run is one world: trouble for a while, then peace, after which one node serves and all hold the same.
func run(seed uint64, nodes int, weaken ...string) (*World, error) {
	return New(seed, nodes, weaken...).run()
}

func (w *World) run() (*World, error) {
	if *steps {
		w.Trace = func(line string) { fmt.Println(line) }
	}
	if err := w.Run(3 * time.Second); err != nil {
		return w, err
	}
	if err := w.Faults(20*time.Second, 700*time.Millisecond); err != nil {
		return w, err
	}
	if err := w.Settle(60 * time.Second); err != nil {
		return w, err
	}
	return w, w.final()
}

func TestSeeds(t *testing.T) {
	first, last := uint64(1), uint64(*seeds)
	if *seed != 0 {
		first, last = *seed, *seed
	}
	var all totals
	for s := first; s <= last; s++ {
		w, err := run(s, size(s))
		if err != nil {
			t.Fatalf("seed %d: %v", s, err)
		}
		all.add(w)
	}
	t.Log(all.String())
	if tame := all.tooTame(); all.runs >= 100 && len(tame) > 0 {
		t.Errorf("less than once in two runs: %v", tame)
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

package sim

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

var (
	seeds = flag.Int("seeds", 1000, "how many runs; 50 with -short")
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

// size is how many nodes a seed's cluster has.
func size(seed uint64) int {
	if seed%5 == 0 {
		return 5
	}
	return 3
}

// mostFailures is how many runs may fail before the others are not started.
const mostFailures = 10

// TestSeeds runs clusters on all processors. A run that fails says how to have it again.
func TestSeeds(t *testing.T) {
	first, last := uint64(1), uint64(*seeds)
	switch {
	case *seed != 0:
		first, last = *seed, *seed
	case testing.Short():
		last = min(last, 50)
	}
	var mu sync.Mutex
	var all totals
	next, failed := first, 0
	var shards sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		shards.Go(func() {
			for {
				mu.Lock()
				s := next
				next++
				mu.Unlock()
				if s > last {
					return
				}
				w, err := run(s, size(s))
				mu.Lock()
				if err != nil {
					t.Errorf("seed %d: %v\n\tagain: go test -count=1 -run 'TestSeeds$' ./ha/sim/ -seed %d", s, err, s)
					if failed++; failed == mostFailures {
						next = last + 1
					}
				} else {
					all.add(w)
				}
				mu.Unlock()
			}
		})
	}
	shards.Wait()
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

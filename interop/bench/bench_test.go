package main

import (
	"testing"

	"github.com/havenmq/havenmq/interop/broker"
)

// TestEachJobRuns is the load generator's own test: few messages, over each protocol.
func TestEachJobRuns(t *testing.T) {
	b, err := broker.New(broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s := &settings{count: 2000, warmUp: 500, size: 100, window: 100, credit: 200}
	for i := range jobs {
		p, err := connect(alone{b}, s, &jobs[i])
		if err != nil {
			t.Fatalf("%s: %v", jobs[i].name, err)
		}
		for _, rate := range []float64{0, 20_000} {
			r, err := p.run(s.count, rate)
			if err != nil {
				t.Fatalf("%s: %v", jobs[i].name, err)
			}
			if r.n != s.count || len(r.latencies) != s.count || r.percentile(50) > r.percentile(99.9) {
				t.Errorf("%s: %+v", jobs[i].name, r)
			}
		}
		p.close()
	}
}

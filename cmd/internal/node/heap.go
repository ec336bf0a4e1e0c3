package node

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// A small heap is collected seldom: a broker whose live data are 10 MB would otherwise collect garbage after each 10 MB of
// traffic, many times a second. From roomBytes of live data on, Go's own rule holds, so that memoryUsage means what it says.
const (
	roomBytes  = 64 << 20
	minPercent = 100
	maxPercent = 800
	heapSample = "/gc/heap/live:bytes"
)

// gcPercent is GOGC for a heap with so much live data, in steps of 100.
func gcPercent(liveBytes uint64) int {
	return min(max(int(roomBytes/max(liveBytes, 1))*100, minPercent), maxPercent)
}

// heapTuner sets GOGC after each collection, from what that one found alive. Once a second would be too late: within one,
// a flood fills nine times what was alive at the last collection.
type heapTuner struct {
	life    context.Context
	before  int
	percent int
	live    []metrics.Sample
}

// TuneHeap sets GOGC as the live heap grows and shrinks, until life ends.
func TuneHeap(life context.Context) {
	t := &heapTuner{life: life, percent: maxPercent, live: []metrics.Sample{{Name: heapSample}}}
	t.before = debug.SetGCPercent(maxPercent)
	t.arm()
}

// canary dies in the next collection. It is too large to share its memory with others that may live on.
type canary [32]byte

// arm has collected called after the next collection.
func (t *heapTuner) arm() {
	c := new(canary)
	runtime.AddCleanup(c, (*heapTuner).collected, t)
}

// collected runs on the runtime's goroutine for cleanups, once per collection.
func (t *heapTuner) collected() {
	if t.life.Err() != nil {
		debug.SetGCPercent(t.before)
		return
	}
	metrics.Read(t.live)
	if want := gcPercent(t.live[0].Value.Uint64()); want != t.percent {
		t.percent = want
		debug.SetGCPercent(want)
	}
	t.arm()
}

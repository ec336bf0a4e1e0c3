package node

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A small heap is collected seldom: a broker whose live data are 10 MB would otherwise collect garbage after each 10 MB of
// traffic, many times a second. From roomBytes of live data on, Go's own rule holds, so that memoryUsage means what it says.
const (
	roomBytes  = 64 << 20
	minPercent = 100
	maxPercent = 800
	heapPause  = time.Second
	heapSample = "/gc/heap/live:bytes"
)

// gcPercent is GOGC for a heap with so much live data, in steps of 100.
func gcPercent(liveBytes uint64) int {
	return min(max(int(roomBytes/max(liveBytes, 1))*100, minPercent), maxPercent)
}

// TuneHeap sets GOGC as the live heap grows and shrinks, until life ends.
func TuneHeap(life context.Context) {
	before := debug.SetGCPercent(maxPercent)
	defer debug.SetGCPercent(before)
	live := []metrics.Sample{{Name: heapSample}}
	t := time.NewTicker(heapPause)
	defer t.Stop()
	for set := maxPercent; ; {
		select {
		case <-t.C:
		case <-life.Done():
			return
		}
		metrics.Read(live)
		if want := gcPercent(live[0].Value.Uint64()); want != set {
			debug.SetGCPercent(want)
			set = want
		}
	}
}

package persist

import (
	"time"

	"golang.org/x/sys/unix"
)

// A sync costs 60 µs of CPU, whatever it covers, and 0.1 ms of time. So when units come in while the disk is busy anyway,
// the committer lingers before the next sync: later by a few syncs' time, but for many units at once.
const (
	lingerSyncs = 4                     // it lingers for so many syncs' time,
	lingerMost  = time.Millisecond      // but never longer,
	lingerUnits = 32                    // and not for more units than make a sync's price small
	busyUnits   = 3 * busyScale / 4     // that came in during an average sync, from which on lingering pays
	busyScale   = 16                    // busy is kept in sixteenths
	lingerLeast = 50 * time.Microsecond // a shorter wait is not worth its own wake-ups
)

// pace decides when to linger. The committer owns it.
type pace struct {
	busy int           // units that came in during a sync, running average
	sync time.Duration // a sync's time, running average
	skip int           // syncs without lingering to come,
	back int           // twice as many each time when it brought nothing
}

// synced tells of a sync: its time, and how many units came in during it.
func (p *pace) synced(took time.Duration, units int) {
	p.busy += (min(units, 16*lingerUnits)*busyScale - p.busy) / 8
	p.sync += (took - p.sync) / 8
}

// linger says how long to wait for more than the units that wait already; 0 not at all.
func (p *pace) linger(units int) time.Duration {
	if p.skip > 0 {
		p.skip--
		return 0
	}
	d := min(lingerSyncs*p.sync, lingerMost)
	if p.busy < busyUnits || units == 0 || units >= lingerUnits || d < lingerLeast {
		return 0
	}
	return d
}

// brought tells how many units came in late while the committer lingered. None: whoever sends waits for an answer.
func (p *pace) brought(units int) {
	if units > 0 {
		p.back = 0
		return
	}
	p.back = min(2*p.back+1, 63)
	p.skip = p.back
}

// sleep is exact where a timer of Go's is a millisecond late.
func sleep(d time.Duration) {
	spec := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&spec, nil) // a signal wakes it early, which does no harm
}

package persist

import (
	"time"

	"golang.org/x/sys/unix"
)

// A sync costs 60 µs of CPU and wakes everybody who waits for it, whatever it covers. So when messages come in a stream,
// the committer lingers before a sync: it is later by a few syncs' time, but covers many of them.
const (
	lingerSyncs = 4                     // it lingers for so many syncs' time,
	lingerMost  = time.Millisecond      // but never longer,
	lingerLeast = 50 * time.Microsecond // nor for less than its own wake-ups cost,
	lingerUnits = 32                    // and not if so many units wait that a sync's price is small already
	lingerGain  = 1.5                   // messages that must be expected meanwhile
	lingerSkip  = 255                   // syncs without it, at most, after it brought nothing
	longPause   = 10 * time.Millisecond // what is longer between two rounds says no more about a stream
)

// pace decides when to linger. The committer owns it.
type pace struct {
	copies time.Duration // nodes that write and sync each round: a round costs so many times as much. 0 is 1
	sync   time.Duration // a sync's time, running average
	every  time.Duration // from one round to the next, running average
	units  float64       // messages a round, running average
	last   time.Time     // when the last round was taken
	skip   int           // rounds without lingering to come,
	back   int           // about twice as many each time when it brought nothing
}

// synced tells of a sync's time.
func (p *pace) synced(took time.Duration) { p.sync += (took - p.sync) / 8 }

// took tells that a round begins now, with so many messages.
func (p *pace) took(now time.Time, messages int) {
	p.every += (min(now.Sub(p.last), longPause) - p.every) / 8
	p.units += (float64(messages) - p.units) / 8
	p.last = now
}

// streams says how long it pays to linger; 0 not at all.
func (p *pace) streams() time.Duration {
	copies := max(p.copies, 1)
	d := min(lingerSyncs*copies*p.sync, lingerMost*(copies+7)/8)
	if d < lingerLeast || p.units*float64(d) < lingerGain*float64(p.every) {
		return 0
	}
	return d
}

// linger says how long to wait now for more than the units that wait already.
func (p *pace) linger(units int) time.Duration {
	d := p.streams()
	if d == 0 || units >= lingerUnits {
		return 0
	}
	if p.skip > 0 {
		p.skip--
		return 0
	}
	return d
}

// brought tells how many messages were there early while the committer lingered, and how many came in late. Fewer: whoever
// sends waits for an answer.
func (p *pace) brought(early, late int) {
	if late > 0 && late >= early {
		p.back = 0
		return
	}
	p.back = min(2*p.back+1, lingerSkip)
	p.skip = p.back
}

// sleep is exact where a timer of Go's is a millisecond late.
func sleep(d time.Duration) {
	spec := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&spec, nil) // a signal wakes it early, which does no harm
}

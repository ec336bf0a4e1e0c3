package rim

import (
	"time"

	"github.com/havenmq/havenmq/persist"
)

const (
	// rationPerAppended is how many bytes a stream that is behind may send for each that clients append meanwhile, so that it always gains on them.
	rationPerAppended = 2
	// quietTime is how long nothing must have been appended for a stream to go as fast as it can.
	quietTime = 200 * time.Millisecond
)

// ration holds a stream that is behind to a rate, while clients append: what it sends is committed without it, and nobody
// waits for it, but those who append wait for the same disks, networks and processors. A stream's writer owns it.
type ration struct {
	rate     int64 // bytes a second
	left     int64 // bytes that may be sent now; below 0 it waits
	at       time.Time
	received persist.Pos
	movedAt  time.Time // when received was last seen to move
}

// rest says how long to wait before more is sent; 0 not at all. most is what may be saved up, bytes.
func (q *ration) rest(now time.Time, received persist.Pos, most int64) time.Duration {
	if q.at.IsZero() {
		*q = ration{rate: q.rate, left: most, at: now, received: received, movedAt: now}
		return 0
	}
	if received != q.received {
		q.movedAt = now
	}
	q.left += int64(now.Sub(q.at).Seconds()*float64(q.rate)) + rationPerAppended*int64(received-q.received)
	q.left = min(q.left, most)
	q.at, q.received = now, received
	switch {
	case now.Sub(q.movedAt) >= quietTime:
		q.left = max(q.left, 0)
		return 0
	case q.left >= 0:
		return 0
	}
	return min(time.Duration(float64(-q.left)/float64(q.rate)*float64(time.Second)), quietTime)
}

// sent takes n bytes off.
func (q *ration) sent(n int) { q.left -= int64(n) }

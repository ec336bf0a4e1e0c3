package amqp

import (
	"slices"

	"github.com/havenmq/havenmq/core"
)

// sentDelivery is a delivery that the peer has not settled.
type sentDelivery struct {
	tag  core.Tag
	link *sender // nil: an empty place
}

// maxRingSpan bounds the ring. Deliveries that stay unsettled while that many others pass move to a map, so that a
// consumer that keeps one message for an hour holds up nobody.
const maxRingSpan = 1 << 13

// unsettled finds deliveries by their delivery-id. Ids count up by one, so that a ring is all the index that most of
// them ever need.
type unsettled struct {
	ring []sentDelivery // its length is a power of two
	base uint32         // the id of the oldest place
	n    uint32         // places in use: base … base+n-1
	live int            // deliveries in ring and old
	old  map[uint32]sentDelivery
}

func (u *unsettled) at(id uint32) *sentDelivery { return &u.ring[id&uint32(len(u.ring)-1)] }

// push adds the next delivery-id. A d without a link was settled when it was sent and only takes the place.
func (u *unsettled) push(id uint32, d sentDelivery) {
	if d.link == nil && u.n == 0 {
		return
	}
	if u.n == 0 {
		u.base = id
	}
	for u.n == uint32(len(u.ring)) {
		u.makeRoom()
	}
	*u.at(id) = d
	u.n++
	if d.link != nil {
		u.live++
	}
}

// makeRoom doubles the ring, or moves its oldest delivery out of it when it is large and mostly empty.
func (u *unsettled) makeRoom() {
	if inRing := u.live - len(u.old); len(u.ring) >= maxRingSpan && inRing < len(u.ring)/2 || len(u.ring) >= maxUnsettled {
		if u.old == nil {
			u.old = map[uint32]sentDelivery{}
		}
		u.old[u.base] = *u.at(u.base)
		*u.at(u.base) = sentDelivery{}
		u.trim()
		return
	}
	ring := make([]sentDelivery, max(64, 2*len(u.ring)))
	for i := range u.n {
		id := u.base + i
		ring[id&uint32(len(ring)-1)] = *u.at(id)
	}
	u.ring = ring
}

// trim lets go of empty places at the old end.
func (u *unsettled) trim() {
	for u.n > 0 && u.at(u.base).link == nil {
		u.base++
		u.n--
	}
}

// take removes the deliveries first to last, in order, and gives each to f.
func (u *unsettled) take(first, last uint32, f func(id uint32, d sentDelivery)) {
	span := last - first
	if int32(span) < 0 { // RFC 1982: last is before first
		return
	}
	if len(u.old) > 0 {
		u.takeOld(first, span, f)
	}
	if u.n == 0 {
		return
	}
	from, to := int64(int32(first-u.base)), int64(int32(last-u.base))
	if from+int64(span) != to { // so far apart that the serial numbers wrapped: it cannot be in the ring
		to = from + int64(span)
	}
	for i := max(from, 0); i <= min(to, int64(u.n)-1); i++ {
		id := u.base + uint32(i)
		if d := u.at(id); d.link != nil {
			taken := *d
			*d = sentDelivery{}
			u.live--
			f(id, taken)
		}
	}
	u.trim()
}

func (u *unsettled) takeOld(first, span uint32, f func(id uint32, d sentDelivery)) {
	one := func(id uint32, d sentDelivery) {
		delete(u.old, id)
		u.live--
		f(id, d)
	}
	if int(span) < len(u.old) {
		for i := uint32(0); i <= span; i++ {
			if d, ok := u.old[first+i]; ok {
				one(first+i, d)
			}
		}
		return
	}
	var ids []uint32
	for id := range u.old {
		if id-first <= span {
			ids = append(ids, id-first)
		}
	}
	slices.Sort(ids) // a map has no order; a machine's answers do
	for _, i := range ids {
		one(first+i, u.old[first+i])
	}
}

// drop forgets a link's deliveries: the core takes them back when its subscription ends.
func (u *unsettled) drop(l *sender) {
	for i := range u.n {
		if d := u.at(u.base + i); d.link == l {
			*d = sentDelivery{}
			u.live--
		}
	}
	for id, d := range u.old {
		if d.link == l {
			delete(u.old, id)
			u.live--
		}
	}
	u.trim()
}

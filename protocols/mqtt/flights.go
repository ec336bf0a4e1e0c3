package mqtt

import "github.com/havenmq/havenmq/core"

// inboxIDs is how many packet ids, from 1, an inbox's deliveries have; those of shared queues have the rest. An inbox's
// follow from the delivery's place, so that a new master gives the same message the same id; a shared queue's are the
// next that are free, as nobody needs them on another connection.
const (
	inboxIDs  = 1<<15 - 1
	sharedIDs = 1 << 15
)

// inboxID is the packet id of the delivery at a place in an inbox. Places count from 1.
func inboxID(seq uint64) uint16 { return uint16((seq-1)%inboxIDs) + 1 }

// stage is how far a delivery has come.
type stage uint8

const (
	stageFree     stage = iota
	stageSent1          // PUBLISH at QoS 1 is out: PUBACK is awaited
	stageSent2          // PUBLISH at QoS 2 is out: PUBREC is awaited
	stageGot            // PUBREC came, and is not in the log yet
	stageReleased       // PUBREL is out: PUBCOMP is awaited
	stageEnded          // PUBCOMP came, and is not in the log yet: the id is not free
)

// flight is a delivery that has a packet id.
type flight struct {
	tag   core.Tag
	id    uint16
	stage stage
}

// flights finds deliveries by packet id. Each has a slot of its own at id modulo the size; the table doubles when two
// meet, so that it is about as large as the widest span of ids in flight, and never larger than all of them.
type flights struct {
	slots []flight // its length is a power of two
	n     int
}

const (
	firstFlights = 16
	largeFlights = 4096 // a table of more is given up when it is empty
)

func (f *flights) at(id uint16) *flight { return &f.slots[int(id)&(len(f.slots)-1)] }

// find returns the delivery with a packet id, or nil. It is good until the next put.
func (f *flights) find(id uint16) *flight {
	if len(f.slots) == 0 {
		return nil
	}
	if e := f.at(id); e.id == id && e.stage != stageFree {
		return e
	}
	return nil
}

// put adds a delivery whose id is free.
func (f *flights) put(e flight) {
	if len(f.slots) == 0 {
		f.slots = make([]flight, firstFlights)
	}
	for f.at(e.id).stage != stageFree {
		f.grow()
	}
	*f.at(e.id) = e
	f.n++
}

func (f *flights) grow() {
	old := f.slots
	f.slots = make([]flight, 2*len(old))
	for _, e := range old { // two that did not meet before do not now
		if e.stage != stageFree {
			*f.at(e.id) = e
		}
	}
}

func (f *flights) remove(e *flight) {
	*e = flight{}
	if f.n--; f.n == 0 && len(f.slots) > largeFlights {
		f.slots = nil
	}
}

// fifo is a queue of packet ids.
type fifo struct {
	ids  []uint16
	head int
}

func (q *fifo) push(ids ...uint16) { q.ids = append(q.ids, ids...) }

// pop takes out the oldest n. They are good until the next push.
func (q *fifo) pop(n int) []uint16 {
	n = min(n, len(q.ids)-q.head)
	ids := q.ids[q.head : q.head+n]
	if q.head += n; q.head == len(q.ids) {
		q.ids, q.head = q.ids[:0], 0
	}
	return ids
}

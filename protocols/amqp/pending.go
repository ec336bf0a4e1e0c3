package amqp

import "github.com/havenmq/havenmq/core"

// pendingKind says what an op was for.
type pendingKind uint8

const (
	pendNone      pendingKind = iota
	pendAuth                  // OpConnect, for sasl-outcome
	pendOpen                  // OpConnect, for open
	pendPublish               // OpPublish: link, first is the delivery-id, reply
	pendSubscribe             // OpSubscribe: link
	pendNode                  // OpDeclare: link
	pendForget                // OpUnsubscribe of a durable subscription: link
	pendSettle                // OpSettle that the receiver left for us to settle: session, first, last, state
	pendBegin                 // OpBegin: link, first, tx, reply
	pendDischarge             // OpCommit, OpRollback: link, first, reply
)

// reply is how a delivery that came in is answered.
type reply uint8

const (
	replySettled reply = iota // with an outcome that settles it
	replyOpen                 // with an outcome; the sender settles first (rcv-settle-mode second)
	replyNone                 // not at all: it came settled
)

// pending is what an op's completion is to find.
type pending struct {
	kind    pendingKind
	outcome kind // pendSettle
	first   uint32
	last    uint32
	tx      core.TxID
	reply   reply
	took    *transaction // pendDischarge: what goes back if it fails
	link    endpoint
	session *session
}

// pendingRing holds the ops that are not completed, in order. A ticket is one more than the op's place since the
// connection began, so that finding it is arithmetic.
type pendingRing struct {
	ring []pending // its length is a power of two
	base uint64    // place of the oldest
	n    int
}

func (r *pendingRing) put(p pending) core.Ticket {
	if r.n == len(r.ring) {
		r.grow()
	}
	at := r.base + uint64(r.n)
	r.ring[at&uint64(len(r.ring)-1)] = p
	r.n++
	return core.Ticket(at + 1)
}

func (r *pendingRing) grow() {
	ring := make([]pending, max(16, 2*len(r.ring)))
	for i := range r.n {
		at := r.base + uint64(i)
		ring[at&uint64(len(ring)-1)] = r.ring[at&uint64(len(r.ring)-1)]
	}
	r.ring = ring
}

// take finds a ticket's op and forgets it. The core answers in order; a ticket out of order is found all the same.
func (r *pendingRing) take(t core.Ticket) (pending, bool) {
	i := uint64(t) - 1 - r.base
	if t == 0 || i >= uint64(r.n) {
		return pending{}, false
	}
	slot := &r.ring[(r.base+i)&uint64(len(r.ring)-1)]
	p := *slot
	*slot = pending{}
	for r.n > 0 && r.ring[r.base&uint64(len(r.ring)-1)].kind == pendNone {
		r.base++
		r.n--
	}
	return p, p.kind != pendNone
}

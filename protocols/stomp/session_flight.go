package stomp

import (
	"cmp"
	"slices"
	"sort"

	"github.com/havenmq/havenmq/core"
)

// flights are the deliveries of a subscription that wait for ACK or NACK, oldest first. Those acknowledged out of order stay
// as holes, which never outnumber the rest.
type flights struct {
	list []flight
	head int
	open int               // those that wait; the others of list[head:] are holes
	byID map[string]uint64 // before 1.2: the number that goes by a message-id
	same bool              // a message-id came twice: byID may not know the oldest
}

// flight is one of them. A nil tag is a hole.
type flight struct {
	seq uint64
	tag core.Tag
	id  string // before 1.2: what ACK names it by
}

func (q *flights) push(f flight) {
	if len(q.list) == cap(q.list) && len(q.list) > 2*q.open {
		q.close()
	}
	q.list = append(q.list, f)
	q.open++
	q.index(f)
}

// close takes the holes out.
func (q *flights) close() {
	kept := q.list[:0]
	for _, f := range q.list[q.head:] {
		if f.tag != nil {
			kept = append(kept, f)
		}
	}
	clear(q.list[len(kept):])
	q.list, q.head = kept, 0
}

func (q *flights) index(f flight) {
	if f.id == "" {
		return
	}
	if q.byID == nil {
		q.byID = map[string]uint64{}
	}
	if _, twice := q.byID[f.id]; twice {
		q.same = true
		return
	}
	q.byID[f.id] = f.seq
}

// find is the number of the oldest delivery of a message; 0 none. It searches only while a message-id may be there that a
// sender gave twice.
func (q *flights) find(id []byte) uint64 {
	if !q.same {
		return q.byID[string(id)]
	}
	for _, f := range q.list[q.head:] {
		if f.tag != nil && f.id == string(id) {
			return f.seq
		}
	}
	return 0
}

// take moves what an acknowledgement of seq covers to tags, and to kept unless that is nil: one, or all up to it. false: seq
// does not wait.
func (q *flights) take(seq uint64, all bool, tags *[]core.Tag, kept *[]flight) bool {
	live := q.list[q.head:]
	i := sort.Search(len(live), func(i int) bool { return live[i].seq >= seq })
	if i == len(live) || live[i].seq != seq || live[i].tag == nil {
		return false
	}
	first := i
	if all {
		first = 0
	}
	for j := first; j <= i; j++ {
		f := &live[j]
		if f.tag == nil {
			continue
		}
		*tags = append(*tags, f.tag)
		if kept != nil {
			*kept = append(*kept, *f)
		}
		if f.id != "" && q.byID[f.id] == f.seq {
			delete(q.byID, f.id)
		}
		f.tag, f.id = nil, ""
		q.open--
	}
	for q.head < len(q.list) && q.list[q.head].tag == nil {
		q.head++
	}
	if q.head == len(q.list) {
		q.list, q.head, q.same = q.list[:0], 0, false
	}
	return true
}

// restore puts back what take took: its transaction was aborted.
func (q *flights) restore(list []flight) {
	q.close()
	q.list = append(q.list, list...)
	slices.SortFunc(q.list, func(a, b flight) int { return cmp.Compare(a.seq, b.seq) })
	q.open = len(q.list)
	clear(q.byID)
	q.same = false
	for _, f := range q.list {
		q.index(f)
	}
}

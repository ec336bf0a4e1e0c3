package core

import (
	"cmp"
	"slices"
	"strings"
)

// queueList keeps the queues in order of name and kind, for those who list them a page at a time: with 100,000 queues a
// page costs what is on it, and not a walk over them all. What is added goes into order when somebody lists. Broker.mu
// guards it.
type queueList struct {
	sorted []*queue
	added  []*queue // not in order yet
	gone   int      // of both, at most: they are not in Broker.queues any more
}

// listQueue puts a new queue into the maps. b.mu is locked.
func (b *Broker) listQueue(q *queue) {
	b.queues[q.dest] = q
	b.queueNames += queueCost(q.dest.Name)
	b.list.added = append(b.list.added, q)
}

// unlistQueue takes one out. b.mu is locked. What is gone does not stay in memory because nobody lists: it is let go of
// when it is half of all, which is as cheap as adding it was.
func (b *Broker) unlistQueue(d Destination) {
	delete(b.queues, d)
	b.queueNames -= queueCost(d.Name)
	l := &b.list
	if l.gone++; l.gone > 64+(len(l.sorted)+len(l.added))/2 {
		l.sorted, l.added, l.gone = b.listed(l.sorted), b.listed(l.added), 0
	}
}

// listed keeps those that are still there.
func (b *Broker) listed(list []*queue) []*queue {
	return slices.DeleteFunc(list, func(q *queue) bool { return b.queues[q.dest] != q })
}

// sortQueues puts what was added into its place.
func (b *Broker) sortQueues() {
	b.mu.RLock()
	idle := len(b.list.added) == 0
	b.mu.RUnlock()
	if idle {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &b.list
	added := b.listed(l.added)
	slices.SortFunc(added, byName)
	l.sorted, l.added = merge(l.sorted, added), nil
}

func byName(a, b *queue) int {
	return cmp.Or(strings.Compare(a.dest.Name, b.dest.Name), int(a.dest.Kind)-int(b.dest.Kind))
}

// merge makes one ordered list of two.
func merge(a, b []*queue) []*queue {
	out := make([]*queue, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if byName(a[0], b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// Queues lists queues, temporary ones too, by name: those behind after whose names contain filter, at most max (more if
// several kinds share the last name). next is the name to go on behind, "" at the end.
func (b *Broker) Queues(after, filter string, max int) (list []QueueInfo, next string) {
	found, next := b.pageOfQueues(after, filter, maxPage(max))
	for _, q := range found {
		list = append(list, q.info())
	}
	return list, next
}

func (b *Broker) pageOfQueues(after, filter string, max int) (found []*queue, next string) {
	b.sortQueues()
	b.mu.RLock()
	defer b.mu.RUnlock()
	sorted := b.list.sorted
	from, _ := slices.BinarySearchFunc(sorted, after, func(q *queue, after string) int {
		if q.dest.Name <= after {
			return -1
		}
		return 1
	})
	for _, q := range sorted[from:] {
		if !strings.Contains(q.dest.Name, filter) || b.queues[q.dest] != q {
			continue
		}
		if n := len(found); n >= max && found[n-1].dest.Name != q.dest.Name { // a page goes on behind a name
			return found, found[n-1].dest.Name
		}
		found = append(found, q)
	}
	return found, ""
}

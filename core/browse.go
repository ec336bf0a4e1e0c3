package core

import (
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/havenmq/havenmq/persist"
)

// view is what a browser sees of one entry.
type view struct {
	seq      persist.Seq
	msg      *Message
	attempts uint32
	inFlight bool
	returned bool
	note     *grant
}

// look reads up to max entries of q with seq >= from, in order: what is committed in the store, and what only memory
// holds. It reads the disk. The next look is to begin at next; 0 is the end.
func (q *queue) look(from persist.Seq, max int) (list []view, next persist.Seq, err error) {
	q.mu.Lock()
	q.glance()
	list = q.inMemory(from, max)
	q.mu.Unlock()
	full := len(list) == max
	if q.id != 0 {
		var stored []persist.Entry
		if stored, err = q.b.store.Entries(q.id, from, max, nil); err != nil {
			return nil, 0, err
		}
		full = full || len(stored) == max
		if n := affordable(stored); n < len(stored) {
			list = list[:before(list, stored[n].Seq)]
			stored, full = stored[:n], true
		}
		list = q.join(list, stored)
	}
	list = list[:min(len(list), max)]
	if full && len(list) > 0 {
		next = list[len(list)-1].seq + 1
	}
	return slices.DeleteFunc(list, func(v view) bool { return v.msg == nil || q.purgedSince(v.seq) }), next, nil
}

// lookBytes bounds what one look reads into memory: who looks must not cost more than who consumes.
const lookBytes = 16 << 20

// affordable is how many entries, from the first on, are read at a time; one at least.
func affordable(stored []persist.Entry) int {
	bytes := 0
	for i := range stored {
		if bytes += int(stored[i].SizeBytes); bytes > lookBytes && i > 0 {
			return i
		}
	}
	return len(stored)
}

// before is how many of a sorted list come before s.
func before(list []view, s persist.Seq) int {
	n, _ := slices.BinarySearchFunc(list, s, func(v view, s persist.Seq) int { return compare(uint64(v.seq), uint64(s)) })
	return n
}

// join adds what the store holds to what memory does, in order. What cannot be read has no message.
func (q *queue) join(list []view, stored []persist.Entry) []view {
	for n, i := len(list), 0; i < len(stored); i++ {
		x := &stored[i]
		j, known := slices.BinarySearchFunc(list[:n], x.Seq, func(v view, s persist.Seq) int { return compare(uint64(v.seq), uint64(s)) })
		if known && list[j].msg != nil {
			continue
		}
		m, err := q.readMessage(x.Message)
		if err != nil && !q.purgedSince(x.Seq) {
			q.b.fault(q.dest.String(), err)
		}
		if known {
			list[j].msg = m
			continue
		}
		v := view{seq: x.Seq, msg: m, attempts: x.Attempts, returned: x.Attempts > 0, note: readNote(x.Note)}
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b view) int { return compare(uint64(a.seq), uint64(b.seq)) })
	return list
}

// purgedSince says that an entry that the store still had was purged: that is on its way into the log.
func (q *queue) purgedSince(s persist.Seq) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return s.Counter() <= q.lane(uint8(s.Class())).purged
}

// inMemory lists what memory knows of, in order; the queue is locked.
func (q *queue) inMemory(from persist.Seq, max int) (list []view) {
	add := func(e *entry) {
		if e.seq >= from {
			list = append(list, view{e.seq, e.msg, e.attempts, e.state == stateFlight, e.returned, e.grant})
		}
	}
	for i := range q.lanes {
		for e := q.lanes[i].ready.head; e != nil && len(list) < max; e = e.next {
			add(e)
		}
	}
	for _, s := range q.holders() {
		for e := s.flight.head; e != nil; e = e.next {
			add(e)
		}
	}
	slices.SortFunc(list, func(a, b view) int { return compare(uint64(a.seq), uint64(b.seq)) })
	return list[:min(len(list), max)]
}

// browser is a subscription that looks and takes nothing. Its queue's lock guards it, but for next: that is the pager's,
// one turn at a time.
type browser struct {
	s     *subscription
	next  persist.Seq
	busy  bool // it is in the pager's hands
	ended bool
	drain bool
}

// credited lets the browser go on.
func (w *browser) credited(drain bool) {
	q := w.s.q
	q.mu.Lock()
	defer q.release()
	w.drain = drain
	w.goOn()
}

func (w *browser) goOn() {
	switch {
	case w.busy || w.s.closed:
	case w.ended:
		w.answerDrain()
	default:
		w.busy = true
		w.s.q.b.pager.add(w)
	}
}

// answerDrain gives the credit back to who asked for it.
func (w *browser) answerDrain() {
	if w.drain {
		w.drain = false
		w.s.credit.drop()
		w.end()
	}
}

// end says that there is no more.
func (w *browser) end() {
	s := w.s
	s.client.mail.put(s.client, &Delivery{Sub: s.id, Drained: true, Used: s.credit.used.Load()})
}

// browseTurn is how many messages a browser reads at a time.
const browseTurn = 256

// room is how many messages may be handed over now; 0 lets the browser rest. The queue is locked.
func (w *browser) room() int {
	s := w.s
	n := s.credit.limit.Load()
	n -= min(s.credit.used.Load(), n)
	if n > 0 && !s.closed && !w.ended && s.client.mail.full.Load() {
		s.blocked = true
		s.client.blocked.Store(true)
		if s.client.mail.full.Load() { // it is; else Poll may have missed the flag
			n = 0
		} else {
			s.blocked = false
		}
	}
	if s.closed || w.ended {
		n = 0
	}
	w.busy = n > 0
	return int(min(n, browseTurn))
}

// page hands over what credit allows, a turn's worth. It runs on a pager's goroutine.
func (w *browser) page() {
	q := w.s.q
	q.mu.Lock()
	room := w.room()
	q.mu.Unlock()
	if room == 0 {
		return
	}
	list, next, err := q.look(w.next, room)
	if err != nil {
		q.b.fault(q.dest.String(), err)
	}
	q.mu.Lock()
	defer q.release()
	if w.next = max(w.next, next); w.hand(list) && next == 0 && !w.s.closed {
		w.ended = true
		if w.drain {
			w.drain = false
			w.s.credit.drop()
		}
		w.end()
	}
	if w.room() > 0 {
		q.b.pager.add(w)
	}
}

// hand gives copies to the subscription; false: the credit did not suffice, and the rest is for the next turn. The queue
// is locked.
func (w *browser) hand(list []view) bool {
	s := w.s
	for _, v := range list {
		if s.closed || !s.credit.take() {
			w.next = v.seq
			return false
		}
		s.handed++
		s.client.mail.put(s.client, &Delivery{Sub: s.id, Message: v.msg, Attempts: v.attempts, Returned: v.returned, note: v.note})
	}
	return true
}

// Browse shows up to max messages of a queue from cursor ("" the head), in order of dispatch, in flight or not, and
// changes nothing. It reads the disk: do not call it from a connection's goroutine.
func (b *Broker) Browse(d Destination, cursor string, max int) (BrowsePage, error) {
	q, err := b.named(d)
	if err != nil {
		return BrowsePage{}, err
	}
	from, err := readCursor(cursor)
	if err != nil {
		return BrowsePage{}, err
	}
	list, next, err := q.look(from, min(maxPage(max), browseTurn*4))
	if err != nil {
		return BrowsePage{}, err
	}
	page := BrowsePage{Messages: make([]BrowsedMessage, 0, len(list))}
	for _, v := range list {
		reason, origin := v.note.why()
		page.Messages = append(page.Messages, BrowsedMessage{Cursor: writeCursor(v.seq), Message: v.msg, Priority: v.seq.Priority(),
			Attempts: v.attempts, Durable: v.msg.Durable, InFlight: v.inFlight, Reason: reason, Origin: origin})
	}
	if next != 0 {
		page.Next = writeCursor(next)
	}
	return page, nil
}

func writeCursor(s persist.Seq) string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(s)))
}

func readCursor(s string) (persist.Seq, error) {
	if s == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, &Error{CodeInvalid, "cursor", "it is not one that browsing gave out: begin without one"}
	}
	return persist.Seq(binary.BigEndian.Uint64(b)), nil
}

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
	reason   string
}

// look reads up to max entries of q with seq >= from, in order: what is committed in the store, and what only memory
// holds. It reads the disk. more says that there may be others behind the last.
func (q *queue) look(from persist.Seq, max int) (list []view, more bool, err error) {
	q.mu.Lock()
	q.load()
	list = q.inMemory(from, max)
	q.mu.Unlock()
	if q.id == 0 {
		return list, len(list) == max, nil
	}
	var stored []persist.Entry
	if stored, err = q.b.store.Entries(q.id, from, max, nil); err != nil {
		return nil, false, err
	}
	more = len(stored) == max || len(list) == max
	at := len(list)
	for i := range stored {
		x := &stored[i]
		j, known := slices.BinarySearchFunc(list[:at], x.Seq, func(v view, s persist.Seq) int { return compare(uint64(v.seq), uint64(s)) })
		if known {
			if list[j].attempts = x.Attempts; list[j].msg != nil {
				continue
			}
		}
		m, err := q.readMessage(x.Message)
		if err != nil {
			q.b.fault(q.dest.String(), err)
			continue
		}
		if known {
			list[j].msg = m
			continue
		}
		v := view{seq: x.Seq, msg: m, attempts: x.Attempts, returned: x.Attempts > 0}
		if g := readNote(x.Note); g != nil {
			v.reason = g.reason
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b view) int { return compare(uint64(a.seq), uint64(b.seq)) })
	list = slices.DeleteFunc(list, func(v view) bool { return v.msg == nil || q.settledSince(v.seq) })
	if len(list) > max {
		list, more = list[:max], true
	}
	return list, more, nil
}

// settledSince says that an entry that the store still had is gone: its settle is on its way into the log.
func (q *queue) settledSince(s persist.Seq) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return s.Counter() <= q.lane(uint8(s.Class())).purged
}

// inMemory lists what memory knows of, in order; the queue is locked.
func (q *queue) inMemory(from persist.Seq, max int) (list []view) {
	add := func(e *entry) {
		if e.seq >= from {
			list = append(list, view{e.seq, e.msg, e.attempts, e.state == stateFlight, e.returned, e.DeadReason()})
		}
	}
	for i := range q.lanes {
		for e := q.lanes[i].ready.head; e != nil && len(list) < max; e = e.next {
			add(e)
		}
	}
	for _, s := range q.subs {
		for e := s.flight.head; e != nil; e = e.next {
			add(e)
		}
	}
	slices.SortFunc(list, func(a, b view) int { return compare(uint64(a.seq), uint64(b.seq)) })
	return list[:min(len(list), max)]
}

// browser is a subscription that looks and takes nothing. Its queue's lock guards it; its own goroutine at a time is the
// pager's.
type browser struct {
	s     *subscription
	next  persist.Seq
	busy  bool
	ended bool
}

// credited lets the browser go on.
func (w *browser) credited(bool) {
	q := w.s.q
	q.mu.Lock()
	if !w.busy && !w.s.closed {
		w.busy = true
		q.b.pager.add(w)
	}
	q.mu.Unlock()
}

// browseTurn is how many messages a browser reads at a time.
const browseTurn = 256

// page hands over what credit allows. It runs on a pager's goroutine.
func (w *browser) page() {
	q, s := w.s.q, w.s
	for {
		q.mu.Lock()
		room := int(min(s.credit.limit.Load()-min(s.credit.used.Load(), s.credit.limit.Load()), browseTurn))
		if s.closed || w.ended || room == 0 || s.client.mail.full.Load() {
			w.busy = false
			if s.client.mail.full.Load() && !s.closed {
				s.blocked = true
				s.client.blocked.Store(true)
			}
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		list, more, err := q.look(w.next, room)
		if err != nil {
			q.b.fault(q.dest.String(), err)
		}
		q.mu.Lock()
		w.hand(list)
		if !more || err != nil {
			w.ended = true
			s.client.mail.put(s.client, &Delivery{Sub: s.id, Drained: true, Used: s.credit.used.Load()})
		}
		q.release()
	}
}

// hand gives copies to the subscription; the queue is locked.
func (w *browser) hand(list []view) {
	s := w.s
	for _, v := range list {
		if s.closed || !s.credit.take() {
			return
		}
		s.handed++
		s.client.mail.put(s.client, &Delivery{Sub: s.id, Message: v.msg, Attempts: v.attempts, Returned: v.returned})
		w.next = v.seq + 1
	}
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
	list, more, err := q.look(from, min(maxPage(max), browseTurn*4))
	if err != nil {
		return BrowsePage{}, err
	}
	page := BrowsePage{Messages: make([]BrowsedMessage, 0, len(list))}
	for _, v := range list {
		page.Messages = append(page.Messages, BrowsedMessage{Cursor: writeCursor(v.seq), Message: v.msg, Priority: v.seq.Priority(),
			Attempts: v.attempts, Durable: v.msg.Durable, InFlight: v.inFlight, Reason: v.reason})
	}
	if more && len(list) > 0 {
		page.Next = writeCursor(list[len(list)-1].seq + 1)
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

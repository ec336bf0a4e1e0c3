package core

import (
	"strings"

	"github.com/havenmq/havenmq/persist"
)

// retaining is what a message does to its topic's retained one.
type retaining uint8

const (
	retainNothing retaining = iota
	retainSet
	retainClear
)

// A retained message's row, in TableRetained under the topic's name: header(bytes) bare.

// retainingOf says what m asks for: an empty body takes the retained message away. [MQTT-3.3.1-6]
func retainingOf(m *Message) (retaining, error) {
	if !m.Retain || m.To.Kind != Topic {
		return retainNothing, nil
	}
	content, err := m.Content()
	if err != nil {
		return retainNothing, err
	}
	if len(content.Body) == 0 {
		return retainClear, nil
	}
	return retainSet, nil
}

// retain puts into w's unit what becomes of the topic's retained message.
func (b *Broker) retain(w *writer, m *Message, r retaining) {
	if r == retainNothing {
		return
	}
	w.key = append(w.key[:0], m.To.Name...)
	b.counts.retain()
	if r == retainClear {
		w.unit.Delete(persist.TableRetained, w.key)
		return
	}
	w.header = appendHeader(w.header[:0], m)
	w.value = append(appendBytes(w.value[:0], w.header), m.Bare...)
	w.unit.Put(persist.TableRetained, w.key, w.value)
}

// retainedLookup finds the retained messages that a new filter or subscription matches, and puts copies into its queue.
type retainedLookup struct {
	b       *Broker
	q       *queue
	pattern Destination
	filter  *Filter // inbox; nil otherwise
}

// maxRetainedFound bounds what one filter is sent.
const maxRetainedFound = 100_000

// page reads. It runs on a pager's goroutine.
func (l *retainedLookup) page() {
	var found []*Message
	take := func(key, value []byte) bool {
		topic := Destination{Topic, string(key)}
		if !l.pattern.Matches(topic) {
			return true
		}
		if m := l.read(topic, value); m != nil {
			found = append(found, m)
		}
		return len(found) < maxRetainedFound
	}
	if err := l.scan(take); err != nil {
		l.b.fault("retained messages", err)
	}
	for _, m := range found {
		if !l.hand(m) {
			return
		}
	}
}

func (l *retainedLookup) scan(take func(key, value []byte) bool) error {
	if !l.pattern.HasWildcard() {
		value, ok, err := l.b.store.Get(persist.TableRetained, []byte(l.pattern.Name))
		if ok && err == nil {
			take([]byte(l.pattern.Name), value)
		}
		return err
	}
	return l.b.store.Scan(persist.TableRetained, []byte(literalPrefix(l.pattern.Name)), take)
}

// literalPrefix is what all names that a pattern matches begin with: its levels before the first wildcard, without the
// last '.', as "A.>" also matches "A".
func literalPrefix(pattern string) string {
	at := 0
	for rest := pattern; ; {
		level, next, more := strings.Cut(rest, ".")
		if level == "*" || level == ">" {
			return pattern[:max(at-1, 0)]
		}
		at += len(level) + 1
		if !more {
			return pattern
		}
		rest = next
	}
}

func (l *retainedLookup) read(topic Destination, value []byte) *Message {
	r := reader{b: value}
	header := r.bytes(uint64(len(value)))
	m, err := l.b.decodeMessage(header, append([]byte(nil), r.b...), topic)
	if err != nil {
		l.b.fault("retained message of "+topic.String(), err)
		return nil
	}
	if m.ExpiresMs != 0 && m.ExpiresMs <= l.b.nowMs() {
		return nil
	}
	return m
}

// hand puts a copy into the queue alone; it is logged there if the queue is stored and the filter asks for more than
// QoS 0.
func (l *retainedLookup) hand(m *Message) bool {
	w := l.b.borrow()
	defer l.b.giveBack(w)
	t := target{q: l.q, grant: makeGrant(0, true, true, nil)}
	if l.filter != nil {
		var ids []uint32
		if l.filter.ID != 0 {
			ids = []uint32{l.filter.ID}
		}
		t.grant = makeGrant(l.filter.MaxQoS, true, true, ids)
	} else if l.q.id != 0 {
		t.grant = makeGrant(1, true, true, nil)
	}
	l.q.mu.Lock()
	if l.q.closed {
		l.q.release()
		return false
	}
	l.b.place(w, &route{targets: []target{t}}, m)
	_, err := l.b.commit(w)
	l.q.unlock()
	if err != nil {
		l.b.fault("retained message of "+m.To.String(), err)
	}
	return err == nil
}

package core

import (
	"maps"
	"strings"
	"sync"

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
	w.retains = append(w.retains, m.To.Name)
	b.counts.retain()
	if r == retainClear {
		w.unit.Delete(persist.TableRetained, w.key)
		return
	}
	w.header = appendHeader(w.header[:0], m)
	w.value = append(appendBytes(w.value[:0], w.header), m.Bare...)
	w.unit.Put(persist.TableRetained, w.key, w.value)
}

// retainedRows remembers which topics' rows were changed lately, so that one which expired is not removed when a newer
// one is on its way into the log.
type retainedRows struct {
	mu    sync.Mutex // the last but the store's: it is held over Append
	ends  map[string]persist.Pos
	bytes int         // of the names in ends, at most
	floor persist.Pos // changes up to here may be forgotten
}

const maxRetainedEnds = 4096

// append is Broker.append for a unit that changes the rows of topics. rows.mu is locked.
func (rows *retainedRows) append(b *Broker, u *persist.Unit, topics []string) (base, end persist.Pos, err error) {
	if base, end, err = b.append(u); err != nil {
		return base, end, err
	}
	if len(rows.ends) >= maxRetainedEnds || rows.bytes > maxRetainBytes {
		rows.floor, rows.bytes = b.store.Committed(), 0
		maps.DeleteFunc(rows.ends, func(_ string, at persist.Pos) bool { return at <= rows.floor })
		for t := range rows.ends {
			rows.bytes += len(t)
		}
	}
	if rows.ends == nil {
		rows.ends = map[string]persist.Pos{}
	}
	for _, t := range topics {
		rows.ends[t] = end
		rows.bytes += len(t)
	}
	return base, end, nil
}

// forget removes the row of a message that expired. The row was read after the log was committed up to since.
func (rows *retainedRows) forget(b *Broker, topic string, since persist.Pos) {
	w := b.borrow()
	defer b.giveBack(w)
	rows.mu.Lock()
	defer rows.mu.Unlock()
	if rows.ends[topic] > since || rows.floor > since {
		return
	}
	w.unit.Delete(persist.TableRetained, []byte(topic))
	if _, _, err := rows.append(b, &w.unit, []string{topic}); err != nil {
		b.fault("retained message of topic://"+topic, err)
	}
}

// retainedLookup finds the retained messages that a new filter or subscription matches, and puts copies into its queue.
type retainedLookup struct {
	b       *Broker
	q       *queue
	pattern Destination
	filter  *Filter // inbox; nil otherwise
}

// What one filter is sent is bounded: so many, and so much memory for their names.
const (
	maxRetainedFound = 100_000
	maxRetainedNames = 64 << 20
)

// page reads. It runs on a pager's goroutine.
func (l *retainedLookup) page() {
	names, err := l.names()
	if err != nil {
		l.b.fault("retained messages", err)
	}
	for _, name := range names {
		if !l.send(name) {
			return
		}
	}
}

// names lists the topics that match and have a retained message.
func (l *retainedLookup) names() (list []string, err error) {
	if !l.pattern.HasWildcard() {
		return []string{l.pattern.Name}, nil
	}
	bytes := 0
	err = l.b.store.Scan(persist.TableRetained, []byte(literalPrefix(l.pattern.Name)), func(key, _ []byte) bool {
		if topic := (Destination{Topic, string(key)}); l.pattern.Matches(topic) {
			list = append(list, topic.Name)
			bytes += len(topic.Name)
		}
		return len(list) < maxRetainedFound && bytes < maxRetainedNames
	})
	return list, err
}

// send puts a topic's message into the queue, if there still is one. false: the queue is gone, or the store.
func (l *retainedLookup) send(name string) bool {
	since := l.b.store.Committed()
	value, ok, err := l.b.store.Get(persist.TableRetained, []byte(name))
	if err != nil {
		l.b.fault("retained message of topic://"+name, err)
	}
	if !ok || err != nil {
		return err == nil
	}
	r := reader{b: value}
	header := r.bytes(uint64(len(value)))
	m, err := l.b.decodeMessage(header, append([]byte(nil), r.b...), Destination{Topic, name})
	if err != nil {
		l.b.fault("retained message of topic://"+name, err)
		return true
	}
	if m.ExpiresMs != 0 && m.ExpiresMs <= l.b.nowMs() {
		l.b.retained.forget(l.b, name, since)
		return true
	}
	return l.hand(m)
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

// hand puts a copy into the queue alone; it is logged there if the queue is stored and the filter asks for more than
// QoS 0.
func (l *retainedLookup) hand(m *Message) bool {
	w := l.b.borrow()
	defer l.b.giveBack(w)
	t := target{q: l.q, grant: makeGrant(0, true, true, nil)}
	if l.filter != nil {
		t.grant = makeGrant(l.filter.MaxQoS, true, true, l.filter.ids())
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

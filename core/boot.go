package core

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/havenmq/havenmq/persist"
)

// boot reads the names of what the store holds. Queues' contents are read when they are first used.
func (b *Broker) boot() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	steps := []struct {
		table persist.Table
		what  string
		read  func(key, value []byte) bool
	}{
		{persist.TableSettings, "setting", b.bootSetting},
		{persist.TableDestinations, "destination", b.bootDestination},
		{persist.TableSubscriptions, "durable subscription", b.bootSubscription},
		{persist.TableSessions, "session", b.bootSession},
		{persist.TableFilters, "filter", b.bootFilter},
		{persist.TableInbound, "received packet id", b.bootInbound},
		{persist.TableDuplicates, "id of a message", b.duplicates.boot},
	}
	for _, step := range steps {
		var bad error
		err := b.store.Scan(step.table, nil, func(key, value []byte) bool {
			if !step.read(key, value) {
				bad = &Error{CodeInternal, "stored " + step.what, fmt.Sprintf("row %q cannot be read: it was written by a newer program, or is damaged: start that program, or restore the data directory", key)}
			}
			return bad == nil
		})
		if err == nil {
			err = bad
		}
		if err != nil {
			return fmt.Errorf("opening the broker: %w", err)
		}
	}
	b.duplicates.booted()
	b.sweepAtMs = b.nowMs() + sweepDelayMs
	for _, q := range b.byID {
		b.unswept = append(b.unswept, q)
	}
	slices.SortFunc(b.unswept, func(x, y *queue) int { return compare(x.rank, y.rank) })
	return b.bootPauses()
}

func (b *Broker) bootSetting(key, value []byte) bool {
	if string(key) != string(keyLastID) {
		return true
	}
	if len(value) != 8 {
		return false
	}
	b.lastID = persist.QueueID(binary.BigEndian.Uint64(value))
	return true
}

func (b *Broker) bootDestination(key, value []byte) bool {
	if len(key) != 8 || len(value) < 2 || queueKind(value[0]) != kindQueue {
		return false
	}
	d := Destination{Queue, string(value[1:])}
	id := persist.QueueID(binary.BigEndian.Uint64(key))
	q := b.newQueue(kindQueue, id, d, b.policyFor(d))
	b.listQueue(q)
	return true
}

// bootPauses finds out which queues an operator paused.
func (b *Broker) bootPauses() error {
	return b.store.Scan(persist.TableSettings, []byte(pausePrefix), func(key, _ []byte) bool {
		if id := key[len(pausePrefix):]; len(id) == 8 {
			if q := b.byID[persist.QueueID(binary.BigEndian.Uint64(id))]; q != nil {
				q.paused = true
			}
		}
		return true
	})
}

func (b *Broker) bootSubscription(key, value []byte) bool {
	r := reader{b: key}
	d := &durable{key: subscriptionKey{r.string(MaxNameBytes), r.string(MaxNameBytes)}}
	if r.end("") != nil || len(value) < 11 || value[0] != subscriptionVersion {
		return false
	}
	d.noLocal = value[9]&1 != 0
	d.source = Destination{Topic, string(value[10:])}
	b.addDurable(d, persist.QueueID(binary.BigEndian.Uint64(value[1:])))
	return true
}

func (b *Broker) bootSession(key, value []byte) bool {
	if len(key) < 1 {
		return false
	}
	clientID := string(key[1:])
	if key[0] == rowWill {
		will, err := b.readWill(value)
		if err == nil {
			b.wills[clientID] = pendingWill{will, b.nowMs() + max(min(will.DelayS, ExpiryNever/1000)*1000, willGraceMs)}
			b.willRows[clientID] = will
		}
		return err == nil
	}
	if key[0] != rowSession || len(value) < 9 || value[0] != sessionVersion {
		return false
	}
	x := &inbox{clientID: clientID, stored: true, filters: map[string]*inboxFilter{}}
	id := persist.QueueID(binary.BigEndian.Uint64(value[1:]))
	r := reader{b: value[9:]}
	x.expiryS, x.deadlineMs = r.varint(), r.varint()
	if r.end("") != nil {
		return false
	}
	x.q = b.newQueue(kindInbox, id, Destination{Name: clientID}, b.policyFor(Destination{Topic, ">"}))
	b.inboxes[clientID] = x
	b.queueNames += queueCost(clientID)
	if x.deadlineMs == 0 && x.expiryS < ExpiryNever/1000 { // its client was there when the last master went
		x.deadlineMs = b.nowMs() + x.expiryS*1000
	}
	if x.deadlineMs != 0 {
		b.deadlines[clientID] = x
	}
	return true
}

func (b *Broker) bootFilter(key, value []byte) bool {
	r := reader{b: key}
	x := b.inboxes[r.string(MaxNameBytes)]
	if r.bad || len(value) < 3 || value[0] != filterVersion {
		return false
	}
	if x == nil {
		return true // its session ended in the same breath
	}
	f := Filter{Pattern: Destination{Topic, string(r.b)}, MaxQoS: value[2], NoLocal: value[1]&1 != 0, AsRetain: value[1]&2 != 0}
	id := reader{b: value[3:]}
	f.ID = uint32(id.uvarint())
	b.claimFilter(x, f)
	return !id.bad
}

func (b *Broker) bootInbound(key, _ []byte) bool {
	r := reader{b: key}
	x := b.inboxes[r.string(MaxNameBytes)]
	if r.bad || len(r.b) != 2 {
		return false
	}
	if x != nil {
		x.mark(binary.BigEndian.Uint16(r.b))
	}
	return true
}

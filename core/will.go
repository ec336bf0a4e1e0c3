package core

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/havenmq/havenmq/persist"
)

// pendingWill is the will of a client that is away, to be published at atMs.
type pendingWill struct {
	will *Will
	atMs int64
}

// A will's row, in TableSessions under 'w' clientID: version(1) delayS lifeS (varint) header(bytes) bare.
const willVersion = 1

// willGraceMs is how long the wills of clients that were connected to the master before wait for their clients to come
// back to the new one.
const willGraceMs = 5000

// checkWill says whether the client may leave that will.
func (c *Client) checkWill(will *Will) error {
	if will == nil {
		return nil
	}
	if err := will.Message.To.Validate(); err != nil {
		return err
	}
	return c.b.access.Authorize(&c.who, ActionWrite, will.Message.To)
}

// leaveWill remembers the will that a client connects with, here and in the store: the next master publishes it if this
// one and the client are both gone. It replaces one that waited.
func (c *Client) leaveWill(will *Will) (persist.Pos, error) {
	if c.id == "" || c.inbox == nil {
		c.will = will
		return 0, nil
	}
	b, w := c.b, &c.work
	b.mu.Lock()
	defer b.mu.Unlock()
	w.key = sessionKey(w.key[:0], rowWill, c.id)
	switch {
	case will != nil:
		w.header = appendHeader(w.header[:0], will.Message)
		w.value = binary.AppendVarint(append(w.value[:0], willVersion), will.DelayS)
		w.value = binary.AppendVarint(w.value, will.LifeS)
		w.value = append(appendBytes(w.value, w.header), will.Message.Bare...)
		w.unit.Put(persist.TableSessions, w.key, w.value)
	case b.willRows[c.id] != nil:
		w.unit.Delete(persist.TableSessions, w.key)
	}
	_, pos, err := b.append(&w.unit)
	if err != nil {
		return 0, err
	}
	delete(b.wills, c.id)
	delete(b.willRows, c.id)
	if c.will = will; will != nil {
		b.willRows[c.id] = will
	}
	return pos, nil
}

func (b *Broker) readWill(value []byte) (*Will, error) {
	r := reader{b: value}
	version, delayS, lifeS := r.byte(), r.varint(), r.varint()
	header := r.bytes(uint64(len(value)))
	if r.bad || version != willVersion {
		return nil, &Error{CodeInternal, "stored will", "it cannot be read: restore the data directory, or, in a cluster, start this node with an empty one"}
	}
	m, err := b.decodeMessage(header, append([]byte(nil), r.b...), Destination{})
	return &Will{Message: m, DelayS: delayS, LifeS: lifeS}, err
}

// takeWill says what to publish as the connection ends: nothing after a goodbye, nothing yet if there is a delay, and
// nothing if the broker stops. b.mu is locked.
func (c *Client) takeWill() *Will {
	b, will := c.b, c.will
	c.will = nil
	if will == nil || b.shut.Load() {
		return nil
	}
	takenOver := c.holds && b.holders[c.id] != c
	switch {
	case takenOver && (c.parted || will.DelayS > 0 && !c.succeeded):
		return nil // the session goes on [MQTT-3.1.3-9]; its row is the new connection's
	case takenOver:
		return will
	case c.parted:
		b.dropWillRow(c.id, will)
		return nil
	case will.DelayS > 0 && c.inbox != nil:
		delayS := min(will.DelayS, c.inbox.expiryS, ExpiryNever/1000) // no later than the session's end [MQTT-3.1.2-8]
		if delayS > 0 {
			b.wills[c.id] = pendingWill{will, b.nowMs() + delayS*1000}
			return nil
		}
	}
	return will
}

// dropWillRow removes a stored will, unless another took its place. b.mu is locked.
func (b *Broker) dropWillRow(clientID string, will *Will) {
	if b.willRows[clientID] != will {
		return
	}
	delete(b.willRows, clientID)
	w := b.borrow()
	defer b.giveBack(w)
	w.key = sessionKey(w.key[:0], rowWill, clientID)
	w.unit.Delete(persist.TableSessions, w.key)
	if _, _, err := b.append(&w.unit); err != nil {
		b.fault("stored will", err)
	}
}

// fireWills publishes what is due.
func (b *Broker) fireWills(nowMs int64) {
	due := map[string]*Will{}
	b.mu.Lock()
	for id, p := range b.wills {
		if p.atMs <= nowMs {
			due[id] = p.will
			delete(b.wills, id)
		}
	}
	b.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(due)) {
		b.publishWill(id, due[id])
	}
}

// publishWill publishes a will and then forgets its row: a crash in between publishes it twice, not never. What the
// store has no room for is tried again, until its client comes back.
func (b *Broker) publishWill(clientID string, will *Will) {
	err := b.Publish(will.message(b.nowMs()))
	if err != nil {
		b.fault("will to "+will.Message.To.String(), err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(err, ErrFull) && b.willRows[clientID] == will && b.holders[clientID] == nil {
		b.wills[clientID] = pendingWill{will, b.nowMs() + retryMs}
		return
	}
	b.dropWillRow(clientID, will)
}

// message is what is published at a time.
func (will *Will) message(nowMs int64) *Message {
	m := will.Message
	if will.LifeS <= 0 {
		return m
	}
	m = &Message{Header: m.Header, Format: m.Format, Bare: m.Bare}
	m.ExpiresMs = nowMs + min(will.LifeS, ExpiryNever/1000)*1000
	return m
}

// Publish puts a message where it belongs, for the broker itself: wills, and what the operator sends. Nobody is asked
// for permission: a will's sender was asked when it connected. It does not wait for the log.
func (b *Broker) Publish(m *Message) error {
	c := &Client{b: b, id: m.Publisher}
	for {
		r := &route{to: m.To}
		if r.err = m.To.Validate(); r.err == nil {
			b.fillRoute(r, m.To, m.Publisher)
		}
		if r.err != nil {
			return r.err
		}
		_, ok, err := c.put(&c.work, r, m, 0)
		b.buryAll(&c.work)
		if ok {
			return err
		}
	}
}

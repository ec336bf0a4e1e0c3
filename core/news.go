package core

import (
	"maps"
	"sync"
)

// news keeps events until nobody holds a lock. It holds no more than maxNews: what is more is left out, and counted.
type news struct {
	mu       sync.Mutex
	list     []Event
	left     uint64
	telling  sync.Mutex
	listener func(Event) // never changes
}

const maxNews = 1000

// add notes an event. Any lock may be held.
func (n *news) add(e Event) {
	if n.listener == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) >= maxNews {
		n.left++
		return
	}
	n.list = append(n.list, e)
}

// tell hands over what was noted. No lock may be held.
func (n *news) tell() {
	n.telling.Lock()
	defer n.telling.Unlock()
	n.mu.Lock()
	list, left := n.list, n.left
	n.list, n.left = nil, 0
	n.mu.Unlock()
	for _, e := range list {
		n.listener(e)
	}
	if left > 0 {
		n.listener(Event{Kind: EventLeftOut, AtMs: list[len(list)-1].AtMs, Subject: "events", Detail: "too many came at once", Count: left})
	}
}

// counts are the broker's own counters, but for those of connections that are there.
type counts struct {
	mu       sync.Mutex
	traffic  map[string]Traffic // by protocol, of connections that are gone
	dead     map[string]uint64  // by reason
	dropped  map[string]uint64
	expired  uint64
	retained uint64
	losses   map[lossKey]uint64 // since they were told
}

type lossKey struct {
	kind    EventKind
	subject Destination
	reason  string
}

// maxLosses bounds how many destinations' losses are told apart between two Ticks.
const maxLosses = 1000

func (c *counts) init() {
	c.traffic, c.dead, c.dropped = map[string]Traffic{}, map[string]uint64{}, map[string]uint64{}
	c.losses = map[lossKey]uint64{}
}

// lose counts messages of d that were dropped or became dead letters.
func (c *counts) lose(kind EventKind, d Destination, reason string, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind == EventDeadLetter {
		c.dead[reason] += n
	} else {
		c.dropped[reason] += n
	}
	key := lossKey{kind, d, reason}
	if _, ok := c.losses[key]; ok || len(c.losses) < maxLosses {
		c.losses[key] += n
	}
}

// tell makes events of what was lost since the last time.
func (c *counts) tell(b *Broker) {
	c.mu.Lock()
	if len(c.losses) == 0 {
		c.mu.Unlock()
		return
	}
	losses := c.losses
	c.losses = map[lossKey]uint64{}
	c.mu.Unlock()
	for key, n := range losses {
		b.news.add(Event{Kind: key.kind, AtMs: b.nowMs(), Subject: key.subject.String(), Detail: key.reason, Count: n})
	}
}

func (c *counts) expire(n int64) {
	c.mu.Lock()
	c.expired += uint64(n)
	c.mu.Unlock()
}

func (c *counts) retain() {
	c.mu.Lock()
	c.retained++
	c.mu.Unlock()
}

// leave adds the traffic of a connection that ends.
func (c *counts) leave(protocol string, t Traffic) {
	c.mu.Lock()
	c.traffic[protocol] = c.traffic[protocol].plus(t)
	c.mu.Unlock()
}

func (c *counts) snapshot(s *Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Protocols, s.DeadLettered, s.Dropped = maps.Clone(c.traffic), maps.Clone(c.dead), maps.Clone(c.dropped)
	s.Expired, s.Retained = c.expired, c.retained
}

func (t Traffic) plus(o Traffic) Traffic {
	return Traffic{t.Clients + o.Clients, t.Received + o.Received, t.Delivered + o.Delivered, t.Acknowledged + o.Acknowledged}
}

package core

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/havenmq/havenmq/persist"
)

// The management door: what the admin API and the CLI ask for. Any goroutine may call these. They never change what a
// consumer sees unless their name says so. A change is on its way into the log when they return, not yet confirmed: who
// promises it to somebody waits for Written.

// pausePrefix begins the keys, in TableSettings, of queues that are paused; the queue's id follows.
const pausePrefix = "paused:"

// Written waits until all that was appended before is confirmed, as `sync` says; false: quit was closed first. Any goroutine
// but a connection's may call.
func (b *Broker) Written(quit <-chan struct{}) bool {
	pos, told := persist.Pos(b.tail.Load()), make(chime, 1)
	for b.store.Confirmed() < pos {
		b.store.Await(pos, told)
		select {
		case <-told:
		case <-quit:
			return false
		}
	}
	return true
}

// chime is a Waiter that one goroutine waits for.
type chime chan struct{}

// Advanced is the store's word that the log was confirmed further.
func (c chime) Advanced() {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Stats is a snapshot of the whole.
func (b *Broker) Stats() Stats {
	u := b.store.Usage()
	s := Stats{MemoryBytes: b.memory.Load(), MemoryLimitBytes: b.limits.MemoryBytes, StoreBytes: u.DiskBytes, StoreLimitBytes: u.LimitBytes,
		StoreFull: u.Full, UncommittedBytes: b.uncommitted(), Throttles: b.throttle.Load()}
	b.counts.snapshot(&s)
	b.duplicates.snapshot(&s)
	b.mu.RLock()
	defer b.mu.RUnlock()
	s.NameBytes, s.NameLimitBytes = b.nameBytes(), b.limits.NameBytes
	s.Queues, s.Topics, s.Subscriptions, s.Inboxes, s.Clients = len(b.queues), len(b.topics), len(b.durables), len(b.inboxes), len(b.clients)
	for _, c := range b.clients {
		if p := c.card.Load().protocol; p != "" {
			t := c.traffic()
			t.Clients = 1
			s.Protocols[p] = s.Protocols[p].plus(t)
		}
	}
	return s
}

// Queue shows one; ErrNotFound. It may read the disk: do not call it from a connection's goroutine. Listings show an age that
// has to be read the next time.
func (b *Broker) Queue(d Destination) (QueueInfo, error) {
	q, err := b.named(d)
	if err != nil {
		return QueueInfo{}, err
	}
	(*elder)(q).page()
	return q.info(), nil
}

// named finds a queue that is there.
func (b *Broker) named(d Destination) (*queue, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if q := b.queues[d]; q != nil {
		return q, nil
	}
	return nil, &Error{CodeNotFound, d.String(), "there is no such queue: `havenmq queue ls` lists those there are"}
}

func (q *queue) info() QueueInfo {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.glance()
	i := QueueInfo{Name: q.dest.Name, Kind: q.dest.Kind.String(), ID: uint64(q.id), Depth: q.depth, Bytes: q.bytes,
		InFlight: uint64(q.inFlight), InMemory: uint64(q.window + q.volatile), Consumers: len(q.subs), Enqueued: q.enqueued,
		Dequeued: q.dequeued, Expired: q.expired, Dead: q.buried, Paused: q.paused}
	if len(q.dropped) > 0 {
		i.Dropped = map[string]uint64{}
		for reason, n := range q.dropped {
			i.Dropped[reason] = n
		}
	}
	if oldest := q.oldestMs(); oldest > 0 {
		i.OldestMs = max(q.b.nowMs()-oldest, 0)
	}
	return i
}

// Topics lists like Queues.
func (b *Broker) Topics(after, filter string, max int) (list []TopicInfo, next string) {
	p := newPage[*topicCount](after, filter, max)
	b.mu.RLock()
	defer b.mu.RUnlock()
	for d, n := range b.topics {
		p.offer(d.Name, d.Kind, n)
	}
	for s := range b.live {
		p.offer(s.source.Name, s.source.Kind, b.topics[s.source])
	}
	for _, d := range b.durables {
		p.offer(d.source.Name, d.source.Kind, b.topics[d.source])
	}
	found, next := p.cut()
	for _, x := range found {
		t := TopicInfo{Name: x.name, Subscriptions: len(targets(b.routerOf(Destination{x.kind, x.name}).match(x.name, nil), ""))}
		if x.what != nil {
			t.Enqueued, t.Dequeued = x.what.enqueued.Load(), x.what.dequeued.Load()
		}
		list = append(list, t)
	}
	return list, next
}

// claimant is one of the three things that Subscriptions lists.
type claimant struct {
	durable *durable
	inbox   *inbox
	live    *subscription
}

// Subscriptions lists durable subscriptions, inboxes and live subscriptions of topics, by client id and name. after and
// next are "clientId|name".
func (b *Broker) Subscriptions(after, filter string, max int) (list []SubscriptionInfo, next string) {
	p := newPage[claimant](after, filter, max)
	b.mu.RLock()
	defer b.mu.RUnlock()
	for key, d := range b.durables {
		p.offer(key.clientID+"|"+key.name, Topic, claimant{durable: d})
	}
	for id, x := range b.inboxes {
		p.offer(id+"|", Queue, claimant{inbox: x})
	}
	for s := range b.live {
		p.offer(fmt.Sprintf("%s|~%d-%d", s.client.card.Load().id, s.client.key, s.id), TempTopic, claimant{live: s})
	}
	found, next := p.cut()
	for _, x := range found {
		list = append(list, x.what.info())
	}
	return list, next
}

// info shows it. b.mu is locked.
func (c claimant) info() SubscriptionInfo {
	switch {
	case c.durable != nil:
		d := c.durable
		return SubscriptionInfo{ClientID: d.key.clientID, Name: d.key.name, Kind: "durable", Topics: []string{d.source.Name}, Active: d.sub != nil, Queue: d.claim.q.info()}
	case c.inbox != nil:
		return c.inbox.info()
	}
	s := c.live
	return SubscriptionInfo{ClientID: s.client.card.Load().id, Kind: "live", Topics: []string{s.source.Name}, Active: true, Queue: s.q.info()}
}

// info shows an inbox. b.mu is locked.
func (x *inbox) info() SubscriptionInfo {
	i := SubscriptionInfo{ClientID: x.clientID, Kind: "inbox", Active: x.sub != nil, ExpiresMs: x.deadlineMs, Queue: x.q.info()}
	for pattern := range x.filters {
		i.Topics = append(i.Topics, pattern)
	}
	slices.Sort(i.Topics)
	return i
}

// Clients lists connections by key; after 0 begins, next 0 ends.
func (b *Broker) Clients(after uint64, filter string, max int) (list []ClientInfo, next uint64) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for key, c := range b.clients {
		card := c.card.Load()
		if key <= after || card.protocol == "" || !strings.Contains(card.id, filter) && !strings.Contains(c.remote, filter) {
			continue
		}
		list = append(list, ClientInfo{Key: key, ClientID: card.id, Protocol: card.protocol, Remote: c.remote, User: card.user, SinceMs: c.sinceMs,
			Subscriptions: int(c.nSubs.Load()), InFlight: uint64(c.inFlight.Load()), Transactions: int(c.nTxs.Load()),
			Throttled: c.throttled.Load(), Traffic: c.traffic()})
	}
	slices.SortFunc(list, func(x, y ClientInfo) int { return cmp.Compare(x.Key, y.Key) })
	if max = maxPage(max); len(list) > max {
		list, next = list[:max], list[max-1].Key
	}
	return list, next
}

// CreateQueue makes a queue exist; it may exist already.
func (b *Broker) CreateQueue(d Destination) error {
	if d.Kind != Queue {
		return &Error{CodeInvalid, d.String(), "only queues are created: topics come into being on first use"}
	}
	_, err := b.queueFor(d)
	return err
}

// DeleteQueue throws the queue and its messages away: ErrNotFound, or ErrInUse while somebody consumes from it.
func (b *Broker) DeleteQueue(d Destination) error {
	q, err := b.named(d)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed || b.queues[d] != q:
		return &Error{CodeNotFound, d.String(), "there is no such queue"}
	case q.kind != kindQueue || len(q.subs) > 0:
		return &Error{CodeInUse, d.String(), fmt.Sprintf("it has %d consumers: disconnect them first", len(q.subs))}
	}
	w := b.borrow()
	defer b.giveBack(w)
	w.unit.Delete(persist.TableDestinations, queueKey(nil, q.id))
	if q.paused {
		w.unit.Delete(persist.TableSettings, queueKey([]byte(pausePrefix), q.id))
	}
	w.unit.Purge(q.id, q.tails(), true)
	if _, _, err := b.append(&w.unit); err != nil {
		return err
	}
	q.empty()
	q.closed = true
	b.unlistQueue(d)
	delete(b.byID, q.id)
	b.version.Add(1)
	b.timed.remove(q)
	return nil
}

// DeleteSubscription ends a durable subscription, or an inbox (name ""), that nobody is attached to.
func (b *Broker) DeleteSubscription(clientID, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if name == "" {
		x := b.inboxes[clientID]
		switch {
		case x == nil:
			return &Error{CodeNotFound, fmt.Sprintf("session of client %q", clientID), "there is none"}
		case x.sub != nil:
			return &Error{CodeInUse, fmt.Sprintf("session of client %q", clientID), "the client is connected: disconnect it first"}
		}
		return b.deleteInbox(x)
	}
	key := subscriptionKey{clientID, name}
	d := b.durables[key]
	switch {
	case d == nil:
		return &Error{CodeNotFound, key.String(), "there is none: `havenmq subscription ls` lists those there are"}
	case d.sub != nil:
		return &Error{CodeInUse, key.String(), "a consumer is attached: disconnect it first"}
	}
	return b.deleteDurable(d)
}

// Purge throws away what is in the queue, deliveries in flight too, and says how many messages that were.
func (b *Broker) Purge(d Destination) (n uint64, err error) {
	q, err := b.named(d)
	if err != nil {
		return 0, err
	}
	q.mu.Lock()
	defer q.unlock()
	if q.closed {
		return 0, &Error{CodeNotFound, d.String(), "there is no such queue"}
	}
	return q.purge()
}

// Pause stops dispatch; Resume goes on. A paused queue takes messages, and is paused after a restart too.
func (b *Broker) Pause(d Destination) error  { return b.setPaused(d, true) }
func (b *Broker) Resume(d Destination) error { return b.setPaused(d, false) }

func (b *Broker) setPaused(d Destination, paused bool) error {
	q, err := b.named(d)
	if err != nil {
		return err
	}
	w := b.borrow()
	defer b.giveBack(w)
	q.mu.Lock()
	defer q.unlock()
	if q.closed {
		return &Error{CodeNotFound, d.String(), "there is no such queue"}
	}
	if q.id != 0 && q.paused != paused {
		w.key = queueKey(append(w.key[:0], pausePrefix...), q.id)
		if paused {
			w.unit.Put(persist.TableSettings, w.key, nil)
		} else {
			w.unit.Delete(persist.TableSettings, w.key)
		}
		if _, _, err := b.append(&w.unit); err != nil {
			return err
		}
	}
	q.paused = paused
	q.dispatch()
	return nil
}

// Kick ends a connection with ErrKicked and why.
func (b *Broker) Kick(key uint64, why string) error {
	b.mu.RLock()
	c := b.clients[key]
	b.mu.RUnlock()
	if c == nil {
		return &Error{CodeNotFound, fmt.Sprintf("client %d", key), "there is no such connection"}
	}
	if why == "" {
		why = "an operator ended it"
	}
	c.evict(&Error{CodeKicked, "connection", why})
	return nil
}

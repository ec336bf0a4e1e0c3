package core

// Suspend stops everything that clients could take for the word of a master, while on: nothing is handed to consumers, no
// operation is answered, and producers are not read (Client.Throttled). A master that no quorum hears may have been
// deposed: what it says then is not to be relied on. What was asked for meanwhile is answered, and what is ready is handed
// over, when it goes on; or clients are evicted by Shutdown. Any goroutine may call, one at a time.
func (b *Broker) Suspend(on bool) {
	if b.suspended.Swap(on) == on || on {
		return
	}
	for _, q := range b.allQueues() {
		q.mu.Lock()
		if q.hungry != nil || q.drainers > 0 {
			q.dispatch()
		}
		q.unlock()
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, c := range b.clients {
		c.sink.Wake()
	}
}

// allQueues lists the queues there are, with those behind subscriptions and inboxes.
func (b *Broker) allQueues() []*queue {
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := make([]*queue, 0, len(b.byID)+len(b.live))
	for _, q := range b.byID {
		list = append(list, q)
	}
	for _, q := range b.queues {
		if q.id == 0 {
			list = append(list, q)
		}
	}
	for s := range b.live {
		list = append(list, s.q)
	}
	for _, x := range b.inboxes {
		if x.q.id == 0 {
			list = append(list, x.q)
		}
	}
	return list
}

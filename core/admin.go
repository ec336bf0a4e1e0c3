package core

// The management door: what the admin API and the CLI ask for. Any goroutine may call these. They never change what a
// consumer sees unless their name says so. A change is on its way into the log when they return, not yet confirmed.

// Stats is a snapshot of the whole.
func (b *Broker) Stats() Stats { panic("unbuilt") }

// Queues lists up to max queues whose name is behind after and contains filter (both may be ""), by name; next is the
// name to go on behind, "" at the end.
func (b *Broker) Queues(after, filter string, max int) (list []QueueInfo, next string) {
	panic("unbuilt")
}

// Queue shows one; ErrNotFound.
func (b *Broker) Queue(d Destination) (QueueInfo, error) { panic("unbuilt") }

// Topics lists like Queues.
func (b *Broker) Topics(after, filter string, max int) (list []TopicInfo, next string) {
	panic("unbuilt")
}

// Subscriptions lists durable subscriptions, inboxes and live subscriptions of topics, by client id and name. after and
// next are "clientId|name".
func (b *Broker) Subscriptions(after, filter string, max int) (list []SubscriptionInfo, next string) {
	panic("unbuilt")
}

// Clients lists connections by key; after 0 begins, next 0 ends.
func (b *Broker) Clients(after uint64, filter string, max int) (list []ClientInfo, next uint64) {
	panic("unbuilt")
}

// CreateQueue makes a queue exist; it may exist already.
func (b *Broker) CreateQueue(d Destination) error { panic("unbuilt") }

// DeleteQueue throws the queue and its messages away: ErrNotFound, or ErrInUse while somebody consumes from it.
func (b *Broker) DeleteQueue(d Destination) error { panic("unbuilt") }

// DeleteSubscription ends a durable subscription, or an inbox (name ""), that nobody is attached to.
func (b *Broker) DeleteSubscription(clientID, name string) error { panic("unbuilt") }

// Purge throws away what is in the queue, deliveries in flight too, and says how many messages that were.
func (b *Broker) Purge(d Destination) (n uint64, err error) { panic("unbuilt") }

// Pause stops dispatch; Resume goes on. A paused queue takes messages, and is paused after a restart too.
func (b *Broker) Pause(d Destination) error  { panic("unbuilt") }
func (b *Broker) Resume(d Destination) error { panic("unbuilt") }

// Kick ends a connection with ErrKicked and why.
func (b *Broker) Kick(key uint64, why string) error { panic("unbuilt") }

// Browse shows up to max messages of a queue from cursor ("" the head), in order of dispatch, in flight or not, and
// changes nothing. It reads the disk: do not call it from a connection's goroutine.
func (b *Broker) Browse(d Destination, cursor string, max int) (BrowsePage, error) { panic("unbuilt") }

package core

// Broker is the only door to queues, topics and subscriptions.
type Broker struct{}

// Open makes a broker of what the store holds. The store must have applied all that it has committed.
func Open(o Options) (*Broker, error) { panic("unbuilt") }

// Tick brings the time up to date: expiry, delays, wills, inboxes that end. The rim calls it each 100 ms to 1 s.
func (b *Broker) Tick(nowMs int64) { panic("unbuilt") }

// Shutdown evicts every client with ErrShutdown and changes nothing in the store from then on: wills and deadlines are
// left to the next master.
func (b *Broker) Shutdown() { panic("unbuilt") }

package core

// Sink is the rim's end of a client: Wake says that Poll has something. It must not block and may be called from any
// goroutine, with the broker's locks held.
type Sink interface{ Wake() }

// Events is what Poll hands over. Its slices are reused from call to call.
type Events struct {
	Done       []Completion
	Deliveries []Delivery
	Evicted    error // the broker ends this connection, and why (ErrTakenOver, ErrShutdown, ErrKicked)
}

// Client is one connection's door to the broker. Do, Poll and Close must not run at the same time as each other (the
// connection's lock sees to that).
type Client struct {
	b *Broker
}

// Attach makes a client for a new connection. remote is for the operator.
func (b *Broker) Attach(s Sink, remote string) *Client { panic("unbuilt") }

// Do carries out ops in order. What they complete with comes out of Poll, in the same order: at once where nothing has
// to wait for the log. nowMs is the time. It never blocks on the disk.
func (c *Client) Do(ops []Op, nowMs int64) { panic("unbuilt") }

// Poll moves what waits into e (its slices are emptied first), at most maxDeliveries deliveries, and says whether more waits.
func (c *Client) Poll(e *Events, maxDeliveries int) (more bool) { panic("unbuilt") }

// Close ends the client: what it had not settled returns to its queues; without an OpDisconnect its will is published.
func (c *Client) Close(nowMs int64) { panic("unbuilt") }

// Throttled says that the log has so much that is not committed, or so little room, that this client's socket should
// not be read for now; Wake is called when that is over.
func (c *Client) Throttled() bool { panic("unbuilt") }

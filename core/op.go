package core

// Ticket is a session's own name for an operation; the operation's Completion carries it back. Zero asks for none.
type Ticket uint64

// SubID is a session's own name for one of its subscriptions, unique on its connection while it lasts.
type SubID uint64

// TxID is a session's own name for one of its open transactions. Zero is none.
type TxID uint64

// Tag is the broker's handle on one delivery; a session keeps it and gives it back in OpSettle.
type Tag = *entry

// OpKind is what a session asks the broker to do.
type OpKind uint8

const (
	OpConnect     OpKind = iota + 1 // Connect: authenticate and take the client id; first on every connection
	OpPublish                       // Message, Tx, Inbound
	OpRelease                       // Inbound: the QoS 2 packet id may be used again
	OpSubscribe                     // Sub, Subscribe
	OpUnsubscribe                   // Sub, Forget
	OpFilter                        // Filter: adds one to the connection's inbox, or replaces it
	OpUnfilter                      // Filter.Pattern; the completion's Err is ErrNotFound when there was none
	OpCredit                        // Sub, Limit, Drain
	OpSettle                        // Sub, Tags, Outcome, Tx
	OpBegin                         // Tx
	OpCommit                        // Tx
	OpRollback                      // Tx
	OpDeclare                       // Dest: make it exist; with a Temp kind and no name, names it (Completion.Dest)
	OpBarrier                       // completes when all before it has
	OpDisconnect                    // the peer said goodbye: no will; Expiry replaces the inbox's
	OpUndeclare                     // Dest: a temporary destination of this connection ends before it does; ErrInUse while somebody consumes
)

// Op is one thing a session asks for. Ops are values in a reused slice: the broker keeps what Message, Connect,
// Subscribe and Filter point to, and copies the Tags.
type Op struct {
	Kind      OpKind
	Ticket    Ticket
	Sub       SubID
	Tx        TxID
	Message   *Message
	Inbound   uint16 // OpPublish: QoS 2 packet id, stored with the message and told apart from a repeat; OpRelease
	Dest      Destination
	Limit     uint64 // OpCredit: deliveries allowed since the subscription began, an absolute count
	Drain     bool   // OpCredit: when nothing more is ready, drop the credit and send a Delivery with Drained
	Forget    bool   // OpUnsubscribe: a durable subscription is deleted, not just left
	WithWill  bool   // OpDisconnect: publish the will all the same
	ExpiryS   int64  // OpDisconnect: seconds; ExpiryKeep leaves it as it was
	Tags      []Tag
	Outcome   Outcome
	Connect   *ConnectRequest
	Subscribe *SubscribeRequest
	Filter    *Filter
}

// ExpiryKeep leaves an inbox's expiry alone; ExpiryNever keeps it for ever.
const (
	ExpiryKeep  int64 = -1
	ExpiryNever int64 = 1<<62 - 1
)

// ConnectRequest opens a client's connection to the broker.
type ConnectRequest struct {
	Protocol string // "amqp", "mqtt", "stomp": for the operator
	ClientID string // "" has none: no durable subscriptions, no inbox
	User     string
	Password []byte
	HasLogin bool // false is anonymous
	// Proved is AMQP's second OpConnect on a connection: SASL asked who it is, with no ClientID, before the client id
	// was known. It only takes ClientID (with Exclusive and TakeOver) for the identity that the first one established;
	// User, Password and HasLogin are ignored. Without a first one that succeeded it is ErrUnauthorized.
	Proved bool
	// Exclusive takes the client id: with TakeOver its holder is evicted with ErrTakenOver, otherwise the completion
	// is ErrInUse.
	Exclusive bool
	TakeOver  bool
	Inbox     *InboxRequest // MQTT; nil has none
	Will      *Will
}

// InboxRequest opens the inbox that belongs to the client id: one queue, fed by filters, with one consumer at a time.
// Its subscription is InboxSub. The completion says whether it was Present, with the Inbound ids it holds.
type InboxRequest struct {
	Clean   bool  // throw away what was there
	ExpiryS int64 // how long it outlives the connection: 0 not at all, ExpiryNever for ever
}

// InboxSub is the SubID of a connection's inbox.
const InboxSub SubID = 1<<64 - 1

// Will is published when a connection ends without OpDisconnect. Who connects must be allowed to write there.
type Will struct {
	Message *Message
	DelayS  int64
	LifeS   int64 // how long the message lives from when it is published; 0 for ever
}

// Filter is one of an inbox's filters.
type Filter struct {
	Pattern  Destination // Topic with wildcards; Queue consumes from a shared queue while connected
	MaxQoS   uint8
	ID       uint32 // subscription identifier; 0 none
	NoLocal  bool
	AsRetain bool // keep the retain flag as published
	// Retained says when retained messages are sent: RetainedAlways, RetainedIfNew, RetainedNever.
	Retained RetainedMode
}

// RetainedMode says when a filter is sent the retained messages that it matches.
type RetainedMode uint8

const (
	RetainedAlways RetainedMode = iota
	RetainedIfNew
	RetainedNever
)

// SubscribeRequest attaches a consumer to a queue, or to a topic (non-durable, or a durable subscription).
// Credit starts at zero: OpCredit follows once the session has told its peer.
type SubscribeRequest struct {
	// Source is a queue, or a topic with wildcards. The zero Destination, with Durable, is whatever the durable
	// subscription (client id, Name) was made for: the completion's Dest says it, or Err is ErrNotFound. JMS clients
	// ask so before they delete one.
	Source   Destination
	Durable  bool // topic: kept under (client id, Name)
	Name     string
	Browse   bool // copies: nothing is consumed, and a Drained delivery marks the end
	NoLocal  bool
	Selector string // not yet: refused with ErrNotImplemented unless empty
	Retained bool   // send retained messages that match
	Auto     bool   // deliveries are accepted as they are handed over
}

// Outcome is what became of a delivery.
type Outcome uint8

const (
	Accepted   Outcome = iota + 1
	Released           // back in its place, attempts as they were
	Rejected           // to the dead letters
	Failed             // back in its place, one attempt more; dead letters when there were too many
	FailedHere         // AMQP modified{undeliverable-here}: Failed, and not to this subscription again
	Received           // QoS 2: the peer has it (PUBREC); it must not be sent again, the entry stays until Accepted
)

// Completion answers an Op that had a Ticket, in the order in which the ops were given.
type Completion struct {
	Ticket  Ticket
	Err     error // nil, or a *Error
	Present bool  // OpConnect: the inbox was there; OpFilter: the filter was
	Inbound []uint16
	Dest    Destination // OpDeclare, and OpConnect's assigned client id in Dest.Name when it asked for none but has an inbox
	QoS     uint8       // OpFilter: granted
	Matched bool        // OpPublish: somebody's queue, inbox or subscription took it
}

// Delivery is one message handed to one subscription. It is a value; Message is shared.
type Delivery struct {
	Sub      SubID
	Tag      Tag
	Message  *Message
	Seq      uint64   // place in its source: an inbox's counts up by one from 1, and MQTT packet ids derive from it
	Attempts uint32   // failed deliveries before this one
	Returned bool     // it was sent to somebody before, or may have been before a crash
	Received bool     // QoS 2: the peer has it already: send PUBREL, not PUBLISH
	Retained bool     // sent because the topic held it when the filter came
	QoS      uint8    // inbox: the highest granted by the filters that match, not above the message's own
	IDs      []uint32 // inbox: subscription identifiers of those filters
	AsRetain bool     // inbox: a filter that matches wants the retain flag as it was published
	Drained  bool     // no message: the credit that OpCredit asked to drain is used up or dropped
	Used     uint64   // Drained: deliveries since the subscription began; the dropped credit counts as used

	auto bool   // it is settled when Poll hands it over
	note *grant // its entry's
}

// DeadReason says why a dead letter is one; "" for other deliveries.
func (d *Delivery) DeadReason() string {
	reason, _ := d.note.why()
	return reason
}

// Origin says where a dead letter died: a queue, or the topic of a durable subscription, with its wildcards. It is zero
// for other deliveries, and where the name was too long to be kept.
func (d *Delivery) Origin() Destination {
	_, origin := d.note.why()
	return origin
}

package core

// Options are what a Broker is opened with.
type Options struct {
	Store    Store
	NowMs    int64         // the time, ms since epoch; Tick and Do bring it up to date
	Formats  []Format      // who can read what; FormatContent is always there
	Auth     Authenticator // nil: AllowAll
	Access   Authorizer    // nil: AllowAll
	Policies []Policy      // the first whose Pattern matches wins
	Limits   Limits
	Events   func(Event) // nil: nobody listens. Called without locks, never twice at once, and must be quick
	// Pagers is the number of goroutines that read back what is not in memory: 0 is 2. Below 0 there is none and Tick
	// does that work, so that a simulation has one goroutine.
	Pagers int
}

// Limits bound what a broker holds. Zero fields take the default.
type Limits struct {
	MemoryBytes      int64  // memoryUsage: bodies and entries in memory; default 1 GiB
	UncommittedBytes uint64 // above it clients are Throttled; default 64 MiB
	WindowMessages   int    // of one queue that are kept in memory, ready; default 4096
	WindowBytes      int64  // the same in bytes; default 8 MiB
	InFlight         int    // unsettled deliveries of one subscription; default 100,000
	TxBytes          int64  // of one open transaction; default 64 MiB
	TxOps            int    // publishes and settles of one open transaction; default 100,000
	Delayed          int    // messages that wait for their time, in one queue; default 100,000
	Queues           int    // named and temporary ones; default 1,000,000
	NameBytes        int64  // what the names of queues, subscriptions and sessions take in memory; default a quarter of MemoryBytes, at least 64 MiB
	// DuplicateIDs is how many _AMQ_DUPL_IDs are remembered of all producers together, of logged messages and once more
	// of others; above it the oldest go. About 100 bytes each; default one for 4 KiB of MemoryBytes, at least 20,000.
	DuplicateIDs int
}

// Policy is what holds for the destinations that match its pattern. Zero fields take the default.
type Policy struct {
	Pattern    Destination // Queue or Topic, with wildcards
	DeadLetter Destination // default queue://ActiveMQ.DLQ
	// MaxRedeliveries is how often a failed delivery is tried again before it is a dead letter; default 6, below 0 for ever.
	MaxRedeliveries int
	// PendingLimit is how many messages wait for a subscription of a topic that lasts as long as its connection, before
	// the oldest is dropped; default 1000, below 0 without bound.
	PendingLimit int
	// InboxLimit is the same for an MQTT inbox whose messages have QoS 1 or 2; default 100,000.
	InboxLimit int
	// DurableLimit and DurableLimitBytes bound what is stored for one durable subscription or lasting inbox; what is
	// oldest goes, counted. Default: no number, and a tenth of storeUsage in bytes.
	DurableLimit      int64
	DurableLimitBytes int64
}

// EventKind says what an Event tells.
type EventKind string

// The events there are.
const (
	EventConnected    EventKind = "client connected"
	EventDisconnected EventKind = "client disconnected"
	EventTakenOver    EventKind = "client id taken over"
	EventRefused      EventKind = "client refused"
	EventDeadLetter   EventKind = "dead letter"
	EventDropped      EventKind = "messages dropped"
	EventStoreFull    EventKind = "store full"
	EventFault        EventKind = "fault"
	EventLeftOut      EventKind = "events left out" // Count of them: too many came at once
)

// Event is one thing that an operator may want to read in the log.
type Event struct {
	Kind    EventKind
	AtMs    int64
	Subject string // "queue://orders", "client \"pump-7\""
	Detail  string
	Count   uint64 // EventDropped, EventDeadLetter: how many since the last
}

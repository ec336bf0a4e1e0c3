package core

// Snapshots for the operator: the admin API, the CLI and the metrics read these. Counters start at zero on each new
// master, as ActiveMQ's do.

// Stats is the broker as a whole.
type Stats struct {
	Queues           int    `json:"queues"`
	Topics           int    `json:"topics"`
	Subscriptions    int    `json:"subscriptions"` // durable ones
	Inboxes          int    `json:"inboxes"`
	Clients          int    `json:"clients"`
	MemoryBytes      int64  `json:"memoryBytes"`
	MemoryLimitBytes int64  `json:"memoryLimitBytes"`
	NameBytes        int64  `json:"nameBytes"` // of memory, for the names of queues, subscriptions and sessions
	NameLimitBytes   int64  `json:"nameLimitBytes"`
	StoreBytes       uint64 `json:"storeBytes"`
	StoreLimitBytes  uint64 `json:"storeLimitBytes"`
	StoreFull        bool   `json:"storeFull"`
	UncommittedBytes uint64 `json:"uncommittedBytes"`
	Retained         uint64 `json:"retained"` // set or changed since the start

	Protocols    map[string]Traffic `json:"protocols"`
	DeadLettered map[string]uint64  `json:"deadLettered"` // by reason
	Dropped      map[string]uint64  `json:"dropped"`      // by reason
	Expired      uint64             `json:"expired"`
	Throttles    uint64             `json:"throttles"` // times that a client was told not to be read

	Duplicates   uint64 `json:"duplicates"`   // messages whose _AMQ_DUPL_ID had come before: confirmed, not stored again
	DuplicateIDs int    `json:"duplicateIds"` // ids that are remembered
}

// Traffic is what went over one protocol, or one connection.
type Traffic struct {
	Clients      int    `json:"clients,omitempty"`
	Received     uint64 `json:"received"`     // messages published
	Delivered    uint64 `json:"delivered"`    // deliveries handed over
	Acknowledged uint64 `json:"acknowledged"` // deliveries settled
}

// QueueInfo is a queue, or what stands behind a subscription.
type QueueInfo struct {
	Name      string            `json:"name"`
	Kind      string            `json:"kind"` // "queue", "temp-queue"
	ID        uint64            `json:"id,omitempty"`
	Depth     uint64            `json:"depth"` // what waits and what is in flight
	Bytes     uint64            `json:"bytes"` // of stored messages
	InFlight  uint64            `json:"inFlight"`
	InMemory  uint64            `json:"inMemory"` // messages of the window
	Consumers int               `json:"consumers"`
	Enqueued  uint64            `json:"enqueued"`
	Dequeued  uint64            `json:"dequeued"`
	Expired   uint64            `json:"expired"`
	Dropped   map[string]uint64 `json:"dropped,omitempty"` // by reason
	Dead      uint64            `json:"deadLettered"`
	Paused    bool              `json:"paused"`
	OldestMs  int64             `json:"oldestMs"` // age of the oldest message; 0 when there is none
}

// TopicInfo is a topic that was used since the start, or that somebody subscribes to.
type TopicInfo struct {
	Name          string `json:"name"`
	Subscriptions int    `json:"subscriptions"` // whose patterns match it
	Enqueued      uint64 `json:"enqueued"`      // published to it
	Dequeued      uint64 `json:"dequeued"`      // copies handed to subscriptions
}

// SubscriptionInfo is a durable subscription, an inbox, or a live subscription of a topic.
type SubscriptionInfo struct {
	ClientID string   `json:"clientId"`
	Name     string   `json:"name"`
	Kind     string   `json:"kind"` // "durable", "inbox", "live"
	Topics   []string `json:"topics"`
	Active   bool     `json:"active"`
	// ExpiresMs is when an inbox without its client ends; 0 never.
	ExpiresMs int64     `json:"expiresMs,omitempty"`
	Queue     QueueInfo `json:"queue"`
}

// ClientInfo is a connection.
type ClientInfo struct {
	Key           uint64  `json:"key"` // names it for Kick
	ClientID      string  `json:"clientId"`
	Protocol      string  `json:"protocol"`
	Remote        string  `json:"remote"`
	User          string  `json:"user"`
	SinceMs       int64   `json:"sinceMs"`
	Subscriptions int     `json:"subscriptions"`
	InFlight      uint64  `json:"inFlight"`
	Transactions  int     `json:"transactions"`
	Throttled     bool    `json:"throttled"`
	Traffic       Traffic `json:"traffic"`
}

// BrowsedMessage is one message as Browse shows it.
type BrowsedMessage struct {
	Cursor   string      `json:"cursor"`
	Message  *Message    `json:"-"`
	Priority uint8       `json:"priority"`
	Attempts uint32      `json:"attempts"`
	Durable  bool        `json:"durable"`
	InFlight bool        `json:"inFlight"`
	Reason   string      `json:"reason,omitempty"` // why it is a dead letter
	Origin   Destination `json:"-"`                // where it died; zero is not known
}

// BrowsePage is some of a queue's messages, and where the next page begins: "" when there is none.
type BrowsePage struct {
	Messages []BrowsedMessage `json:"messages"`
	Next     string           `json:"next"`
}

package ha

import (
	"time"

	"github.com/havenmq/havenmq/persist"
)

// Options are what a node knows of its cluster: its own configuration, nothing of the others.
type Options struct {
	Replicas int
	Addr     string // advertised for replication: hostname and port
	Admin    string // its admin URL
	Weight   int
	Sync     persist.Sync
	// Settings are those of the configuration that should be the same on all nodes, as words key=value; at most MaxSettings bytes.
	Settings string
	// ArbiterAddr and ArbiterPath say where the arbiter and its rows are looked for: lines for operators name them. "" they do not.
	ArbiterAddr, ArbiterPath string
	// RetentionBytes bounds how much of the log is held for a replica that does not keep up, beside what it lacked when it attached. 0: no bound.
	RetentionBytes persist.Pos
	Incarnation    uint64 // random, of this process
	NewID          func() persist.ID
	NewNonce       func() uint64
	Timing         Timing
	// Weaken names rules that a simulation leaves out, to see that it notices. Empty in a product.
	Weaken map[string]bool
}

// DefaultRetentionBytes is for RetentionBytes where nobody says anything else.
const DefaultRetentionBytes = 4 << 30

// MaxSettings bounds Options.Settings: they stand in each member's row.
const MaxSettings = 1024

// Timing is all that is waited for. None of it carries safety.
type Timing struct {
	Heartbeat      time.Duration // between two of one end
	LinkTimeout    time.Duration // a link without a heartbeat, or whose other end does not hear ours, is lost
	Lease          time.Duration // without a quorum's heartbeats a master pauses
	QuorumLost     time.Duration // and steps down
	ReconnectGrace time.Duration // a replica dials a lost master so long before it suspects it
	ElectionWait   time.Duration // a candidate that is not the best waits so long for the best
	SlowReplica    time.Duration // silent with data outstanding: dropped, it resumes
}

// DefaultTiming is for a network within one site.
func DefaultTiming() Timing {
	return Timing{
		Heartbeat: 100 * time.Millisecond, LinkTimeout: time.Second, Lease: 750 * time.Millisecond, QuorumLost: 2 * time.Second,
		ReconnectGrace: 300 * time.Millisecond, ElectionWait: time.Second, SlowReplica: 10 * time.Second,
	}
}

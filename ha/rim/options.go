package rim

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// Options of a node. Store, Node, Elector and Bind are needed.
type Options struct {
	// Store says how the store is opened. The rim sets Tolerant, Progress, Written and Fatal itself.
	Store   persist.Options
	Node    ha.Options // with NewID, NewNonce and Timing
	Elector ha.Elector // the rim closes it in the end
	Roles   Roles
	Bind    string // host and port where replicas are accepted while this node is master

	Token       string        // securityToken
	TLS         *tls.Config   // for replication; nil none
	DialTimeout time.Duration // for one attempt to reach a master; DefaultDialTimeout by default
	AskTimeout  time.Duration // for one answer of the elector; DefaultAskTimeout by default
	WindowBytes int64         // a stream runs so far ahead of what a replica acknowledged; DefaultWindow by default
	ChunkBytes  int           // of the log, in one frame, unless one batch is larger; DefaultChunk by default
	BehindBytes int64         // a stream that lacks more than this of what is committed is held to BehindRate; DefaultBehind by default
	BehindRate  int64         // bytes a second of such a stream, while clients append; DefaultBehindRate by default
	BehindChunk int           // its ChunkBytes; DefaultBehindChunk by default

	// Tell takes lines for the operator, one at a time, from a goroutine of its own. It may block: lines are dropped then.
	Tell func(level ha.Level, text string)

	machine func(ha.Options, ha.Boot) machine // ha.NewNode by default; a test's own
}

// Defaults.
const (
	DefaultDialTimeout = 2 * time.Second
	DefaultAskTimeout  = 3 * time.Second
	DefaultWindow      = 64 << 20
	DefaultChunk       = 1 << 20
	DefaultBehind      = 4 << 20
	DefaultBehindRate  = 64 << 20
	DefaultBehindChunk = 256 << 10
)

// Roles is what the node does when its role changes. Calls come in order, from one goroutine.
type Roles interface {
	// Serve opens broker and client transports on the store, which takes appends of this epoch. It returns when clients
	// can connect. An error means that this node cannot serve: it steps down.
	Serve(store *persist.Store, epoch uint64) error
	// Pause stops dispatch to consumers and reading from producers, as long as on. It comes between Serve and StopServing alone.
	Pause(on bool)
	// StopServing closes the transports with each protocol's goodbye, which may name the next master (nil if unknown), and
	// drops the broker. It returns when nothing appends any more: the store is closed then. It comes only after Serve.
	StopServing(reason string, next *ha.Announcement)
}

func (o *Options) fill() error {
	switch {
	case o.Elector == nil:
		return errors.New("starting a node: no elector")
	case o.Roles == nil:
		return errors.New("starting a node: no roles")
	case o.Bind == "":
		return errors.New("starting a node: no address to bind for replication")
	}
	if o.DialTimeout <= 0 {
		o.DialTimeout = DefaultDialTimeout
	}
	if o.AskTimeout <= 0 {
		o.AskTimeout = DefaultAskTimeout
	}
	if o.WindowBytes <= 0 {
		o.WindowBytes = DefaultWindow
	}
	if o.ChunkBytes <= 0 {
		o.ChunkBytes = DefaultChunk
	}
	o.fillBehind()
	if o.machine == nil {
		o.machine = func(n ha.Options, b ha.Boot) machine { return ha.NewNode(n, b) }
	}
	if o.Tell == nil {
		o.Tell = func(ha.Level, string) {}
	}
	return nil
}

func (o *Options) fillBehind() {
	if o.BehindBytes <= 0 {
		o.BehindBytes = DefaultBehind
	}
	if o.BehindRate <= 0 {
		o.BehindRate = DefaultBehindRate
	}
	if o.BehindChunk <= 0 {
		o.BehindChunk = DefaultBehindChunk
	}
}

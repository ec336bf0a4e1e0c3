package peer

import (
	"time"

	"github.com/havenmq/havenmq/core"
)

// Client is a connection's door to the broker; *core.Client is one. The rim calls it under the connection's lock, but
// for Throttled.
type Client interface {
	Do(ops []core.Op, nowMs int64)
	Poll(e *core.Events, maxDeliveries int) (more bool)
	Throttled() bool
	Close(nowMs int64)
}

// Options are what all connections of a listener share.
type Options struct {
	Limits Limits
	// Allowance is shared by all listeners; nil: messages under way are bounded by each connection's own limit alone.
	Allowance *Allowance
	Unread    *Allowance // the same of large messages that wait for slow readers

	Attach func(s core.Sink, remote string) Client // core.Broker.Attach
	Report func(Report)                            // nil: nobody listens; any goroutine calls it, without locks
}

// ReportKind says what a Report tells.
type ReportKind string

// The reports there are.
const (
	ReportEnded   ReportKind = "connection ended"
	ReportRefused ReportKind = "connection refused"
	ReportFault   ReportKind = "fault in a session"
	ReportAccept  ReportKind = "accept failed"
)

// Report is one thing that happened at the rim. Each connection ends with one ReportEnded or ReportRefused.
type Report struct {
	Kind     ReportKind
	Protocol string
	Remote   string // "" for ReportAccept
	Err      error  // why; ErrGoodbye, io.EOF or a reset is the peer's own wish
	Stack    []byte // ReportFault: where
}

// Defaults of Limits.
const (
	defaultMaxConnections = 1000
	defaultMaxFrameBytes  = 100 << 20
	defaultHandshake      = 10 * time.Second
	defaultMaxOutBytes    = 256 << 10
)

const (
	closeTimeout    = 5 * time.Second // for the last bytes to a peer that does not read them
	lingerTimeout   = time.Second     // for the peer to read them and close
	lingerBytes     = 1 << 20         // that are thrown away meanwhile
	stallTimeout    = time.Minute     // for a peer that holds an allowance to send or read something
	stallBytes      = 1 << 20         // of a large message, that a peer is to read in that time
	refusalTimeout  = time.Second     // for the first frame of a connection that is refused
	maxRefusing     = 32              // connections that are told so at a time; the rest is closed at once
	deliveriesTaken = 64              // of one Poll
	maxIdleOps      = 256             // what Out keeps room for between two turns
	maxIdleTags     = 4096
)

func (l Limits) withDefaults() Limits {
	if l.MaxConnections <= 0 {
		l.MaxConnections = defaultMaxConnections
	}
	if l.MaxFrameBytes <= 0 {
		l.MaxFrameBytes = defaultMaxFrameBytes
	}
	if l.HandshakeTimeout <= 0 {
		l.HandshakeTimeout = defaultHandshake
	}
	if l.MaxOutBufferBytes <= 0 {
		l.MaxOutBufferBytes = defaultMaxOutBytes
	}
	return l
}

func (o *Options) report(r Report) {
	if o.Report != nil {
		o.Report(r)
	}
}

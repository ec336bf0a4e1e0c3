package amqp

import (
	"time"

	"github.com/havenmq/havenmq/protocols/peer"
)

// Options are what a node decides for all its AMQP connections. Zero fields take the defaults.
type Options struct {
	ContainerID     string        // our container-id: the broker's name; default "havenmq"
	Version         string        // told in open's properties
	IdleTimeout     time.Duration // half of the silence after which we give a peer up; default 30 s, negative none
	MaxFrameBytes   int           // our max-frame-size; default 128 KiB, at most the connector's limit
	MaxMessageBytes int           // default: the connector's limit (wireFormat.maxFrameSize)
	Credit          int           // deliveries that a producer may have on their way; default 1000
}

const (
	defaultIdleTimeout   = 30 * time.Second
	defaultHandshake     = 10 * time.Second
	defaultFrameBytes    = 128 << 10
	defaultMessageBytes  = 100 << 20
	defaultCredit        = 1000
	defaultContainerID   = "havenmq"
	productName          = "HavenMQ"
	minPeerIdle          = 100 * time.Millisecond
	maxChannels          = 1024
	maxLinks             = 16384 // on one connection
	maxHandle            = 16383
	maxNameBytes         = 4096 // of a link's name or an address
	maxHeldFrames        = 4096 // that wait for the broker's answer to open
	incomingWindow       = 8192 // transfer frames that a session takes before it says that it takes more
	outgoingWindow       = 1<<31 - 1
	maxAhead             = 2048 // deliveries that a link asks of the core before it has sent them
	maxUnsettled         = 1 << 18
	maxOutFrame          = 128 << 10 // of transfers that go out, however much the peer would take: one must not fill its buffer
	callBytes            = 256 << 10 // of messages, that one call puts out before it waits for the rim to have room
	maxTransactions      = 128       // open on one connection
	withholdTime         = time.Second
	errantTransfersLimit = 2 * incomingWindow
)

// New makes the AMQP 1.0 protocol for one connector.
func New(o Options) peer.Protocol[Frame] {
	if o.ContainerID == "" {
		o.ContainerID = defaultContainerID
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = defaultIdleTimeout
	}
	if o.MaxFrameBytes == 0 {
		o.MaxFrameBytes = defaultFrameBytes
	}
	if o.Credit <= 0 {
		o.Credit = defaultCredit
	}
	return protocol{o}
}

type protocol struct{ options Options }

func (protocol) Name() string { return "amqp" }

// New makes one connection's codec and machine.
func (p protocol) New(l peer.Limits, remote string, now time.Time) (peer.Codec[Frame], peer.Machine[Frame]) {
	o := p.options
	if l.MaxFrameBytes <= 0 {
		l.MaxFrameBytes = defaultMessageBytes
	}
	if o.MaxMessageBytes == 0 {
		o.MaxMessageBytes = l.MaxFrameBytes
	}
	if l.HandshakeTimeout <= 0 {
		l.HandshakeTimeout = defaultHandshake
	}
	shared := &limits{ownFrame: uint32(max(min(o.MaxFrameBytes, l.MaxFrameBytes), minMaxFrame)), peerFrame: minMaxFrame}
	c := &connection{options: o, limits: shared, handshake: l.HandshakeTimeout, began: now, lastIn: now, lastOut: now}
	return &codec{limits: shared}, c
}

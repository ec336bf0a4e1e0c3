package mqtt

import (
	"time"

	"github.com/havenmq/havenmq/protocols/peer"
)

// Options are what a node decides for all its MQTT connections. Zero fields take the defaults.
type Options struct {
	ReceiveMaximum    int           // QoS 1 and 2 messages that an MQTT 5 client may have on their way to us; default 4096
	InFlight          int           // deliveries that a client may have unacknowledged, if it does not ask for fewer; default 4096, at most 32767
	TopicAliasMaximum int           // topic aliases that a client may use; default 16
	ServerKeepAlive   time.Duration // the longest keep-alive that an MQTT 5 client may choose; default any, none included
}

const (
	defaultReceiveMaximum = 4096
	defaultInFlight       = 4096
	defaultAliases        = 16
	defaultPacketBytes    = 100 << 20
	largestPacketBytes    = 1 + maxVarintBytes + 1<<28 - 1 // that MQTT can express
	maxTopics             = 1024                           // names that a connection remembers each way
	maxTopicBytes         = 512                            // of a name that is worth remembering
	maxFilters            = 10_000                         // of one packet
	maxAsked              = 2 * maxFilters                 // of packets that wait for the core's answer
	maxHeld               = 4096                           // packets that wait for the broker's answer to CONNECT
)

// New makes the MQTT protocol for one connector.
func New(o Options) peer.Protocol[Packet] {
	if o.ReceiveMaximum <= 0 {
		o.ReceiveMaximum = defaultReceiveMaximum
	}
	if o.InFlight <= 0 {
		o.InFlight = defaultInFlight
	}
	if o.TopicAliasMaximum == 0 {
		o.TopicAliasMaximum = defaultAliases
	}
	o.ReceiveMaximum = min(o.ReceiveMaximum, 65535)
	o.InFlight = min(o.InFlight, inboxIDs)
	o.TopicAliasMaximum = min(max(o.TopicAliasMaximum, 0), 65535)
	return protocol{o}
}

type protocol struct{ options Options }

func (protocol) Name() string { return "mqtt" }

// New makes one connection's codec and machine.
func (p protocol) New(l peer.Limits, remote string, now time.Time) (peer.Codec[Packet], peer.Machine[Packet]) {
	if l.MaxFrameBytes <= 0 {
		l.MaxFrameBytes = defaultPacketBytes
	}
	w := &wire{ownBytes: min(l.MaxFrameBytes, largestPacketBytes)}
	return &codec{wire: w}, &session{options: p.options, wire: w, lastIn: now}
}

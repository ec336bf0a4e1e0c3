package stomp

import (
	"strconv"
	"strings"
	"time"

	"github.com/havenmq/havenmq/protocols/peer"
)

// Options are what a node decides for all its STOMP connections. Zero fields take the defaults.
type Options struct {
	Version  string // told in CONNECTED's server header
	Prefetch int    // deliveries that a subscription may have on their way or unacknowledged; default 1000
}

const (
	defaultPrefetch     = 1000
	maxPrefetch         = 100_000
	defaultFrameBytes   = 100 << 20
	maxSubscriptions    = 10_000
	maxTransactions     = 128
	maxPending          = 1 << 20 // frames that wait for the core's answer
	minHeartBeat        = 500 * time.Millisecond
	maxHeartBeat        = 24 * time.Hour
	maxKnownTargets     = 1024 // destinations whose spelling a connection remembers
	maxKnownNameBytes   = 512  // of one that is worth remembering
	maxNameBytes        = 65535
	productName         = "HavenMQ"
	tempPrefix          = "stomp-" // of the core's names of temporary destinations
	ackSubscriptionBits = 20       // of an ack's number, that say which subscription it is
)

// New makes the STOMP protocol for one connector.
func New(o Options) peer.Protocol[Frame] {
	if o.Prefetch <= 0 {
		o.Prefetch = defaultPrefetch
	}
	o.Prefetch = min(o.Prefetch, maxPrefetch)
	return protocol{o}
}

type protocol struct{ options Options }

func (protocol) Name() string { return "stomp" }

// New makes one connection's codec and machine. What it calls temporary destinations begins with who the peer is and
// since when, so that no two connections' names meet.
func (p protocol) New(l peer.Limits, remote string, now time.Time) (peer.Codec[Frame], peer.Machine[Frame]) {
	if l.MaxFrameBytes <= 0 {
		l.MaxFrameBytes = defaultFrameBytes
	}
	since := strconv.FormatInt(now.UnixNano(), 36)
	d := &dialect{temp: tempPrefix + strings.NewReplacer(".", "-", ":", "-", "[", "", "]", "").Replace(remote) + "-" + since + "-",
		ids: "ID-" + since + "-" + strconv.FormatUint(uint64(hash(remote)), 36) + "-"}
	c := &codec{dialect: d, limit: l.MaxFrameBytes}
	return c, &session{options: p.options, dialect: d, lastIn: now, lastOut: now, subs: map[string]*subscription{}}
}

// hash is FNV-1a: what tells apart the message-ids of two connections that were made in the same nanosecond.
func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

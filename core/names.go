package core

import (
	"fmt"
	"strings"
)

// Names cost memory as messages do, and clients choose them: up to 64 KiB each, of as many levels. What queues, subscriptions,
// sessions and the tries of their patterns take is counted, roughly, and bounded (Limits.NameBytes); what is remembered
// for speed or for the operator has bounds of its own.

const (
	claimBytes = 256 // a claim and what stands beside it
	nodeBytes  = 160 // a level of a trie, beside its text
	queueBytes = 512 // a queue and its places in the maps

	maxRouteBytes  = 1 << 20  // names that a connection remembers where it sent messages
	maxTopicBytes  = 64 << 20 // names of topics that are counted apart
	maxRetainBytes = 4 << 20  // names of topics whose retained messages were changed lately
)

// claimCost is what a pattern costs beside the levels of its trie.
func claimCost(pattern string) int64 { return claimBytes + 2*int64(len(pattern)) }

// queueCost is what a queue costs that goes by a name.
func queueCost(name string) int64 { return queueBytes + 2*int64(len(name)) }

// patternCost is the most that a pattern can cost: none of its levels is there yet.
func patternCost(pattern string) int64 {
	return claimCost(pattern) + int64(len(pattern)) + nodeBytes*int64(1+strings.Count(pattern, "."))
}

// nameBytes is what all names cost now. b.mu is locked.
func (b *Broker) nameBytes() int64 { return b.router.bytes + b.temps.bytes + b.queueNames }

// roomFor says whether names may cost so much more. b.mu is locked.
func (b *Broker) roomFor(d Destination, more int64) error {
	if now := b.nameBytes(); now+more > b.limits.NameBytes {
		return &Error{CodeFull, d.short(), fmt.Sprintf("the names of all queues, subscriptions and sessions take %d bytes of %d: delete some, shorten them, or raise memoryUsage",
			now, b.limits.NameBytes)}
	}
	return nil
}

// roomForQueue says whether there may be one more queue of that name. b.mu is locked.
func (b *Broker) roomForQueue(d Destination) error {
	if len(b.queues) >= b.limits.Queues {
		return &Error{CodeFull, d.short(), fmt.Sprintf("there are %d queues, and more are not allowed: delete some", len(b.queues))}
	}
	return b.roomFor(d, queueCost(d.Name))
}

// short names a destination whose name may be long.
func (d Destination) short() string {
	const most = 200
	if s := d.String(); len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return d.String()
}

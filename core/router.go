package core

import (
	"slices"
	"strings"
)

// claim is one pattern's wish for a copy of what is published to a topic: a live or durable subscription's, or one of an
// inbox's filters. It never changes.
type claim struct {
	q        *queue
	filter   *Filter // inbox; nil otherwise
	noLocal  bool
	clientID string // whose messages noLocal leaves out
}

// router is a trie of topic patterns, for every protocol's wildcards alike: they are '*' and '>' by the time they come
// here. Broker.mu guards it.
//
//	A.*   A.>   A.B        root ─ A ─┬ *      [claims]
//	                                 ├ (rest) [claims]
//	                                 └ B      [claims]
type router struct {
	root  node
	n     int
	bytes int64 // what patterns and levels cost
}

type node struct {
	children map[string]*node
	star     *node
	rest     []*claim // of patterns that end here with '>'
	claims   []*claim // of patterns that end here
}

// add puts c under pattern.
func (r *router) add(pattern string, c *claim) {
	at, last := r.root.reach(pattern, &r.bytes)
	r.bytes += claimCost(pattern)
	if last {
		at.rest = append(at.rest, c)
	} else {
		at.claims = append(at.claims, c)
	}
	r.n++
}

// reach walks to the pattern's node, making it, and adds to bytes what that costs; rest says that the pattern ends there
// with '>'.
func (n *node) reach(pattern string, bytes *int64) (at *node, rest bool) {
	for more := true; more; {
		var level string
		level, pattern, more = strings.Cut(pattern, ".")
		if level == ">" && !more {
			return n, true
		}
		n = n.child(level, bytes)
	}
	return n, false
}

func (n *node) child(level string, bytes *int64) *node {
	if level == "*" {
		if n.star == nil {
			n.star = &node{}
			*bytes += nodeBytes
		}
		return n.star
	}
	next := n.children[level]
	if next == nil {
		if n.children == nil {
			n.children = map[string]*node{}
		}
		next = &node{}
		*bytes += nodeBytes + int64(len(level))
		n.children[strings.Clone(level)] = next
	}
	return next
}

// remove takes c away from pattern, and the nodes that are of no more use.
func (r *router) remove(pattern string, c *claim) {
	if r.root.remove(pattern, true, c, &r.bytes) {
		r.n--
		r.bytes -= claimCost(pattern)
	}
}

func (n *node) remove(pattern string, more bool, c *claim, bytes *int64) (found bool) {
	if !more {
		return drop(&n.claims, c)
	}
	level, pattern, more := strings.Cut(pattern, ".")
	if level == ">" && !more {
		return drop(&n.rest, c)
	}
	if level == "*" {
		if n.star == nil {
			return false
		}
		found = n.star.remove(pattern, more, c, bytes)
		if n.star.empty() {
			n.star = nil
			*bytes -= nodeBytes
		}
		return found
	}
	next := n.children[level]
	if next == nil {
		return false
	}
	found = next.remove(pattern, more, c, bytes)
	if next.empty() {
		delete(n.children, level)
		*bytes -= nodeBytes + int64(len(level))
	}
	return found
}

func (n *node) empty() bool {
	return len(n.children) == 0 && n.star == nil && len(n.rest) == 0 && len(n.claims) == 0
}

func drop(list *[]*claim, c *claim) bool {
	i := slices.Index(*list, c)
	if i < 0 {
		return false
	}
	*list = slices.Delete(*list, i, i+1)
	return true
}

// match appends to dst the claims of all patterns that take in the topic's name.
func (r *router) match(name string, dst []*claim) []*claim {
	if r.n == 0 {
		return dst
	}
	// "nor does a wildcard match a first level that begins with '$'": [MQTT-4.7.2-1], and our contract for all.
	return r.root.match(name, true, strings.HasPrefix(name, "$"), dst)
}

func (n *node) match(name string, more, system bool, dst []*claim) []*claim {
	if !system {
		dst = append(dst, n.rest...)
	}
	if !more {
		return append(dst, n.claims...)
	}
	level, name, more := strings.Cut(name, ".")
	if next := n.children[level]; next != nil {
		dst = next.match(name, more, false, dst)
	}
	if n.star != nil && !system {
		dst = n.star.match(name, more, false, dst)
	}
	return dst
}

// target is one queue of a route.
type target struct {
	q     *queue
	grant *grant // inbox; nil otherwise
}

// route is where messages to one destination go, for one publisher. It is never changed; it is stale once the broker's
// version has moved on.
type route struct {
	version   uint64
	to        Destination
	publisher string
	targets   []target // by rank, each queue once
	topic     *topicCount
	err       error // it may not be published there
}

// targets makes one target a queue out of claims, leaving out what no-local forbids the publisher.
func targets(claims []*claim, publisher string) []target {
	claims = slices.DeleteFunc(claims, func(c *claim) bool {
		return c.noLocal && c.clientID == publisher && publisher != ""
	})
	slices.SortFunc(claims, func(a, b *claim) int { return compare(a.q.rank, b.q.rank) })
	list := make([]target, 0, len(claims))
	for i := 0; i < len(claims); {
		j := i + 1
		for j < len(claims) && claims[j].q == claims[i].q {
			j++
		}
		list = append(list, target{claims[i].q, grantOf(claims[i:j])})
		i = j
	}
	return list
}

// grantOf joins what an inbox's filters that match grant: one delivery, at the highest QoS, with all identifiers.
// [MQTT-3.3.4-2], [MQTT-3.3.4-3]
func grantOf(claims []*claim) *grant {
	if claims[0].filter == nil {
		return nil
	}
	var qos uint8
	var asRetain bool
	var ids []uint32
	for _, c := range claims {
		qos = max(qos, c.filter.MaxQoS)
		asRetain = asRetain || c.filter.AsRetain
		if c.filter.ID != 0 {
			ids = append(ids, c.filter.ID)
		}
	}
	slices.Sort(ids)
	return makeGrant(qos, asRetain, false, ids)
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

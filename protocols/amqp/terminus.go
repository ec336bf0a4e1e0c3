package amqp

import (
	"slices"

	"github.com/havenmq/havenmq/core"
)

// Capabilities of a source or target that say what kind of node is meant (the AMQP JMS mapping's names).
const (
	capQueue     symbol = "queue"
	capTopic     symbol = "topic"
	capTempQueue symbol = "temporary-queue"
	capTempTopic symbol = "temporary-topic"
	capShared    symbol = "shared"
)

// Filters of a source that we know (the registered ones; 3.5.8 has the principle).
const (
	filterNoLocal      symbol = "apache.org:no-local-filter:list"
	filterNoLocalCode  uint64 = 0x0000468C00000003
	filterSelector     symbol = "apache.org:selector-filter:string"
	filterSelectorCode uint64 = 0x0000468C00000004
)

// kindOf is what the capabilities say the node is; a queue if they say nothing.
func (t *terminus) kindOf() core.Kind {
	for _, c := range t.capabilities {
		switch c {
		case capTopic:
			return core.Topic
		case capTempQueue:
			return core.TempQueue
		case capTempTopic:
			return core.TempTopic
		}
	}
	return core.Queue
}

// dynamicKind is what kind of node is to be made for a dynamic terminus (3.5.1).
func (t *terminus) dynamicKind() core.Kind {
	switch t.kindOf() {
	case core.Topic, core.TempTopic:
		return core.TempTopic
	}
	return core.TempQueue
}

// lifetimePolicy is the property by which a peer says how long a dynamic node lives (3.5.10 to 3.5.13). Without it, and
// by delete-on-close, that is as long as the link that made it.
const lifetimePolicy = "lifetime-policy"

// ephemeral says that a dynamic node ends with its link. The other policies wait for links or messages to go, which is
// more than the core knows of: their nodes end with the connection.
func (t *terminus) ephemeral() (ends bool) {
	ends = t.dynamic
	if t.nodeProperties == nil || shapes[t.nodeProperties[0]].class != wideCompound8 && shapes[t.nodeProperties[0]].class != wideCompound32 {
		return ends
	}
	properties, _ := decodeValue(t.nodeProperties).(pairs)
	for _, p := range properties {
		if name, ok := p.key.(symbol); ok && name == lifetimePolicy {
			policy, _ := p.value.(described)
			ends = ends && (policy.desc == uint64(kindDeleteClose) || policy.desc == symbol("amqp:delete-on-close:list"))
		}
	}
	return ends
}

// anonymous says that a target has no address: each message's to says where it goes.
func (t *terminus) anonymous() bool {
	s, isText := t.address.(string)
	return !t.dynamic && (t.address == nil || isText && s == "")
}

// destination is the node that an address and the capabilities name.
func (t *terminus) destination() (core.Destination, *wireError) {
	s, ok := t.address.(string)
	if !ok || s == "" {
		return core.Destination{}, newError(condInvalidField, "an address must be a string, such as queue://A.B")
	}
	if len(s) > maxNameBytes {
		return core.Destination{}, newError(condInvalidField, "an address may have %d bytes", maxNameBytes)
	}
	d, err := core.ParseDestination(s, t.kindOf())
	if err != nil {
		return d, wireErrorOf(err)
	}
	return d, nil
}

// outlives says that a consumer wants its subscription kept while it is away.
func (t *terminus) outlives() bool { return t.durable != durabilityNone || t.expiry == expiryNever }

// allOutcomes is what a consumer may answer.
var allOutcomes = []symbol{"amqp:accepted:list", "amqp:rejected:list", "amqp:released:list", "amqp:modified:list"}

// subscribe reads a source into a core request, and leaves in the source the filters that are in force.
func (t *terminus) subscribe(name string) (*core.SubscribeRequest, *wireError) {
	d, e := t.destination()
	if e != nil {
		return nil, e
	}
	if slices.Contains(t.capabilities, capShared) {
		return nil, newError(condNotImplemented, "shared subscriptions are not offered")
	}
	r := &core.SubscribeRequest{Source: d, Browse: t.distribution == distributionCopy && d.Kind != core.Topic && d.Kind != core.TempTopic}
	if d.Kind == core.Topic && t.outlives() {
		r.Durable, r.Name = true, name
	}
	t.filter = t.applyFilters(r)
	if t.distribution == "" {
		t.distribution = distributionMove
	}
	t.outcomes = allOutcomes
	return r, nil
}

// applyFilters fills the request and returns the filters that it knew. Leaving the others out of our attach tells the
// consumer that they do not work (3.5.3).
func (t *terminus) applyFilters(r *core.SubscribeRequest) (known pairs) {
	for _, f := range t.filter {
		d, ok := f.value.(described)
		if !ok {
			continue
		}
		switch d.desc {
		case filterNoLocal, filterNoLocalCode:
			r.NoLocal = true
		case filterSelector, filterSelectorCode:
			s, isText := d.value.(string)
			if !isText {
				continue
			}
			r.Selector = s
		default:
			continue
		}
		known = append(known, f)
	}
	return known
}

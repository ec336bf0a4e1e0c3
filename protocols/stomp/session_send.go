package stomp

import (
	"github.com/havenmq/havenmq/core"
)

// publish takes SEND.
func (s *session) publish(f *Frame) *wireError {
	t, e := s.txOf(f)
	if e != nil {
		return e
	}
	name := f.get("destination")
	if name == nil {
		return errDestination
	}
	to, e := s.target(name)
	if e != nil {
		return e
	}
	m, e := s.message(f, to)
	if e != nil {
		return e
	}
	s.out.Do(core.Op{Kind: core.OpPublish, Message: m, Tx: t.txID(), Ticket: s.pend(pending{receipt: receiptOf(f)})})
	return nil
}

// target is where SEND's destination leads. It remembers what names mean, so that a message to the last one costs a
// comparison.
func (s *session) target(name []byte) (core.Destination, *wireError) {
	if string(name) == s.lastName && s.lastName != "" {
		return s.lastDest, nil
	}
	d, known := s.targets[string(name)]
	if !known {
		var ok bool
		if d, ok = destinationOf(string(name)); !ok {
			return d, errPrefix
		}
		d = s.local(d)
		if s.targets == nil || len(s.targets) >= maxKnownTargets {
			s.targets = map[string]core.Destination{}
		}
		if len(name) <= maxKnownNameBytes {
			s.targets[string(name)] = d
		}
	}
	s.lastName, s.lastDest = string(name), d
	return d, nil
}

// local turns a temporary destination's name in a frame into the core's, which it has already when it came as a reply-to.
// Other names are this connection's own, and come into being on first use.
func (s *session) local(d core.Destination) core.Destination {
	if d.Kind.Temporary() && (!namedByBroker(d.Name) || s.declared(d)) {
		return s.declare(d)
	}
	return d
}

// own is the core's name of what this connection calls d.
func (s *session) own(d core.Destination) core.Destination {
	return core.Destination{Kind: d.Kind, Name: s.dialect.temp + d.Name}
}

func (s *session) declared(d core.Destination) bool {
	_, ok := s.temps[s.own(d)]
	return ok
}

// declare makes a temporary destination of this connection, unless it is there, and gives the core's name of it.
func (s *session) declare(d core.Destination) core.Destination {
	mine := s.own(d)
	if s.declared(d) {
		return mine
	}
	if s.temps == nil {
		s.temps = map[core.Destination]struct{}{}
	}
	s.temps[mine] = struct{}{}
	s.targets, s.lastName = nil, ""
	s.out.Do(core.Op{Kind: core.OpDeclare, Dest: mine, Ticket: s.pend(pending{})})
	return mine
}

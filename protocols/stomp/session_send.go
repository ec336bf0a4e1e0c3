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
		d = s.own(d)
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

// own turns the name of a temporary destination of this connection into the core's. Another connection's has the core's
// name already: it came as a reply-to.
func (s *session) own(d core.Destination) core.Destination {
	if !d.Kind.Temporary() {
		return d
	}
	mine := core.Destination{Kind: d.Kind, Name: s.dialect.temp + d.Name}
	if _, declared := s.temps[mine]; declared {
		return mine
	}
	return d
}

// declare makes a temporary destination of this connection, unless it is there.
func (s *session) declare(d core.Destination) core.Destination {
	mine := s.own(d)
	if mine != d || !d.Kind.Temporary() {
		return mine
	}
	mine.Name = s.dialect.temp + d.Name
	if s.temps == nil {
		s.temps = map[core.Destination]struct{}{}
	}
	s.temps[mine] = struct{}{}
	s.targets, s.lastName = nil, ""
	s.out.Do(core.Op{Kind: core.OpDeclare, Dest: mine, Ticket: s.pend(pending{})})
	return mine
}

package mqtt

import "github.com/havenmq/havenmq/core"

// onPuback ends a QoS 1 delivery (3.4). An id that is not in flight is of a delivery that ended: it is passed over.
func (s *session) onPuback(id uint16) {
	f := s.flightsOf(id)
	e := f.find(id)
	if e == nil || e.stage != stageSent1 {
		return
	}
	s.accepted = append(s.accepted, e.tag)
	f.remove(e)
	s.inFlight--
	s.unpark()
}

// onPubrec notes that the client has a QoS 2 delivery (3.5). PUBREL follows when the log has that: else, after a crash,
// the message could go out again under an id that the client has forgotten.
func (s *session) onPubrec(id uint16, code reasonCode) {
	f := s.flightsOf(id)
	e := f.find(id)
	switch {
	case e == nil || e.stage == stageSent1 || e.stage == stageEnded:
		s.send(Packet{kind: kindPubrel, id: id, code: codeIDNotFound})
	case code >= lowestFailure: // the client wants none of it; the id is free
		s.end(e)
	case e.stage == stageSent2:
		e.stage = stageGot
		s.got, s.gotIDs = append(s.got, e.tag), append(s.gotIDs, id)
	case e.stage == stageReleased:
		s.send(Packet{kind: kindPubrel, id: id})
	}
}

// received sends the PUBRELs of n deliveries: the log has it that the client has them.
func (s *session) received(n uint16, done *core.Completion) {
	if done.Err != nil {
		s.failWith(wireErrorOf(done.Err), done.Err)
		return
	}
	for _, id := range s.releasing.pop(int(n)) {
		e := s.flightsOf(id).find(id)
		if e != nil && e.stage == stageGot {
			e.stage = stageReleased
			s.send(Packet{kind: kindPubrel, id: id})
		}
	}
}

// onPubcomp ends a QoS 2 delivery (3.7).
func (s *session) onPubcomp(id uint16) {
	if e := s.flightsOf(id).find(id); e != nil && e.stage == stageReleased {
		s.end(e)
	}
}

// end settles a QoS 2 delivery. Its id is not free before the log has that: after a crash the PUBREL of this delivery
// would meet another one's state in the client.
func (s *session) end(e *flight) {
	s.ended, s.endedIDs = append(s.ended, e.tag), append(s.endedIDs, e.id)
	e.stage, e.tag = stageEnded, nil
	s.inFlight--
}

// endedAll frees the ids of n deliveries.
func (s *session) endedAll(n uint16) {
	for _, id := range s.ending.pop(int(n)) {
		f := s.flightsOf(id)
		if e := f.find(id); e != nil && e.stage == stageEnded {
			f.remove(e)
		}
	}
	s.unpark()
}

// settle tells the core what was acknowledged since the last time.
func (s *session) settle() {
	if len(s.accepted) > 0 {
		s.out.Do(core.Op{Kind: core.OpSettle, Sub: core.InboxSub, Outcome: core.Accepted, Tags: s.accepted})
		s.accepted, s.spare = s.spare[:0], s.accepted // the core copies the tags after we return
	}
	if n := len(s.got); n > 0 {
		s.out.Do(core.Op{Kind: core.OpSettle, Sub: core.InboxSub, Outcome: core.Received, Tags: s.got, Ticket: ticketReceived | core.Ticket(n)})
		s.releasing.push(s.gotIDs...)
		s.got, s.gotIDs = nil, s.gotIDs[:0]
	}
	if n := len(s.ended); n > 0 {
		s.out.Do(core.Op{Kind: core.OpSettle, Sub: core.InboxSub, Outcome: core.Accepted, Tags: s.ended, Ticket: ticketEnded | core.Ticket(n)})
		s.ending.push(s.endedIDs...)
		s.ended, s.endedIDs = nil, s.endedIDs[:0]
	}
}

package mqtt

import (
	"errors"
	"slices"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/havenmq/havenmq/core"
)

// request is a SUBSCRIBE or UNSUBSCRIBE whose filters the core has not all answered.
type request struct {
	kind   kind
	id     uint16
	codes  []byte
	waits  []int // which of codes wait, in order
	reason string
}

// onSubscribe adds filters to the session (3.8).
func (s *session) onSubscribe(w *packets.Packet) {
	r := request{kind: kindSuback, id: w.PacketID, codes: make([]byte, len(w.Filters))}
	for i := range w.Filters {
		f := &w.Filters[i]
		pattern, err := patternOf(f.Filter)
		if err != nil {
			s.refuseFilter(&r, i, err)
			continue
		}
		filter := &core.Filter{Pattern: pattern, MaxQoS: f.Qos, ID: uint32(f.Identifier)}
		if s.wire.version == level5 {
			filter.NoLocal, filter.AsRetain = f.NoLocal, f.RetainAsPublished
			filter.Retained = core.RetainedMode(f.RetainHandling)
		}
		s.ask(&r, i, core.Op{Kind: core.OpFilter, Filter: filter})
	}
	s.queue(r)
}

// onUnsubscribe removes filters (3.10).
func (s *session) onUnsubscribe(w *packets.Packet) {
	r := request{kind: kindUnsuback, id: w.PacketID, codes: make([]byte, len(w.Filters))}
	for i := range w.Filters {
		pattern, err := patternOf(w.Filters[i].Filter)
		if err != nil {
			s.refuseFilter(&r, i, err)
			continue
		}
		s.ask(&r, i, core.Op{Kind: core.OpUnfilter, Filter: &core.Filter{Pattern: pattern}})
	}
	s.queue(r)
}

func (s *session) ask(r *request, i int, op core.Op) {
	op.Ticket = ticketFilter
	r.waits = append(r.waits, i)
	s.out.Do(op)
}

// queue keeps a request until its filters are answered.
func (s *session) queue(r request) {
	switch {
	case len(r.waits) == 0:
		s.answer(&r)
	case s.asked+len(r.codes) > maxAsked:
		s.fail(&wireError{codeQuota, "too many topic filters wait for an answer"})
	default:
		s.asked += len(r.codes)
		s.requests = append(s.requests, r)
	}
}

// refuseFilter says no to one filter: MQTT 3.1.1 has one word for it, and UNSUBACK none.
func (s *session) refuseFilter(r *request, i int, e *wireError) {
	r.codes[i], r.reason = byte(filterCode(e)), e.text
	if s.wire.version != level5 {
		r.codes[i] = subackFailure
	}
}

// filtered takes the core's answer to the oldest filter that waits.
func (s *session) filtered(done *core.Completion) {
	if len(s.requests) == 0 {
		return
	}
	r := &s.requests[0]
	i := r.waits[0]
	r.waits = r.waits[1:]
	switch {
	case r.kind == kindUnsuback && errors.Is(done.Err, core.ErrNotFound):
		r.codes[i] = byte(codeNoSubscription)
	case done.Err != nil:
		e := wireErrorOf(done.Err)
		if ends(e) {
			s.failWith(e, done.Err)
			return
		}
		s.refuseFilter(r, i, e)
	case r.kind == kindSuback:
		r.codes[i] = done.QoS
	}
	if len(r.waits) == 0 {
		s.asked -= len(r.codes)
		s.answer(r)
		s.requests = slices.Delete(s.requests, 0, 1)
	}
}

// answer sends SUBACK (3.9) or UNSUBACK (3.11).
func (s *session) answer(r *request) {
	w := &packets.Packet{FixedHeader: packets.FixedHeader{Type: byte(r.kind)}, ProtocolVersion: s.wire.version, PacketID: r.id, ReasonCodes: r.codes}
	if !s.wire.quiet {
		w.Properties.ReasonString = clip(r.reason)
		w.Mods.MaxSize = uint32(s.wire.peerBytes)
	}
	s.send(Packet{kind: r.kind, whole: w})
}

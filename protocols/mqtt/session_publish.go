package mqtt

import (
	"unicode/utf8"

	"github.com/havenmq/havenmq/core"
)

// onPublish takes a message (3.3).
func (s *session) onPublish(p *Packet) {
	if p.qos > 0 {
		if s.ownReceive++; s.ownReceive > s.options.ReceiveMaximum && s.wire.version == level5 {
			s.fail(&wireError{codeReceiveMaximum, "more QoS 1 and 2 messages are on their way than our receive maximum"}) // [MQTT-3.3.4-8]
			return
		}
	}
	t, err := s.topicOf(p)
	if err != nil {
		s.fail(err)
		return
	}
	if t.refuse != nil {
		s.refuseMessage(p, t.refuse)
		return
	}
	if p.isText && !utf8.Valid(p.payload) {
		s.refuseMessage(p, &wireError{codePayloadFormat, "the payload format indicator says text, and the payload is not UTF-8"})
		return
	}
	op := core.Op{Kind: core.OpPublish, Message: s.message(p, t.dest)}
	switch p.qos {
	case 1:
		op.Ticket = ticketPublish1 | core.Ticket(p.id)
	case 2:
		op.Ticket, op.Inbound = ticketPublish2|core.Ticket(p.id), p.id
	}
	s.out.Do(op)
}

func (s *session) message(p *Packet, to core.Destination) *core.Message {
	m := &core.Message{Format: Format}
	h := &m.Header
	h.To, h.Durable, h.QoS, h.Retain = to, p.qos > 0, p.qos, p.retain
	h.Priority, h.TimestampMs, h.Publisher = core.DefaultPriority, s.nowMs, s.clientID
	if p.expires {
		h.ExpiresMs = s.nowMs + int64(p.expiryS)*1000
	}
	if p.marked {
		readMarks(h, p.props)
	}
	m.Bare = bareOf(p.props, p.payload, p.expires || p.alias != 0)
	return m
}

// topicOf finds out where a message goes. An error is of the kind that ends the connection.
func (s *session) topicOf(p *Packet) (topic, *wireError) {
	if p.alias != 0 {
		return s.aliased(p)
	}
	if string(p.topic) == s.last.name && len(p.topic) > 0 {
		return s.last, nil
	}
	return s.named(p.topic)
}

func (s *session) named(name []byte) (topic, *wireError) {
	t, ok := s.topics[string(name)]
	if !ok {
		var err *wireError
		t.name = string(name)
		if t.dest, err = destinationOf(t.name); err != nil {
			return t, err
		}
		if isSystem(t.dest) {
			t.refuse = &wireError{codeNotAuthorized, "topics under $SYS are the broker's own"}
		}
		if s.topics == nil || len(s.topics) >= maxTopics {
			s.topics = map[string]topic{}
		}
		if len(name) <= maxTopicBytes {
			s.topics[t.name] = t
		}
	}
	s.last = t
	return t, nil
}

// aliased sets or uses a topic alias (3.3.2.3.4).
func (s *session) aliased(p *Packet) (topic, *wireError) {
	at := int(p.alias) - 1
	if at >= s.options.TopicAliasMaximum {
		return topic{}, &wireError{codeAliasInvalid, "the topic alias is above our topic alias maximum"} // [MQTT-3.3.2-9]
	}
	if len(p.topic) == 0 {
		if at >= len(s.aliases) || s.aliases[at].name == "" {
			return topic{}, violation("the topic alias was never given a topic name")
		}
		return s.aliases[at], nil
	}
	t, err := s.named(p.topic)
	if err != nil {
		return t, err
	}
	for at >= len(s.aliases) {
		s.aliases = append(s.aliases, topic{})
	}
	s.aliases[at] = t
	return t, nil
}

// refuseMessage says no to one message. MQTT 3.1.1 can only say yes or close; what it may not have is passed over as
// [MQTT-3.3.5-2] allows.
func (s *session) refuseMessage(p *Packet, why *wireError) {
	answer := Packet{kind: kindPuback, id: p.id, code: why.code, reason: why.text}
	switch {
	case p.qos == 0:
		return
	case p.qos == 2:
		answer.kind = kindPubrec
	}
	if s.wire.version != level5 && p.qos == 2 { // PUBREL is to find the id
		answer.code = codeSuccess
	}
	s.ack(answer)
}

// published answers a message that the core took, or refused.
func (s *session) published(k kind, id uint16, done *core.Completion) {
	answer := Packet{kind: k, id: id}
	if done.Err != nil {
		e := wireErrorOf(done.Err)
		answer.code, answer.reason = ackCode(e), e.text
		if answer.code >= lowestFailure && s.wire.version != level5 || ends(e) {
			s.failWith(e, done.Err) // a PUBACK would be a lie in MQTT 3.1.1, and final in 5: unanswered, the message comes again
			return
		}
	} else if !done.Matched {
		answer.code = codeNoMatch
	}
	s.ack(answer)
}

// released answers PUBREL (3.6). An id that is not known is answered all the same: its PUBCOMP was lost.
func (s *session) released(id uint16, done *core.Completion) {
	answer := Packet{kind: kindPubcomp, id: id}
	if e, ok := done.Err.(*core.Error); ok && e.Code == core.CodeNotFound {
		answer.code = codeIDNotFound
	} else if done.Err != nil {
		s.failWith(wireErrorOf(done.Err), done.Err) // unanswered, PUBREL comes again
		return
	}
	s.ack(answer)
}

// ack sends an acknowledgement, with its reason if the client wants reasons and has room [MQTT-3.4.2-2].
func (s *session) ack(p Packet) {
	if p.kind == kindPuback || p.kind == kindPubcomp || p.code >= lowestFailure {
		s.ownReceive = max(s.ownReceive-1, 0)
	}
	if p.code < lowestFailure {
		p.reason = "" // the code says it all
	}
	if p.reason != "" && (s.wire.quiet || s.wire.peerBytes > 0 && ackBytes(&p) > s.wire.peerBytes) {
		p.reason = ""
	}
	s.send(p)
}

package mqtt

import (
	"strconv"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/havenmq/havenmq/core"
)

// Format reads the messages that MQTT clients sent. Their Bare is the end of an MQTT 5 PUBLISH as it stands on the wire:
//
//	property length (variable byte integer)  properties  payload
//
// without the two properties that belong to one hop, topic alias and message expiry interval. An MQTT 3.1.1 message has
// the property length 0. So MQTT passes a message on by copying: 5 to 5 all of it, and from or to 3.1.1 the payload.
var Format core.Format = format{}

type format struct{}

func (format) ID() byte { return core.FormatMQTT }

// User properties that stand for fields of the common model, as the table of contract has them.
const (
	userPriority      = "priority"
	userTimestamp     = "timestamp"
	userType          = "type"
	userGroupID       = "JMSXGroupID"
	userGroupSequence = "JMSXGroupSeq"
	userDupID         = "_AMQ_DUPL_ID"
	userReason        = "dlqDeliveryFailureCause" // of a dead letter, as to STOMP
	userOrigin        = "original-destination"
)

// splitBare takes a Bare apart.
func splitBare(bare []byte) (props, payload []byte, err error) {
	if len(bare) > 0 && bare[0] == 0 {
		return nil, bare[1:], nil
	}
	s := scanner{b: bare}
	props = s.take(int(s.varint()))
	if s.err != nil {
		return nil, nil, &core.Error{Code: core.CodeInternal, Subject: "stored message", Detail: "its MQTT properties cannot be read"}
	}
	return props, s.b, nil
}

// bareOf makes a Bare of a PUBLISH's properties and payload: a copy.
func bareOf(props, payload []byte, hop bool) []byte {
	if hop {
		props = withoutHop(props)
	}
	bare := make([]byte, 0, varintBytes(len(props))+len(props)+len(payload))
	bare = append(appendVarint(bare, len(props)), props...)
	return append(bare, payload...)
}

// withoutHop copies checked properties without those that belong to one hop, or to a will.
func withoutHop(props []byte) []byte {
	kept := make([]byte, 0, len(props))
	for s := (scanner{b: props}); len(s.b) > 0; {
		before := s.b
		switch p := s.property(); p.id {
		case packets.PropTopicAlias, packets.PropMessageExpiryInterval, packets.PropWillDelayInterval:
		default:
			kept = append(kept, before[:len(before)-len(s.b)]...)
		}
	}
	return kept
}

// readMarks takes from the user properties what the broker acts on.
func readMarks(h *core.Header, props []byte) {
	for s := (scanner{b: props}); len(s.b) > 0; {
		p := s.property()
		if p.id != packets.PropUser {
			continue
		}
		switch string(p.text) {
		case userPriority:
			if n, ok := digits(p.value, 9); ok {
				h.Priority = uint8(n)
			}
		case userTimestamp:
			if n, ok := digits(p.value, 1<<53); ok && n > 0 {
				h.TimestampMs = n
			}
		case userDupID:
			if len(p.value) > 0 {
				h.DupID = string(p.value)
			}
		}
	}
}

// digits reads a number from 0 to most.
func digits(b []byte, most int64) (int64, bool) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil && n >= 0 && n <= most && b[0] != '+'
}

// Content reads an MQTT message into the common model. The body is not copied.
func (format) Content(m *core.Message) (*core.Content, error) {
	props, payload, err := splitBare(m.Bare)
	if err != nil {
		return nil, err
	}
	c := &core.Content{Kind: core.BodyBytes, Body: payload}
	indicator := false
	for s := (scanner{b: props}); len(s.b) > 0; {
		p := s.property()
		if s.err != nil {
			return nil, &core.Error{Code: core.CodeInternal, Subject: "stored message", Detail: "its MQTT properties cannot be read"}
		}
		switch p.id {
		case packets.PropPayloadFormat:
			indicator = p.num == 1
		case packets.PropContentType:
			c.ContentType = string(p.text)
		case packets.PropResponseTopic:
			readReplyTo(c, string(p.text))
		case packets.PropCorrelationData:
			c.CorrelationID = string(p.text)
		case packets.PropUser:
			readUser(c, string(p.text), string(p.value))
		}
	}
	if (indicator || core.DeclaresText(c.ContentType)) && utf8.Valid(payload) {
		c.Kind = core.BodyText
	}
	return c, nil
}

// jmsResponseTopic carries a response topic that leads nowhere in the core.
const jmsResponseTopic = "JMS_MQTT_ResponseTopic"

func readReplyTo(c *core.Content, topic string) {
	d, err := destinationOf(topic)
	if err != nil {
		c.Properties = append(c.Properties, core.Property{Name: jmsResponseTopic, Value: topic})
		return
	}
	c.ReplyTo = d
}

// readUser gives a user property its place in the common model.
func readUser(c *core.Content, name, value string) {
	switch name {
	case userType:
		c.Type = value
		return
	case userGroupID:
		c.GroupID = value
		return
	case userGroupSequence:
		if n, err := strconv.ParseUint(value, 10, 32); err == nil {
			c.GroupSequence = uint32(n)
			return
		}
	case userPriority:
		if _, ok := digits([]byte(value), 9); ok {
			return // the header has it
		}
	case userTimestamp:
		if n, ok := digits([]byte(value), 1<<53); ok && n > 0 {
			return
		}
	}
	c.Properties = append(c.Properties, core.Property{Name: name, Value: value})
}

package mqtt

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/havenmq/havenmq/core"
)

// partsOf are the properties and the payload with which a message goes out. Those of MQTT senders are as they came.
func partsOf(m *core.Message, version byte) (props, payload []byte, err error) {
	if m.Format != nil && m.Format.ID() == core.FormatMQTT {
		return splitBare(m.Bare)
	}
	c, err := m.Content()
	if err != nil {
		return nil, nil, err
	}
	if version == level5 {
		props = propertiesOf(m, c)
	}
	return props, c.Body, nil
}

// withNotes adds to a dead letter's properties why it is one, and where it died: for a subscription that is a filter.
func withNotes(props []byte, d *core.Delivery) []byte {
	reason, origin := d.DeadReason(), d.Origin()
	if reason == "" {
		return props
	}
	props = appendUser(props[:len(props):len(props)], userReason, reason) // those of MQTT senders are the message's own
	if !origin.IsZero() {
		props = appendUser(props, userOrigin, string(appendSwapped([]byte(prefixOf(origin.Kind)), origin.Name)))
	}
	return props
}

// propertiesOf puts another protocol's message into MQTT 5's words.
func propertiesOf(m *core.Message, c *core.Content) []byte {
	b := make([]byte, 0, 128)
	if (c.Kind == core.BodyText || c.Kind == core.BodyJSON) && utf8.Valid(c.Body) {
		b = append(b, packets.PropPayloadFormat, 1)
	}
	b = appendTextProperty(b, packets.PropContentType, c.ContentType)
	response := ""
	if topic, ok := topicOf(c.ReplyTo); ok && c.ReplyTo.Kind != 0 {
		response = topic
	}
	if c.CorrelationID != "" && len(c.CorrelationID) <= maxTextBytes {
		b = binary.BigEndian.AppendUint16(append(b, packets.PropCorrelationData), uint16(len(c.CorrelationID)))
		b = append(b, c.CorrelationID...)
	}
	if m.Priority != core.DefaultPriority {
		b = appendUser(b, userPriority, strconv.Itoa(int(m.Priority)))
	}
	if m.TimestampMs > 0 {
		b = appendUser(b, userTimestamp, strconv.FormatInt(m.TimestampMs, 10))
	}
	if c.Type != "" {
		b = appendUser(b, userType, c.Type)
	}
	if c.GroupID != "" {
		b = appendUser(b, userGroupID, c.GroupID)
	}
	if c.GroupSequence != 0 {
		b = appendUser(b, userGroupSequence, strconv.FormatUint(uint64(c.GroupSequence), 10))
	}
	for _, p := range c.Properties {
		if v, ok := p.Value.(string); ok && p.Name == jmsResponseTopic && response == "" && !hasWildcard([]byte(v)) {
			response = v
			continue
		}
		b = appendProperty(b, p)
	}
	return appendTextProperty(b, packets.PropResponseTopic, response)
}

// maxTextBytes is the longest string or binary data (1.5.4, 1.5.6).
const maxTextBytes = 65535

// appendProperty writes one application property. Bytes that are no text are written in base64.
func appendProperty(dst []byte, p core.Property) []byte {
	if v, ok := p.Value.([]byte); ok && !validText(v) {
		return appendUser(dst, p.Name, base64.StdEncoding.EncodeToString(v))
	}
	return appendUser(dst, p.Name, p.Text())
}

// appendUser writes a user property, unless it is too long for one.
func appendUser(dst []byte, name, value string) []byte {
	name, value = wireText(name), wireText(value)
	if len(name) > maxTextBytes || len(value) > maxTextBytes {
		return dst
	}
	dst = appendText(append(dst, packets.PropUser), name)
	return appendText(dst, value)
}

func appendTextProperty(dst []byte, id byte, text string) []byte {
	text = wireText(text)
	if text == "" || len(text) > maxTextBytes {
		return dst
	}
	return appendText(append(dst, id), text)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// wireText is text that may come from a protocol that does not insist on UTF-8, or allows U+0000.
func wireText(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

package stomp

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/havenmq/havenmq/core"
)

// read finds what of the message goes out: what a STOMP client sent as it came, others' in STOMP's words.
func (o *outgoing) read() error {
	m := o.message
	if m.Format.ID() == core.FormatSTOMP {
		p, err := splitBare(m.Bare)
		if err != nil {
			return err
		}
		o.id, o.block, o.body, o.length = p.id, p.block, p.body, p.hasLength
		o.length = o.length || bytes.IndexByte(o.body, 0) >= 0
		return nil
	}
	c, err := m.Content()
	if err != nil {
		return err
	}
	o.id, o.block, o.body = []byte(c.ID), blockOf(c), c.Body
	o.length = c.Kind == core.BodyBytes || bytes.IndexByte(c.Body, 0) >= 0
	return nil
}

// blockOf puts another protocol's message into STOMP's words.
func blockOf(c *core.Content) []byte {
	b := make([]byte, 0, 128)
	b = appendField(b, "correlation-id", c.CorrelationID)
	if c.ReplyTo.Kind != 0 {
		b = appendField(b, "reply-to", nameOf(c.ReplyTo))
	}
	contentType := c.ContentType
	if contentType == "" && c.Kind == core.BodyJSON {
		contentType = "application/json"
	}
	b = appendField(b, "content-type", contentType)
	b = appendField(b, "type", c.Type)
	b = appendField(b, "JMSXGroupID", c.GroupID)
	b = appendField(b, "JMSXUserID", c.UserID)
	if c.GroupSequence != 0 {
		b = appendField(b, "JMSXGroupSeq", strconv.FormatUint(uint64(c.GroupSequence), 10))
	}
	for i := range c.Properties {
		b = appendProperty(b, &c.Properties[i])
	}
	return b
}

func appendField(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendLine(dst, name, value)
}

// appendProperty writes one application property. Bytes that are no text are written in base64. A property that bears
// the name of a header with a meaning of its own would be taken for that: it is left out.
func appendProperty(dst []byte, p *core.Property) []byte {
	if p.Name == "" || p.Name == "content-length" || hop([]byte(p.Name)) {
		return dst
	}
	if v, ok := p.Value.([]byte); ok {
		if utf8.Valid(v) {
			return appendLine(dst, p.Name, string(v))
		}
		return appendLine(dst, p.Name, base64.StdEncoding.EncodeToString(v))
	}
	return appendLine(dst, p.Name, strings.ToValidUTF8(p.Text(), "\uFFFD"))
}

package amqp

import (
	"math"
	"time"
	"unicode/utf8"

	"github.com/havenmq/havenmq/core"
)

// Fields of an AMQP message that the common model lacks travel as properties with these names, as ActiveMQ spells them.
const (
	jmsPrefix          = "JMS_AMQP_"
	jmsContentEncoding = jmsPrefix + "ContentEncoding"
	jmsReplyToGroupID  = jmsPrefix + "ReplyToGroupID"
	jmsTo              = jmsPrefix + "To"
	jmsReplyTo         = jmsPrefix + "ReplyTo"
	jmsNote            = jmsPrefix + "MA_" // a message annotation
	jmsFooter          = jmsPrefix + "FT_" // a footer entry
)

// Content reads an AMQP message into the common model. A single data or string body is not copied.
func (format) Content(m *core.Message) (*core.Content, error) {
	r := contentReader{message: m, out: &core.Content{Kind: core.BodyNone}}
	b, before := m.Bare, kindNone
	for len(b) > 0 {
		s, rest, err := nextSection(b)
		if err != nil {
			return nil, err
		}
		if !inOrder(before, s.kind) {
			return nil, errSections
		}
		switch {
		case s.kind >= kindData && s.kind <= kindValue:
			r.body(s, len(m.Bare)-len(b), len(m.Bare)-len(rest))
		default:
			r.head(s)
		}
		if r.err != nil {
			return nil, r.err
		}
		before, b = s.kind, rest
	}
	return r.finish()
}

// contentReader gathers a message's sections.
type contentReader struct {
	message *core.Message
	out     *core.Content
	replies core.Kind // what a reply-to without a scheme is
	kind    kind      // the body's
	parts   int       // its sections
	value   []byte    // of the first
	start   int       // the body is Bare[start:end]
	end     int
	err     error
}

func (r *contentReader) head(s section) {
	switch s.kind {
	case kindMessageNotes:
		r.replies = jmsKind(entry(s.value, annotationReplyTo))
		r.entries(jmsNote, s.value)
	case kindProperties:
		r.err = r.properties(s.value)
	case kindAppProperties:
		r.entries("", s.value)
	case kindFooter:
		r.entries(jmsFooter, s.value)
	}
}

// entries adds a section's entries as properties, but for the annotations that are fields of the common model.
func (r *contentReader) entries(prefix string, value []byte) {
	eachEntry(value, func(key []byte, v any) {
		name := string(key)
		if prefix == jmsNote && !passNote(name) {
			return
		}
		r.out.Properties = append(r.out.Properties, core.Property{Name: prefix + name, Value: propertyValue(v)})
	})
}

// passNote says whether a message annotation is more than the common model's own fields in other words.
func passNote(name string) bool {
	switch name {
	case annotationDelay, annotationTime, annotationReplyTo, annotationDest:
		return false
	}
	return true
}

// propertyValue turns a simple AMQP value into one that a property may have.
func propertyValue(v any) any {
	switch v := v.(type) {
	case symbol:
		return string(v)
	case char:
		return string(rune(v))
	case uuid:
		return v.String()
	case timestamp:
		return time.UnixMilli(int64(v)).UTC()
	case decimal32:
		return v[:]
	case decimal64:
		return v[:]
	case decimal128:
		return v[:]
	}
	return v
}

// properties reads the properties section (3.2.4).
func (r *contentReader) properties(value []byte) error {
	c := cursor{buf: value, left: 1}
	p := c.list()
	o := r.out
	o.ID = idText(p.value())
	o.UserID = string(p.binary())
	to := addressText(&p)
	o.Type = p.string()
	replyTo := addressText(&p)
	o.CorrelationID = correlationText(p.value())
	o.ContentType = string(p.symbol())
	encoding := p.symbol()
	p.timestamp()
	p.timestamp()
	o.GroupID = p.string()
	o.GroupSequence = p.uint(0)
	replyGroup := p.text()
	if err := p.rest(); err != nil {
		return err
	}
	r.text(jmsContentEncoding, string(encoding))
	r.text(jmsReplyToGroupID, string(replyGroup))
	if d, err := core.ParseDestination(string(to), r.message.To.Kind); len(to) > 0 && (err != nil || d != r.message.To) {
		r.text(jmsTo, string(to))
	}
	r.replyTo(string(replyTo))
	return nil
}

func (r *contentReader) text(name, value string) {
	if value != "" {
		r.out.Properties = append(r.out.Properties, core.Property{Name: name, Value: value})
	}
}

// replyTo reads the address; the JMS annotation says of which kind a bare name is.
func (r *contentReader) replyTo(address string) {
	if address == "" {
		return
	}
	d, err := core.ParseDestination(address, max(r.replies, core.Queue))
	if err != nil || d.Validate() != nil {
		r.text(jmsReplyTo, address)
		return
	}
	r.out.ReplyTo = d
}

// jmsKind reads the AMQP JMS mapping's destination type: 0 queue, 1 topic, 2 and 3 their temporary kin.
func jmsKind(v any) core.Kind {
	n, _ := v.(int8)
	if n < 0 || n > 3 {
		n = 0
	}
	return [...]core.Kind{core.Queue, core.Topic, core.TempQueue, core.TempTopic}[n]
}

// body takes one body section, Bare[from:to]. Several data sections are joined; several sequences become one.
func (r *contentReader) body(s section, from, to int) {
	r.kind, r.end = s.kind, to
	r.parts++
	if r.parts == 1 {
		r.value, r.start = s.value, from
	}
	if s.kind != kindData {
		return
	}
	switch part := bytesOf(s.value); r.parts {
	case 1:
		r.out.Body = part
	default: // the first append copies: part's capacity is its length
		r.out.Body = append(r.out.Body, part...)
	}
}

// bytesOf is the content of a checked binary, string or symbol.
func bytesOf(v []byte) []byte {
	head, size, _ := lengthOf(shapes[v[0]].class == wideVar32, v[1:])
	return v[1+head : 1+head+size : 1+head+size]
}

func (r *contentReader) finish() (*core.Content, error) {
	switch r.kind {
	case kindData:
		r.out.Kind = core.BodyBytes
		if core.DeclaresText(r.out.ContentType) && utf8.Valid(r.out.Body) {
			r.out.Kind = core.BodyText
		}
		return r.out, nil
	case kindValue:
		switch r.value[0] {
		case codeStr8, codeStr32:
			r.out.Kind, r.out.Body = core.BodyText, bytesOf(r.value)
			return r.out, nil
		case codeBin8, codeBin32:
			r.out.Kind, r.out.Body = core.BodyBytes, bytesOf(r.value)
			return r.out, nil
		case codeNull:
			return r.out, nil
		}
	case kindNone:
		return r.out, nil
	}
	whole := r.message.Bare[r.start:r.end:r.end]
	body, err := jsonBody(r.kind, whole)
	r.out.Kind, r.out.Body, r.out.Structure = core.BodyJSON, body, whole
	return r.out, err
}

// clampMs is a duration until a time as AMQP's 32-bit milliseconds; at least 1, because 0 would be none.
func clampMs(untilMs, nowMs int64) uint32 {
	return uint32(min(max(untilMs-nowMs, 1), math.MaxUint32))
}

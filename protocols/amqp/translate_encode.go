package amqp

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/havenmq/havenmq/core"
)

// bareOf is what follows the header section on the wire: what an AMQP sender wrote, byte for byte, or another
// protocol's message put into AMQP's words.
func bareOf(m *core.Message) ([]byte, error) {
	if m.Format != nil && m.Format.ID() == core.FormatAMQP {
		return m.Bare, nil
	}
	c, err := m.Content()
	if err != nil {
		return nil, err
	}
	return appendContent(make([]byte, 0, 256+len(c.Body)), m, c), nil
}

// withNotes puts the delivery-annotations of a dead letter in front of its message; they end at the next hop (3.2.2).
func withNotes(bare []byte, d *core.Delivery) []byte {
	reason, origin := d.DeadReason(), d.Origin()
	if reason == "" {
		return bare
	}
	notes := pairs{{symbol(annotationReason), reason}}
	if !origin.IsZero() {
		notes = append(notes, pair{symbol(annotationOrigin), origin.String()})
	}
	return append(appendMap(nil, kindDeliveryNotes, notes), bare...)
}

// fieldsOf are the fields of an AMQP message that the common model carries as properties.
type fieldsOf struct {
	contentEncoding string
	replyToGroupID  string
	to              string
	replyTo         string
	notes           pairs
	footer          pairs
}

// appendContent encodes a message of the common model from its message-annotations on.
func appendContent(dst []byte, m *core.Message, c *core.Content) []byte {
	f := fieldsOf{to: m.To.String(), replyTo: c.ReplyTo.String()}
	plain := 0
	for _, p := range c.Properties {
		if !f.take(p) {
			plain++
		}
	}
	if k := c.ReplyTo.Kind; k > core.Queue {
		f.notes = append(f.notes, pair{symbol(annotationReplyTo), int8(k - core.Queue)})
	}
	dst = appendMap(dst, kindMessageNotes, f.notes)
	dst = appendProperties(dst, m, c, &f)
	if plain > 0 {
		dst = appendAppProperties(dst, c.Properties)
	}
	return appendMap(appendBody(dst, c), kindFooter, f.footer)
}

// take keeps a property that carries one of AMQP's own fields.
func (f *fieldsOf) take(p core.Property) bool {
	if !strings.HasPrefix(p.Name, jmsPrefix) {
		return false
	}
	if name, ok := strings.CutPrefix(p.Name, jmsNote); ok {
		f.notes = append(f.notes, pair{symbol(asciiOnly(name)), wireValue(p.Value)})
		return true
	}
	if name, ok := strings.CutPrefix(p.Name, jmsFooter); ok {
		f.footer = append(f.footer, pair{symbol(asciiOnly(name)), wireValue(p.Value)})
		return true
	}
	field := f.field(p.Name)
	v, isText := p.Value.(string)
	if field == nil || !isText {
		return false
	}
	*field = v
	return true
}

func (f *fieldsOf) field(name string) *string {
	switch name {
	case jmsContentEncoding:
		return &f.contentEncoding
	case jmsReplyToGroupID:
		return &f.replyToGroupID
	case jmsTo:
		return &f.to
	case jmsReplyTo:
		return &f.replyTo
	}
	return nil
}

// ours says whether take keeps the property away from the application-properties.
func ours(p core.Property) bool {
	var f fieldsOf
	return f.take(p)
}

func appendMap(dst []byte, k kind, m pairs) []byte {
	if len(m) == 0 {
		return dst
	}
	return appendValue(append(dst, codeDescribed, codeSmallUlong, byte(k)), m)
}

func appendProperties(dst []byte, m *core.Message, c *core.Content, f *fieldsOf) []byte {
	w := begin(dst, kindProperties)
	w.id(c.ID)
	if c.UserID != "" {
		w.binary([]byte(c.UserID))
	} else {
		w.null()
	}
	w.text(f.to)
	w.text(c.Type)
	w.text(f.replyTo)
	w.id(c.CorrelationID)
	w.symbol(symbol(asciiOnly(c.ContentType)))
	w.symbol(symbol(asciiOnly(f.contentEncoding)))
	w.time(m.ExpiresMs)
	w.time(m.TimestampMs)
	w.text(c.GroupID)
	w.opt(optUint{c.GroupSequence, c.GroupID != "" || c.GroupSequence != 0})
	w.text(f.replyToGroupID)
	return w.end()
}

func (w *listWriter) id(text string) {
	if text == "" {
		w.null()
		return
	}
	w.value(idValue(text))
}

func (w *listWriter) time(ms int64) {
	if ms <= 0 {
		w.null()
		return
	}
	w.timestamp(timestamp(ms))
}

// text writes a string that may come from a protocol that does not insist on UTF-8.
func (w *listWriter) text(s string) { w.string(strings.ToValidUTF8(s, "\uFFFD")) }

// asciiOnly makes a symbol of text (1.6.22): what is not ASCII is written as '?'.
func asciiOnly(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(func(r rune) rune {
				if r >= utf8.RuneSelf {
					return '?'
				}
				return r
			}, s)
		}
	}
	return s
}

func appendAppProperties(dst []byte, properties []core.Property) []byte {
	w := beginList(append(dst, codeDescribed, codeSmallUlong, byte(kindAppProperties)))
	for _, p := range properties {
		if ours(p) {
			continue
		}
		w.dst = appendString(w.dst, strings.ToValidUTF8(p.Name, "\uFFFD"))
		w.field()
		w.dst = appendValue(w.dst, wireValue(p.Value))
		w.field()
	}
	return w.endAll(codeMap8, codeMap32)
}

// wireValue is a property's value in AMQP's types. Text that is not UTF-8 goes as binary, so that no byte is lost.
func wireValue(v any) any {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return []byte(v)
		}
	case time.Time:
		return timestamp(v.UnixMilli())
	}
	return v
}

// appendBody writes the body section: an AMQP structure as it came, text as a string value, the rest as data.
func appendBody(dst []byte, c *core.Content) []byte {
	if len(c.Structure) > 0 {
		return append(dst, c.Structure...)
	}
	if c.Kind == core.BodyNone {
		return append(dst, codeDescribed, codeSmallUlong, byte(kindValue), codeNull)
	}
	if c.Kind != core.BodyBytes && utf8.Valid(c.Body) {
		return appendString(append(dst, codeDescribed, codeSmallUlong, byte(kindValue)), c.Body)
	}
	return appendBinary(append(dst, codeDescribed, codeSmallUlong, byte(kindData)), c.Body)
}

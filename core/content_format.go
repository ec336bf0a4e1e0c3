package core

import (
	"encoding/binary"
	"math"
	"time"
)

// contentFormat is FormatContent: a Content in the core's own encoding.
//
//	version(1)  kind(1)  id correlationID contentType type groupID userID (strings)  groupSequence(uvarint)
//	replyTo: kind(1) name(string)   body structure (bytes)   n(uvarint) × { name(string) type(1) value }
type contentFormat struct{}

const contentVersion = 1

// The types of a property's value.
const (
	valueNil = iota
	valueFalse
	valueTrue
	valueInt8
	valueInt16
	valueInt32
	valueInt64
	valueUint8
	valueUint16
	valueUint32
	valueUint64
	valueFloat32
	valueFloat64
	valueString
	valueBytes
	valueTime
)

// NewMessage makes a message out of the common model, for those who speak no protocol: the API, the CLI, the broker.
func NewMessage(h Header, c *Content) *Message {
	m := &Message{Header: h, Format: contentFormat{}, Bare: appendContent(nil, c)}
	m.content.Store(c)
	return m
}

// ID is FormatContent.
func (contentFormat) ID() byte { return FormatContent }

// Content reads m.Bare.
func (contentFormat) Content(m *Message) (*Content, error) {
	if len(m.Bare) == 0 {
		return &Content{Kind: BodyNone}, nil
	}
	r := reader{b: m.Bare}
	if v := r.byte(); v != contentVersion {
		return nil, &Error{CodeInternal, "stored message", "its content has a version that this program does not know: it was written by a newer one"}
	}
	c := &Content{Kind: BodyKind(r.byte())}
	for _, field := range []*string{&c.ID, &c.CorrelationID, &c.ContentType, &c.Type, &c.GroupID, &c.UserID} {
		*field = r.string(math.MaxUint32)
	}
	c.GroupSequence = uint32(r.uvarint())
	c.ReplyTo = Destination{Kind(r.byte()), r.string(MaxNameBytes)}
	c.Body, c.Structure = r.bytes(math.MaxUint32), r.bytes(math.MaxUint32)
	if len(c.Structure) == 0 {
		c.Structure = nil
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		c.Properties = append(c.Properties, Property{r.string(math.MaxUint32), r.value()})
	}
	if c.Kind > BodyNone || c.ReplyTo.Kind > TempTopic {
		r.bad = true
	}
	return c, r.end("stored message")
}

func appendContent(dst []byte, c *Content) []byte {
	dst = append(dst, contentVersion, byte(c.Kind))
	for _, field := range []string{c.ID, c.CorrelationID, c.ContentType, c.Type, c.GroupID, c.UserID} {
		dst = appendString(dst, field)
	}
	dst = binary.AppendUvarint(dst, uint64(c.GroupSequence))
	dst = appendString(append(dst, byte(c.ReplyTo.Kind)), c.ReplyTo.Name)
	dst = appendBytes(appendBytes(dst, c.Body), c.Structure)
	dst = binary.AppendUvarint(dst, uint64(len(c.Properties)))
	for _, p := range c.Properties {
		dst = appendValue(appendString(dst, p.Name), p.Value)
	}
	return dst
}

func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		if v {
			return append(dst, valueTrue)
		}
		return append(dst, valueFalse)
	case int8:
		return append(dst, valueInt8, byte(v))
	case int16:
		return binary.AppendVarint(append(dst, valueInt16), int64(v))
	case int32:
		return binary.AppendVarint(append(dst, valueInt32), int64(v))
	case int64:
		return binary.AppendVarint(append(dst, valueInt64), v)
	case uint8:
		return append(dst, valueUint8, v)
	case uint16:
		return binary.AppendUvarint(append(dst, valueUint16), uint64(v))
	case uint32:
		return binary.AppendUvarint(append(dst, valueUint32), uint64(v))
	case uint64:
		return binary.AppendUvarint(append(dst, valueUint64), v)
	case float32:
		return binary.BigEndian.AppendUint32(append(dst, valueFloat32), math.Float32bits(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, valueFloat64), math.Float64bits(v))
	case string:
		return appendString(append(dst, valueString), v)
	case []byte:
		return appendBytes(append(dst, valueBytes), v)
	case time.Time:
		return binary.AppendVarint(append(dst, valueTime), v.UnixMilli())
	}
	return append(dst, valueNil)
}

func (r *reader) value() any {
	switch t := r.byte(); t {
	case valueNil:
		return nil
	case valueFalse, valueTrue:
		return t == valueTrue
	case valueInt8:
		return int8(r.byte())
	case valueInt16:
		return int16(r.varint())
	case valueInt32:
		return int32(r.varint())
	case valueInt64:
		return r.varint()
	case valueUint8:
		return r.byte()
	case valueUint16:
		return uint16(r.uvarint())
	case valueUint32:
		return uint32(r.uvarint())
	case valueUint64:
		return r.uvarint()
	case valueFloat32:
		return math.Float32frombits(uint32(r.fixed(4)))
	case valueFloat64:
		return math.Float64frombits(r.fixed(8))
	case valueString:
		return r.string(math.MaxUint32)
	case valueBytes:
		return r.bytes(math.MaxUint32)
	case valueTime:
		return time.UnixMilli(r.varint()).UTC()
	}
	r.bad = true
	return nil
}

// fixed reads n bytes, big-endian.
func (r *reader) fixed(n int) (v uint64) {
	for range n {
		v = v<<8 | uint64(r.byte())
	}
	return v
}

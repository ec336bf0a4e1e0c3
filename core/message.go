package core

import "sync/atomic"

// Header is what the broker itself acts on, whoever sent the message.
type Header struct {
	To          Destination // where it was published: what a wildcard subscriber is told
	Durable     bool
	Retain      bool   // it was asked to be kept as the topic's retained message
	Priority    uint8  // 0–9, default DefaultPriority
	ExpiresMs   int64  // absolute, ms since epoch; 0 never
	TimestampMs int64  // when its sender made it, or when it came in
	NotBeforeMs int64  // absolute; 0 at once
	DupID       string // _AMQ_DUPL_ID; "" none
	Publisher   string // client id of the sender: no-local asks for it
	QoS         uint8  // MQTT: 1 or 2, what no inbox is given more of; 0: Durable alone decides, and filters grant 1 or 2
}

// DefaultPriority is what a message without one has.
const DefaultPriority = 4

// Message is immutable once it is published and may be shared by any number of queues and connections.
//
// Bare is what the sender's protocol put on the wire, so that the same protocol can pass it on byte for byte, and
// Format is who can read it. Everybody else asks for Content.
type Message struct {
	Header
	Format Format
	Bare   []byte

	content atomic.Pointer[Content]
}

// Format reads the bare bytes of one protocol's messages. Formats are registered in Options.Formats; the id is stored
// in the log, so it never changes.
type Format interface {
	ID() byte
	// Content reads m.Bare into the common model. It must bound what it allocates by the size of Bare.
	Content(m *Message) (*Content, error)
}

// The ids of the formats that exist.
const (
	FormatContent byte = iota // Content in the core's own encoding: what the API, the CLI and the broker itself send
	FormatAMQP
	FormatMQTT
	FormatSTOMP
	FormatOpenWire
)

// BodyKind says what a body is to a receiver that tells text from bytes.
type BodyKind uint8

const (
	BodyBytes BodyKind = iota
	BodyText
	BodyJSON // an AMQP map, list or sequence, shown as JSON; Structure holds it byte for byte
	BodyNone
)

// Content is a message in the common model: what one protocol hands to another. Its fields are never changed once it
// is made.
type Content struct {
	ID            string
	CorrelationID string
	ReplyTo       Destination
	ContentType   string
	Type          string
	GroupID       string
	GroupSequence uint32
	UserID        string
	Kind          BodyKind
	Body          []byte
	Structure     []byte // encoded AMQP body sections behind a BodyJSON body; nil otherwise
	Properties    []Property
}

// Property is one typed application property. Value is nil, bool, int8, int16, int32, int64, uint8, uint16, uint32,
// uint64, float32, float64, string, []byte, or time.Time.
type Property struct {
	Name  string
	Value any
}

// Content returns the message in the common model, reading it on first use and keeping it. Any goroutine may call.
func (m *Message) Content() (*Content, error) {
	if c := m.content.Load(); c != nil {
		return c, nil
	}
	c, err := m.Format.Content(m)
	if err != nil {
		return nil, err
	}
	m.content.Store(c)
	return c, nil
}

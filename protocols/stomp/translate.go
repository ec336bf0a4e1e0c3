package stomp

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/havenmq/havenmq/core"
)

// Format reads the messages that STOMP clients sent. Their Bare is
//
//	flags (1: there was a content-length)  len(id) (uvarint) id  len(block) (uvarint) block  body
//
// where block is the frame's header lines as STOMP 1.2 escapes them, without those that belong to one hop or stand in the
// core's header. So STOMP passes a message on by copying.
var Format core.Format = format{}

type format struct{}

func (format) ID() byte { return core.FormatSTOMP }

const bareHasLength = 1

var errBare = &core.Error{Code: core.CodeInternal, Subject: "stored message", Detail: "its STOMP headers cannot be read"}

// prefixes are how STOMP spells destinations.
var prefixes = [...]string{core.Queue: "/queue/", core.Topic: "/topic/", core.TempQueue: "/temp-queue/", core.TempTopic: "/temp-topic/"}

// destinationOf is where a name leads.
func destinationOf(name string) (core.Destination, bool) {
	for k := core.Queue; k <= core.TempTopic; k++ {
		if rest, ok := strings.CutPrefix(name, prefixes[k]); ok && rest != "" {
			return core.Destination{Kind: k, Name: rest}, true
		}
	}
	return core.Destination{}, false
}

// nameOf is how STOMP spells a destination.
func nameOf(d core.Destination) string {
	if d.Kind == 0 || int(d.Kind) >= len(prefixes) {
		return d.Name
	}
	return prefixes[d.Kind] + d.Name
}

// hop says whether a header of SEND belongs to this hop, or has its own place: it is not carried in the block.
func hop(name []byte) bool {
	switch string(name) {
	case "destination", "receipt", "transaction", "content-length", "message-id", "subscription", "ack", "redelivered",
		"persistent", "priority", "expires", "timestamp", "retain", "retained", "JMSXDeliveryCount", "AMQ_SCHEDULED_DELAY", "browser", "dlqDeliveryFailureCause":
		return true
	}
	return false
}

// message makes the core's message of a SEND.
func (s *session) message(f *Frame, to core.Destination) (*core.Message, *wireError) {
	m := &core.Message{Format: Format}
	m.To, m.Priority, m.Publisher = to, core.DefaultPriority, s.clientID
	m.TimestampMs = s.now.UnixMilli()
	for i := range slices.Backward(f.headers) { // so that the first of a name has the last word
		if e := s.mark(m, &f.headers[i]); e != nil {
			return nil, e
		}
	}
	m.Bare = s.bare(f)
	return m, nil
}

// mark takes from a header what the broker acts on.
func (s *session) mark(m *core.Message, h *header) *wireError {
	switch string(h.name) {
	case "persistent":
		m.Durable = isTrue(h.value)
	case "retain":
		m.Retain = isTrue(h.value)
	case "priority":
		m.Priority = uint8(min(numberOr(h.value, core.DefaultPriority), 9))
	case "expires":
		m.ExpiresMs = numberOr(h.value, 0)
	case "timestamp":
		m.TimestampMs = numberOr(h.value, s.now.UnixMilli())
	case "_AMQ_DUPL_ID":
		m.DupID = string(h.value)
	case "AMQ_SCHEDULED_DELAY":
		delayMs := numberOr(h.value, -1)
		if delayMs < 0 || delayMs > math.MaxInt64/2 {
			return errDelay
		}
		m.NotBeforeMs = s.now.UnixMilli() + delayMs
	case "AMQ_SCHEDULED_PERIOD", "AMQ_SCHEDULED_REPEAT", "AMQ_SCHEDULED_CRON":
		return errSchedule
	}
	return nil
}

// numberOr reads a number, or says otherwise.
func numberOr(b []byte, otherwise int64) int64 {
	if n, ok := number(b); ok && n < math.MaxInt64 {
		return int64(n)
	}
	return otherwise
}

// bare copies a SEND. A message without an id gets one, the same for all its consumers and redeliveries.
func (s *session) bare(f *Frame) []byte {
	id := f.get("message-id")
	if len(id) == 0 {
		s.given++
		s.id = strconv.AppendUint(append(s.id[:0], s.dialect.ids...), s.given, 10)
		id = s.id
	}
	size := 0
	for i := range f.headers {
		size += len(f.headers[i].raw) + 1
	}
	out := make([]byte, 0, 1+2*binary.MaxVarintLen32+len(id)+size+len(f.body))
	flags := byte(0)
	if f.hasLength {
		flags = bareHasLength
	}
	out = append(out, flags)
	out = append(binary.AppendUvarint(out, uint64(len(id))), id...)
	mark := len(out)
	for i := range f.headers {
		if h := &f.headers[i]; !hop(h.name) {
			out = s.line(out, f, h)
		}
	}
	out = insertUvarint(out, mark)
	return append(out, f.body...)
}

// insertUvarint puts the length of what was appended since mark in front of it.
func insertUvarint(b []byte, mark int) []byte {
	n := len(b) - mark
	var size [binary.MaxVarintLen32]byte
	k := binary.PutUvarint(size[:], uint64(n))
	b = append(b, size[:k]...)
	copy(b[mark+k:], b[mark:mark+n])
	copy(b[mark:], size[:k])
	return b
}

// line writes a header as 1.2 does. Where this connection's own name of a temporary destination is to be replied to, it
// is the core's from here on.
func (s *session) line(dst []byte, f *Frame, h *header) []byte {
	if string(h.name) == "reply-to" {
		if d, ok := destinationOf(string(h.value)); ok && d.Kind.Temporary() {
			return appendLine(dst, "reply-to", nameOf(s.local(d)))
		}
	}
	if f.verbatim {
		return append(append(dst, h.raw...), '\n')
	}
	return appendLine(dst, h.name, string(h.value))
}

// namedByBroker says whether the name of a temporary destination is the core's already: it came with a message, and is
// passed on.
func namedByBroker(name string) bool {
	return strings.HasPrefix(name, tempPrefix) || strings.HasPrefix(name, "ID-")
}

func appendLine[T string | []byte](dst []byte, name T, value string) []byte {
	dst = append(appendEscaped(dst, name, v12, true), ':')
	return append(appendEscaped(dst, value, v12, false), '\n')
}

// parts are a Bare, taken apart.
type parts struct {
	hasLength       bool
	id, block, body []byte
}

func splitBare(bare []byte) (p parts, err error) {
	if len(bare) == 0 {
		return p, errBare
	}
	p.hasLength = bare[0]&bareHasLength != 0
	rest := bare[1:]
	for _, field := range []*[]byte{&p.id, &p.block} {
		n, k := binary.Uvarint(rest)
		if k <= 0 || n > uint64(len(rest)-k) {
			return p, errBare
		}
		*field, rest = rest[k:k+int(n):k+int(n)], rest[k+int(n):]
	}
	p.body = rest
	return p, nil
}

// Content reads a STOMP message into the common model. The body is not copied.
func (format) Content(m *core.Message) (*core.Content, error) {
	p, err := splitBare(m.Bare)
	if err != nil {
		return nil, err
	}
	c := &core.Content{ID: string(p.id), Body: p.body, Kind: core.BodyText}
	if p.hasLength {
		c.Kind = core.BodyBytes
	}
	said := ""
	seen := map[string]bool{}
	for block := p.block; len(block) > 0; {
		var line []byte
		line, block, _ = bytes.Cut(block, []byte{'\n'})
		name, value, ok := unescapeLine(line)
		if !ok {
			return nil, errBare
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		if name == "amq-msg-type" {
			said = value
		} else {
			readHeader(c, name, value)
		}
	}
	switch {
	case said == "text":
		c.Kind = core.BodyText
	case said == "bytes":
		c.Kind = core.BodyBytes
	case core.DeclaresText(c.ContentType):
		c.Kind = core.BodyText
	}
	if c.Kind == core.BodyText && !utf8.Valid(c.Body) { // bytes are never encoded anew
		c.Kind = core.BodyBytes
	}
	return c, nil
}

func unescapeLine(line []byte) (name, value string, ok bool) {
	n, v, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return "", "", false
	}
	if bytes.IndexByte(line, '\\') < 0 {
		return string(n), string(v), true
	}
	a, ok1 := appendUnescaped(nil, n, v12)
	b, ok2 := appendUnescaped(nil, v, v12)
	return string(a), string(b), ok1 && ok2
}

// readHeader gives a header its place in the common model.
func readHeader(c *core.Content, name, value string) {
	switch name {
	case "correlation-id":
		c.CorrelationID = value
	case "reply-to":
		if d, ok := destinationOf(value); ok {
			c.ReplyTo = d
			return
		}
		c.Properties = append(c.Properties, core.Property{Name: "JMS_STOMP_ReplyTo", Value: value})
	case "content-type":
		c.ContentType = value
	case "type":
		c.Type = value
	case "JMSXGroupID":
		c.GroupID = value
	case "JMSXUserID":
		c.UserID = value
	case "JMSXGroupSeq":
		if n, err := strconv.ParseUint(value, 10, 32); err == nil {
			c.GroupSequence = uint32(n)
			return
		}
		c.Properties = append(c.Properties, core.Property{Name: name, Value: value})
	default:
		c.Properties = append(c.Properties, core.Property{Name: name, Value: value})
	}
}

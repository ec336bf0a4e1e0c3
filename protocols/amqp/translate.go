package amqp

import (
	"bytes"

	"github.com/havenmq/havenmq/core"
)

// Format reads the messages that AMQP clients sent. Their Bare is everything from the message-annotations on, as the
// sender wrote it: the header is the broker's own and delivery-annotations end at the first hop (3.2.2).
var Format core.Format = format{}

type format struct{}

func (format) ID() byte { return core.FormatAMQP }

// Annotations and properties that the broker acts on.
const (
	annotationDelay   = "x-opt-delivery-delay"
	annotationTime    = "x-opt-delivery-time"
	annotationPrefix  = "x-opt-delivery-"
	annotationReplyTo = "x-opt-jms-reply-to"
	annotationDest    = "x-opt-jms-dest"
	annotationOrigin  = "x-opt-original-destination" // delivery-annotations of a dead letter: where it died, and why
	annotationReason  = "x-opt-dead-letter-reason"
	propertyDupID     = "_AMQ_DUPL_ID"
)

// section is one section of a message: its kind, and its value, encoded and checked.
type section struct {
	kind  kind
	value []byte
}

// nextSection takes the first section off b.
func nextSection(b []byte) (s section, rest []byte, err error) {
	if b[0] != codeDescribed {
		return s, nil, errSections
	}
	c := cursor{buf: b[1:], left: 1}
	s.kind = c.descriptor()
	if c.err != nil || s.kind < firstSection || s.kind > lastSection {
		return s, nil, errSections
	}
	c.left = 1
	s.value = c.raw()
	if c.err != nil {
		return s, nil, c.err
	}
	if !fits(s.kind, s.value[0]) {
		return s, nil, errType
	}
	if s.kind != kindData && s.kind < kindSequence || s.kind == kindFooter {
		if _, count := entries(s.value); count > 2*maxEntries {
			return s, nil, errEntries
		}
	}
	return s, c.buf, nil
}

// maxEntries bounds the entries of a map section, because the common model spends many times an entry's bytes on it.
const maxEntries = 1 << 14

// entries are the items of a checked map or list, and how many they are.
func entries(value []byte) (items []byte, count int) {
	s := shapes[value[0]]
	if s.class != wideCompound8 && s.class != wideCompound32 {
		return nil, 0 // null, list0
	}
	items, count, _, _ = compound(s.class == wideCompound32, value[1:])
	return items, count
}

// eachEntry gives the entries of a checked map whose keys are text and whose values are of a simple type.
func eachEntry(value []byte, f func(name []byte, v any)) {
	items, count := entries(value)
	for range count / 2 {
		n, _ := check(items, 0)
		key := items[:n]
		items = items[n:]
		n, _ = check(items, 0)
		v := items[:n]
		items = items[n:]
		if isText(key[0]) && simple(v[0]) {
			f(bytesOf(key), decodeValue(v))
		}
	}
}

func isText(code byte) bool {
	return code == codeStr8 || code == codeStr32 || code == codeSym8 || code == codeSym32
}

// simple says that a constructor's values hold no others.
func simple(code byte) bool {
	switch shapes[code].class {
	case wideFixed:
		return code != codeList0
	case wideVar8, wideVar32:
		return true
	}
	return false
}

// entry is the value of the last entry of a checked map that goes by a name; nil if there is none.
func entry(value []byte, name string) (found any) {
	eachEntry(value, func(key []byte, v any) {
		if string(key) == name {
			found = v
		}
	})
	return found
}

// fits says whether a section of kind k may have a value with this constructor.
func fits(k kind, code byte) bool {
	switch k {
	case kindHeader, kindProperties, kindSequence:
		return code == codeList0 || code == codeList8 || code == codeList32
	case kindData:
		return code == codeBin8 || code == codeBin32
	case kindValue:
		return true
	}
	return code == codeMap8 || code == codeMap32 || code == codeNull // the maps; null is what some write for an empty one
}

// inOrder says whether a section may follow another (3.2).
func inOrder(before, k kind) bool {
	switch k {
	case kindData, kindSequence:
		return before == k || before < kindData
	case kindValue:
		return before < kindData
	}
	return before < k
}

// envelope is what the broker reads of a message when it comes in.
type envelope struct {
	header core.Header
	to     []byte // properties.to, nil if none; aliases the frame
	bare   []byte // from the message-annotations on; aliases the frame
}

// open reads a whole message. It checks every section all the way down, so that nobody who reads it later meets an
// error, and allocates nothing unless the sender delays the message or marks it against duplicates.
func (e *envelope) open(b []byte, nowMs int64) error {
	e.header = core.Header{Priority: core.DefaultPriority, TimestampMs: nowMs}
	e.to, e.bare = nil, b
	before := kindNone
	for len(b) > 0 {
		s, rest, err := nextSection(b)
		if err != nil {
			return err
		}
		if !inOrder(before, s.kind) {
			return errSections
		}
		if err := e.read(s, nowMs); err != nil {
			return err
		}
		if s.kind <= kindDeliveryNotes {
			e.bare = rest
		}
		before, b = s.kind, rest
	}
	return nil
}

func (e *envelope) read(s section, nowMs int64) error {
	switch s.kind {
	case kindHeader:
		return e.readHeader(s.value, nowMs)
	case kindMessageNotes:
		if bytes.Contains(s.value, []byte(annotationPrefix)) {
			e.readDelay(s.value, nowMs)
		}
	case kindProperties:
		return e.readProperties(s.value)
	case kindAppProperties:
		if bytes.Contains(s.value, []byte(propertyDupID)) {
			e.readDupID(s.value)
		}
	}
	return nil
}

// readHeader reads durable, priority and ttl (3.2.1); first-acquirer and delivery-count are the broker's to say.
func (e *envelope) readHeader(value []byte, nowMs int64) error {
	c := cursor{buf: value, left: 1}
	f := c.list()
	e.header.Durable = f.bool(false)
	e.header.Priority = min(f.ubyte(core.DefaultPriority), 9)
	if ttl := f.uint(0); ttl > 0 {
		e.header.ExpiresMs = nowMs + int64(ttl)
	}
	return f.rest()
}

// readProperties reads to, absolute-expiry-time and creation-time, and the types of the others (3.2.4).
func (e *envelope) readProperties(value []byte) error {
	c := cursor{buf: value, left: 1}
	p := c.list()
	skipID(&p)
	p.binary()
	e.to = addressText(&p)
	p.text()
	addressText(&p)
	skipID(&p)
	p.symbolBytes()
	p.symbolBytes()
	if t, ok := p.timestamp(); ok && t > 0 && e.header.ExpiresMs == 0 {
		e.header.ExpiresMs = int64(t)
	}
	if t, ok := p.timestamp(); ok && t > 0 {
		e.header.TimestampMs = int64(t)
	}
	p.text()
	p.uint(0)
	p.text()
	return p.rest()
}

// addressText reads an address, which may be anything but is a string to us; other types read as none.
func addressText(c *cursor) []byte {
	b := c.raw()
	if len(b) > 0 && (b[0] == codeStr8 || b[0] == codeStr32) {
		in := cursor{buf: b, left: 1}
		return in.variable(codeStr8, codeStr32)
	}
	return nil
}

func (c *cursor) symbolBytes() []byte { return c.variable(codeSym8, codeSym32) }

// skipID passes a message-id: a ulong, uuid, binary or string (3.2.11 to 3.2.14).
func skipID(c *cursor) {
	b := c.raw()
	if len(b) == 0 {
		return
	}
	switch b[0] {
	case codeNull, codeUlong, codeUlong0, codeSmallUlong, codeUUID, codeBin8, codeBin32, codeStr8, codeStr32:
		return
	}
	c.fail(errType)
}

// readDelay reads the annotations by which a sender delays a message. The absolute one wins.
func (e *envelope) readDelay(value []byte, nowMs int64) {
	if at, ok := asMs(entry(value, annotationTime)); ok && at > 0 {
		e.header.NotBeforeMs = at
	} else if delay, ok := asMs(entry(value, annotationDelay)); ok && delay > 0 && nowMs+delay > nowMs {
		e.header.NotBeforeMs = nowMs + delay
	}
}

// readDupID reads what names the message to duplicate detection.
func (e *envelope) readDupID(value []byte) {
	switch v := entry(value, propertyDupID).(type) {
	case string:
		e.header.DupID = v
	case []byte:
		e.header.DupID = string(v)
	case uuid:
		e.header.DupID = string(v[:])
	}
}

func asMs(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case timestamp:
		return int64(v), true
	case uint64:
		return int64(v), v <= 1<<62
	case int32:
		return int64(v), true
	case uint32:
		return int64(v), true
	}
	return 0, false
}

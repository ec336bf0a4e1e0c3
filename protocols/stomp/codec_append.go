package stomp

import (
	"strconv"

	"github.com/havenmq/havenmq/core"
)

// Append writes a frame as this connection's version does.
func (c *codec) Append(dst []byte, f Frame) ([]byte, error) {
	switch f.command {
	case cmdBeat:
		return append(dst, '\n'), nil
	case cmdMessage:
		return c.appendMessage(dst, &f.out), nil
	case cmdReceipt:
		dst = append(dst, "RECEIPT\nreceipt-id:"...)
		dst = appendEscaped(dst, f.receipt, c.dialect.version, false)
		return append(dst, "\n\n\x00\n"...), nil
	}
	v := c.dialect.version
	if !f.command.escapes(v) {
		v = v10
	}
	dst = append(append(dst, f.command.String()...), '\n')
	for i := range f.headers {
		dst = append(appendEscaped(dst, f.headers[i].name, v, true), ':')
		dst = append(appendEscaped(dst, f.headers[i].value, v, false), '\n')
	}
	if len(f.body) > 0 {
		dst = appendNumber(dst, "content-length:", uint64(len(f.body)))
	}
	dst = append(append(dst, '\n'), f.body...)
	return append(dst, "\x00\n"...), nil
}

// appendMessage writes MESSAGE. Ours come first: of a header that is there twice the first counts.
func (c *codec) appendMessage(dst []byte, o *outgoing) []byte {
	v := c.dialect.version
	dst = append(append(dst, "MESSAGE\n"...), o.sub.head...)
	dst = append(dst, "message-id:"...)
	if len(o.id) > 0 {
		dst = append(appendEscaped(dst, o.id, v, false), '\n')
	} else {
		dst = append(appendOwnID(dst, c.dialect, o.sub, o.seq), '\n')
	}
	if v == v12 {
		dst = append(appendAckID(append(dst, "ack:"...), o.sub, o.seq), '\n')
	}
	dst = appendPlace(append(dst, "destination:"...), o.to, v)
	if o.message == nil {
		return append(dst, "browser:end\n\n\x00\n"...)
	}
	dst = appendFacts(dst, o)
	if !o.origin.IsZero() {
		dst = appendPlace(append(dst, "original-destination:"...), o.origin, v)
	}
	dst = appendReescaped(dst, o.block, v)
	if o.length {
		dst = appendNumber(dst, "content-length:", uint64(len(o.body)))
	}
	dst = append(append(dst, '\n'), o.body...)
	return append(dst, "\x00\n"...)
}

// appendPlace writes a destination, and ends the line.
func appendPlace(dst []byte, d core.Destination, v version) []byte {
	if k := int(d.Kind); k > 0 && k < len(prefixes) {
		dst = append(dst, prefixes[k]...)
	}
	return append(appendEscaped(dst, d.Name, v, false), '\n')
}

// appendOwnID names a message that has no id of its own by its delivery, which is one of a kind.
func appendOwnID(dst []byte, d *dialect, sub *subscription, seq uint64) []byte {
	return appendAckID(append(append(dst, d.ids...), 'D'), sub, seq)
}

// appendFacts writes what the core knows of a message, and of this delivery of it.
func appendFacts(dst []byte, o *outgoing) []byte {
	m := o.message
	if m.Durable {
		dst = append(dst, "persistent:true\n"...)
	}
	dst = appendNumber(dst, "priority:", uint64(m.Priority))
	if m.TimestampMs > 0 {
		dst = appendNumber(dst, "timestamp:", uint64(m.TimestampMs))
	}
	if m.ExpiresMs > 0 {
		dst = appendNumber(dst, "expires:", uint64(m.ExpiresMs))
	}
	if o.returned || o.attempts > 0 { // so it is the second time at least, whatever was counted (JMS 2.0, 3.5.11)
		dst = append(dst, "redelivered:true\n"...)
		dst = appendNumber(dst, "JMSXDeliveryCount:", max(uint64(o.attempts), 1)+1)
	}
	if o.retained {
		dst = append(dst, "retained:true\n"...)
	}
	if o.reason != "" {
		dst = append(append(append(dst, "dlqDeliveryFailureCause:"...), o.reason...), '\n')
	}
	return dst
}

func appendNumber(dst []byte, name string, n uint64) []byte {
	return append(strconv.AppendUint(append(dst, name...), n, 10), '\n')
}

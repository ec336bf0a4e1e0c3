package stomp

import (
	"bytes"
	"math"
)

// Bounds of what comes in, beside the connector's own limit on a whole frame.
const (
	maxHeaders      = 1000
	maxLineBytes    = 64 << 10 // of one header line
	maxHeadBytes    = 1 << 20  // of all header lines of a frame
	maxCommandBytes = 16
	maxFirstBytes   = 64 << 10 // of a frame before CONNECT was accepted
)

// stage is how far into a frame the codec has read.
type stage uint8

const (
	inNothing stage = iota
	inCommand
	inHeaders
	inBody
)

// line is where one header stands in the buffer, counted from the frame's start.
type line struct{ start, colon, end int }

// codec is a connection's codec. What it has read of a frame that is not whole yet it keeps as offsets, so that a frame
// that comes byte by byte is read once, wherever the buffer moves meanwhile.
type codec struct {
	dialect *dialect
	limit   int // of a frame, in bytes

	stage   stage
	command command
	head    int // where the headers begin
	at      int // where the line or body that is being read begins
	scanned int // what is before it was searched for the line's or body's end
	length  int // content-length, -1 none
	lines   []line

	headers []header // the frame's, until Receive returns
	scratch []byte   // their unescaped values
}

// Decode reads a frame, or the line ends between frames.
func (c *codec) Decode(buf []byte) (f Frame, n, need int, err error) {
	if c.stage == inNothing {
		if n := lineEnds(buf); n > 0 {
			return Frame{command: cmdBeat}, n, 0, nil
		}
		if len(buf) == 0 || buf[0] == '\r' && len(buf) == 1 { // half of a line end, perhaps
			return f, 0, 0, nil
		}
		c.stage, c.at, c.scanned, c.length = inCommand, 0, 0, -1
		c.lines = c.lines[:0]
	}
	if n, need, err = c.read(buf); err != nil {
		c.stage = inNothing
		return f, 0, 0, err
	}
	if n == 0 {
		c.dialect.arrived = true
		return f, 0, need, nil
	}
	c.stage = inNothing
	end := n - 1
	if f, err = c.frame(buf[:end:end]); err != nil {
		return Frame{}, 0, 0, err
	}
	return f, n + lineEnds(buf[n:]), 0, nil
}

// lineEnds counts the bytes of the line ends that buf begins with.
func lineEnds(buf []byte) (n int) {
	for n < len(buf) {
		switch {
		case buf[n] == '\n':
			n++
		case buf[n] == '\r' && n+1 < len(buf) && buf[n+1] == '\n':
			n += 2
		default:
			return n
		}
	}
	return n
}

// read goes on with a frame; n is its length when it is whole.
func (c *codec) read(buf []byte) (n, need int, err error) {
	if c.stage == inCommand {
		if done, err := c.readCommand(buf); !done || err != nil {
			return 0, 0, err
		}
	}
	if c.stage == inHeaders {
		if done, err := c.readHeaders(buf); !done || err != nil {
			return 0, 0, err
		}
	}
	return c.readBody(buf)
}

// readCommand reads the first line.
func (c *codec) readCommand(buf []byte) (done bool, err error) {
	i := bytes.IndexByte(buf[:min(len(buf), maxCommandBytes)], '\n')
	if i < 0 {
		if len(buf) >= maxCommandBytes || !couldBegin(buf) {
			return false, errCommand
		}
		return false, nil
	}
	if c.command = clientCommand(c.chop(buf[:i])); c.command == cmdNone {
		return false, errCommand
	}
	c.stage, c.head, c.at, c.scanned = inHeaders, i+1, i+1, i+1
	return true, nil
}

// couldBegin says whether a command may begin with these bytes, so that what speaks another protocol is refused at once.
func couldBegin(buf []byte) bool {
	for i, b := range buf {
		if (b < 'A' || b > 'Z') && (b != '\r' || i != len(buf)-1) {
			return false
		}
	}
	return true
}

// chop takes the carriage return off a line's end: 1.2 has both line ends, a CONNECT may come from a 1.2 client, and 1.0 clients are
// often typed by hand. In 1.1 it is part of a value.
func (c *codec) chop(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' && c.dialect.version != v11 {
		return b[:n-1]
	}
	return b
}

// readHeaders reads lines up to the empty one.
func (c *codec) readHeaders(buf []byte) (done bool, err error) {
	for {
		i := bytes.IndexByte(buf[c.scanned:], '\n')
		if i < 0 {
			if bytes.IndexByte(buf[c.scanned:], 0) >= 0 {
				return false, errNoBlankLine
			}
			c.scanned = len(buf)
			return false, c.checkHead(len(buf))
		}
		end := c.scanned + i
		if err := c.checkHead(end); err != nil {
			return false, err
		}
		if bytes.IndexByte(buf[c.at:end], 0) >= 0 {
			return false, errNoBlankLine
		}
		b := c.chop(buf[c.at:end])
		start := c.at
		c.at, c.scanned = end+1, end+1
		if len(b) == 0 {
			return true, c.endHeaders(buf)
		}
		colon := bytes.IndexByte(b, ':')
		if colon <= 0 {
			return false, errNoColon
		}
		if len(c.lines) == maxHeaders {
			return false, errManyHeaders
		}
		c.lines = append(c.lines, line{start, start + colon, start + len(b)})
	}
}

// checkHead says whether the line that is being read, and all of the headers, may reach to end.
func (c *codec) checkHead(end int) error {
	switch {
	case end-c.at > maxLineBytes:
		return errLongLine
	case end-c.head > maxHeadBytes:
		return errLongHead
	case end >= c.frameLimit():
		return errFrameSize
	}
	return nil
}

func (c *codec) frameLimit() int {
	if !c.dialect.opened {
		return min(c.limit, maxFirstBytes)
	}
	return c.limit
}

// endHeaders looks for what the headers say of the body.
func (c *codec) endHeaders(buf []byte) error {
	c.stage = inBody
	for _, l := range c.lines {
		if string(buf[l.start:l.colon]) == "content-length" {
			n, ok := number(bytes.TrimSpace(buf[l.colon+1 : l.end]))
			if !ok {
				return errLength
			}
			c.length = int(min(n, math.MaxInt32))
			break
		}
	}
	if c.length > 0 && c.command != cmdSend {
		return errBody
	}
	if max(c.length, 0)+c.at+1 > c.frameLimit() {
		return errFrameSize
	}
	return nil
}

// readBody finds the NUL that ends the frame.
func (c *codec) readBody(buf []byte) (n, need int, err error) {
	if c.length >= 0 {
		n = c.at + c.length + 1
		if len(buf) < n {
			return 0, n, nil
		}
		if buf[n-1] != 0 {
			return 0, 0, errNoNUL
		}
		return n, 0, nil
	}
	i := bytes.IndexByte(buf[c.scanned:], 0)
	if i < 0 {
		c.scanned = len(buf)
		switch {
		case len(buf) >= c.frameLimit():
			return 0, 0, errFrameSize
		case len(buf) > c.at && c.command != cmdSend:
			return 0, 0, errBody
		}
		return 0, 0, nil
	}
	if n = c.scanned + i + 1; n > c.frameLimit() {
		return 0, 0, errFrameSize
	}
	if n-1 > c.at && c.command != cmdSend {
		return 0, 0, errBody
	}
	return n, 0, nil
}

// frame puts together what was read; buf is the frame without its NUL.
func (c *codec) frame(buf []byte) (Frame, error) {
	f := Frame{command: c.command, hasLength: c.length >= 0, body: buf[c.at:]}
	head := buf[c.head:c.at]
	c.headers, c.scratch = c.headers[:0], c.scratch[:0]
	for _, l := range c.lines {
		c.headers = append(c.headers, header{buf[l.start:l.colon:l.colon], buf[l.colon+1 : l.end : l.end], buf[l.start:l.end:l.end]})
	}
	f.headers = c.headers
	escapes := c.command.escapes(c.dialect.version)
	f.escaped = bytes.IndexByte(head, '\\') >= 0
	f.verbatim = escapes || !f.escaped
	if f.escaped && escapes {
		if err := c.unescape(f.headers); err != nil {
			return f, err
		}
	}
	if bytes.IndexByte(head, '\r') >= 0 {
		f.verbatim = f.verbatim && !hasReturn(f.headers)
	}
	if c.dialect.version == v10 || c.command == cmdConnect && !f.has("accept-version") {
		f.verbatim = !trim(f.headers) && f.verbatim
	}
	return f, nil
}

// trim takes off the blanks with which 1.0 clients pad values, as the examples of its specification do.
func trim(list []header) (changed bool) {
	for i := range list {
		v := bytes.TrimSpace(list[i].value)
		changed = changed || len(v) != len(list[i].value)
		list[i].value = v
	}
	return changed
}

func hasReturn(list []header) bool {
	for i := range list {
		if bytes.IndexByte(list[i].raw, '\r') >= 0 {
			return true
		}
	}
	return false
}

// unescape rewrites the headers that have escapes. Its memory grows to at most what the headers took.
func (c *codec) unescape(list []header) error {
	for i := range list {
		h := &list[i]
		if bytes.IndexByte(h.raw, '\\') < 0 {
			continue
		}
		for _, b := range []*[]byte{&h.name, &h.value} {
			from := len(c.scratch)
			var ok bool
			if c.scratch, ok = appendUnescaped(c.scratch, *b, c.dialect.version); !ok {
				return errEscape
			}
			*b = c.scratch[from:len(c.scratch):len(c.scratch)]
		}
	}
	return nil
}

// number reads a decimal number without a sign.
func number(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + uint64(d-'0')
	}
	return n, true
}

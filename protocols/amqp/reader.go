package amqp

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// cursor reads values one after another. The first error sticks, and every read after it answers the default, so that
// a performative is read field by field and asked once, at the end, whether all was well. Bytes that it returns alias
// its buffer.
type cursor struct {
	buf  []byte
	left int // fields that the list still has; those past the end are null (AMQP 1.0 part 1, 1.4)
	err  error
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.left, c.buf = 0, nil
}

// next takes a constructor. It answers false for a null, for a field past the list's end, and after an error.
func (c *cursor) next() (code byte, ok bool) {
	if c.left <= 0 {
		return 0, false
	}
	c.left--
	if len(c.buf) == 0 {
		c.fail(errShort)
		return 0, false
	}
	code = c.buf[0]
	c.buf = c.buf[1:]
	return code, code != codeNull
}

// take returns the next n bytes, nil if they are not there.
func (c *cursor) take(n int) []byte {
	if n > len(c.buf) {
		c.fail(errShort)
		return nil
	}
	b := c.buf[:n:n]
	c.buf = c.buf[n:]
	return b
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) be32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) be64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) bool(def bool) bool {
	code, ok := c.next()
	if !ok {
		return def
	}
	switch code {
	case codeTrue:
		return true
	case codeFalse:
		return false
	case codeBool:
		b := c.byte()
		if b > 1 {
			c.fail(errValue)
		}
		return b == 1
	}
	c.fail(errType)
	return def
}

func (c *cursor) ubyte(def uint8) uint8 {
	code, ok := c.next()
	if !ok {
		return def
	}
	if code != codeUbyte {
		c.fail(errType)
		return def
	}
	return c.byte()
}

func (c *cursor) ushort(def uint16) uint16 {
	code, ok := c.next()
	if !ok {
		return def
	}
	if code != codeUshort {
		c.fail(errType)
		return def
	}
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return def
}

// optUint is an uint field that may be null.
type optUint struct {
	value uint32
	set   bool
}

func some(v uint32) optUint { return optUint{v, true} }

func (o optUint) or(def uint32) uint32 {
	if o.set {
		return o.value
	}
	return def
}

func (c *cursor) optUint() optUint {
	code, ok := c.next()
	if !ok {
		return optUint{}
	}
	switch code {
	case codeUint0:
		return optUint{0, true}
	case codeSmallUint:
		return optUint{uint32(c.byte()), true}
	case codeUint:
		return optUint{c.be32(), true}
	}
	c.fail(errType)
	return optUint{}
}

func (c *cursor) uint(def uint32) uint32 { return c.optUint().or(def) }

// must is a mandatory uint.
func (c *cursor) must() uint32 {
	v := c.optUint()
	if !v.set {
		c.fail(errMandatory)
	}
	return v.value
}

func (c *cursor) ulong(def uint64) uint64 {
	code, ok := c.next()
	if !ok {
		return def
	}
	switch code {
	case codeUlong0:
		return 0
	case codeSmallUlong:
		return uint64(c.byte())
	case codeUlong:
		return c.be64()
	}
	c.fail(errType)
	return def
}

// timestamp answers false when there is none.
func (c *cursor) timestamp() (timestamp, bool) {
	code, ok := c.next()
	if !ok {
		return 0, false
	}
	if code != codeTimestamp {
		c.fail(errType)
		return 0, false
	}
	return timestamp(c.be64()), true
}

// variable reads bytes of one of two constructors; nil if null.
func (c *cursor) variable(code8, code32 byte) []byte {
	code, ok := c.next()
	if !ok {
		return nil
	}
	switch code {
	case code8:
		return c.take(int(c.byte()))
	case code32:
		n := c.be32()
		if uint64(n) > uint64(len(c.buf)) {
			c.fail(errShort)
			return nil
		}
		return c.take(int(n))
	}
	c.fail(errType)
	return nil
}

func (c *cursor) binary() []byte { return c.variable(codeBin8, codeBin32) }

func (c *cursor) text() []byte {
	b := c.variable(codeStr8, codeStr32)
	if !utf8.Valid(b) {
		c.fail(errText)
		return nil
	}
	return b
}

func (c *cursor) string() string { return string(c.text()) }

func (c *cursor) symbol() symbol { return symbol(c.variable(codeSym8, codeSym32)) }

// symbols reads a field that may hold null, one symbol or an array of them.
func (c *cursor) symbols() []symbol {
	if c.left <= 0 || len(c.buf) == 0 {
		c.next()
		return nil
	}
	if k := c.buf[0]; k == codeSym8 || k == codeSym32 {
		return []symbol{c.symbol()}
	}
	switch v := c.value().(type) {
	case nil:
	case array:
		out := make([]symbol, 0, len(v.vals))
		for _, e := range v.vals {
			s, ok := e.(symbol)
			if !ok {
				c.fail(errType)
				return nil
			}
			out = append(out, s)
		}
		return out
	default:
		c.fail(errType)
	}
	return nil
}

// raw returns the next value's bytes, checked all the way down; nil past the end, the null's byte for a null.
func (c *cursor) raw() []byte {
	if c.left <= 0 {
		return nil
	}
	c.left--
	n, err := check(c.buf, 0)
	if err != nil {
		c.fail(err)
		return nil
	}
	return c.take(n)
}

// optRaw is raw for a field whose null says no more than its absence.
func (c *cursor) optRaw() []byte {
	if b := c.raw(); len(b) != 1 || b[0] != codeNull {
		return b
	}
	return nil
}

// value reads the next value into Go's types.
func (c *cursor) value() any {
	b := c.raw()
	if b == nil {
		return nil
	}
	return decodeValue(b)
}

// fields reads a map into pairs; nil if null.
func (c *cursor) fields() pairs {
	switch v := c.value().(type) {
	case nil:
		return nil
	case pairs:
		return v
	}
	c.fail(errType)
	return nil
}

// open reads a described list's descriptor and returns a cursor over its fields. kind is kindNone for a null.
func (c *cursor) open() (kind kind, fields cursor) {
	code, ok := c.next()
	if !ok {
		return kindNone, cursor{}
	}
	if code != codeDescribed {
		c.fail(errType)
		return kindNone, cursor{}
	}
	kind = c.descriptor()
	return kind, c.list()
}

// descriptor reads what follows a codeDescribed: a ulong, or a symbol that stands for one. Unknown ones are kindNone.
func (c *cursor) descriptor() kind {
	if len(c.buf) >= 2 && c.buf[0] == codeSmallUlong { // what everybody sends
		k := kind(c.buf[1])
		c.buf = c.buf[2:]
		return k
	}
	c.left = max(c.left, 0) + 1
	if len(c.buf) > 0 && (c.buf[0] == codeSym8 || c.buf[0] == codeSym32) {
		return kindNames[c.symbol()]
	}
	v := c.ulong(0)
	if v > math.MaxUint8 {
		return kindNone
	}
	return kind(v)
}

// list reads a list's header, whatever its field count, and leaves its body to the cursor that it returns.
func (c *cursor) list() cursor {
	if len(c.buf) == 0 {
		c.fail(errShort)
		return cursor{err: c.err}
	}
	code := c.buf[0]
	switch code {
	case codeList0:
		c.buf = c.buf[1:]
		return cursor{}
	case codeList8, codeList32:
		items, count, n, err := compound(code == codeList32, c.buf[1:])
		if err == nil && count > len(items) {
			err = errCount
		}
		if err != nil {
			c.fail(err)
			return cursor{err: err}
		}
		c.buf = c.buf[1+n:]
		return cursor{buf: items, left: count}
	}
	c.fail(errType)
	return cursor{err: c.err}
}

// rest checks the fields that nobody asked for (a later version's, AMQP 1.0 part 1, 1.4) and that the list is as long as it says.
func (c *cursor) rest() error {
	for c.left > 0 {
		c.raw()
	}
	if c.err == nil && len(c.buf) != 0 {
		c.err = errCount
	}
	return c.err
}

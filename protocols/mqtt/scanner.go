package mqtt

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// scanner takes fields from the front of b. The first that is wrong sets err; from then on all are zero.
type scanner struct {
	b   []byte
	err *wireError
}

func (s *scanner) fail(e *wireError) {
	if s.err == nil {
		s.err = e
	}
	s.b = nil
}

func (s *scanner) take(n int) []byte {
	if n > len(s.b) {
		s.fail(errShort)
		return nil
	}
	v := s.b[:n:n]
	s.b = s.b[n:]
	return v
}

func (s *scanner) byte() byte {
	if len(s.b) == 0 {
		s.fail(errShort)
		return 0
	}
	v := s.b[0]
	s.b = s.b[1:]
	return v
}

func (s *scanner) uint16() uint16 {
	if v := s.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (s *scanner) uint32() uint32 {
	if v := s.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

// varint reads a variable byte integer (1.5.5).
func (s *scanner) varint() uint32 {
	v, n := varint(s.b)
	switch {
	case n > 0:
		s.b = s.b[n:]
		return v
	case n < 0:
		s.fail(errVarint)
	default:
		s.fail(errShort)
	}
	return 0
}

// varint reads a variable byte integer; n is its length, 0 when b ends before it does, -1 when it is too long.
func varint(b []byte) (v uint32, n int) {
	for i := range min(len(b), maxVarintBytes) {
		v |= uint32(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	if len(b) >= maxVarintBytes {
		return 0, -1
	}
	return 0, 0
}

const maxVarintBytes = 4

// binary reads binary data (1.5.6).
func (s *scanner) binary() []byte { return s.take(int(s.uint16())) }

// text reads a UTF-8 string (1.5.4).
func (s *scanner) text() []byte {
	v := s.binary()
	if !validText(v) {
		s.fail(errText)
		return nil
	}
	return v
}

// end says what was wrong, bytes that are left included.
func (s *scanner) end() error {
	if s.err != nil {
		return s.err
	}
	if len(s.b) > 0 {
		return errLong
	}
	return nil
}

// validText says whether b may be a UTF-8 string: no U+0000, no surrogates [MQTT-1.5.4-1] [MQTT-1.5.4-2].
func validText(b []byte) bool {
	return bytes.IndexByte(b, 0) < 0 && utf8.Valid(b)
}

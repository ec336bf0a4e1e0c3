package wire

import (
	"encoding/binary"
	"io"
)

// Performatives and message sections of AMQP 1.0, by descriptor.
const (
	perfOpen, perfBegin, perfAttach, perfFlow, perfTransfer, perfDisposition, perfDetach, perfEnd, perfClose = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18

	saslMechanisms, saslInit, saslOutcome = 0x40, 0x41, 0x44

	typeSource, typeTarget, typeAccepted = 0x28, 0x29, 0x24

	sectionHeader, sectionData, sectionValue = 0x70, 0x75, 0x77
)

// list gathers the fields of a described list.
type list struct {
	b []byte
	n uint32
}

func (l *list) null() *list { l.b = append(l.b, 0x40); l.n++; return l }

func (l *list) bool(v bool) *list {
	code := byte(0x42)
	if v {
		code = 0x41
	}
	l.b = append(l.b, code)
	l.n++
	return l
}

func (l *list) ubyte(v byte) *list { l.b = append(l.b, 0x50, v); l.n++; return l }

func (l *list) uint(v uint32) *list {
	l.b = binary.BigEndian.AppendUint32(append(l.b, 0x70), v)
	l.n++
	return l
}

func (l *list) bytes(code byte, v string) *list {
	l.b = append(binary.BigEndian.AppendUint32(append(l.b, code), uint32(len(v))), v...)
	l.n++
	return l
}

func (l *list) str(v string) *list { return l.bytes(0xb1, v) }
func (l *list) sym(v string) *list { return l.bytes(0xb3, v) }
func (l *list) bin(v string) *list { return l.bytes(0xb0, v) }

func (l *list) sub(v []byte) *list { l.b = append(l.b, v...); l.n++; return l }

// described writes the list with its descriptor.
func (l *list) described(code byte) []byte {
	b := []byte{0, 0x53, code, 0xd0}
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.b)+4))
	return append(binary.BigEndian.AppendUint32(b, l.n), l.b...)
}

// valueEnd is the offset behind the value at the start of b. It trusts the broker's lengths: a wrong one panics, which a
// load generator may.
func valueEnd(b []byte) int {
	switch c := b[0]; {
	case c == 0:
		n := 1 + valueEnd(b[1:])
		return n + valueEnd(b[n:])
	case c < 0x50:
		return 1
	case c < 0x60:
		return 2
	case c < 0x70:
		return 3
	case c < 0x80:
		return 5
	case c < 0x90:
		return 9
	case c < 0xa0:
		return 17
	case c < 0xb0, c >= 0xc0 && c < 0xd0, c >= 0xe0 && c < 0xf0:
		return 2 + int(b[1])
	}
	return 5 + int(binary.BigEndian.Uint32(b[1:]))
}

// performative is a frame's body, taken apart; fields are still encoded.
type performative struct {
	code    byte
	fields  [][]byte
	payload []byte
}

// parse reuses p's slice of fields.
func (p *performative) parse(b []byte) {
	at := valueEnd(b[1:]) + 1 // behind the descriptor
	p.code = b[at-1]          // its last byte, for smallulong and ulong alike
	end := at + valueEnd(b[at:])
	p.payload = b[end:]
	p.fields = p.fields[:0]
	var items []byte
	var n uint32
	switch b[at] {
	case 0xc0:
		n, items = uint32(b[at+2]), b[at+3:end]
	case 0xd0:
		n, items = binary.BigEndian.Uint32(b[at+5:]), b[at+9:end]
	}
	for range n {
		next := valueEnd(items)
		p.fields = append(p.fields, items[:next])
		items = items[next:]
	}
}

func (p *performative) has(i int) bool { return i < len(p.fields) && p.fields[i][0] != 0x40 }

func (p *performative) uint(i int) uint32 {
	if !p.has(i) {
		return 0
	}
	switch f := p.fields[i]; f[0] {
	case 0x70:
		return binary.BigEndian.Uint32(f[1:])
	case 0x52, 0x50:
		return uint32(f[1])
	}
	return 0
}

func (p *performative) true(i int) bool {
	return p.has(i) && (p.fields[i][0] == 0x41 || p.fields[i][0] == 0x56 && p.fields[i][1] == 1)
}

// messageBody finds the bytes of a message's data or value section.
func messageBody(b []byte) []byte {
	for len(b) > 0 {
		at := valueEnd(b[1:]) + 1
		code := b[at-1]
		end := at + valueEnd(b[at:])
		if code == sectionData || code == sectionValue {
			switch b[at] {
			case 0xa0, 0xa1:
				return b[at+2 : end]
			case 0xb0, 0xb1:
				return b[at+5 : end]
			}
			return nil
		}
		b = b[end:]
	}
	return nil
}

type amqpConn struct {
	conn
	buf []byte
	p   performative
}

// put gathers a frame; an error stays with the writer, whose Flush tells it.
func (a *amqpConn) put(kind byte, parts ...[]byte) {
	n := 8
	for _, p := range parts {
		n += len(p)
	}
	b := binary.BigEndian.AppendUint32(a.w.AvailableBuffer(), uint32(n))
	b = append(b, 2, kind, 0, 0)
	for _, p := range parts {
		b = append(b, p...)
	}
	_, _ = a.w.Write(b)
}

// read returns the next frame; it is good until the next call. Empty frames are skipped.
func (a *amqpConn) read() (*performative, error) {
	for {
		var h [8]byte
		if _, err := io.ReadFull(a.r, h[:]); err != nil {
			return nil, err
		}
		n := int(binary.BigEndian.Uint32(h[:])) - 8
		if cap(a.buf) < n {
			a.buf = make([]byte, n)
		}
		a.buf = a.buf[:n]
		if _, err := io.ReadFull(a.r, a.buf); err != nil {
			return nil, err
		}
		if n > 0 {
			a.p.parse(a.buf)
			return &a.p, nil
		}
	}
}

// expect reads up to a performative of this kind, past flows.
func (a *amqpConn) expect(code byte) (*performative, error) {
	if err := a.w.Flush(); err != nil {
		return nil, err
	}
	for {
		p, err := a.read()
		if err != nil || p.code == code {
			return p, err
		}
		if p.code != perfFlow {
			return nil, protocolError("unexpected performative", p.text())
		}
	}
}

func (p *performative) text() string {
	s := ""
	for _, f := range p.fields {
		s += " " + string(f)
	}
	return s
}

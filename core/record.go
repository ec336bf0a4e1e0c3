package core

import (
	"encoding/binary"
	"math"
)

// A message's header in the log. It is versioned; what follows a known version's fields is an error.
//
//	version 1:  0x01  format(1)  flags(1)  kind<<4|priority (1)  name
//	            then, as flags say: expires, timestamp, notBefore (varint), dupID, publisher (string), QoS (1)
//	string:     length(uvarint) bytes
const recordVersion = 1

const (
	flagDurable = 1 << iota
	flagRetain
	flagExpires
	flagTimestamp
	flagNotBefore
	flagDup
	flagPublisher
	flagQoS
)

// appendHeader writes m's header and format behind dst.
func appendHeader(dst []byte, m *Message) []byte {
	h := &m.Header
	flags := headerFlags(h)
	dst = append(dst, recordVersion, m.Format.ID(), flags, byte(h.To.Kind)<<4|min(h.Priority, 9))
	dst = appendString(dst, h.To.Name)
	if flags&flagExpires != 0 {
		dst = binary.AppendVarint(dst, h.ExpiresMs)
	}
	if flags&flagTimestamp != 0 {
		dst = binary.AppendVarint(dst, h.TimestampMs)
	}
	if flags&flagNotBefore != 0 {
		dst = binary.AppendVarint(dst, h.NotBeforeMs)
	}
	if flags&flagDup != 0 {
		dst = appendString(dst, h.DupID)
	}
	if flags&flagPublisher != 0 {
		dst = appendString(dst, h.Publisher)
	}
	if flags&flagQoS != 0 {
		dst = append(dst, h.QoS)
	}
	return dst
}

func headerFlags(h *Header) (f byte) {
	set := func(yes bool, bit byte) {
		if yes {
			f |= bit
		}
	}
	set(h.Durable, flagDurable)
	set(h.Retain, flagRetain)
	set(h.ExpiresMs != 0, flagExpires)
	set(h.TimestampMs != 0, flagTimestamp)
	set(h.NotBeforeMs != 0, flagNotBefore)
	set(h.DupID != "", flagDup)
	set(h.Publisher != "", flagPublisher)
	set(h.QoS != 0, flagQoS)
	return f
}

// readHeader reads what appendHeader wrote. like is a destination whose name is likely the same, to save a copy.
func readHeader(b []byte, like Destination) (h Header, format byte, err error) {
	r := reader{b: b}
	if v := r.byte(); v != recordVersion {
		return h, 0, &Error{CodeInternal, "stored message", "its header has a version that this program does not know: it was written by a newer one"}
	}
	format = r.byte()
	flags, place := r.byte(), r.byte()
	h.To.Kind, h.Priority = Kind(place>>4), place&15
	if name := r.bytes(MaxNameBytes); string(name) == like.Name {
		h.To.Name = like.Name
	} else {
		h.To.Name = string(name)
	}
	h.Durable, h.Retain = flags&flagDurable != 0, flags&flagRetain != 0
	if flags&flagExpires != 0 {
		h.ExpiresMs = r.varint()
	}
	if flags&flagTimestamp != 0 {
		h.TimestampMs = r.varint()
	}
	if flags&flagNotBefore != 0 {
		h.NotBeforeMs = r.varint()
	}
	if flags&flagDup != 0 {
		h.DupID = r.string(math.MaxUint32)
	}
	if flags&flagPublisher != 0 {
		h.Publisher = r.string(MaxNameBytes)
	}
	if flags&flagQoS != 0 {
		h.QoS = r.byte()
	}
	if h.To.Kind > TempTopic || h.Priority > 9 {
		r.bad = true
	}
	return h, format, r.end("stored message")
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBytes(dst, s []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// reader takes fields from the front of b. The first that is wrong sets bad; from then on all are zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	return v * r.number(n)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	return v * int64(r.number(n))
}

// number steps over n bytes; it is 0 if there was no number.
func (r *reader) number(n int) uint64 {
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return 1
}

func (r *reader) bytes(limit uint64) []byte {
	n := r.uvarint()
	if n > limit || n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) string(limit uint64) string { return string(r.bytes(limit)) }

func (r *reader) end(subject string) error {
	if r.bad || len(r.b) != 0 {
		return &Error{CodeInternal, subject, "its stored bytes cannot be read: restore the data directory, or, in a cluster, start this node with an empty one"}
	}
	return nil
}

package amqp

import "encoding/binary"

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, codeTrue)
	}
	return append(dst, codeFalse)
}

func appendUint(dst []byte, v uint32) []byte {
	switch {
	case v == 0:
		return append(dst, codeUint0)
	case v < 256:
		return append(dst, codeSmallUint, byte(v))
	}
	return binary.BigEndian.AppendUint32(append(dst, codeUint), v)
}

func appendUlong(dst []byte, v uint64) []byte {
	switch {
	case v == 0:
		return append(dst, codeUlong0)
	case v < 256:
		return append(dst, codeSmallUlong, byte(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeUlong), v)
}

func appendTimestamp(dst []byte, v timestamp) []byte {
	return binary.BigEndian.AppendUint64(append(dst, codeTimestamp), uint64(v))
}

func appendLength(dst []byte, code8, code32 byte, n int) []byte {
	if n < 256 {
		return append(dst, code8, byte(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, code32), uint32(n))
}

func appendString[T ~string | ~[]byte](dst []byte, v T) []byte {
	return append(appendLength(dst, codeStr8, codeStr32, len(v)), v...)
}

func appendBinary(dst []byte, v []byte) []byte {
	return append(appendLength(dst, codeBin8, codeBin32, len(v)), v...)
}

func appendSymbol(dst []byte, v symbol) []byte {
	return append(appendLength(dst, codeSym8, codeSym32, len(v)), v...)
}

// appendSymbols writes null, or an array, which is what several clients insist on even for one.
func appendSymbols(dst []byte, v []symbol) []byte {
	if len(v) == 0 {
		return append(dst, codeNull)
	}
	vals := make([]any, len(v))
	for i, s := range v {
		vals[i] = s
	}
	return appendArray(dst, array{code: codeSym32, vals: vals})
}

// listHead is what a list8 puts before its items; a list32 needs six bytes more, and few lists are that long.
const listHead = 3

// listWriter writes a list or a map: fields first, head last. Trailing nulls of a list are left out.
type listWriter struct {
	dst     []byte
	start   int
	count   int // fields written
	keep    int // fields up to the last that is not null
	keepEnd int // where that one ends
}

func beginList(dst []byte) listWriter {
	n := len(dst)
	return listWriter{dst: append(dst, 0, 0, 0), start: n, keepEnd: n + listHead}
}

// begin opens a described list.
func begin(dst []byte, k kind) listWriter {
	return beginList(append(dst, codeDescribed, codeSmallUlong, byte(k)))
}

// field says that a value was appended to dst.
func (w *listWriter) field() {
	w.count++
	w.keep, w.keepEnd = w.count, len(w.dst)
}

func (w *listWriter) null() {
	w.dst = append(w.dst, codeNull)
	w.count++
}

func (w *listWriter) bool(v bool) { w.dst = appendBool(w.dst, v); w.field() }

// flag writes a boolean whose default is false.
func (w *listWriter) flag(v bool) {
	if !v {
		w.null()
		return
	}
	w.bool(true)
}

func (w *listWriter) ubyte(v uint8) { w.dst = append(w.dst, codeUbyte, v); w.field() }

func (w *listWriter) ushort(v uint16) {
	w.dst = binary.BigEndian.AppendUint16(append(w.dst, codeUshort), v)
	w.field()
}

func (w *listWriter) uint(v uint32) { w.dst = appendUint(w.dst, v); w.field() }

func (w *listWriter) opt(v optUint) {
	if !v.set {
		w.null()
		return
	}
	w.uint(v.value)
}

// uintUnless writes v, or null when it is the default.
func (w *listWriter) uintUnless(v, def uint32) {
	w.opt(optUint{v, v != def})
}

func (w *listWriter) ulong(v uint64) { w.dst = appendUlong(w.dst, v); w.field() }

func (w *listWriter) timestamp(v timestamp) {
	w.dst = appendTimestamp(w.dst, v)
	w.field()
}

// string writes v, or null when it is empty.
func (w *listWriter) string(v string) {
	if v == "" {
		w.null()
		return
	}
	w.dst = appendString(w.dst, v)
	w.field()
}

func (w *listWriter) symbol(v symbol) {
	if v == "" {
		w.null()
		return
	}
	w.dst = appendSymbol(w.dst, v)
	w.field()
}

func (w *listWriter) symbols(v []symbol) {
	if len(v) == 0 {
		w.null()
		return
	}
	w.dst = appendSymbols(w.dst, v)
	w.field()
}

func (w *listWriter) binary(v []byte) {
	if v == nil {
		w.null()
		return
	}
	w.dst = appendBinary(w.dst, v)
	w.field()
}

// value writes anything, a nil as null.
func (w *listWriter) value(v any) {
	if v == nil {
		w.null()
		return
	}
	w.dst = appendValue(w.dst, v)
	w.field()
}

// fields writes a map, or null when it is empty.
func (w *listWriter) fields(v pairs) {
	if len(v) == 0 {
		w.null()
		return
	}
	w.value(v)
}

// raw writes an encoded value, or null when there is none.
func (w *listWriter) raw(v []byte) {
	if len(v) == 0 {
		w.null()
		return
	}
	w.dst = append(w.dst, v...)
	w.field()
}

// end closes a list without its trailing nulls.
func (w *listWriter) end() []byte {
	w.dst = w.dst[:w.keepEnd]
	if w.keep == 0 {
		return append(w.dst[:w.start], codeList0)
	}
	w.count = w.keep
	return w.endAll(codeList8, codeList32)
}

// endAll closes a list or map as it is.
func (w *listWriter) endAll(code8, code32 byte) []byte {
	items := len(w.dst) - w.start - listHead
	if items < 255 && w.count < 256 {
		w.dst[w.start], w.dst[w.start+1], w.dst[w.start+2] = code8, byte(items+1), byte(w.count)
		return w.dst
	}
	w.dst = append(w.dst, 0, 0, 0, 0, 0, 0)
	copy(w.dst[w.start+9:], w.dst[w.start+listHead:w.start+listHead+items])
	w.dst[w.start] = code32
	binary.BigEndian.PutUint32(w.dst[w.start+1:], uint32(items+4))
	binary.BigEndian.PutUint32(w.dst[w.start+5:], uint32(w.count))
	return w.dst
}

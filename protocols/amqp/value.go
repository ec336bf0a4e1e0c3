package amqp

import (
	"encoding/binary"
	"math"
)

// decodeValue reads the value at the start of b into Go's types. b was checked: its counts and lengths hold, so that
// what is allocated is bounded by its size.
func decodeValue(b []byte) any {
	v, _ := decodeOne(b)
	return v
}

func decodeOne(b []byte) (any, []byte) {
	if b[0] != codeDescribed {
		return decodeBody(b[0], b[1:])
	}
	desc, b := decodeOne(b[1:])
	value, b := decodeOne(b)
	return described{desc, value}, b
}

// decodeBody is decodeOne for a value whose constructor was read already.
func decodeBody(code byte, b []byte) (any, []byte) {
	s := shapes[code]
	switch s.class {
	case wideFixed:
		return decodeFixed(code, b), b[s.fixedBytes:]
	case wideVar8, wideVar32:
		head, size, _ := lengthOf(s.class == wideVar32, b)
		v := b[head : head+size]
		switch code {
		case codeStr8, codeStr32:
			return string(v), b[head+size:]
		case codeSym8, codeSym32:
			return symbol(v), b[head+size:]
		}
		return append([]byte{}, v...), b[head+size:]
	case wideCompound8, wideCompound32:
		items, count, n, _ := compound(s.class == wideCompound32, b)
		if code == codeMap8 || code == codeMap32 {
			return decodePairs(items, count), b[n:]
		}
		l := make(list, count)
		for i := range l {
			l[i], items = decodeOne(items)
		}
		return l, b[n:]
	}
	items, count, n, _ := compound(s.class == wideArray32, b)
	return decodeArray(items, count), b[n:]
}

func decodePairs(items []byte, count int) pairs {
	m := make(pairs, count/2)
	for i := range m {
		m[i].key, items = decodeOne(items)
		m[i].value, items = decodeOne(items)
	}
	return m
}

func decodeArray(items []byte, count int) array {
	code, desc, items, _ := arrayHead(items, 0)
	a := array{code: code, vals: make([]any, count)}
	if desc != nil {
		a.desc = decodeValue(desc)
	}
	for i := range a.vals {
		a.vals[i], items = decodeBody(code, items)
	}
	return a
}

func decodeFixed(code byte, b []byte) any {
	switch code {
	case codeTrue:
		return true
	case codeFalse:
		return false
	case codeUint0:
		return uint32(0)
	case codeUlong0:
		return uint64(0)
	case codeList0:
		return list{}
	case codeUbyte:
		return b[0]
	case codeByte:
		return int8(b[0])
	case codeSmallUint:
		return uint32(b[0])
	case codeSmallUlong:
		return uint64(b[0])
	case codeSmallInt:
		return int32(int8(b[0]))
	case codeSmallLong:
		return int64(int8(b[0]))
	case codeBool:
		return b[0] == 1
	case codeUshort:
		return binary.BigEndian.Uint16(b)
	case codeShort:
		return int16(binary.BigEndian.Uint16(b))
	}
	return decodeWide(code, b)
}

func decodeWide(code byte, b []byte) any {
	switch code {
	case codeUint:
		return binary.BigEndian.Uint32(b)
	case codeInt:
		return int32(binary.BigEndian.Uint32(b))
	case codeFloat:
		return math.Float32frombits(binary.BigEndian.Uint32(b))
	case codeChar:
		return char(binary.BigEndian.Uint32(b))
	case codeDecimal32:
		return decimal32(b[:4])
	case codeUlong:
		return binary.BigEndian.Uint64(b)
	case codeLong:
		return int64(binary.BigEndian.Uint64(b))
	case codeDouble:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	case codeTimestamp:
		return timestamp(binary.BigEndian.Uint64(b))
	case codeDecimal64:
		return decimal64(b[:8])
	case codeDecimal128:
		return decimal128(b[:16])
	case codeUUID:
		return uuid(b[:16])
	}
	return nil // codeNull
}

// appendValue encodes any of the Go types that decodeValue answers, in the narrowest form.
func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case described:
		return appendValue(appendValue(append(dst, codeDescribed), v.desc), v.value)
	case list:
		w := beginList(dst)
		for _, e := range v {
			w.dst = appendValue(w.dst, e)
			w.field()
		}
		return w.endAll(codeList8, codeList32)
	case pairs:
		w := beginList(dst)
		for _, e := range v {
			w.dst = appendValue(w.dst, e.key)
			w.field()
			w.dst = appendValue(w.dst, e.value)
			w.field()
		}
		return w.endAll(codeMap8, codeMap32)
	case array:
		return appendArray(dst, v)
	case []symbol:
		return appendSymbols(dst, v)
	}
	return appendScalar(dst, v)
}

func appendScalar(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return appendBool(dst, v)
	case uint8:
		return append(dst, codeUbyte, v)
	case uint16:
		return binary.BigEndian.AppendUint16(append(dst, codeUshort), v)
	case uint32:
		return appendUint(dst, v)
	case uint64:
		return appendUlong(dst, v)
	case int8:
		return append(dst, codeByte, byte(v))
	case int16:
		return binary.BigEndian.AppendUint16(append(dst, codeShort), uint16(v))
	case int32:
		if v >= math.MinInt8 && v <= math.MaxInt8 {
			return append(dst, codeSmallInt, byte(v))
		}
		return binary.BigEndian.AppendUint32(append(dst, codeInt), uint32(v))
	case int64:
		if v >= math.MinInt8 && v <= math.MaxInt8 {
			return append(dst, codeSmallLong, byte(v))
		}
		return binary.BigEndian.AppendUint64(append(dst, codeLong), uint64(v))
	case float32:
		return binary.BigEndian.AppendUint32(append(dst, codeFloat), math.Float32bits(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, codeDouble), math.Float64bits(v))
	case string:
		return appendString(dst, v)
	case []byte:
		return appendBinary(dst, v)
	case symbol:
		return appendSymbol(dst, v)
	}
	return appendExotic(dst, v)
}

func appendExotic(dst []byte, v any) []byte {
	switch v := v.(type) {
	case timestamp:
		return appendTimestamp(dst, v)
	case char:
		return binary.BigEndian.AppendUint32(append(dst, codeChar), uint32(v))
	case uuid:
		return append(append(dst, codeUUID), v[:]...)
	case decimal32:
		return append(append(dst, codeDecimal32), v[:]...)
	case decimal64:
		return append(append(dst, codeDecimal64), v[:]...)
	case decimal128:
		return append(append(dst, codeDecimal128), v[:]...)
	}
	return append(dst, codeNull)
}

// appendArray writes the elements with the constructor that they were read with.
func appendArray(dst []byte, a array) []byte {
	dst = append(dst, codeArray32, 0, 0, 0, 0)
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(a.vals)))
	if a.desc != nil {
		dst = appendValue(append(dst, codeDescribed), a.desc)
	}
	dst = append(dst, a.code)
	for _, v := range a.vals {
		dst = appendElement(dst, a.code, v)
	}
	binary.BigEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	return dst
}

// appendElement encodes v without its constructor in exactly the width that code asks for.
func appendElement(dst []byte, code byte, v any) []byte {
	switch s := shapes[code]; s.class {
	case wideVar8, wideVar32:
		var b []byte
		switch v := v.(type) {
		case string:
			b = []byte(v)
		case symbol:
			b = []byte(v)
		case []byte:
			b = v
		}
		if s.class == wideVar8 {
			return append(append(dst, byte(len(b))), b...)
		}
		return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
	case wideFixed:
		return appendFixedElement(dst, int(s.fixedBytes), v)
	}
	return appendCompoundElement(dst, code, v)
}

func appendFixedElement(dst []byte, width int, v any) []byte {
	if b, ok := v.(bool); ok {
		if width == 0 {
			return dst
		}
		if b {
			return append(dst, 1)
		}
		return append(dst, 0)
	}
	// The narrowest form is at most as wide; its value goes right-aligned, with the sign carried on.
	full := appendScalar(nil, v)
	body := full[1:]
	if width < len(body) {
		return append(dst, body[len(body)-width:]...)
	}
	fill := byte(0)
	if len(body) > 0 && (full[0] == codeSmallInt || full[0] == codeSmallLong) && body[0] >= 0x80 {
		fill = 0xff
	}
	for range width - len(body) {
		dst = append(dst, fill)
	}
	return append(dst, body...)
}

func appendCompoundElement(dst []byte, code byte, v any) []byte {
	full := appendValue(nil, v)
	if len(full) == 0 {
		return dst
	}
	if full[0] == code {
		return append(dst, full[1:]...)
	}
	items, count := []byte(nil), 0
	switch s := shapes[full[0]]; s.class {
	case wideCompound8, wideCompound32:
		items, count, _, _ = compound(s.class == wideCompound32, full[1:])
	case wideArray32:
		items, count, _, _ = compound(true, full[1:])
	}
	switch shapes[code].class {
	case wideCompound8, wideArray8:
		dst = append(dst, byte(len(items)+1), byte(count))
	default:
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(items)+4))
		dst = binary.BigEndian.AppendUint32(dst, uint32(count))
	}
	return append(dst, items...)
}

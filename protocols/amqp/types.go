package amqp

import (
	"encoding/binary"
	"unicode/utf8"
)

// Constructor codes of AMQP's primitive types (AMQP 1.0 part 1, 1.6). The high nibble is the width class.
const (
	codeDescribed  = 0x00
	codeNull       = 0x40
	codeTrue       = 0x41
	codeFalse      = 0x42
	codeUint0      = 0x43
	codeUlong0     = 0x44
	codeList0      = 0x45
	codeUbyte      = 0x50
	codeByte       = 0x51
	codeSmallUint  = 0x52
	codeSmallUlong = 0x53
	codeSmallInt   = 0x54
	codeSmallLong  = 0x55
	codeBool       = 0x56
	codeUshort     = 0x60
	codeShort      = 0x61
	codeUint       = 0x70
	codeInt        = 0x71
	codeFloat      = 0x72
	codeChar       = 0x73
	codeDecimal32  = 0x74
	codeUlong      = 0x80
	codeLong       = 0x81
	codeDouble     = 0x82
	codeTimestamp  = 0x83
	codeDecimal64  = 0x84
	codeDecimal128 = 0x94
	codeUUID       = 0x98
	codeBin8       = 0xa0
	codeStr8       = 0xa1
	codeSym8       = 0xa3
	codeBin32      = 0xb0
	codeStr32      = 0xb1
	codeSym32      = 0xb3
	codeList8      = 0xc0
	codeMap8       = 0xc1
	codeList32     = 0xd0
	codeMap32      = 0xd1
	codeArray8     = 0xe0
	codeArray32    = 0xf0
)

// maxDepth bounds how deep values may nest: lists in maps in described types. It guards the stack.
const maxDepth = 32

// maxEmptyElements bounds an array whose elements take no bytes (all true, all null): its declared count is the only
// thing that could be larger than the frame that carries it.
const maxEmptyElements = 16

// The Go types of AMQP values that Go has no type for. The others are nil, bool, int8…int64, uint8…uint64, float32,
// float64, string and []byte. Decimals are IEEE 754-2008 bits, never looked into.
type (
	symbol     string
	char       rune
	timestamp  int64 // ms since epoch
	uuid       [16]byte
	decimal32  [4]byte
	decimal64  [8]byte
	decimal128 [16]byte
	list       []any
	pairs      []pair // a map, in the order of the wire
	array      struct {
		code byte // its elements' constructor
		desc any  // their descriptor, nil if they have none
		vals []any
	}
	described struct{ desc, value any }
	pair      struct{ key, value any }
)

// Width classes: what follows a constructor.
const (
	wideInvalid   = iota
	wideFixed     // the number of bytes is in fixedBytes
	wideVar8      // a length byte, then that many
	wideVar32     // four length bytes, then that many
	wideCompound8 // size, count, then items
	wideCompound32
	wideArray8
	wideArray32
)

type shape struct {
	class      uint8
	fixedBytes uint8
}

// shapes says for each constructor how to find its end.
var shapes = buildShapes()

func buildShapes() (s [256]shape) {
	fixed := map[byte][]byte{
		0: {codeNull, codeTrue, codeFalse, codeUint0, codeUlong0, codeList0},
		1: {codeUbyte, codeByte, codeSmallUint, codeSmallUlong, codeSmallInt, codeSmallLong, codeBool},
		2: {codeUshort, codeShort}, 4: {codeUint, codeInt, codeFloat, codeChar, codeDecimal32},
		8:  {codeUlong, codeLong, codeDouble, codeTimestamp, codeDecimal64},
		16: {codeDecimal128, codeUUID},
	}
	for width, codes := range fixed {
		for _, c := range codes {
			s[c] = shape{wideFixed, width}
		}
	}
	for class, codes := range map[uint8][]byte{
		wideVar8: {codeBin8, codeStr8, codeSym8}, wideVar32: {codeBin32, codeStr32, codeSym32},
		wideCompound8: {codeList8, codeMap8}, wideCompound32: {codeList32, codeMap32},
		wideArray8: {codeArray8}, wideArray32: {codeArray32},
	} {
		for _, c := range codes {
			s[c] = shape{class: class}
		}
	}
	return s
}

// check walks the one value at the start of b, all the way down, and says how many bytes it takes. Nothing is
// allocated and every count is held against the bytes that are there.
func check(b []byte, depth int) (n int, err error) {
	if len(b) == 0 {
		return 0, errShort
	}
	if b[0] != codeDescribed {
		n, err = checkBody(b[0], b[1:], depth)
		return n + 1, err
	}
	if depth >= maxDepth {
		return 0, errDeep
	}
	d, err := check(b[1:], depth+1)
	if err != nil {
		return 0, err
	}
	v, err := check(b[1+d:], depth+1)
	return 1 + d + v, err
}

// checkBody is check for a value whose constructor was read already.
func checkBody(code byte, b []byte, depth int) (n int, err error) {
	s := shapes[code]
	switch s.class {
	case wideFixed:
		if n = int(s.fixedBytes); len(b) < n {
			return 0, errShort
		}
		if code == codeBool && b[0] > 1 {
			return 0, errValue
		}
		return n, nil
	case wideVar8, wideVar32:
		head, size, err := lengthOf(s.class == wideVar32, b)
		if err != nil {
			return 0, err
		}
		if (code == codeStr8 || code == codeStr32) && !utf8.Valid(b[head:head+size]) {
			return 0, errText
		}
		return head + size, nil
	case wideCompound8, wideCompound32:
		return checkItems(code, s.class == wideCompound32, b, depth)
	case wideArray8, wideArray32:
		return checkArray(s.class == wideArray32, b, depth)
	}
	return 0, errCode
}

// lengthOf reads a length prefix of one or four bytes; what it promises is there.
func lengthOf(wide bool, b []byte) (head, size int, err error) {
	if wide {
		if len(b) < 4 {
			return 0, 0, errShort
		}
		head, size = 4, int(binary.BigEndian.Uint32(b))
	} else {
		if len(b) < 1 {
			return 0, 0, errShort
		}
		head, size = 1, int(b[0])
	}
	if len(b)-head < size {
		return 0, 0, errShort
	}
	return head, size, nil
}

// compound reads a list's, map's or array's size and count: the items, their number, and how long all of it is.
func compound(wide bool, b []byte) (items []byte, count, n int, err error) {
	head, size, err := lengthOf(wide, b)
	if err != nil {
		return nil, 0, 0, err
	}
	if size < head { // the count is as wide as the size and is counted by it
		return nil, 0, 0, errShort
	}
	if wide {
		count = int(binary.BigEndian.Uint32(b[4:]))
	} else {
		count = int(b[1])
	}
	return b[2*head : head+size], count, head + size, nil
}

func checkItems(code byte, wide bool, b []byte, depth int) (int, error) {
	items, count, n, err := compound(wide, b)
	if err != nil {
		return 0, err
	}
	if depth >= maxDepth {
		return 0, errDeep
	}
	if count > len(items) {
		return 0, errCount
	}
	if (code == codeMap8 || code == codeMap32) && count%2 != 0 {
		return 0, errOddMap
	}
	for range count {
		m, err := check(items, depth+1)
		if err != nil {
			return 0, err
		}
		items = items[m:]
	}
	if len(items) != 0 {
		return 0, errCount
	}
	return n, nil
}

func checkArray(wide bool, b []byte, depth int) (int, error) {
	items, count, n, err := compound(wide, b)
	if err != nil {
		return 0, err
	}
	code, _, items, err := arrayHead(items, depth)
	if err != nil {
		return 0, err
	}
	if s := shapes[code]; s.class == wideFixed && code != codeBool {
		if err := fitsFixed(count, int(s.fixedBytes), len(items)); err != nil {
			return 0, err
		}
		return n, nil
	}
	if count > len(items) {
		return 0, errCount
	}
	for range count {
		m, err := checkBody(code, items, depth+1)
		if err != nil {
			return 0, err
		}
		items = items[m:]
	}
	if len(items) != 0 {
		return 0, errCount
	}
	return n, nil
}

func fitsFixed(count, width, bytes int) error {
	if width == 0 && (count > maxEmptyElements || bytes != 0) || width > 0 && (bytes%width != 0 || bytes/width != count) {
		return errCount
	}
	return nil
}

// arrayHead reads the constructor that an array's elements share, and its descriptor's bytes if it has one.
func arrayHead(items []byte, depth int) (code byte, desc, rest []byte, err error) {
	if depth >= maxDepth {
		return 0, nil, nil, errDeep
	}
	if len(items) > 0 && items[0] == codeDescribed {
		n, err := check(items[1:], depth+1)
		if err != nil {
			return 0, nil, nil, err
		}
		desc, items = items[1:1+n], items[1+n:]
	}
	if len(items) == 0 {
		return 0, nil, nil, errShort
	}
	if items[0] == codeDescribed || shapes[items[0]].class == wideInvalid {
		return 0, nil, nil, errCode
	}
	return items[0], desc, items[1:], nil
}

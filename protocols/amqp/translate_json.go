package amqp

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxJSONGrowth bounds how much larger than its AMQP bytes a body may be as JSON: six for a control character, and
// what an array of empty elements can do. maxJSONBytes is what is always allowed.
const (
	maxJSONGrowth = 8
	maxJSONBytes  = 4096
)

// jsonBody shows a value or sequence body to those who do not read AMQP. The sections were checked.
func jsonBody(k kind, sections []byte) ([]byte, error) {
	w := jsonWriter{limit: maxJSONBytes + maxJSONGrowth*len(sections)}
	if k == kindValue {
		s, _, err := nextSection(sections)
		if err != nil {
			return nil, err
		}
		w.value(s.value)
		return w.out, w.err
	}
	w.out = append(w.out, '[')
	first := true
	for len(sections) > 0 {
		s, rest, err := nextSection(sections)
		if err != nil {
			return nil, err
		}
		if s.value[0] != codeList0 {
			items, count, _, _ := compound(s.value[0] == codeList32, s.value[1:])
			for range count {
				w.comma(&first)
				items = w.value(items)
			}
		}
		sections = rest
	}
	w.out = append(w.out, ']')
	return w.out, w.err
}

// jsonWriter writes checked AMQP values as JSON straight from their bytes.
type jsonWriter struct {
	out   []byte
	limit int
	err   error
}

func (w *jsonWriter) comma(first *bool) {
	if !*first {
		w.out = append(w.out, ',')
	}
	*first = false
}

// value writes the value at the start of b and returns what follows it.
func (w *jsonWriter) value(b []byte) []byte {
	if len(w.out) > w.limit && w.err == nil {
		w.err = errBig
	}
	if w.err != nil || len(b) == 0 {
		return nil
	}
	if b[0] == codeDescribed { // the descriptor has no place in JSON
		n, _ := check(b[1:], 0)
		return w.value(b[1+n:])
	}
	return w.body(b[0], b[1:])
}

func (w *jsonWriter) body(code byte, b []byte) []byte {
	n, err := checkBody(code, b, 0)
	if w.err == nil {
		w.err = err
	}
	if w.err != nil {
		return nil
	}
	switch code {
	case codeList8, codeList32:
		items, count, _, _ := compound(code == codeList32, b)
		w.items(items, count, '[', ']', func(i []byte) []byte { return w.value(i) })
	case codeMap8, codeMap32:
		items, count, _, _ := compound(code == codeMap32, b)
		w.items(items, count/2, '{', '}', func(i []byte) []byte {
			i = w.key(i)
			w.out = append(w.out, ':')
			return w.value(i)
		})
	case codeArray8, codeArray32:
		items, count, _, _ := compound(code == codeArray32, b)
		element, _, items, _ := arrayHead(items, 0)
		w.items(items, count, '[', ']', func(i []byte) []byte { return w.body(element, i) })
	default:
		v, _ := decodeBody(code, b)
		w.scalar(v)
	}
	return b[n:]
}

func (w *jsonWriter) items(items []byte, count int, open, end byte, each func([]byte) []byte) {
	w.out = append(w.out, open)
	first := true
	for range count {
		if w.err != nil {
			return
		}
		w.comma(&first)
		items = each(items)
	}
	w.out = append(w.out, end)
}

// key writes a map's key, which is text in JSON whatever it was.
func (w *jsonWriter) key(b []byte) []byte {
	sub := jsonWriter{limit: w.limit}
	rest := sub.value(b)
	if sub.err != nil {
		w.err = sub.err
	}
	if len(sub.out) > 0 && sub.out[0] == '"' {
		w.out = append(w.out, sub.out...)
	} else {
		w.text(string(sub.out))
	}
	return rest
}

func (w *jsonWriter) scalar(v any) {
	switch v := v.(type) {
	case bool:
		w.out = strconv.AppendBool(w.out, v)
	case uint8, uint16, uint32, uint64, int8, int16, int32, int64:
		w.integer(v)
	case float32:
		w.float(float64(v), 32)
	case float64:
		w.float(v, 64)
	case string:
		w.text(v)
	case symbol:
		w.text(string(v))
	case char:
		w.text(string(rune(v)))
	case uuid:
		w.text(v.String())
	case timestamp:
		w.text(time.UnixMilli(int64(v)).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	case []byte:
		w.binary(v)
	case decimal32:
		w.binary(v[:])
	case decimal64:
		w.binary(v[:])
	case decimal128:
		w.binary(v[:])
	case list:
		w.out = append(w.out, "[]"...) // list0
	default:
		w.out = append(w.out, "null"...)
	}
}

func (w *jsonWriter) integer(v any) {
	switch v := v.(type) {
	case uint8:
		w.out = strconv.AppendUint(w.out, uint64(v), 10)
	case uint16:
		w.out = strconv.AppendUint(w.out, uint64(v), 10)
	case uint32:
		w.out = strconv.AppendUint(w.out, uint64(v), 10)
	case uint64:
		w.out = strconv.AppendUint(w.out, v, 10)
	case int8:
		w.out = strconv.AppendInt(w.out, int64(v), 10)
	case int16:
		w.out = strconv.AppendInt(w.out, int64(v), 10)
	case int32:
		w.out = strconv.AppendInt(w.out, int64(v), 10)
	case int64:
		w.out = strconv.AppendInt(w.out, v, 10)
	}
}

func (w *jsonWriter) float(v float64, bits int) {
	if math.IsNaN(v) || math.IsInf(v, 0) { // JSON has no words for them
		w.out = append(w.out, "null"...)
		return
	}
	w.out = strconv.AppendFloat(w.out, v, 'g', -1, bits)
}

func (w *jsonWriter) binary(v []byte) {
	w.out = append(w.out, '"')
	w.out = base64.StdEncoding.AppendEncode(w.out, v)
	w.out = append(w.out, '"')
}

func (w *jsonWriter) text(s string) {
	const hex = "0123456789abcdef"
	w.out = append(w.out, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			w.out = append(w.out, '\\', c)
		case c < ' ':
			w.out = append(w.out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			w.out = append(w.out, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			w.out = utf8.AppendRune(w.out, r)
			i += n
			continue
		}
		i++
	}
	w.out = append(w.out, '"')
}

package core

import (
	"strconv"
	"strings"
	"time"
)

// Text spells the property's value for a protocol whose properties are strings: numbers in decimal, a time in ms since
// epoch, bytes as they are. nil is "".
func (p *Property) Text() string {
	switch v := p.Value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int8:
		return strconv.FormatInt(int64(v), 10)
	case int16:
		return strconv.FormatInt(int64(v), 10)
	case int32:
		return strconv.FormatInt(int64(v), 10)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint8:
		return strconv.FormatUint(uint64(v), 10)
	case uint16:
		return strconv.FormatUint(uint64(v), 10)
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []byte:
		return string(v)
	case time.Time:
		return strconv.FormatInt(v.UnixMilli(), 10)
	}
	return ""
}

// DeclaresText says whether a content type declares text: text/*, application/json, application/xml, or any with a
// charset.
func DeclaresText(contentType string) bool {
	if contentType == "" {
		return false
	}
	media, params, _ := strings.Cut(strings.ToLower(contentType), ";")
	media = strings.TrimSpace(media)
	return strings.HasPrefix(media, "text/") || media == "application/json" || media == "application/xml" ||
		strings.Contains(params, "charset=")
}

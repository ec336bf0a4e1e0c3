package amqp

import (
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// How ids that are not strings are spelled as text, from the AMQP JMS mapping. The string form marks a string that
// would read as one of the others.
const (
	idUlong  = "ID:AMQP_ULONG:"
	idUUID   = "ID:AMQP_UUID:"
	idBinary = "ID:AMQP_BINARY:"
	idString = "ID:AMQP_STRING:"
)

// idText spells a message-id or correlation-id of any of AMQP's four types as text, so that idValue gives it back.
func idText(v any) string {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "ID:AMQP_") {
			if _, isText := idValue(v).(string); !isText || strings.HasPrefix(v, idString) {
				return idString + v
			}
		}
		return v
	case uint64:
		return idUlong + strconv.FormatUint(v, 10)
	case uuid:
		return idUUID + v.String()
	case []byte:
		return idBinary + strings.ToUpper(hex.EncodeToString(v))
	}
	return ""
}

// correlationText is idText for correlation-ids. Bytes that are no text stay as they are: they are another protocol's
// correlation data on its way back (MQTT's may be any bytes).
func correlationText(v any) string {
	if b, ok := v.([]byte); ok && !utf8.Valid(b) {
		return string(b)
	}
	return idText(v)
}

// idValue is the id that text spells: an uint64, uuid, []byte or string.
func idValue(text string) any {
	if !utf8.ValidString(text) {
		return []byte(text)
	}
	if s, ok := strings.CutPrefix(text, idUlong); ok {
		if n, err := strconv.ParseUint(s, 10, 64); err == nil && strconv.FormatUint(n, 10) == s {
			return n
		}
	}
	if s, ok := strings.CutPrefix(text, idUUID); ok {
		if u, ok := parseUUID(s); ok {
			return u
		}
	}
	if s, ok := strings.CutPrefix(text, idBinary); ok {
		if b, err := hex.DecodeString(s); err == nil {
			return b
		}
	}
	if s, ok := strings.CutPrefix(text, idString); ok {
		return s
	}
	return text
}

func (u uuid) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func parseUUID(s string) (u uuid, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, false
	}
	b, err := hex.DecodeString(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	if err != nil {
		return u, false
	}
	return uuid(b), true
}

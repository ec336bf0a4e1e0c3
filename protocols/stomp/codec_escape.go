package stomp

// appendUnescaped undoes the escapes of a version: \n \c \\ and, in 1.2, \r. False: b has another one, which the
// specification wants treated as fatal.
func appendUnescaped(dst, b []byte, v version) ([]byte, bool) {
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			dst = append(dst, b[i])
			continue
		}
		if i++; i == len(b) {
			return dst, false
		}
		switch b[i] {
		case 'n':
			dst = append(dst, '\n')
		case 'c':
			dst = append(dst, ':')
		case '\\':
			dst = append(dst, '\\')
		case 'r':
			if v != v12 {
				return dst, false
			}
			dst = append(dst, '\r')
		default:
			return dst, false
		}
	}
	return dst, true
}

// appendEscaped writes a header's name or value for a version. In 1.0, which has no escapes, a line feed, and a colon in a
// name, are written as later versions escape them, because they would make another header of the rest; so is a
// carriage return for those that read lines by CRLF. A NUL, which many clients take for the frame's end, becomes
// U+FFFD.
func appendEscaped[T string | []byte](dst []byte, s T, v version, name bool) []byte {
	from := 0
	for i := range len(s) {
		b := s[i]
		if b > ':' && b != '\\' {
			continue
		}
		e := escapeOf(b, v, name)
		if e == "" {
			continue
		}
		dst = append(dst, s[from:i]...)
		dst = append(dst, e...)
		from = i + 1
	}
	return append(dst, s[from:]...)
}

func escapeOf(b byte, v version, name bool) string {
	switch b {
	case 0:
		return "\uFFFD"
	case '\n':
		return `\n`
	case '\r':
		if v != v11 {
			return `\r`
		}
	case ':':
		if v >= v11 || name {
			return `\c`
		}
	case '\\':
		if v >= v11 {
			return `\\`
		}
	}
	return ""
}

// appendReescaped writes header lines that are escaped as in 1.2 for another version.
func appendReescaped(dst, block []byte, v version) []byte {
	if v == v12 {
		return append(dst, block...)
	}
	inName := true
	for i := 0; i < len(block); i++ {
		b := block[i]
		switch {
		case b == '\n':
			inName = true
		case b == ':':
			inName = false
		case b == '\\' && i+1 < len(block):
			i++
			dst = appendEscape(dst, block[i], v, inName)
			continue
		}
		dst = append(dst, b)
	}
	return dst
}

// appendEscape writes what the escape e stands for in another version than 1.2.
func appendEscape(dst []byte, e byte, v version, inName bool) []byte {
	switch {
	case e == 'r' && v == v11:
		return append(dst, '\r')
	case e == 'c' && v < v11 && !inName:
		return append(dst, ':')
	case e == '\\' && v < v11:
		return append(dst, '\\')
	}
	return append(dst, '\\', e)
}

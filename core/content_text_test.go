package core

import (
	"testing"
	"time"
)

func TestPropertyText(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{"a", "a"}, {true, "true"}, {int8(-1), "-1"}, {int16(-2), "-2"}, {int32(-3), "-3"}, {int64(-4), "-4"}, {uint8(1), "1"},
		{uint16(2), "2"}, {uint32(3), "3"}, {uint64(4), "4"}, {float32(0.5), "0.5"}, {0.25, "0.25"}, {[]byte("b"), "b"},
		{time.UnixMilli(7), "7"}, {nil, ""},
	} {
		if got := (&Property{Value: c.value}).Text(); got != c.want {
			t.Errorf("%T %v: %q, want %q", c.value, c.value, got, c.want)
		}
	}
}

func TestDeclaresText(t *testing.T) {
	for contentType, want := range map[string]bool{"": false, "text/plain": true, "Text/HTML; charset=x": true, "application/json": true,
		"application/xml": true, "application/octet-stream": false, "application/x;charset=utf-8": true, " text/x ": true} {
		if DeclaresText(contentType) != want {
			t.Errorf("%q: %v", contentType, !want)
		}
	}
}

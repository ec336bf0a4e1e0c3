package courier

import (
	"encoding/json"
	"fmt"
)

// printed is a value of another program's type as text: JSON where it has a form.
func printed(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	if text, err := json.Marshal(v); err == nil {
		return string(text)
	}
	return fmt.Sprint(v) // a map with keys that JSON does not have
}

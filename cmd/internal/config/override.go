package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// envPrefix begins the variables that override keys: HAVENMQ_A_B overrides a.b.
const envPrefix = "HAVENMQ_"

// reserved are variables of ours that name no key.
var reserved = map[string]bool{"HAVENMQ_NODE": true, "HAVENMQ_URL": true, "HAVENMQ_CONFIG": true}

// override writes environment variables into the tree. It returns a warning for each that names no key.
func override(root *node, environ []string) (warnings []string) {
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		words, ok := strings.CutPrefix(name, envPrefix)
		if !ok || reserved[name] {
			continue
		}
		path, ok := keyPath(reflect.TypeFor[Config](), strings.Split(words, "_"))
		if !ok {
			warnings = append(warnings, fmt.Sprintf("environment variable %s names no key of the configuration and is not used", name))
			continue
		}
		set(root, path, value, origin{source: "environment variable " + name})
	}
	return warnings
}

// keyPath turns A, B into the keys a, b as Config spells them; an item of a list is named by its number.
func keyPath(t reflect.Type, words []string) ([]string, bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(words) == 0 {
		return nil, isScalar(t)
	}
	key := ""
	var next reflect.Type
	switch {
	case isScalar(t):
		return nil, false
	case t.Kind() == reflect.Slice:
		if n, err := strconv.Atoi(words[0]); err != nil || n < 0 || n > 999 {
			return nil, false
		}
		key, next = words[0], t.Elem()
	default:
		for i := range t.NumField() {
			if k := keyOf(t.Field(i)); strings.EqualFold(k, words[0]) {
				key, next = k, t.Field(i).Type
			}
		}
		if next == nil {
			return nil, false
		}
	}
	rest, ok := keyPath(next, words[1:])
	return append([]string{key}, rest...), ok
}

func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	return t.Kind() != reflect.Struct && t.Kind() != reflect.Slice
}

// set puts a scalar at a path, making what is missing on the way.
func set(n *node, path []string, value string, at origin) {
	if len(path) == 0 {
		*n = node{at: at, scalar: true, text: value}
		return
	}
	n.scalar, n.text = false, ""
	if i, err := strconv.Atoi(path[0]); err == nil {
		n.list, n.fields = true, nil
		for len(n.items) <= i {
			n.items = append(n.items, &node{at: at})
		}
		set(n.items[i], path[1:], value, at)
		return
	}
	n.list, n.items = false, nil
	f := n.field(path[0])
	if f == nil {
		f = &field{key: path[0], at: at, node: &node{at: at}}
		n.fields = append(n.fields, f)
	}
	set(f.node, path[1:], value, at)
}

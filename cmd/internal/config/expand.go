package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// expander replaces ${name} in every scalar of a tree; $${ stands for a plain ${. A name is the path of another key, as
// it is in this tree or by default, or an environment variable.
type expander struct {
	root   *node
	getenv func(string) (string, bool)
	errs   []error
	done   map[*node]string // kept apart from the tree, so that no value is expanded twice
	open   []string         // names being looked up, to refuse a circle
}

func expandAll(root *node, getenv func(string) (string, bool)) []error {
	x := &expander{root: root, getenv: getenv, done: map[*node]string{}}
	x.walk(root, "")
	for n, text := range x.done {
		n.text = text
	}
	return x.errs
}

func (x *expander) walk(n *node, path string) {
	if n.scalar {
		if _, err := x.value(n); err != nil {
			n.broken = true
			x.errs = append(x.errs, &Error{At: n.at, Path: path, What: err.Error()})
		}
	}
	for _, f := range n.fields {
		x.walk(f.node, join(path, f.key))
	}
	for i, item := range n.items {
		x.walk(item, join(path, strconv.Itoa(i)))
	}
}

func (x *expander) value(n *node) (string, error) {
	if text, ok := x.done[n]; ok {
		return text, nil
	}
	text, err := x.expand(n.text)
	if err == nil {
		x.done[n] = text
	}
	return text, err
}

func (x *expander) expand(s string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		if !found {
			out.WriteString(s)
			return out.String(), nil
		}
		if strings.HasSuffix(before, "$") {
			out.WriteString(before[:len(before)-1] + "${")
			s = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("%q has no closing brace", "${"+rest)
		}
		value, err := x.lookup(name)
		if err != nil {
			return "", err
		}
		out.WriteString(before + value)
		s = after
	}
}

func (x *expander) lookup(name string) (string, error) {
	if slices.Contains(x.open, name) {
		return "", fmt.Errorf("${%s} leads back to itself: %s", name, strings.Join(append(x.open, name), " → "))
	}
	x.open = append(x.open, name)
	defer func() { x.open = x.open[:len(x.open)-1] }()
	if n := find(x.root, strings.Split(name, ".")); n != nil && n.scalar {
		return x.value(n)
	}
	if text, ok := defaultText(name); ok {
		return text, nil
	}
	if text, ok := x.getenv(name); ok {
		return text, nil
	}
	return "", fmt.Errorf("${%s} is no key with a value and no environment variable", name)
}

func find(n *node, path []string) *node {
	for _, key := range path {
		f := n.field(key)
		if f == nil {
			return nil
		}
		n = f.node
	}
	return n
}

// defaultText is the default of a scalar key, as a file would spell it.
func defaultText(path string) (string, bool) {
	v := reflect.ValueOf(Default()).Elem()
	for _, key := range strings.Split(path, ".") {
		if v.Kind() != reflect.Struct {
			return "", false
		}
		i := fieldIndex(v.Type(), key)
		if i < 0 {
			return "", false
		}
		v = v.Field(i)
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return string(text), err == nil
	}
	switch v.Kind() {
	case reflect.String, reflect.Int, reflect.Bool:
		return fmt.Sprint(v.Interface()), true
	}
	return "", false
}

package config

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// origin says where a value came from: a place in a file, an environment variable or a flag.
type origin struct {
	source       string // file name, "environment variable X", "flag --x"
	line, column int    // zero when the source is no file
}

func (o origin) String() string {
	if o.line == 0 {
		return o.source
	}
	return fmt.Sprintf("%s:%d:%d", o.source, o.line, o.column)
}

// node is one value before it has a type. A node without fields, items and text is null: it leaves the default.
type node struct {
	at     origin
	scalar bool
	broken bool // the text could not be expanded: it is not bound
	text   string
	fields []*field
	items  []*node
	list   bool
}

type field struct {
	key string
	at  origin
	*node
}

func (n *node) field(key string) *field {
	for _, f := range n.fields {
		if f.key == key {
			return f
		}
	}
	return nil
}

// maxDepth bounds how deep a file may nest; Config itself needs seven levels.
const maxDepth = 32

// parse reads a YAML file into a tree.
func parse(name string, text []byte) (*node, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	root := &node{at: origin{source: name, line: 1, column: 1}}
	if len(file.Docs) > 1 {
		return nil, fmt.Errorf("%s: holds %d YAML documents: keep one", name, len(file.Docs))
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return root, nil
	}
	t := treeReader{file: name}
	return t.node(file.Docs[0].Body, 0)
}

func syntaxError(name string, err error) error {
	var se *yaml.SyntaxError
	if errors.As(err, &se) && se.Token != nil {
		return &Error{At: place(name, se.Token), What: se.Message}
	}
	return fmt.Errorf("%s: %w", name, err)
}

func place(file string, t *token.Token) origin {
	if t == nil || t.Position == nil {
		return origin{source: file}
	}
	return origin{source: file, line: t.Position.Line, column: t.Position.Column}
}

type treeReader struct{ file string }

func (t treeReader) node(a ast.Node, depth int) (*node, error) {
	at := place(t.file, a.GetToken())
	if depth > maxDepth {
		return nil, &Error{At: at, What: fmt.Sprintf("nested more than %d levels deep", maxDepth)}
	}
	switch v := a.(type) {
	case ast.MapNode:
		return t.mapping(v, at, depth)
	case *ast.SequenceNode:
		return t.sequence(v, at, depth)
	case *ast.NullNode:
		return &node{at: at}, nil
	case *ast.LiteralNode:
		return &node{at: at, scalar: true, text: v.Value.Value}, nil
	case *ast.StringNode:
		return &node{at: at, scalar: true, text: v.Value}, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return &node{at: at, scalar: true, text: a.GetToken().Value}, nil
	}
	return nil, &Error{At: at, What: "anchors, aliases, tags and merge keys are not read: write the value, or ${name} for another key's"}
}

func (t treeReader) mapping(m ast.MapNode, at origin, depth int) (*node, error) {
	n := &node{at: at}
	for it := m.MapRange(); it.Next(); {
		tk := it.Key().GetToken()
		at := place(t.file, tk)
		if _, ok := it.Key().(ast.ScalarNode); !ok || tk == nil {
			return nil, &Error{At: at, What: "this is no plain key"}
		}
		value, err := t.node(it.Value(), depth+1)
		if err != nil {
			return nil, err
		}
		if n.field(tk.Value) != nil {
			return nil, &Error{At: at, What: fmt.Sprintf("key %q stands here twice", tk.Value)}
		}
		n.fields = append(n.fields, &field{key: tk.Value, at: at, node: value})
	}
	return n, nil
}

func (t treeReader) sequence(s *ast.SequenceNode, at origin, depth int) (*node, error) {
	n := &node{at: at, list: true}
	for _, v := range s.Values {
		item, err := t.node(v, depth+1)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	return n, nil
}

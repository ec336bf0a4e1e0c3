package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
)

// Source is everything that a configuration is made of.
type Source struct {
	File       string   // "" has none
	Environ    []string // "K=V", as os.Environ gives them
	Data       string   // --data: overrides dataDirectory
	Admin      *string  // --admin: overrides admin.address; empty switches it off, nil leaves it
	Transports []string // --transport: replaces transportConnectors
}

// Loaded is a checked configuration and what its owner should know about it.
type Loaded struct {
	*Config
	Warnings []string
	origins  map[string]origin
}

// Load reads, overrides, expands and checks. Its error joins everything that is wrong.
func Load(s Source) (*Loaded, error) {
	if s.File == "" {
		return load(s, &node{at: origin{source: "defaults"}})
	}
	text, err := os.ReadFile(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("configuration %s does not exist: name another with --config, or leave it out to run on defaults", s.File)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(s, text)
}

// Parse is Load of a file's text; s.File is its name in complaints.
func Parse(s Source, text []byte) (*Loaded, error) {
	if bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\ufeff")), " \t\r\n"), []byte("<")) {
		return nil, fmt.Errorf("%s: this is XML; HavenMQ's configuration is YAML, see docs/configuration.md", s.File)
	}
	root, err := parse(s.File, text)
	if err != nil {
		return nil, err
	}
	return load(s, root)
}

func load(s Source, root *node) (*Loaded, error) {
	l := &Loaded{Config: Default()}
	l.Warnings = override(root, s.Environ)
	s.flags(root)
	errs := expandAll(root, getenv(s.Environ))
	b := &binder{origins: map[string]origin{}}
	b.bind(root, reflect.ValueOf(l.Config).Elem(), "")
	if len(b.errs) > 0 {
		return nil, errors.Join(append(errs, b.errs...)...)
	}
	l.origins = b.origins
	l.fill()
	for _, p := range check(l.Config) {
		if !unexpanded(errs, p.path) {
			errs = append(errs, &Error{At: l.originOf(p.path), Path: p.path, What: p.what})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	l.Warnings = append(append(l.Warnings, b.unused...), warnings(l.Config)...)
	return l, nil
}

// unexpanded says whether a value at or below path could not be expanded: what is wrong with it is said then.
func unexpanded(errs []error, path string) bool {
	for _, err := range errs {
		if e, ok := err.(*Error); ok && (e.Path == path || strings.HasPrefix(e.Path, path+".")) {
			return true
		}
	}
	return false
}

func (s Source) flags(root *node) {
	if s.Data != "" {
		set(root, []string{"dataDirectory"}, s.Data, origin{source: "flag --data"})
	}
	if s.Admin != nil {
		set(root, []string{"admin", "address"}, *s.Admin, origin{source: "flag --admin"})
	}
	if len(s.Transports) == 0 {
		return
	}
	at := origin{source: "flag --transport"}
	list := &node{at: at, list: true}
	for _, t := range s.Transports {
		item := &node{at: at}
		set(item, []string{"uri"}, t, at)
		list.items = append(list.items, item)
	}
	if f := root.field("transportConnectors"); f != nil {
		f.node = list
		return
	}
	root.fields = append(root.fields, &field{key: "transportConnectors", at: at, node: list})
}

// originOf is where the value of path came from, or the nearest key around it that was given.
func (l *Loaded) originOf(path string) origin {
	for {
		if o, ok := l.origins[path]; ok {
			return o
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return origin{source: "defaults"}
		}
		path = path[:i]
	}
}

func getenv(environ []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, e := range environ {
			if k, v, _ := strings.Cut(e, "="); k == name {
				return v, true
			}
		}
		return "", false
	}
}

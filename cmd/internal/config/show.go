package config

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Effective is the whole configuration as YAML: defaults, file, environment and flags together. What was not left at its
// default says where it came from; secrets are hidden.
func (l *Loaded) Effective() (string, error) {
	comments := yaml.CommentMap{}
	for path, at := range l.origins {
		if at.line == 0 && path != "" {
			comments[yamlPath(path)] = []*yaml.Comment{yaml.LineComment(" " + at.source)}
		}
	}
	out, err := yaml.MarshalWithOptions(l.Config, yaml.IndentSequence(true), yaml.WithComment(comments))
	if err != nil {
		return "", fmt.Errorf("configuration cannot be shown: %w", err)
	}
	return string(out), nil
}

// Given lists the keys that a file, the environment or a flag has set, with where, in order.
func (l *Loaded) Given() []string {
	var lines []string
	for path, at := range l.origins {
		if path != "" {
			lines = append(lines, fmt.Sprintf("%s (%s)", path, at))
		}
	}
	sort.Strings(lines)
	return lines
}

// yamlPath is a.0.b as the YAML library spells it: $.a[0].b.
func yamlPath(path string) string {
	out := "$"
	for _, key := range strings.Split(path, ".") {
		if _, err := strconv.Atoi(key); err == nil {
			out += "[" + key + "]"
		} else {
			out += "." + key
		}
	}
	return out
}

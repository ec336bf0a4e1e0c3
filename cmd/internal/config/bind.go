package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// binder gives a tree's values to the fields of a struct that carry their key as yaml tag.
type binder struct {
	errs    []error
	unused  []string          // warnings of keys that are read over
	origins map[string]origin // path → where its value came from
}

func (b *binder) fail(at origin, path, format string, args ...any) {
	b.errs = append(b.errs, &Error{At: at, Path: path, What: fmt.Sprintf(format, args...)})
}

func (b *binder) bind(n *node, v reflect.Value, path string) {
	if n.broken || !n.scalar && !n.list && n.fields == nil && v.Kind() != reflect.Pointer {
		return
	}
	b.origins[path] = n.at
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		b.text(n, u, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		if d, ok := v.Interface().(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		b.bind(n, v.Elem(), path)
	case reflect.Struct:
		b.structure(n, v, path)
	case reflect.Slice:
		b.slice(n, v, path)
	default:
		b.scalar(n, v, path)
	}
}

func (b *binder) text(n *node, u encoding.TextUnmarshaler, path string) {
	if !n.scalar {
		b.fail(n.at, path, "one value is expected here")
	} else if err := u.UnmarshalText([]byte(n.text)); err != nil {
		b.fail(n.at, path, "%v", err)
	}
}

// foreign are ActiveMQ's keys that have no like here, and what to write instead.
var foreign = map[string]string{
	"kahaDB":            ": the store is levelDB: write persistenceAdapter: {levelDB: {directory: …}}",
	"zkSessionTmeout":   ": ActiveMQ 5.10 spelled it so: write zkSessionTimeout",
	"managementContext": ": there is no JMX: metrics and the API are at admin: {address: 127.0.0.1:8161}",
}

func (b *binder) structure(n *node, v reflect.Value, path string) {
	if n.scalar || n.list {
		b.fail(n.at, path, "keys are expected here: %s", strings.Join(keysOf(v.Type()), ", "))
		return
	}
	for _, f := range n.fields {
		i := fieldIndex(v.Type(), f.key)
		if i < 0 && b.readOver(v.Type(), f) {
			continue
		}
		if i < 0 {
			hint, known := foreign[f.key]
			if !known {
				hint = suggest(f.key, keysOf(v.Type()))
			}
			b.fail(f.at, path, "unknown key %q%s", f.key, hint)
			continue
		}
		b.bind(f.node, v.Field(i), join(path, f.key))
	}
}

// readOver warns about a key of ActiveMQ's store that asks for nothing here, so that its users' files are read.
func (b *binder) readOver(t reflect.Type, f *field) bool {
	why, known := superfluous[f.key]
	if !known || t != reflect.TypeFor[ReplicatedLevelDB]() && t != reflect.TypeFor[LevelDB]() {
		return false
	}
	b.unused = append(b.unused, fmt.Sprintf("%s: %s has no effect: %s", f.at, f.key, why))
	return true
}

// superfluous are options of ActiveMQ's levelDB and replicatedLevelDB, and why they are not needed.
var superfluous = map[string]string{
	"indexFactory":                "there is one index",
	"indexMaxOpenFiles":           indexOwn,
	"indexBlockRestartInterval":   indexOwn,
	"indexWriteBufferSize":        indexOwn,
	"indexBlockSize":              indexOwn,
	"indexCacheSize":              indexOwn,
	"indexCompression":            indexOwn,
	"verifyChecksums":             "checksums are always verified",
	"paranoidChecks":              "checksums are always verified",
	"logCompression":              "the log is not compressed",
	"logWriteBufferSize":          "the log is written in groups",
	"asyncBufferSize":             "the log is written in groups",
	"flushDelay":                  "the log is written in groups",
	"readThreads":                 "reading needs no threads of its own",
	"monitorStats":                "the numbers are at /metrics",
	"container":                   "status shows where a node runs",
	"failoverProducersAuditDepth": auditOwn,
	"maxFailoverProducersToTrack": auditOwn,
}

const (
	indexOwn = "the index tunes itself"
	auditOwn = "duplicates are found by what is replicated"
)

func (b *binder) slice(n *node, v reflect.Value, path string) {
	if !n.list {
		b.fail(n.at, path, "a list is expected here: begin each item with '-'")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		b.bind(item, v.Index(i), join(path, strconv.Itoa(i)))
	}
}

func (b *binder) scalar(n *node, v reflect.Value, path string) {
	if !n.scalar {
		b.fail(n.at, path, "one value is expected here")
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.text)
	case reflect.Int:
		i, err := strconv.Atoi(n.text)
		if err != nil {
			b.fail(n.at, path, "%q is not a whole number", n.text)
			return
		}
		v.SetInt(int64(i))
	case reflect.Bool:
		if n.text != "true" && n.text != "false" {
			b.fail(n.at, path, "%q is neither true nor false", n.text)
			return
		}
		v.SetBool(n.text == "true")
	default:
		panic("config: a field of kind " + v.Kind().String() + " cannot be bound")
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}

func keysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		keys = append(keys, keyOf(t.Field(i)))
	}
	return keys
}

func fieldIndex(t reflect.Type, key string) int {
	for i := range t.NumField() {
		if keyOf(t.Field(i)) == key {
			return i
		}
	}
	return -1
}

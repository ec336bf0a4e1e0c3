package mqtt

import (
	"strings"

	"github.com/havenmq/havenmq/core"
)

// How MQTT spells what is not a topic. No wildcard matches a first level that begins with '$' [MQTT-4.7.2-1].
const (
	queuePrefix     = "$queue/"
	tempQueuePrefix = "$temp-queue/"
	tempTopicPrefix = "$temp-topic/"
	systemPrefix    = "$SYS"
)

// swapped turns MQTT's spelling into the core's and back: one table, as it is its own inverse.
var swapped = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	for _, pair := range []string{"/.", "+*", "#>"} {
		t[pair[0]], t[pair[1]] = pair[1], pair[0]
	}
	return t
}()

func appendSwapped(dst []byte, s string) []byte {
	from := len(dst)
	dst = append(dst, s...)
	for i := from; i < len(dst); i++ {
		dst[i] = swapped[dst[i]]
	}
	return dst
}

func swap(s string) string { return string(appendSwapped(make([]byte, 0, len(s)), s)) }

// destinationOf is where a topic name leads (4.7). The name is one that may be published to, UTF-8 without U+0000.
func destinationOf(topic string) (core.Destination, *wireError) {
	switch {
	case topic == "":
		return core.Destination{}, violation("the topic name is empty") // [MQTT-4.7.3-1]
	case !validText([]byte(topic)):
		return core.Destination{}, errText
	case hasWildcard([]byte(topic)):
		return core.Destination{}, &wireError{codeTopicInvalid, "a topic name may not contain '+' or '#'"} // [MQTT-3.3.2-2]
	}
	d := split(topic)
	if d.Name == "" {
		return d, &wireError{codeTopicInvalid, "the topic name lacks the name behind " + topic}
	}
	return d, nil
}

// split is where a name or filter leads: its kind, and its name in the core's spelling.
func split(topic string) core.Destination {
	if topic[0] == '$' {
		for prefix, k := range map[string]core.Kind{queuePrefix: core.Queue, tempQueuePrefix: core.TempQueue, tempTopicPrefix: core.TempTopic} {
			if name, ok := strings.CutPrefix(topic, prefix); ok {
				return core.Destination{Kind: k, Name: swap(name)}
			}
		}
	}
	return core.Destination{Kind: core.Topic, Name: swap(topic)}
}

// isSystem says whether a topic is the broker's own to publish to (4.7.2).
func isSystem(d core.Destination) bool {
	return d.Kind == core.Topic && (d.Name == systemPrefix || strings.HasPrefix(d.Name, systemPrefix+"."))
}

// patternOf is what a topic filter asks for (4.7.1). The filter is UTF-8 without U+0000.
func patternOf(filter string) (core.Destination, *wireError) {
	switch {
	case filter == "":
		return core.Destination{}, &wireError{codeFilterInvalid, "the topic filter is empty"} // [MQTT-4.7.3-1]
	case strings.HasPrefix(filter, sharePrefix):
		return core.Destination{}, &wireError{codeSharedUnsupported, reasonSharedUnsupported}
	}
	rest := filter
	for level, more := "", true; more; {
		level, rest, more = strings.Cut(rest, "/")
		if strings.ContainsAny(level, "+#") && len(level) > 1 || level == "#" && more {
			return core.Destination{}, &wireError{codeFilterInvalid, "'+' and '#' must be whole levels, and '#' the last"} // [MQTT-4.7.1-1] to [MQTT-4.7.1-3]
		}
	}
	d := split(filter)
	if d.Name == "" {
		return d, &wireError{codeFilterInvalid, "the topic filter lacks the name behind " + filter}
	}
	if d.Kind.Temporary() {
		return d, &wireError{codeFilterInvalid, "temporary destinations are for publishing to: only who made them consumes from them"}
	}
	return d, nil
}

// topicOf is how MQTT spells a destination, or false when it cannot: a topic name has no '+' or '#', is UTF-8, and no
// longer than 65,535 bytes.
func topicOf(d core.Destination) (string, bool) {
	b := append([]byte(nil), prefixOf(d.Kind)...)
	b = appendSwapped(b, d.Name)
	if len(d.Name) == 0 || len(b) > core.MaxNameBytes || hasWildcard(b) || !validText(b) {
		return "", false
	}
	return string(b), true
}

func prefixOf(k core.Kind) string {
	switch k {
	case core.Queue:
		return queuePrefix
	case core.TempQueue:
		return tempQueuePrefix
	case core.TempTopic:
		return tempTopicPrefix
	}
	return ""
}

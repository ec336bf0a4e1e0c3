package core

import "strings"

// Kind is what a destination is.
type Kind uint8

const (
	Queue Kind = iota + 1
	Topic
	TempQueue
	TempTopic
)

// Destination is a kind and a name of levels joined by '.', in the core's own spelling (wildcards '*' and '>').
// It is comparable and may key a map.
type Destination struct {
	Kind Kind
	Name string
}

// MaxNameBytes bounds a destination's name, a client id and a subscription's name. MQTT allows 64 KiB - 1.
const MaxNameBytes = 65535

var schemes = [...]string{Queue: "queue://", Topic: "topic://", TempQueue: "temp-queue://", TempTopic: "temp-topic://"}

func (k Kind) String() string {
	switch k {
	case Queue:
		return "queue"
	case Topic:
		return "topic"
	case TempQueue:
		return "temp-queue"
	case TempTopic:
		return "temp-topic"
	}
	return "nowhere"
}

// Temporary says whether a destination of this kind ends with the connection that declared it.
func (k Kind) Temporary() bool { return k == TempQueue || k == TempTopic }

// IsZero says that there is no destination.
func (d Destination) IsZero() bool { return d == Destination{} }

// String is the core's own spelling, queue://A.B; "" for no destination.
func (d Destination) String() string {
	if d.Kind == 0 || int(d.Kind) >= len(schemes) {
		return d.Name
	}
	return schemes[d.Kind] + d.Name
}

// ParseDestination reads queue://A.B, topic://A.B, temp-queue://A, temp-topic://A. A name without a scheme is of kind
// otherwise (0: it is an error). The name is not looked at: Validate and ValidatePattern do.
func ParseDestination(s string, otherwise Kind) (Destination, error) {
	for k := Queue; k <= TempTopic; k++ {
		if name, ok := strings.CutPrefix(s, schemes[k]); ok {
			return Destination{k, name}, nil
		}
	}
	if otherwise == 0 {
		return Destination{}, &Error{CodeInvalid, s, "a destination begins with queue://, topic://, temp-queue:// or temp-topic://"}
	}
	return Destination{otherwise, s}, nil
}

// Validate says whether messages may be sent there: a kind, a name that is neither empty nor too long, and no level that
// is a wildcard. Empty levels are legal.
func (d Destination) Validate() error {
	if err := d.bounds(); err != nil {
		return err
	}
	if d.HasWildcard() {
		return &Error{CodeInvalid, d.String(), "a wildcard level ('*' or '>') is for subscriptions: name one destination"}
	}
	return nil
}

// ValidatePattern says whether it may be subscribed to: as Validate, but a topic may have '*' levels and a last '>'.
func (d Destination) ValidatePattern() error {
	if err := d.bounds(); err != nil {
		return err
	}
	if !d.HasWildcard() {
		return nil
	}
	if d.Kind != Topic {
		return &Error{CodeInvalid, d.String(), "only topics are subscribed to with wildcards: name one " + d.Kind.String()}
	}
	if i := restLevel(d.Name); i >= 0 && i != len(d.Name)-1 {
		return &Error{CodeInvalid, d.String(), "the wildcard '>' is only legal as the last level"}
	}
	return nil
}

func (d Destination) bounds() error {
	switch {
	case d.Kind < Queue || d.Kind > TempTopic:
		return &Error{CodeInvalid, d.Name, "a destination needs a kind: queue, topic, temp-queue or temp-topic"}
	case d.Name == "":
		return &Error{CodeInvalid, d.String(), "a destination needs a name"}
	case len(d.Name) > MaxNameBytes:
		return &Error{CodeInvalid, d.Kind.String(), "a name may have at most 65535 bytes"}
	case strings.IndexByte(d.Name, 0) >= 0:
		return &Error{CodeInvalid, d.Kind.String(), "a name may not contain the character U+0000"}
	}
	return nil
}

// HasWildcard says whether a whole level is '*' or '>'.
func (d Destination) HasWildcard() bool {
	if strings.IndexByte(d.Name, '*') < 0 && strings.IndexByte(d.Name, '>') < 0 {
		return false
	}
	for name, more := d.Name, true; more; {
		var level string
		level, name, more = strings.Cut(name, ".")
		if level == "*" || level == ">" {
			return true
		}
	}
	return false
}

// restLevel is where the first level that is '>' stands, or -1.
func restLevel(name string) int {
	for i := 0; i < len(name); i++ {
		if name[i] == '>' && (i == 0 || name[i-1] == '.') && (i == len(name)-1 || name[i+1] == '.') {
			return i
		}
	}
	return -1
}

// Matches says whether pattern, which may have wildcards, takes in the name. '*' is one level and '>' the rest, which may
// be none ("A.>" takes in "A"); neither takes in a first level that begins with '$'. Both must be of one kind.
func (d Destination) Matches(to Destination) bool {
	if d.Kind != to.Kind {
		return false
	}
	pattern, name := d.Name, to.Name
	for first, more := true, true; ; first = false {
		level, restPattern, patternMore := strings.Cut(pattern, ".")
		if !more {
			return level == ">" && !patternMore
		}
		var have string
		have, name, more = strings.Cut(name, ".")
		wild := level == "*" || level == ">"
		if wild && first && strings.HasPrefix(have, "$") {
			return false
		}
		if level == ">" && !patternMore {
			return true
		}
		if level != have && level != "*" {
			return false
		}
		if !patternMore {
			return !more
		}
		pattern = restPattern
	}
}

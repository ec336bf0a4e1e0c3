package amqp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// Error conditions, as the specification names them (AMQP 1.0 part 2, 2.8.15 to 2.8.18; part 4, 4.5.8).
const (
	condInternal       symbol = "amqp:internal-error"
	condNotFound       symbol = "amqp:not-found"
	condUnauthorized   symbol = "amqp:unauthorized-access"
	condDecode         symbol = "amqp:decode-error"
	condLimit          symbol = "amqp:resource-limit-exceeded"
	condNotAllowed     symbol = "amqp:not-allowed"
	condInvalidField   symbol = "amqp:invalid-field"
	condNotImplemented symbol = "amqp:not-implemented"
	condLocked         symbol = "amqp:resource-locked"
	condPrecondition   symbol = "amqp:precondition-failed"
	condDeleted        symbol = "amqp:resource-deleted"
	condIllegalState   symbol = "amqp:illegal-state"

	condForced  symbol = "amqp:connection:forced"
	condFraming symbol = "amqp:connection:framing-error"

	condWindow      symbol = "amqp:session:window-violation"
	condErrantLink  symbol = "amqp:session:errant-link"
	condHandleInUse symbol = "amqp:session:handle-in-use"
	condUnattached  symbol = "amqp:session:unattached-handle"

	condDetachForced symbol = "amqp:link:detach-forced"
	condCredit       symbol = "amqp:link:transfer-limit-exceeded"
	condSize         symbol = "amqp:link:message-size-exceeded"
	condStolen       symbol = "amqp:link:stolen"

	condTxUnknown  symbol = "amqp:transaction:unknown-id"
	condTxRollback symbol = "amqp:transaction:rollback"
)

// maxDescriptionBytes keeps an error within the smallest frame that a peer may insist on, 512 bytes.
const maxDescriptionBytes = 256

// maxInfoHostBytes does so for a host that is there twice, beside the description.
const maxInfoHostBytes = 64

// wireError is AMQP's error type (2.8.14): what a close, end, detach or rejected outcome carries. As a Go error it is
// also what the codec answers.
type wireError struct {
	condition   symbol
	description string
	info        pairs
}

func (e *wireError) Error() string { return string(e.condition) + ": " + e.description }

// What decoding can meet. They carry no offset, so that an attacker cannot make us format text for every bad frame.
var (
	errShort     = &wireError{condition: condDecode, description: "a value ends before its declared length"}
	errDeep      = &wireError{condition: condDecode, description: "values nest too deep"}
	errCount     = &wireError{condition: condDecode, description: "a list, map or array does not hold the number of items that it declares"}
	errOddMap    = &wireError{condition: condDecode, description: "a map has a key without a value"}
	errCode      = &wireError{condition: condDecode, description: "unknown type constructor"}
	errValue     = &wireError{condition: condDecode, description: "a boolean is neither 0 nor 1"}
	errText      = &wireError{condition: condDecode, description: "a string is not UTF-8"}
	errType      = &wireError{condition: condDecode, description: "a field has another type than the specification gives it"}
	errMandatory = &wireError{condition: condDecode, description: "a mandatory field is missing"}
	errUnknown   = &wireError{condition: condDecode, description: "unknown performative"}
	errSections  = &wireError{condition: condDecode, description: "a message's sections are unknown, repeated or out of order"}
	errEntries   = &wireError{condition: condLimit, description: "a section of a message may have 16384 entries"}
	errBig       = &wireError{condition: condDecode, description: "a value is larger than may be expanded"}

	errNotAMQP   = &wireError{condition: condFraming, description: "these bytes are not AMQP"}
	errFrameHead = &wireError{condition: condFraming, description: "the frame's header contradicts itself"}
	errFrameSize = &wireError{condition: condFraming, description: "the frame is larger than our max-frame-size"}
	errFrameType = &wireError{condition: condFraming, description: "unknown frame type"}
	errPeerFrame = &wireError{condition: condLimit, description: "what we have to say does not fit the peer's max-frame-size"}
)

func newError(c symbol, format string, args ...any) *wireError {
	return &wireError{condition: c, description: clip(fmt.Sprintf(format, args...))}
}

func clip(s string) string {
	if len(s) <= maxDescriptionBytes {
		return s
	}
	return strings.ToValidUTF8(s[:maxDescriptionBytes], "")
}

// conditions maps what the core answers to what a link or an outcome says.
var conditions = map[core.Code]symbol{
	core.CodeInternal:       condInternal,
	core.CodeInvalid:        condInvalidField,
	core.CodeNotFound:       condNotFound,
	core.CodeInUse:          condLocked,
	core.CodeUnauthorized:   condUnauthorized,
	core.CodeForbidden:      condUnauthorized,
	core.CodeFull:           condLimit,
	core.CodeTooLarge:       condSize,
	core.CodeNotImplemented: condNotImplemented,
	core.CodeTakenOver:      condForced,
	core.CodeShutdown:       condForced,
	core.CodeKicked:         condForced,
	core.CodeRolledBack:     condTxRollback,
}

// wireErrorOf says err in AMQP's words. Errors that are not the core's become internal-error without their text,
// which is ours alone.
func wireErrorOf(err error) *wireError {
	var w *wireError
	if errors.As(err, &w) {
		return w
	}
	var m *core.Moved
	if errors.As(err, &m) {
		return movedTo(m)
	}
	var e *core.Error
	if errors.As(err, &e) {
		c, ok := conditions[e.Code]
		if !ok {
			c = condInternal
		}
		return newError(c, "%s", e.Error())
	}
	var s peer.Sentinel
	if errors.As(err, &s) {
		return newError(condForced, "%s", string(s))
	}
	return newError(condInternal, "the broker failed; its log says more")
}

// movedTo is connection:forced, with the fields that connection:redirect has for where to go on (2.8.16). It is not that
// condition, which clients take for an order to give up the list of brokers that they have.
func movedTo(m *core.Moved) *wireError {
	e := newError(condForced, "%s", m.Error())
	if len(m.Host) <= maxInfoHostBytes && m.Port != 0 {
		e.info = pairs{{symbol("hostname"), m.Host}, {symbol("network-host"), m.Host}, {symbol("port"), uint16(m.Port)}}
	}
	return e
}

// linkErrorOf is wireErrorOf at the level of a link, where connection:forced has a name of its own.
func linkErrorOf(err error) *wireError {
	w := wireErrorOf(err)
	if w.condition == condForced {
		return &wireError{condition: condDetachForced, description: w.description}
	}
	return w
}

func codeOf(err error) core.Code {
	var e *core.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return core.CodeInternal
}

package mqtt

import (
	"errors"
	"fmt"
	"strings"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// reasonCode is an MQTT 5 reason code (2.4).
type reasonCode byte

const (
	codeSuccess             reasonCode = 0x00
	codeWithWill            reasonCode = 0x04
	codeNoMatch             reasonCode = 0x10
	codeNoSubscription      reasonCode = 0x11
	codeUnspecified         reasonCode = 0x80
	codeMalformed           reasonCode = 0x81
	codeProtocol            reasonCode = 0x82
	codeImplementation      reasonCode = 0x83
	codeVersion             reasonCode = 0x84
	codeClientID            reasonCode = 0x85
	codeBadLogin            reasonCode = 0x86
	codeNotAuthorized       reasonCode = 0x87
	codeUnavailable         reasonCode = 0x88
	codeBusy                reasonCode = 0x89
	codeShutdown            reasonCode = 0x8B
	codeAuthMethod          reasonCode = 0x8C
	codeKeepAlive           reasonCode = 0x8D
	codeTakenOver           reasonCode = 0x8E
	codeFilterInvalid       reasonCode = 0x8F
	codeTopicInvalid        reasonCode = 0x90
	codeIDNotFound          reasonCode = 0x92
	codeReceiveMaximum      reasonCode = 0x93
	codeAliasInvalid        reasonCode = 0x94
	codeTooLarge            reasonCode = 0x95
	codeQuota               reasonCode = 0x97
	codeAdministrative      reasonCode = 0x98
	codePayloadFormat       reasonCode = 0x99
	codeMoved               reasonCode = 0x9D
	codeSharedUnsupported   reasonCode = 0x9E
	subackFailure           byte       = 0x80 // MQTT 3.1.1 has but this one
	maxReasonBytes                     = 512
	returnVersion           byte       = 1 // return codes of MQTT 3.1.1's CONNACK (3.2.2.3)
	returnClientID          byte       = 2
	returnUnavailable       byte       = 3
	returnBadLogin          byte       = 4
	returnNotAuthorized     byte       = 5
	lowestFailure           reasonCode = 0x80
	unknownFailure                     = "the broker failed; its log says more"
	reasonSharedUnsupported            = "shared subscriptions are not built yet: subscribe to $queue/NAME to share a queue"
)

// wireError is what ends a connection, or refuses one request: a reason code and a text for a person. The codec answers
// with it too.
type wireError struct {
	code reasonCode
	text string
}

func (e *wireError) Error() string {
	return fmt.Sprintf("MQTT reason 0x%02X: %s", byte(e.code), e.text)
}

func malformed(text string) *wireError { return &wireError{codeMalformed, text} }

func violation(text string) *wireError { return &wireError{codeProtocol, text} }

// What decoding can meet. They are made once, so that an attacker cannot make us format text for every bad packet.
var (
	errShort           = malformed("the packet ends before what it announced")
	errLong            = malformed("bytes follow the packet's last field")
	errVarint          = malformed("a variable byte integer is longer than four bytes")
	errText            = malformed("a string is not UTF-8, or holds U+0000")
	errFlags           = malformed("the fixed header's flags are not those of its packet type")
	errQoS             = malformed("QoS 3 does not exist")
	errDupQoS0         = malformed("DUP is set at QoS 0")
	errPropertyID      = malformed("a property is unknown, or not one of its packet type")
	errReasonCode      = malformed("the reason code is not one of its packet type")
	errReservedFlag    = malformed("CONNECT's reserved flag is set")
	errWillFlags       = malformed("CONNECT's will flags contradict each other")
	errLoginFlags      = malformed("CONNECT has a password without a user name")
	errOptions         = malformed("a subscription's options are not legal")
	errPropertyTwice   = violation("a property that may be there once is there twice")
	errPropertyValue   = violation("a property has a value that it may not have")
	errPacketID        = violation("the packet identifier is 0")
	errNoFilters       = violation("there is no topic filter")
	errFirstPacket     = violation("the first packet is not CONNECT")
	errSecondConnect   = violation("CONNECT came twice")
	errServersPacket   = violation("a client may not send this packet")
	errServersProperty = violation("a client's PUBLISH may not have a subscription identifier")
	errProtocolName    = &wireError{codeVersion, "the protocol name is not MQTT"}
	errVersion         = &wireError{codeVersion, "MQTT 3.1.1 (level 4) and 5.0 (level 5) are spoken here"}
	errPacketTooLarge  = &wireError{codeTooLarge, "the packet is larger than our maximum packet size"}
	errFilters         = &wireError{codeQuota, "a packet may have at most 10,000 topic filters"}
	errWillTopic       = &wireError{codeTopicInvalid, "the will topic is not one that messages may be sent to"}
)

// codesOf maps what the core answers to a reason code.
var codesOf = map[core.Code]reasonCode{
	core.CodeInternal:       codeUnspecified,
	core.CodeInvalid:        codeTopicInvalid,
	core.CodeNotFound:       codeTopicInvalid,
	core.CodeInUse:          codeImplementation,
	core.CodeUnauthorized:   codeBadLogin,
	core.CodeForbidden:      codeNotAuthorized,
	core.CodeFull:           codeQuota,
	core.CodeTooLarge:       codeQuota,
	core.CodeNotImplemented: codeImplementation,
	core.CodeTakenOver:      codeTakenOver,
	core.CodeShutdown:       codeShutdown,
	core.CodeKicked:         codeAdministrative,
	core.CodeRolledBack:     codeUnspecified,
	core.CodeDuplicate:      codeSuccess,
}

// wireErrorOf says err in MQTT's words. The text of errors that are neither the core's nor ours stays here.
func wireErrorOf(err error) *wireError {
	var w *wireError
	if errors.As(err, &w) {
		return w
	}
	var m *core.Moved
	if errors.As(err, &m) {
		return &wireError{codeMoved, clip(m.Error())}
	}
	var e *core.Error
	if errors.As(err, &e) {
		code, ok := codesOf[e.Code]
		if !ok {
			code = codeUnspecified
		}
		return &wireError{code, clip(e.Error())}
	}
	var s peer.Sentinel
	if errors.As(err, &s) {
		return &wireError{codeImplementation, clip(string(s))}
	}
	return &wireError{codeUnspecified, unknownFailure}
}

// serverOf is the Server Reference that goes with codeMoved (MQTT 5, 4.11); "" with any other.
func serverOf(why error) string {
	var m *core.Moved
	if errors.As(why, &m) {
		return m.Address()
	}
	return ""
}

// connackCode is a reason code that CONNACK may have (MQTT 5, 3.2.2.2).
func connackCode(c reasonCode) reasonCode {
	switch c {
	case codeShutdown, codeTakenOver:
		return codeUnavailable
	case codeAdministrative, codeKeepAlive:
		return codeUnspecified
	}
	return c
}

// returnCode is MQTT 3.1.1's word for a reason code; ok is false when it has none: the connection is closed without
// one.
func returnCode(c reasonCode) (code byte, ok bool) {
	switch c {
	case codeVersion:
		return returnVersion, true
	case codeClientID:
		return returnClientID, true
	case codeBadLogin:
		return returnBadLogin, true
	case codeNotAuthorized, codeAuthMethod:
		return returnNotAuthorized, true
	case codeUnavailable, codeShutdown, codeMoved, codeBusy, codeQuota, codeTakenOver, codeUnspecified:
		return returnUnavailable, true
	}
	return 0, false
}

// ends says whether the core refused a request because the connection ends: its answer is then the goodbye.
func ends(e *wireError) bool {
	return e.code == codeTakenOver || e.code == codeShutdown || e.code == codeMoved || e.code == codeAdministrative
}

// filterCode is what a SUBACK or UNSUBACK says of a filter that the core refused.
func filterCode(e *wireError) reasonCode {
	switch e.code {
	case codeTopicInvalid:
		return codeFilterInvalid
	case codeBadLogin:
		return codeNotAuthorized
	}
	return e.code
}

// ackCode is what a PUBACK or PUBREC says of a message that the core refused.
func ackCode(e *wireError) reasonCode {
	if e.code == codeBadLogin {
		return codeNotAuthorized
	}
	return e.code
}

func clip(s string) string {
	if len(s) > maxReasonBytes {
		s = s[:maxReasonBytes]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

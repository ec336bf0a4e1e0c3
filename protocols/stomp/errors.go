package stomp

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// wireError is what an ERROR frame says: message is its header, detail its body, for a person.
type wireError struct{ message, detail string }

func (e *wireError) Error() string { return "STOMP: " + e.message + ": " + e.detail }

func malformed(detail string) *wireError { return &wireError{"malformed frame", detail} }
func invalid(detail string) *wireError   { return &wireError{"invalid frame", detail} }

// What decoding can meet. They are made once, so that an attacker cannot make us format text for every bad frame.
var (
	errCommand     = malformed("a frame begins with a command on a line of its own: CONNECT, STOMP, SEND, SUBSCRIBE, UNSUBSCRIBE, ACK, NACK, BEGIN, COMMIT, ABORT or DISCONNECT")
	errNoBlankLine = malformed("an empty line must end the headers, before the body and its NUL")
	errNoColon     = malformed("a header line needs a name, a colon and a value")
	errManyHeaders = malformed("a frame may have at most 1000 headers")
	errLongLine    = malformed("a header line may have at most 65536 bytes")
	errLongHead    = malformed("a frame's headers may have at most 1048576 bytes")
	errFrameSize   = malformed("the frame is larger than this connector allows (wireFormat.maxFrameSize; 65536 bytes before CONNECTED)")
	errLength      = malformed("content-length must be a number of bytes")
	errBody        = malformed("only SEND may have a body")
	errNoNUL       = malformed("a NUL must follow the body, where content-length says that it ends")
	errEscape      = malformed(`a header has an escape that this version of STOMP does not know: \n \c \\ and, in 1.2, \r`)
)

// What a session can meet.
var (
	errNotConnected = invalid("the first frame must be CONNECT or STOMP")
	errConnected    = invalid("the connection is open already: CONNECT and STOMP come once")
	errVersion      = &wireError{"no common version", "STOMP 1.0, 1.1 and 1.2 are spoken here: name one of them in accept-version"}
	errHeartBeat    = invalid("heart-beat must be two numbers of milliseconds, such as 10000,10000")
	errSilent       = &wireError{"heart-beat missed", "nothing came in for twice the time that heart-beat agreed on"}
	errDestination  = invalid("destination is missing")
	errPrefix       = invalid("a destination begins with /queue/, /topic/, /temp-queue/ or /temp-topic/ and has a name behind it")
	errNoID         = invalid("SUBSCRIBE and UNSUBSCRIBE need an id")
	errIDInUse      = invalid("a subscription with this id is there already: unsubscribe it first, or choose another id")
	errNoSub        = invalid("there is no subscription with this id")
	errManySubs     = &wireError{"too many subscriptions", "a connection may have 10000 subscriptions"}
	errAckMode      = invalid("ack must be auto, client or client-individual")
	errPrefetch     = invalid("activemq.prefetchSize must be a number from 1 to 100000")
	errNoDelivery   = invalid("ACK and NACK must name a message that was delivered here and is not acknowledged yet")
	errNoTx         = invalid("there is no open transaction of this name: BEGIN it first")
	errTxName       = invalid("transaction is missing")
	errTxOpen       = invalid("a transaction of this name is open already")
	errManyTxs      = &wireError{"too many transactions", "a connection may have 128 open transactions"}
	errNeedClientID = invalid("a durable subscription needs a client-id in CONNECT")
	errSchedule     = &wireError{"not implemented", "AMQ_SCHEDULED_PERIOD, _REPEAT and _CRON are not built yet; AMQ_SCHEDULED_DELAY is"}
	errDelay        = invalid("AMQ_SCHEDULED_DELAY must be a number of milliseconds")
	errOverwhelmed  = &wireError{"too much at once", "wait for receipts: more than a million frames wait for an answer"}
	errUnknown      = &wireError{"internal error", "the broker failed; its log says more"}
)

// messages is the header of an ERROR for what the core answers.
var messages = map[core.Code]string{
	core.CodeInternal:       "internal error",
	core.CodeInvalid:        "invalid request",
	core.CodeNotFound:       "not found",
	core.CodeInUse:          "in use",
	core.CodeUnauthorized:   "not logged in",
	core.CodeForbidden:      "not allowed",
	core.CodeFull:           "out of room",
	core.CodeTooLarge:       "message too large",
	core.CodeNotImplemented: "not implemented",
	core.CodeTakenOver:      "client id taken over",
	core.CodeShutdown:       "broker stops",
	core.CodeKicked:         "ended by an operator",
	core.CodeRolledBack:     "rolled back",
	core.CodeDuplicate:      "duplicate",
}

// wireErrorOf says err in STOMP's words. The text of errors that are neither the core's nor ours stays here.
func wireErrorOf(err error) *wireError {
	var w *wireError
	if errors.As(err, &w) {
		return w
	}
	var m *core.Moved
	if errors.As(err, &m) {
		return &wireError{"another broker is master", m.Error()}
	}
	var e *core.Error
	if errors.As(err, &e) {
		if m, ok := messages[e.Code]; ok {
			return &wireError{m, e.Error()}
		}
	}
	var s peer.Sentinel
	if errors.As(err, &s) {
		return &wireError{"connection refused", string(s)}
	}
	return errUnknown
}

const maxDetailBytes = 2048

// frame is the ERROR frame; receipt is what the frame that failed asked for, nil nothing.
func (e *wireError) frame(receipt []byte) Frame {
	detail := e.detail
	if len(detail) > maxDetailBytes {
		detail = detail[:maxDetailBytes]
	}
	if !utf8.ValidString(detail) {
		detail = strings.ToValidUTF8(detail, "\uFFFD")
	}
	detail = strings.ReplaceAll(detail, "\x00", "\uFFFD")
	f := text(cmdError, detail+"\n", "message", e.message, "content-type", "text/plain;charset=utf-8")
	if receipt != nil {
		f.headers = append(f.headers, header{name: []byte("receipt-id"), value: receipt})
	}
	if e == errVersion { // 1.2, "Protocol Negotiation"
		f.headers = append(f.headers, header{name: []byte("version"), value: []byte("1.0,1.1,1.2")})
	}
	return f
}

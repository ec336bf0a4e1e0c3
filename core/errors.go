package core

import (
	"fmt"
	"strconv"
	"strings"
)

// Code says what happened, in about a dozen words that every protocol can map to a reply of its own.
type Code uint8

const (
	CodeInternal       Code = iota + 1 // a fault of ours
	CodeInvalid                        // the request makes no sense
	CodeNotFound                       // no such destination, subscription, transaction
	CodeInUse                          // somebody else holds it
	CodeUnauthorized                   // who you are is not known or not proved
	CodeForbidden                      // you may not
	CodeFull                           // disk, memory or queue limit
	CodeTooLarge                       // the message is larger than allowed
	CodeNotImplemented                 // not built
	CodeTakenOver                      // another connection took the client id
	CodeShutdown                       // the broker stops, or is no longer master
	CodeKicked                         // an operator ended it
	CodeRolledBack                     // the transaction could not be committed
	CodeDuplicate                      // already seen: the sender may treat it as accepted
)

// Error is what the broker answers: what happened (Code), to what (Op and Subject), and what to do (Err's text).
type Error struct {
	Code    Code
	Subject string // "queue://orders", "client id \"pump-7\""
	Detail  string // a sentence for a person: what happened and what to do
}

func (e *Error) Error() string {
	if e.Subject == "" {
		return e.Detail
	}
	return fmt.Sprintf("%s: %s", e.Subject, e.Detail)
}

// Is makes errors.Is(err, ErrInUse) ask for the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Subject == "" && t.Detail == ""
}

// Moved is a CodeShutdown that says where clients go on: at the node that is master next.
type Moved struct {
	Err  *Error
	Host string // of that node
	Port int    // of its transport: the same as here, for nodes are configured alike; 0 is not known
}

func (m *Moved) Error() string {
	return fmt.Sprintf("%s: it is not master any more: connect to %s", m.Err.Subject, m.Address())
}

func (m *Moved) Unwrap() error { return m.Err }

// Address is "host:port", or the host alone; an IPv6 address has brackets.
func (m *Moved) Address() string {
	host := m.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if m.Port == 0 {
		return host
	}
	return host + ":" + strconv.Itoa(m.Port)
}

// Sentinels to compare with errors.Is.
var (
	ErrInvalid        = &Error{Code: CodeInvalid}
	ErrNotFound       = &Error{Code: CodeNotFound}
	ErrInUse          = &Error{Code: CodeInUse}
	ErrUnauthorized   = &Error{Code: CodeUnauthorized}
	ErrForbidden      = &Error{Code: CodeForbidden}
	ErrFull           = &Error{Code: CodeFull}
	ErrTooLarge       = &Error{Code: CodeTooLarge}
	ErrNotImplemented = &Error{Code: CodeNotImplemented}
	ErrTakenOver      = &Error{Code: CodeTakenOver}
	ErrShutdown       = &Error{Code: CodeShutdown}
	ErrKicked         = &Error{Code: CodeKicked}
	ErrDuplicate      = &Error{Code: CodeDuplicate}
)

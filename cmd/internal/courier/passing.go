package courier

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/Azure/go-amqp"
)

// passing is a failure that is over at another broker, or at the same one later.
type passing struct {
	error
	full bool // the broker has no room; else the connection has ended
}

func (p *passing) Unwrap() error { return p.error }

// Lost says whether err is a connection's end, by the network or the broker's goodbye: another broker may take its place. What
// was not confirmed before may have been done or not.
func Lost(err error) bool {
	var p *passing
	return errors.As(err, &p) && !p.full
}

// Full says whether err is a broker's refusal for want of room.
func Full(err error) bool {
	var p *passing
	return errors.As(err, &p) && p.full
}

// RoundPause is what to wait before another attempt.
const RoundPause = roundPause

// cut makes a Lost error of what a socket says once it has ended; while ctx lasts, for afterwards it is ctx's end.
func cut(ctx context.Context, err error) error {
	var network net.Error
	switch {
	case err == nil || Lost(err) || Full(err):
		return err
	case ctx.Err() != nil:
		return errors.Join(context.Cause(ctx), err)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &network):
		return &passing{error: lostError{err}}
	}
	return err
}

type lostError struct{ err error }

func (e lostError) Error() string { return "the connection was lost: " + e.err.Error() }
func (e lostError) Unwrap() error { return e.err }

// goodbyes of AMQP (amqp:connection:forced and its like).
var goodbyes = []amqp.ErrCond{amqp.ErrCondConnectionForced, amqp.ErrCondConnectionRedirect, amqp.ErrCondDetachForced, amqp.ErrCondLinkRedirect}

// plain is the broker's own words, where an error carries them: its condition and description.
func plain(err error) error {
	var said *amqp.Error
	if errors.As(err, &said) && said != nil {
		words := errors.New(string(said.Condition) + ": " + said.Description)
		switch {
		case slices.Contains(goodbyes, said.Condition):
			return &passing{error: words}
		case said.Condition == amqp.ErrCondResourceLimitExceeded:
			return &passing{error: words, full: true}
		}
		return words
	}
	var conn *amqp.ConnError
	var session *amqp.SessionError
	if errors.As(err, &conn) || errors.As(err, &session) {
		return &passing{error: lostError{err}}
	}
	return err
}

// Reasons of MQTT 5 (2.4).
const (
	mqttBusy     = 0x89
	mqttShutdown = 0x8B
	mqttQuota    = 0x97
	mqttUseOther = 0x9C
	mqttMoved    = 0x9D
)

// ofReason is err, which came with a reason.
func ofReason(code byte, err error) error {
	switch code {
	case mqttBusy, mqttShutdown, mqttUseOther, mqttMoved:
		return &passing{error: err}
	case mqttQuota:
		return &passing{error: err, full: true}
	}
	return err
}

// ofMessage is err, which came with an ERROR frame's message header, as this broker writes them.
func ofMessage(message string, err error) error {
	switch message {
	case "another broker is master", "broker stops":
		return &passing{error: err}
	case "out of room":
		return &passing{error: err, full: true}
	}
	return err
}

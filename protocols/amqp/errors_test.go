package amqp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// TestErrors says each of the core's errors, and others, in AMQP's words.
func TestErrors(t *testing.T) {
	for code, want := range map[core.Code][2]symbol{
		core.CodeInternal: {condInternal, condInternal}, core.CodeInvalid: {condInvalidField, condInvalidField}, core.CodeNotFound: {condNotFound, condNotFound},
		core.CodeInUse: {condLocked, condLocked}, core.CodeUnauthorized: {condUnauthorized, condUnauthorized}, core.CodeForbidden: {condUnauthorized, condUnauthorized},
		core.CodeFull: {condLimit, condLimit}, core.CodeTooLarge: {condSize, condSize}, core.CodeNotImplemented: {condNotImplemented, condNotImplemented},
		core.CodeTakenOver: {condForced, condDetachForced}, core.CodeShutdown: {condForced, condDetachForced}, core.CodeKicked: {condForced, condDetachForced},
		core.CodeRolledBack: {condTxRollback, condTxRollback}, core.CodeDuplicate: {condInternal, condInternal}, // a duplicate is accepted, and told to nobody
	} {
		err := fmt.Errorf("wrapped: %w", &core.Error{Code: code, Subject: "queue://a", Detail: "why"})
		got := [2]symbol{wireErrorOf(err).condition, linkErrorOf(err).condition}
		if got != want || codeOf(err) != code || wireErrorOf(err).description != "queue://a: why" {
			t.Errorf("code %d: %v, not %v", code, got, want)
		}
	}
	for _, c := range []struct {
		err  error
		cond symbol
		text string
	}{
		{errors.New("a path of ours"), condInternal, "the broker failed; its log says more"},
		{peer.ErrGoodbye, condForced, peer.ErrGoodbye.Error()}, {errShort, condDecode, errShort.description},
	} {
		if w := wireErrorOf(c.err); w.condition != c.cond || w.description != c.text {
			t.Errorf("%v: %v", c.err, w)
		}
	}
	if codeOf(errors.New("x")) != core.CodeInternal {
		t.Error("a foreign error has a code")
	}
	long := newError(condInternal, "%s", strings.Repeat("é", 200)).description
	if len(long) > maxDescriptionBytes || !utf8.ValidString(long) || len(long) < maxDescriptionBytes-1 {
		t.Errorf("%d bytes", len(long))
	}
	for err, want := range map[error]uint8{core.ErrUnauthorized: saslAuthFailed, core.ErrForbidden: saslAuthFailed, core.ErrFull: saslSysTemp,
		core.ErrShutdown: saslSysTemp, core.ErrInvalid: saslSys, newError(condUnauthorized, "x"): saslAuthFailed} {
		if got := saslCode(err); got != want {
			t.Errorf("%v: SASL code %d, not %d", err, got, want)
		}
	}
}

// TestHeldFramesAreBounded holds that a peer which talks on while the core is silent ends its connection, not our memory.
func TestHeldFramesAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	w.receive(Frame{kind: frameHeader, header: headerAMQP})
	w.send(0, &open{containerID: "me", maxFrame: 512, channelMax: 9})
	for range maxHeldFrames + 10 {
		w.send(0, &beginning{incomingWindow: 1, outgoingWindow: 1, handleMax: 1})
		w.send(0, &ending{})
	}
	if !w.ended || len(w.machine.(*connection).held) != 0 {
		t.Errorf("%d frames are held", len(w.machine.(*connection).held))
	}
}

// TestProtocol holds the defaults, and that the connector's limit is over the options.
func TestProtocol(t *testing.T) {
	p := New(Options{})
	_, machine := p.New(peer.Limits{}, "", epoch)
	c := machine.(*connection)
	if p.Name() != "amqp" || c.options.ContainerID != "havenmq" || c.options.Credit != 1000 || c.options.MaxMessageBytes != 100<<20 || c.limits.ownFrame != 128<<10 || c.handshake != defaultHandshake {
		t.Errorf("%+v", c.options)
	}
	_, machine = p.New(peer.Limits{MaxFrameBytes: 100}, "", epoch)
	if c := machine.(*connection); c.limits.ownFrame != 512 || c.options.MaxMessageBytes != 100 {
		t.Errorf("%d %d", c.limits.ownFrame, c.options.MaxMessageBytes)
	}
}

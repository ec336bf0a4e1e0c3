package courier

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/Azure/go-amqp"
)

// What ends a connection, what has no room, and what stays refused are told apart.
func TestPassing(t *testing.T) {
	stomp := func(message string) error {
		_, err := readStomp(bufio.NewReader(strings.NewReader("ERROR\nmessage:" + message + "\n\nwhy\x00")))
		return err
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		err        error
		lost, full bool
	}{
		{plain(&amqp.ConnError{RemoteErr: &amqp.Error{Condition: amqp.ErrCondConnectionForced, Description: "bye"}}), true, false},
		{plain(&amqp.ConnError{}), true, false},
		{plain(&amqp.Error{Condition: amqp.ErrCondResourceLimitExceeded}), false, true},
		{plain(&amqp.LinkError{RemoteErr: &amqp.Error{Condition: amqp.ErrCondNotFound}}), false, false},
		{ofReason(mqttMoved, io.EOF), true, false},
		{ofReason(mqttQuota, io.EOF), false, true},
		{ofReason(0x87, io.EOF), false, false},
		{stomp("another broker is master"), true, false},
		{stomp("out of room"), false, true},
		{stomp("not allowed"), false, false},
		{cut(t.Context(), io.EOF), true, false},
		{cut(over, io.EOF), false, false},
		{cut(t.Context(), errors.New("anything")), false, false},
		{nil, false, false},
	} {
		if Lost(c.err) != c.lost || Full(c.err) != c.full {
			t.Errorf("%v: lost %t, full %t", c.err, Lost(c.err), Full(c.err))
		}
		if c.err != nil && strings.Contains(c.err.Error(), "*Error{") {
			t.Errorf("a struct is printed: %v", c.err)
		}
	}
}

package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/havenmq/havenmq/core"
)

// Why a connection ended, where its protocol had no say.
const (
	ErrHandshake Sentinel = "the first frame did not come in time"
	ErrFault     Sentinel = "a fault of the broker's ended the connection"
	ErrUnread    Sentinel = "it read nothing for a minute of a large message, which others wait to be sent"
	ErrAborted   Sentinel = "the connection was cut: the listener stops"
)

// errFrameTooLarge is what a codec meets that waits for more than a frame may have.
var errFrameTooLarge = &core.Error{Code: core.CodeTooLarge, Subject: "frame", Detail: "it is larger than wireFormat.maxFrameSize allows: send less, or raise it"}

// errNoAllowance is what a connection meets whose message does not fit beside those that others are sending.
var errNoAllowance = &core.Error{Code: core.CodeFull, Subject: "messages under way", Detail: "there are too many large ones on all connections together: try again later, or raise memoryUsage"}

// errStalled is what a peer meets that began a large message and stopped.
var errStalled = &core.Error{Code: core.CodeFull, Subject: "messages under way", Detail: "the rest of a large one did not come for a minute: send it again"}

func errCrowded(most int) error {
	return &core.Error{Code: core.CodeFull, Subject: "connections", Detail: fmt.Sprintf("all %d of this listener are taken: try again later, or raise maximumConnections", most)}
}

// Expected says whether a connection that ended so ended by its peer's own wish: with a goodbye, or by going away.
func Expected(err error) bool {
	return errors.Is(err, ErrGoodbye) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

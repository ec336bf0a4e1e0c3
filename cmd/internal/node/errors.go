package node

import (
	"errors"

	"github.com/havenmq/havenmq/core"
)

// isOurs says that a connection ended because the node or its operator wanted so; the broker's own events tell it.
func isOurs(err error) bool {
	return errors.Is(err, core.ErrShutdown) || errors.Is(err, core.ErrTakenOver) || errors.Is(err, core.ErrKicked)
}

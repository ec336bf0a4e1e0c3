package rim

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/wire"
)

// refusalPause is how long lines of one kind are counted and not written: anybody who reaches the port can cause one.
const refusalPause = 10 * time.Second

// refusals are connections to the replication port that were refused, by kind.
type refusals struct {
	mu    sync.Mutex
	kinds [3]refusal
}

type refusal struct {
	toldAt time.Time
	more   int // since then
}

// note counts one, and gives the line that is due; "" none. It names the first of those that come together, and how many came since the line before.
func (r *refusals) note(now time.Time, remote string, err error) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &r.kinds[2]
	switch {
	case errors.Is(err, wire.ErrToken):
		k = &r.kinds[0]
	case errors.Is(err, wire.ErrNotHaven):
		k = &r.kinds[1]
	}
	if !k.toldAt.IsZero() && now.Sub(k.toldAt) < refusalPause {
		k.more++
		return ""
	}
	line := fmt.Sprintf("a connection from %s to the replication port was refused: %v", remote, err)
	if k.more > 0 {
		line += fmt.Sprintf(" (and %d like it since the last such line)", k.more)
	}
	k.toldAt, k.more = now, 0
	return line
}

// refused is told by the listener of those that did not prove themselves.
func (r *Rim) refused(remote string, err error) {
	if remote == "" {
		r.tell(ha.Warn, "accepting replicas at %s: %v", r.o.Bind, err)
		return
	}
	if line := r.refusals.note(time.Now(), remote, err); line != "" {
		r.tell(ha.Warn, "%s", line)
	}
}

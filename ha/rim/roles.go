package rim

import (
	"fmt"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

func (r *Rim) runRoles() {
	var work []func()
	for {
		if work = r.roles.takeAll(work); work == nil {
			return
		}
		for i, do := range work {
			work[i] = nil
			do()
		}
	}
}

func (r *Rim) runTeller() {
	var lines []ha.Tell
	for {
		if lines = r.tells.takeAll(lines); lines == nil {
			return
		}
		for _, l := range lines {
			r.o.Tell(l.Level, l.Text)
		}
	}
}

// tell writes a line of the rim's own.
func (r *Rim) tell(level ha.Level, format string, args ...any) {
	if r.tells.size() < maxTells {
		r.tells.put(ha.Tell{Level: level, Text: fmt.Sprintf(format, args...)})
	}
}

// serve opens the transports. It runs on the roles' goroutine.
func (r *Rim) serve(epoch uint64) {
	s := r.store.Load()
	if s == nil {
		return // reopened meanwhile: StopServing is behind this in the queue
	}
	if err := r.o.Roles.Serve(s, epoch); err != nil {
		r.tell(ha.Alarm, "this node is the master and cannot serve clients: %v", err)
		r.step(ha.PromoteAsked{})
		return
	}
	r.step(ha.Served{Epoch: epoch})
}

func (r *Rim) stopServing(a ha.StopServing, served bool) {
	if served {
		r.o.Roles.StopServing(a.Reason, a.Next)
	}
	r.step(ha.Withdrawn{})
}

var _ persist.Progress = (*progress)(nil)

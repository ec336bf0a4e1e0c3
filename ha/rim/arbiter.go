package rim

import (
	"context"

	"github.com/havenmq/havenmq/ha"
)

// runArbiter does what the machine asks of the elector, one at a time.
func (r *Rim) runArbiter() {
	var asks []ha.Transact
	for {
		if asks = r.asks.takeAll(asks); asks == nil {
			return
		}
		for _, a := range asks {
			one, done := context.WithTimeout(r.ctx, r.o.AskTimeout)
			outcome, view := r.o.Elector.Do(one, a.Txn)
			done()
			r.step(ha.Answered{ID: a.ID, Outcome: outcome, View: view})
		}
	}
}

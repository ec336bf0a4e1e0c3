package ha

import "github.com/havenmq/havenmq/persist"

// Alone is a cluster of one: it turns the store's own progress into commits. It fits persist.Options.Progress, whose
// goroutine is the only one that calls it.
type Alone struct{ master *Master }

// NewAlone makes the master of a standalone node.
func NewAlone(sync persist.Sync) *Alone { return &Alone{NewMaster(1, 0, sync, 0, 0)} }

// Advanced is told how far the store holds the log, and says how far it is committed and may be confirmed.
func (a *Alone) Advanced(received, synced persist.Pos) (commit, confirm persist.Pos) {
	a.master.Held(0, received, synced)
	return a.master.Commit(), a.master.Confirm()
}

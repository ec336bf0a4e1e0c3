// Package node builds a node from its configuration and stops it again, each in order.
//
//	pid file ─► store (Open, Lead) ─► broker ─► listeners ─► admin        Start
//	admin stays ◄─ listeners close ◄─ broker says goodbye ◄─ clients end   Stop, then the store, then the pid file
//
// A member of a cluster has the rim in the store's place, and its admin answers in every role:
//
//	pid file ─► admin ─► rim (store, election, replication)      Start
//	              Serve ─► stage: broker ─► listeners            each time that it becomes master
//	       StopServing ─► stage closed, within 80 ms             each time that it is master no more
//
// It is where the rooms meet: nothing else imports persist, ha, core and the protocols together. All log lines of a
// node are written here.
//
// Invariants: what Start has begun is undone if it fails. No client is served before all that the store had committed
// is applied. A store that fails ends the node: Failed says why. A stage is
// seen by others when it is complete; the rim opens and closes it from one goroutine.
package node

// Package rim executes what the machine of package ha decides: on a real store, over TCP, with an elector. It decides
// nothing itself.
//
//	socket ── reader ──┐                            ┌─► disk goroutine ──► persist.Store, incoming/
//	store's committer ─┤                            ├─► a link's writer ──► socket (and streams the log)
//	elector's Watch ───┼─► step: lock, ha.Node ─────┼─► arbiter goroutine ──► Elector.Do
//	timer, disk, … ────┘        │                   ├─► roles goroutine ──► Serve, Pause, StopServing
//	                            └─ Store.Advance    └─► teller
//
// Whoever has an event steps the machine itself, under Rim.mu, so that an acknowledgement goes from the socket to the store's
// commit position without a change of goroutine. Actions are put into queues under the same lock, which keeps their order,
// and each queue has one goroutine. Nothing that is done under the lock blocks.
//
// # A message's way
//
//	master:  core appends; the committer writes, calls Written (writers wake, read the file, send APPEND) and syncs, then
//	         Progress.Advanced steps Advanced, whose answer is the commit position
//	replica: reader takes APPEND into a buffer, steps Got; Write and Sync go to the disk goroutine, which does all that
//	         has come meanwhile with one sync, and steps Wrote, Synced; the machine's ACK goes to the link's writer
//	master:  reader steps Got{ACK}; Commit → Store.Advance
//
// # Goroutines
//
//	clock    steps Tick when Node.Wake says
//	disk     disk actions, in order
//	arbiter  one Transact at a time
//	roles    calls Roles
//	teller   calls Options.Tell
//	accept   wire.Listener's, while this node leads
//	dialer   one while a Dial is under way
//	a link   its reader and its writer
//
// # Bounds
//
//   - A replica takes in at most twice the window that the disk has not written; then its reader waits.
//   - A stream holds one chunk. The log that a slow replica lacks stays in files.
//   - A stream that lacks much of what is committed is held to a rate while clients append (ration.go).
//   - A link whose peer does not read is cut when outBytes of frames wait for it.
//   - Of connections to the replication port that are refused one line of a kind is written each refusalPause.
//
// # Invariants
//
//   - Events of one link come in order; Lost comes last and once, after both its goroutines have let go of the store.
//   - A buffer belongs to the reader, to a Write action or to the pool, and to one of them at a time.
//   - An error of the disk ends the process: nothing is tried again. That it is full is none: the machine is told, and a store that
//     cannot be opened for want of room is tried again.
//   - An ACK of more than this node has written ends its link before the machine hears of it.
//
// # Lock order
//
//	persist's reportMu → Rim.mu → peer.mu, queue.mu, persist's waiters and Log.mu (Store.Await)
package rim

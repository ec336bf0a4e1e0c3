// Package ha decides what the cluster holds: which positions of the log are committed, and which a sender may be told of.
//
//	persist: received, synced ──► Master ──► commit, confirm ──► persist: shows, applies, answers
//	replicas' acknowledgements ─────▲
//
// A node of a cluster is one pure machine, Node: Step takes an Event and gives Actions. All I/O is at the rim.
//
//	disk ────┐  Wrote Synced Promised Led Advanced            ┌─► Write Sync Promise Truncate Lead Commit   disk
//	network ─┤  Dialed Got Lost                ┌──────┐       ├─► Dial Send Stream Hang                     network
//	         ├────────────────── Event ───────►│ Node │─ Action ─► Transact                                arbiter
//	arbiter ─┤  Seen Answered                  └──────┘       ├─► Serve Pause StopServing Exit Tell         node
//	time ────┘  Tick                                          └
//
// # Rooms
//
//	ha            the machine, and what it says to others: event.go action.go frame.go elector.go
//	ha/rim        executes actions: the store, links, timers; one goroutine steps the machine
//	ha/wire       frames as bytes, the challenge, TLS
//	ha/zookeeper  the Elector on ZooKeeper
//	ha/sim        whole clusters from one seed
//
// A standalone node is a cluster of one seat. It runs the same Master, so that a second and a third seat change nothing
// in the path of a commit.
//
// Invariants
//   - The commit position never moves back, and moves only at or past the barrier: the end of this epoch's first batch.
//   - A position is committed when a quorum, N/2+1 of the configured seats, holds everything below it. Seats that are
//     away count as holding nothing; they never make the quorum smaller.
//   - `sync` moves the confirm position alone.
//
// Lock order: none. A Master is a value that one goroutine at a time may use; it knows no socket, file or clock.
package ha

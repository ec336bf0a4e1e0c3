// Package core is the one model that every protocol shares: queues, topics, subscriptions, inboxes, transactions, and the
// messages that move between them. It opens no socket and no file and knows no clock: protocols/peer brings operations
// and the time, persist is what lies below, behind the Store interface.
//
//	session ── Op ──► Client.Do ──► route ──► lock queues ──► Store.Append (one unit) ──► queue.admit
//	                     │                                         │                          │ pending
//	                     │ waiting: position, completion           ▼                          ▼
//	session ◄─ Events ─ Client.Poll ◄── mailbox ◄── queue.dispatch ◄── Advanced ◄── committed, applied
//
// Broker holds the names. A queue is an ordered set of entries with competing consumers; a durable subscription, a live
// one and an MQTT inbox are queues too, fed by the router. An entry is one queue's claim on a message:
//
//	pending ──► ready ──► flight ──► gone        held: what comes before it is only in the store
//	   │  ▲       ▲  │       │  │                delayed: its time has not come
//	   ▼  │       │  ▼       │  ▼                limbo: on its way to the dead letters
//	 held │    delayed ready ◄┘ limbo
//
// Invariants
//   - No consumer sees what the log holds before it is committed, and no answer is given before the log is confirmed up
//     to what the operation appended. Answers of one client come in the order of its operations.
//   - What a unit appends and what memory makes of it happen under the same queue locks, so that the order of places in a
//     lane is the order of the log.
//   - In each lane all live logged entries up to loaded and above hole are in memory, and none between (entry.go). So a
//     queue costs a bounded window of memory, whatever its depth, and no entry is in memory twice.
//   - An entry that has left memory for good is settled, moved or purged in the log, or the store has it to be read back.
//   - What was purged, dropped or settled never returns; what was delivered and not settled always does, in its place.
//
// Lock order (a connection's own lock, which is protocols/peer's, comes first):
//
//	Broker.mu → inbox.mu → queue.mu, several by rank → duplicates.mu → Store
//	A mailbox, the pager, the list of timed queues, counts and news each have a last lock, under which nothing is locked.
//	Sink.Wake, and Waiter.Advanced, may be called with any of them held: they must not call back.
//	Messages are buried (bury) with no queue and no broker lock held, for the dead letters' queue may have to be made.
package core

// Package amqp speaks AMQP 1.0 (ISO/IEC 19464; clauses here are the OASIS standard's: 1 types, 2 transport, 3 messaging,
// 4 transactions, 5 security). It turns one connection's bytes into operations of the core, and the core's deliveries
// into bytes. It opens no socket, reads no clock and starts no goroutine; protocols/peer drives it.
//
//	bytes ─► codec.Decode ─► Frame ─► connection.Receive ─► core.Op
//	                                     │ channel                 ▲
//	                                     ▼                         │ publish, subscribe, credit, settle
//	                                  session ── handle ──► receiver     a producer's link
//	                                     │                  sender       a consumer's link
//	                                     │                  coordinator  transactions
//	                                     ▼
//	bytes ◄─ codec.Append ◄─ Frame ◄─ Done, Deliver, Tick, Flush
//
// What a frame is, and what a message of 100 bytes looks like when it goes out:
//
//	┌──────────────┬─────────────────────┬──────────────────────┬──────────────────────────────┐
//	│ size 4, doff │ performative:       │ header section:      │ bare message: what the       │
//	│ 1, type 1,   │ described list,     │ the broker's own     │ sender wrote, byte for byte, │
//	│ channel 2    │ here transfer       │ (durable, count, …)  │ from message-annotations on  │
//	└──────────────┴─────────────────────┴──────────────────────┴──────────────────────────────┘
//	 appendTransfer writes the first three in one go             Message.Bare, shared by all who get it
//
// The files: types, reader, value, writer are the type system (1); performative*, frame and codec the frames (2.3, 2.7);
// connection*, session*, link*, pending, unsettled the machine; terminus reads sources and targets; translate* turns
// messages into the common model and back; errors says the core's errors in AMQP's words.
//
// Invariants:
//
//   - A frame that came in is good until Receive returns. What outlives it (a message, a name, a transaction's id) is
//     copied. Message.Bare is never changed once it was published.
//   - Nothing is allocated before its declared size was held against the bytes that are there (check). Values nest at
//     most maxDepth deep.
//   - A message is checked all the way down when it comes in. Whoever reads Bare later meets no error.
//   - A confirmation goes out when the core completed the op, never before; completions come in the order of the ops.
//   - While the core has not answered an OpConnect, what is said later waits in held, in order.
//   - The peer is sent no transfer beyond its window and its link credit. What does not fit the window is parked, first
//     in, first out, and the core is asked for no more than maxAhead deliveries ahead of it.
//   - used ≤ limit on every link that sends; count ≤ limit on every link that receives; all as RFC 1982 serials.
//   - After our own end or detach with an error, everything on that channel or handle is forgotten until the peer's.
//   - The machine's answers are a function of what it was given: no map is ranged over without sorting.
//
// Lock order: there is no lock here. One connection's lock (peer) is held around every call.
package amqp

// Package stomp speaks STOMP 1.0, 1.1 and 1.2.
//
//	bytes ──► codec ──► Frame ──► session ──► core.Op          SEND: translate makes a core.Message
//	bytes ◄── codec ◄── Frame ◄── session ◄── core.Delivery    MESSAGE: translate finds what goes out
//	                                ▲ core.Completion: RECEIPT, or ERROR and the end
//
// codec turns bytes into frames and back, for the version that CONNECT agreed on (dialect). session is the state machine
// of one connection: session_connect negotiates, session_send publishes and runs transactions, session_subscribe and
// session_ack consume. translate maps frames to the core's messages. errors says everything in ERROR's words.
//
// Invariants
//   - An op of the core that has a ticket has a pending, and they answer in the same order.
//   - A delivery of a subscription whose ack mode is not auto stands in its flight until ACK, NACK or the end.
//   - At most prefetch deliveries of a subscription are in flight, or on their way to a reader.
//   - A RECEIPT for SEND means what the core's confirmation means: the message is held as `sync` says.
//   - After ERROR nothing is sent, and the connection closes (STOMP 1.2, "ERROR").
//
// Lock order: none. The connection's lock, in peer, guards codec and session.
package stomp

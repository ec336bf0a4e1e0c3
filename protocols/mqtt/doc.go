// Package mqtt speaks MQTT 3.1.1 and 5.0.
//
//	bytes ──► codec ──► Packet ──► session ──► core.Op
//	          prescan, mochi       topics, acknowledgements, packet ids, window
//	bytes ◄── codec ◄── Packet ◄── session ◄── Completion, Delivery
//
// PUBLISH, its acknowledgements and the pings are read and written by codec_publish.go without an allocation; all other
// packets are read to their end by prescan.go before mochi's decoder sees them. session*.go is the machine of one
// connection, a file a subject: CONNECT and time, publishing, delivering, acknowledging, subscribing. translate*.go puts
// topics and messages into the core's words and back. errors.go is the one place where errors become reason codes (5.0)
// and return codes (3.1.1).
//
// A message's Bare is the end of an MQTT 5 PUBLISH: property length, properties, payload. See Format.
//
// # Invariants
//
//   - A PUBACK or PUBREC goes out when the core has completed the publish, so when the log holds the message.
//   - A PUBREL goes out when the log holds that the client has the message; a packet id whose delivery ended with
//     PUBCOMP is free when the log holds that. So whichever broker goes on with the session, no PUBREL meets another
//     message's state in the client, and no message goes out twice under QoS 2.
//   - An inbox's packet ids follow from the delivery's place: the same on every master. They are 1 to 32767; those of
//     deliveries from shared queues are 32768 to 65535. A delivery whose id is in flight waits, and so do those behind it.
//   - Deliveries that are unacknowledged, or wait, are never more than the client's receive maximum.
//   - Nothing that outlives Receive aliases the read buffer. What goes out aliases messages, which never change.
//   - A PUBLISH may have what the connector allows, every other packet 512 KiB; more is refused by its length alone.
//
// # Locks
//
// None. The connection's lock, in the rim, guards codec and machine.
package mqtt

// Package wire carries ha's frames between two nodes: their bytes, the challenge that lets a peer in, and TLS.
//
//	replica (dials)                                   master (accepts)
//	  TLS, if configured: both show certificates
//	  preface: magic, version, nonce ───────────────►
//	         ◄─────────────── preface: magic, version, nonce
//	  proof ────────────────────────────────────────►  compared in constant time
//	         ◄──────────────────────────────── proof
//	  frames ◄──────────────────────────────► frames
//
// # Preface
//
//	 0  8  "HavenRep"
//	 8  1  version, 1
//	 9  7  zero
//	16 32  nonce, random
//
// A proof is HMAC-SHA-256, keyed with securityToken, of: 1 byte role of who proves ('d' dials, 'a' accepts), the dialer's
// nonce, the acceptor's nonce, and under TLS 32 bytes that both ends derive from the TLS session ("EXPORTER-HavenMQ-replication").
// The token itself is never sent, and who dials without knowing it is shown nothing that was made with it: the acceptor
// proves second. A proof of zeros says that the other's was wrong.
//
// # Frame
//
// All integers are little-endian.
//
//	 0  4  length, of the whole frame
//	 4  1  version, 1
//	 5  1  kind
//	 6  2  flags; bits that the kind does not know are refused
//	 8  8  epoch (HELLO: promised)
//	16  …  fields of the kind
//
//	1 HELLO      cluster id (16), node id (16), generation (8), incarnation (8), log_start (8), end (8), history, address,
//	             admin. Flags: 1 of incoming/, 2 voter
//	2 ATTACH     cut (8), voter_at (8), commit (8), files (4), header (length (4), bytes). Flags: 1 restart
//	3 APPEND     base (8), commit (8), batches up to the end of the frame
//	4 ACK        received (8), synced (8), applied (8). Flags: 1 of incoming/, 2 voter, 4 full
//	5 HEARTBEAT  seq (8), heard (8), commit (8)
//	6 REJECT     promised (8), reason. Flags: 1 fatal
//	7 HANDOVER   node id (16)
//
//	history      number n (2), at most persist.MaxHistory, then n times epoch (8), start (8)
//	texts        length (2), bytes; at most MaxText
//
// Invariants
//   - No length is believed before it is compared with a bound: MaxControl for what is not an APPEND, MaxAppend for that;
//     who accepts takes no APPEND at all. A large APPEND is given memory as its bytes arrive.
//   - Before the proof nothing is read but 48 and 32 bytes. A handshake has a deadline. A listener has at most
//     MaxHandshakes of them under way, the oldest makes room for the newest, and at most MaxLinks connections.
//   - Nothing that a peer sends names a path.
//
// codec*.go is pure: bytes in, frames out. ACK, HEARTBEAT and APPEND are coded without allocation.
//
// Lock order: Listener.mu alone; it is not held over I/O or calls.
package wire

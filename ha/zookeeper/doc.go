// Package zookeeper is ha's arbiter on a ZooKeeper ensemble.
//
//	zkPath/brokerName/            persistent; its access list is ours if there is a password
//	    config                    persistent: ha.Config
//	    epoch                     persistent: ha.Mandate, only ever replaced by a version that was expected
//	    members/m-0000000007      ephemeral, sequential: ha.MemberRow
//	    master                    ephemeral: ha.Announcement
//
// Rows are JSON; unknown fields are passed over, so that releases can be mixed.
//
//	Do ──► Multi: checks and writes, all or nothing ──► read again what it touched ──► View
//	watches ──► dirty paths ──► one goroutine reads them again ──► View ──► Watch's function
//
// # Invariants
//
//   - What is cached is watched: a path is read again after each event on it, after this node's own writes to it, and all of
//     them in a new session. Serial numbers of views grow in the order in which they were read.
//   - Every question is a Multi, the empty one too: it goes through the ensemble's quorum, so that what is read after it is not
//     older than it.
//   - A Multi of which no answer came is Unknown, never tried again here.
//   - A row counts as this node's if its owner is the present session. The session's number is compared, as the client opens
//     another by itself when one has expired.
//   - The session is timed here too: without an answer for the session's time the view says Connected: false.
//
// # Lock order
//
//	Elector.reading (held over reads) → Elector.mu
package zookeeper

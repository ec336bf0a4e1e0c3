// Package sim runs whole clusters of ha's machine on persist's stores from one seed: disks that forget, links that delay and break, an arbiter
// whose answers get lost, processes that die, producers and consumers. One goroutine, one clock, one order of events: the same
// seed is the same run.
//
//	World ── next event by time ──► node's rim (act.go) ──► ha.Node ──► actions ──► more events
//	                                     │
//	                                     └──► persist.Store, stepped ──► persist.MemFS
//
// The rim is a model of ha/rim without its goroutines: what each of them does is an event.
//
//	disk.go     the store and incoming/, opened and reopened; writes and syncs of what a master sends
//	alone.go    what the disk does one by one: promises, cuts, epochs, incoming/ and the switch to it
//	lead.go     a master's committer, every node's applier and housekeeping
//	net.go      links and the streams on them
//	clients.go  producers and consumers of whoever serves, and what they know
//
// After each step it looks at what must always hold (check.go); invariants have the names of ha's design. ledger.go knows what
// each log holds, read back from its files, each batch once: checksums chain, so that two logs are compared by one number.
//
// # Bounds
//
// Segments are as small as can be, so that they are full, and trimmed, within seconds. Whatever is not synced is lost in a
// power loss, in part: pages and names, in any combination (persist.MemFS).
//
// What goes wrong with disks (diskfaults.go): the power goes in the middle of a change, they are slow or full, bits turn over, downloads
// are cut short. Elsewhere (faults.go, schedule.go): processes die, with the power or without, or stop for a while and go on; links carry nothing, in
// one direction or both; nodes lose the arbiter or their session, see its rows late, do not hear what became of what they asked;
// a node's disk is wiped and its seat taken over by what starts there; views mix what is new with what is not. Between such faults every
// run has plans (schedules.go, schedules_disk.go): faults in the order that one rule is there for.
package sim

// Package sim runs whole clusters of ha's machine from one seed: disks that forget, links that delay and break, an arbiter whose
// answers get lost, processes that die, and producers. One goroutine, one clock, one order of events: the same seed is the
// same run.
//
//	World ── next event by time ──► node's rim (act.go) ──► ha.Node ──► actions ──► more events
//
// After each step it looks at what must always hold (check.go); invariants have the names of ha's design.
//
// What is modelled: a log of entries instead of bytes (a position is a count of bytes all the same), what of it is synced, the
// meta with its promise, incoming/ is not (no log is trimmed). Whatever is not synced is lost in a power loss, in part.
//
// What goes wrong (faults.go): processes die, with the power or without, or stop for a while and go on; links carry nothing, in
// one direction or both; nodes lose the arbiter or their session, see its rows late, do not hear what became of what they asked;
// a node's disk is wiped and its seat taken over by what starts there.
package sim

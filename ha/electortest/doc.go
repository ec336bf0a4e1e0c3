// Package electortest is what every ha.Elector must answer, as a test that each implementation runs.
//
//	ha/memory's test ─────┐
//	ha/zookeeper's test ──┴─► Run ──► ha.Elector
//
// # Invariants
//
// It asks through the seam alone, and for nothing that the machine of ha does not rely on: versions that are checked,
// transactions that are all or nothing, rows that go with their session, views that never go back.
package electortest

// Package config reads a node's configuration: one YAML file with ActiveMQ's attribute names, overridden by the
// environment and by the command line.
//
//	file ──► tree ──┐
//	HAVENMQ_A_B ────┼─► one tree of scalars ──► ${…} expanded ──► bound to Config ──► checked
//	flags ──────────┘   (each knows its origin)
//
// Every scalar keeps where it came from, so that each complaint names a line and column, a variable or a flag. Nothing is
// ignored: a key that Config does not have is an error with the nearest key that it has.
//
// Invariants: a Config that Load returns has passed Check. Load reports all that is wrong, not only the first thing.
package config

// Package client asks a node's management API. It is what the commands are made of.
//
// Invariants: every error says what to try next. An answer is bounded before it is read.
package client

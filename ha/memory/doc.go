// Package memory is an arbiter in memory: it elects among nodes of one process, where ZooKeeper would be too much. Tests
// run whole clusters on it.
//
//	Tree ◄── Elector of node 1
//	     ◄── Elector of node 2 …
//
// Each transaction holds the tree's only lock; views are handed out by a goroutine for each elector, without it.
package memory

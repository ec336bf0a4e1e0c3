// Command trials measures how long producers are without service when a cluster's master goes: three nodes and a ZooKeeper
// on this machine, a producer and a consumer of each protocol with failover lists, hundreds of times.
//
//	for each trial: all is whole ─► kill -9, or havenmq stop, at a random moment ─► messages are confirmed again
//	                ─► the gap between two confirmations, for each producer ─► the node is started again
//
// It writes docs/failover.md, and fails where a target is missed, a confirmed message is lost or the logs differ.
package main

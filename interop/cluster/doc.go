// Package cluster runs three nodes and a ZooKeeper on one machine for tests and trials, and has the clients that find a
// cluster's master by themselves.
//
//	Cluster ─┬─ Server   ZooKeeper, at 127.x.y.9:2181
//	         └─ 3 Node   bin/havenmq serve, at 127.x.y.1 to .3, on the ports that a user has: a failover list names hosts alone
//
//	Failover ─► Sender, Receiver: AMQP, MQTT and STOMP, of other people's libraries where they can tell what is confirmed
//	Load     ─► a producer and a consumer of each protocol ─► Ledger: what was confirmed, when, and what came
//
// x and y are random, so that clusters do not meet each other nor a broker that runs on this machine. Whatever is started is
// the test's own process, ended by its id, and ends with it in any case.
package cluster

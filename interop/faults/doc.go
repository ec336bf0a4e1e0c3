// Command faults runs a real cluster, three nodes and a ZooKeeper ensemble of three, each in a network namespace of its own,
// does to it what machines and networks do, and says what became of the messages.
//
//	main ─► unshare: namespaces of its own for network, mounts and processes; whatever is left ends with them
//	          │
//	          ├─ network   bridge, a namespace a machine, cuts by direction and peer (nft)
//	          ├─ ensemble  ZooKeeper's servers
//	          ├─ nodes     bin/havenmq serve ─► volume: a directory, a small ext4, or a disk that forgets (forgetful)
//	          ├─ load      producers and consumers of AMQP, MQTT and STOMP with failover lists ─► ledger
//	          └─ scenario  a fault, what is expected of it ─► check ─► a row of docs/faults.md
//
// It needs Linux, root, and ip, tc, nft, nsenter, unshare, strace, mkfs.ext4, /dev/fuse and Java with ZooKeeper; it says what is missing.
//
//	10.77.0.1-3    nodes; .4 is a stranger
//	10.77.0.11-13  ZooKeeper
//	10.77.0.254    clients
//	10.77.0.253    the one who watches: a cut never hides a node from it
//
// Every check holds after every scenario (check.go); a scenario adds its own.
package main

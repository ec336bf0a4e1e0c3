package main

// scenarios are the table's rows, by number.
var scenarios = []*scenario{
	{number: 1, title: "kill -9 the master under load", expected: "new master in less than 1 s", short: true, run: killMaster},
	{number: 2, title: "SIGTERM to the master", expected: "handover in less than 300 ms, clients are told", short: true, run: stopMaster},
	{number: 3, title: "kill -9 one replica", expected: "no stall longer than a heartbeat, 100 ms", short: true, run: killReplica},
	{number: 4, title: "kill -9 both replicas", expected: "a pause in less than 1 s, stepping down after 2 s; on again with one", short: true, run: killReplicas},
	{number: 5, title: "kill -9 all three, start two", expected: "all that was confirmed is there", short: true, run: killAll},
	{number: 6, title: "kill -9 all, start a stale and a wiped one", expected: "they do not serve, and say why", short: true, fresh: true, run: killAllWipe},
	{number: 9, title: "the master is cut from ZooKeeper", expected: "it serves on, no election", short: true, run: cutZooKeeper},
	{number: 10, title: "all of ZooKeeper stops", expected: "the master serves on; rows come back, same epoch", run: stopEnsemble},
	{number: 11, title: "ZooKeeper stops, then the master dies", expected: "no master; less than 2 s after ZooKeeper is back, one", short: true, run: killWithoutZooKeeper},
	{number: 12, title: "ZooKeeper restarts in turn, then its leader dies", expected: "no failover", run: rollZooKeeper},
	{number: 13, title: "the master is cut from both replicas", expected: "failover in less than 2.5 s", short: true, run: cutReplicas},
	{number: 14, title: "the master is cut from everything", expected: "failover in less than 2.5 s (p99), the old one pauses within its lease", short: true, run: cutMaster},
	{number: 15, title: "the master is cut from one replica", expected: "no failover", short: true, run: cutOneReplica},
	{number: 16, title: "packets to the master alone are lost", expected: "failover, the old master is not elected again", short: true, run: deafMaster},
	{number: 17, title: "packets from the master alone are lost", expected: "failover in less than 2.5 s", short: true, run: deafReplicas},
	{number: 18, title: "the master stands still for 0.5 s, 5 s, 60 s", expected: "0.5 s: nothing; else another, the old one confirms nothing any more", short: true, run: pauseMaster},
	{number: 25, title: "a replica's last segment is cut short below what is committed", expected: "damaged: no vote, cannot be elected, fetches the log anew", short: true, run: truncateReplica},
	{number: 26, title: "a replica is wiped while its row stands, then the master dies", expected: "its old vote does not count", short: true, run: wipeReplica},
	{number: 32, title: "a link flaps every 500 ms: one machine's, then each master's", expected: "no election without a real loss of the quorum, no livelock", short: true, run: flapMaster},
	{number: 33, title: "a fourth node; another cluster's directory; a wrong securityToken", expected: "refused, never counted", short: true, run: refuseStrangers},
	{number: 34, title: "ZooKeeper's data is deleted; it is set back to an older state", expected: "served on, alarm, nobody elected; no epoch twice; adopt mends it", short: true, run: loseRows},
	{number: 38, title: "a replica attaches while nothing is sent, the others die", expected: "it serves all that was confirmed, nothing settled returns", short: true, fresh: true, run: attachIdle},
}

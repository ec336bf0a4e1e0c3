package admin

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/havenmq/havenmq/core"
)

// maxQueuesScraped bounds what /metrics/queues answers.
const maxQueuesScraped = 10_000

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request, rest []string) {
	if err := method(r, http.MethodGet); err != nil {
		writeProblem(w, problemOf(err))
		return
	}
	switch {
	case len(rest) == 0:
		s.metrics.ServeHTTP(w, r)
	case len(rest) == 1 && rest[0] == "queues":
		s.queueMetrics(w, r)
	default:
		writeProblem(w, problemOf(notFound(r.URL.Path)))
	}
}

func metricsHandler(b Broker, node func() NodeInfo) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(&brokerCollector{b, node}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("havenmq_"+name, help, labels, nil)
}

// What the whole broker shows. None of it has a label that grows with clients, queues or topics.
var (
	dInfo         = desc("build_info", "1; the version that runs.", "version")
	dRole         = desc("ha_role", "1 for the role that the node has.", "role")
	dEpoch        = desc("ha_epoch", "Election that the node serves in.")
	dElections    = desc("ha_elections_total", "Times that this process began to serve as master.")
	dVoter        = desc("ha_voter", "1 while the node has a vote.")
	dArbiter      = desc("ha_zookeeper_connected", "1 while ZooKeeper answers.")
	dPaused       = desc("ha_paused", "1 on a master that no quorum hears.")
	dDiskFull     = desc("ha_disk_full", "1 while the disk has no room for another segment: a master refuses producers, a replica stops.")
	dMembers      = desc("ha_members_attached", "Replicas that follow this master.")
	dLag          = desc("ha_replica_lag_bytes", "What of the master's log a replica has not on its disk yet; on the master alone.", "replica")
	dReceived     = desc("messages_received_total", "Messages published by clients.", "protocol")
	dDelivered    = desc("messages_delivered_total", "Deliveries handed to clients.", "protocol")
	dAcknowledged = desc("messages_acknowledged_total", "Deliveries that clients settled.", "protocol")
	dDead         = desc("messages_dead_lettered_total", "Messages moved to dead letters.", "reason")
	dDropped      = desc("messages_dropped_total", "Messages thrown away.", "reason")
	dExpired      = desc("messages_expired_total", "Messages whose time ran out.")
	dConnections  = desc("connections", "Clients connected.", "protocol")
	dQueues       = desc("queues", "Queues that exist.")
	dTopics       = desc("topics", "Topics known.")
	dSubs         = desc("subscriptions", "Subscriptions kept: durable ones, and MQTT sessions.", "kind")
	dMemory       = desc("memory_bytes", "Messages and entries held in memory.")
	dMemoryLimit  = desc("memory_limit_bytes", "systemUsage.memoryUsage.")
	dNames        = desc("name_bytes", "Memory for the names of queues, subscriptions and sessions.")
	dNamesLimit   = desc("name_limit_bytes", "Above it new ones are refused.")
	dStore        = desc("store_bytes", "Size of log and index on disk.")
	dStoreLimit   = desc("store_limit_bytes", "systemUsage.storeUsage.")
	dStoreFull    = desc("store_full", "1 while new messages are refused for want of room.")
	dLive         = desc("store_live_bytes", "What of the log is still needed.")
	dUncommitted  = desc("store_uncommitted_bytes", "Appended and not yet committed.")
	dSyncs        = desc("store_syncs_total", "Times that the log was synced to disk.")
	dLogStart     = desc("log_start_position", "First position of the log.")
	dLogEnd       = desc("log_end_position", "Position behind the log.")
	dCommitted    = desc("log_committed_position", "Position up to which a quorum holds the log.")
	dThrottled    = desc("throttles_total", "Times that a client was made to wait.")
	dDuplicates   = desc("messages_duplicate_total", "Messages confirmed and not stored again: their _AMQ_DUPL_ID had come before.")
	dDuplicateIDs = desc("duplicate_ids", "_AMQ_DUPL_IDs that are remembered.")
)

// brokerCollector reads one snapshot a scrape.
type brokerCollector struct {
	broker Broker
	node   func() NodeInfo
}

// Describe sends nothing: the collector is unchecked, since its labels come with the protocols that are in use.
func (*brokerCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends one snapshot.
func (c *brokerCollector) Collect(ch chan<- prometheus.Metric) {
	s, n := c.broker.Stats(), c.node()
	e := emitter(ch)
	e.gauge(dInfo, 1, n.Version)
	for _, role := range []string{RoleMaster, RoleReplica, RoleElecting} {
		e.gauge(dRole, truth(role == n.Role), role)
	}
	e.gauge(dEpoch, float64(n.Epoch))
	if n.Cluster != nil {
		e.cluster(&n)
	}
	for protocol, t := range s.Protocols {
		e.counter(dReceived, t.Received, protocol)
		e.counter(dDelivered, t.Delivered, protocol)
		e.counter(dAcknowledged, t.Acknowledged, protocol)
		e.gauge(dConnections, float64(t.Clients), protocol)
	}
	for reason, v := range s.DeadLettered {
		e.counter(dDead, v, reason)
	}
	for reason, v := range s.Dropped {
		e.counter(dDropped, v, reason)
	}
	e.counter(dExpired, s.Expired)
	e.counter(dThrottled, s.Throttles)
	e.counter(dDuplicates, s.Duplicates)
	e.gauge(dDuplicateIDs, float64(s.DuplicateIDs))
	e.gauge(dQueues, float64(s.Queues))
	e.gauge(dTopics, float64(s.Topics))
	e.gauge(dSubs, float64(s.Subscriptions), "durable")
	e.gauge(dSubs, float64(s.Inboxes), "inbox")
	e.gauge(dMemory, float64(s.MemoryBytes))
	e.gauge(dMemoryLimit, float64(s.MemoryLimitBytes))
	e.gauge(dNames, float64(s.NameBytes))
	e.gauge(dNamesLimit, float64(s.NameLimitBytes))
	e.store(&s, &n.Store)
}

type emitter chan<- prometheus.Metric

func (e emitter) store(s *core.Stats, n *StoreInfo) {
	e.gauge(dStore, float64(s.StoreBytes))
	e.gauge(dStoreLimit, float64(s.StoreLimitBytes))
	e.gauge(dStoreFull, truth(s.StoreFull))
	e.gauge(dUncommitted, float64(s.UncommittedBytes))
	e.gauge(dLive, float64(n.LiveBytes))
	e.counter(dSyncs, n.Syncs)
	e.gauge(dLogStart, float64(n.LogStart))
	e.gauge(dLogEnd, float64(n.LogEnd))
	e.gauge(dCommitted, float64(n.Committed))
}

// cluster shows how the node stands in its cluster. Replicas are as few as the cluster's seats.
func (e emitter) cluster(n *NodeInfo) {
	c := n.Cluster
	e.counter(dElections, c.Elections)
	e.gauge(dVoter, truth(c.Voter))
	e.gauge(dArbiter, truth(c.Connected))
	e.gauge(dPaused, truth(c.Paused))
	e.gauge(dDiskFull, truth(c.DiskFull))
	if n.Role != RoleMaster {
		return
	}
	attached := 0
	for _, p := range c.Peers {
		if p.Attached {
			attached++
		}
		e.gauge(dLag, float64(p.LagBytes), p.Addr)
	}
	e.gauge(dMembers, float64(attached))
}

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (e emitter) counter(d *prometheus.Desc, v uint64, labels ...string) {
	e <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

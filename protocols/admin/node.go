package admin

// Roles of a node.
const (
	RoleMaster   = "master"
	RoleReplica  = "replica"
	RoleElecting = "electing"
)

// NodeInfo is what a node says about itself.
type NodeInfo struct {
	BrokerName    string          `json:"brokerName"`
	Version       string          `json:"version"`
	Role          string          `json:"role"`
	Epoch         uint64          `json:"epoch"`
	Master        string          `json:"master"` // the master's admin URL; "" when nobody is
	Admin         string          `json:"admin"`  // this node's own
	Ready         bool            `json:"ready"`
	PID           int             `json:"pid"`
	StartedMs     int64           `json:"startedMs"` // ms since epoch
	DataDirectory string          `json:"dataDirectory"`
	Sync          string          `json:"sync"`
	Transports    []TransportInfo `json:"transports"`
	Store         StoreInfo       `json:"store"`
	Cluster       *ClusterInfo    `json:"cluster,omitempty"` // nil: the node is alone
	Warnings      []string        `json:"warnings,omitempty"`
}

// ClusterInfo is a node's view of its cluster.
type ClusterInfo struct {
	ID         string     `json:"id"`
	NodeID     string     `json:"nodeId"`
	State      string     `json:"state"` // master, recovering, replica, attaching, electing, error: its disk is full
	Voter      bool       `json:"voter"`
	Drained    bool       `json:"drained"`   // leads only if no other member can
	Connected  bool       `json:"connected"` // to ZooKeeper
	Paused     bool       `json:"paused"`    // a master that no quorum hears
	DiskFull   bool       `json:"diskFull"`  // there is no room for another segment of the log
	MasterAddr string     `json:"masterReplicationAddress"`
	Addr       string     `json:"replicationAddress"` // this node's own
	Replicas   int        `json:"replicas"`           // seats, as configured
	Elections  uint64     `json:"elections"`          // times that this process began to serve as master
	Attach     *Attach    `json:"attach,omitempty"`   // while the state is attaching
	Peers      []PeerInfo `json:"peers"`
}

// Outlives says whether the others could go on without this node, a master: whether those attached are a quorum.
func (c *ClusterInfo) Outlives() bool {
	attached := 0
	for _, p := range c.Peers {
		if p.Attached {
			attached++
		}
	}
	return attached >= c.Replicas/2+1
}

// Attach says how far a replica has caught up, in positions of the log.
type Attach struct {
	From uint64 `json:"from"`
	At   uint64 `json:"at"`
	To   uint64 `json:"to"` // grows while the master takes messages
}

// Share is what is done, from 0 to 1.
func (a *Attach) Share() float64 {
	if a.To <= a.From {
		return 1
	}
	return float64(min(max(a.At, a.From), a.To)-a.From) / float64(a.To-a.From)
}

// PeerInfo is another member. Positions are known to the master alone.
type PeerInfo struct {
	NodeID   string `json:"nodeId"`
	Addr     string `json:"replicationAddress"`
	Admin    string `json:"adminUrl"`
	State    string `json:"state"` // as it says itself in ZooKeeper; "" it is away
	Attached bool   `json:"attached"`
	Voter    bool   `json:"voter"`
	Drained  bool   `json:"drained"`
	DiskFull bool   `json:"diskFull"`
	Position uint64 `json:"position"`
	LagBytes uint64 `json:"lagBytes"`
	SilentMs int64  `json:"silentMs"` // since it was heard last; -1 without a link
}

// TransportInfo is one listener for clients.
type TransportInfo struct {
	Name           string `json:"name"`
	URL            string `json:"url"`
	MaxConnections int    `json:"maxConnections"`
}

// StoreInfo is where the log stands and what it takes, in bytes.
type StoreInfo struct {
	LogStart       uint64 `json:"logStart"`
	LogEnd         uint64 `json:"logEnd"`
	Committed      uint64 `json:"committed"`
	LiveBytes      uint64 `json:"liveBytes"`
	DiskBytes      uint64 `json:"diskBytes"`
	DiskLimitBytes uint64 `json:"diskLimitBytes"`
	Syncs          uint64 `json:"syncs"` // of the log, since the start
	Full           bool   `json:"full"`
}

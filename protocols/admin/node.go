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
	Ready         bool            `json:"ready"`
	PID           int             `json:"pid"`
	StartedMs     int64           `json:"startedMs"` // ms since epoch
	DataDirectory string          `json:"dataDirectory"`
	Sync          string          `json:"sync"`
	Transports    []TransportInfo `json:"transports"`
	Store         StoreInfo       `json:"store"`
	Warnings      []string        `json:"warnings,omitempty"`
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

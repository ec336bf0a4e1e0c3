package config

import (
	"path/filepath"
	"time"
)

// Config is a node's whole configuration. The zero value is not valid: start from Default.
type Config struct {
	BrokerName          string             `yaml:"brokerName"`
	DataDirectory       string             `yaml:"dataDirectory"`
	PersistenceAdapter  PersistenceAdapter `yaml:"persistenceAdapter"`
	TransportConnectors []Connector        `yaml:"transportConnectors"`
	Admin               Admin              `yaml:"admin"`
	AllowAnonymous      bool               `yaml:"allowAnonymous"`
	Users               string             `yaml:"users,omitempty"` // file of users; empty has none
	TLS                 *TLS               `yaml:"tls,omitempty"`
	DestinationPolicy   DestinationPolicy  `yaml:"destinationPolicy,omitempty"`
	SystemUsage         SystemUsage        `yaml:"systemUsage"`
}

// PersistenceAdapter is where messages are kept. One of the two is set; none means LevelDB.
type PersistenceAdapter struct {
	LevelDB           *LevelDB           `yaml:"levelDB,omitempty"`
	ReplicatedLevelDB *ReplicatedLevelDB `yaml:"replicatedLevelDB,omitempty"`
}

// LevelDB is the store of a single node.
type LevelDB struct {
	Directory string `yaml:"directory"`
	Sync      Sync   `yaml:"sync"`
	LogSize   Size   `yaml:"logSize"`
}

// ReplicatedLevelDB is the store of a cluster's member.
type ReplicatedLevelDB struct {
	Directory        string   `yaml:"directory"`
	Replicas         int      `yaml:"replicas"`
	Bind             string   `yaml:"bind"`
	Hostname         string   `yaml:"hostname"`             // what the others dial; empty is this machine's own name
	ConnectURL       string   `yaml:"connectUrl,omitempty"` // the same with a port, where that is not bind's: tcp://host:port
	ZkAddress        string   `yaml:"zkAddress"`
	ZkPath           string   `yaml:"zkPath"`
	ZkPassword       Secret   `yaml:"zkPassword"`
	ZkSessionTimeout Duration `yaml:"zkSessionTimeout"`
	Weight           int      `yaml:"weight"`
	Sync             Sync     `yaml:"sync"`
	SecurityToken    Secret   `yaml:"securityToken"`
	LogSize          Size     `yaml:"logSize"`
}

// Connector is one listener for clients.
type Connector struct {
	Name string       `yaml:"name"`
	URI  ConnectorURI `yaml:"uri"`
}

// Admin is the HTTP address of health, metrics and the API. An empty address has none.
type Admin struct {
	Address string `yaml:"address"`
}

// TLS holds the certificate of the TLS connectors.
type TLS struct {
	Cert     string `yaml:"cert"`
	Key      string `yaml:"key"`
	ClientCA string `yaml:"clientCA,omitempty"`
}

// DestinationPolicy holds limits by destination.
type DestinationPolicy struct {
	PolicyEntries []PolicyEntry `yaml:"policyEntries,omitempty"`
}

// PolicyEntry applies to the topics that match a pattern ('*' one level, '>' the rest).
type PolicyEntry struct {
	Topic                       string                      `yaml:"topic,omitempty"`
	PendingMessageLimitStrategy PendingMessageLimitStrategy `yaml:"pendingMessageLimitStrategy,omitempty"`
}

// PendingMessageLimitStrategy says how many messages wait for a slow subscriber that is not durable.
type PendingMessageLimitStrategy struct {
	Constant *ConstantPendingMessageLimitStrategy `yaml:"constantPendingMessageLimitStrategy,omitempty"`
}

// ConstantPendingMessageLimitStrategy is a plain number of messages.
type ConstantPendingMessageLimitStrategy struct {
	Limit int `yaml:"limit"`
}

// SystemUsage bounds what the node takes.
type SystemUsage struct {
	MemoryUsage Size `yaml:"memoryUsage"`
	StoreUsage  Size `yaml:"storeUsage"`
}

// Defaults that contract and code share.
const (
	DefaultLogSize       = 100 << 20
	DefaultMemoryUsage   = 1 << 30
	DefaultStoreUsage    = 100 << 30
	DefaultMaxFrame      = 100 << 20
	DefaultConnections   = 1000
	DefaultPendingLimit  = 1000
	DefaultAdmin         = "127.0.0.1:8161"
	DefaultDataDirectory = "data"
)

// Default is the configuration of a node without a file: a master of its own, on loopback.
func Default() *Config {
	return &Config{
		BrokerName:    "localhost",
		DataDirectory: DefaultDataDirectory,
		TransportConnectors: []Connector{
			{Name: "amqp", URI: mustURI("amqp://127.0.0.1:5672")},
			{Name: "mqtt", URI: mustURI("mqtt://127.0.0.1:1883")},
			{Name: "stomp", URI: mustURI("stomp://127.0.0.1:61613")},
		},
		Admin:       Admin{Address: DefaultAdmin},
		SystemUsage: SystemUsage{MemoryUsage: DefaultMemoryUsage, StoreUsage: DefaultStoreUsage},
	}
}

// setDefaults fills what a file may leave out. The directory is filled in by Config.fill, which knows dataDirectory.
func (l *LevelDB) setDefaults() { *l = LevelDB{Sync: SyncDisk, LogSize: DefaultLogSize} }

func (r *ReplicatedLevelDB) setDefaults() {
	*r = ReplicatedLevelDB{
		Replicas:         3,
		Bind:             "tcp://0.0.0.0:61619",
		ZkAddress:        "127.0.0.1:2181",
		ZkPath:           "/default",
		ZkSessionTimeout: Duration(6 * time.Second),
		Weight:           1,
		Sync:             SyncQuorumDisk,
		LogSize:          DefaultLogSize,
	}
}

func (c *ConstantPendingMessageLimitStrategy) setDefaults() { c.Limit = DefaultPendingLimit }

// fill completes what depends on other keys.
func (c *Config) fill() {
	p := &c.PersistenceAdapter
	if p.LevelDB == nil && p.ReplicatedLevelDB == nil {
		p.LevelDB = new(LevelDB)
		p.LevelDB.setDefaults()
	}
	store := filepath.Join(c.DataDirectory, "levelDB")
	if p.LevelDB != nil && p.LevelDB.Directory == "" {
		p.LevelDB.Directory = store
	}
	if p.ReplicatedLevelDB != nil && p.ReplicatedLevelDB.Directory == "" {
		p.ReplicatedLevelDB.Directory = store
	}
	for i := range c.TransportConnectors {
		if t := &c.TransportConnectors[i]; t.Name == "" {
			t.Name = t.URI.Scheme
		}
	}
}

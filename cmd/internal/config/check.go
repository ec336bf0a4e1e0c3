package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// problem is one thing that a well-formed configuration gets wrong.
type problem struct{ path, what string }

type checker struct{ problems []problem }

func (c *checker) fail(path, format string, args ...any) {
	c.problems = append(c.problems, problem{path, fmt.Sprintf(format, args...)})
}

var brokerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// check says what would not work, or would not be safe.
func check(c *Config) []problem {
	k := &checker{}
	if !brokerName.MatchString(c.BrokerName) {
		k.fail("brokerName", "%q may hold letters, digits, '.', '_' and '-' only", c.BrokerName)
	}
	if c.DataDirectory == "" {
		k.fail("dataDirectory", "is empty: name the directory that holds the node's data")
	}
	k.adapter(c)
	k.connectors(c)
	k.admin(c)
	k.policies(c)
	if c.SystemUsage.MemoryUsage < minMemoryUsage {
		k.fail("systemUsage.memoryUsage", "%s is too little: at least %s", c.SystemUsage.MemoryUsage, Size(minMemoryUsage))
	}
	k.storeUsage(c)
	if t := c.TLS; t != nil && (t.Cert == "") != (t.Key == "") {
		k.fail("tls", "cert and key belong together: set both or neither")
	}
	return k.problems
}

// Bounds of sizes: less does not run, more cannot be mapped or preallocated sensibly.
const (
	minMemoryUsage = 32 << 20
	minLogSize     = 1 << 20
	maxLogSize     = 1 << 31
)

func (k *checker) adapter(c *Config) {
	p := c.PersistenceAdapter
	if p.LevelDB != nil && p.ReplicatedLevelDB != nil {
		k.fail("persistenceAdapter", "holds levelDB and replicatedLevelDB: keep one")
		return
	}
	if l := p.LevelDB; l != nil {
		k.logSize("persistenceAdapter.levelDB.logSize", l.LogSize)
	}
	if r := p.ReplicatedLevelDB; r != nil {
		k.logSize("persistenceAdapter.replicatedLevelDB.logSize", r.LogSize)
		k.replicated("persistenceAdapter.replicatedLevelDB.", r, c)
	}
}

func (k *checker) storeUsage(c *Config) {
	var segment Size
	if l := c.PersistenceAdapter.LevelDB; l != nil {
		segment = l.LogSize
	} else if r := c.PersistenceAdapter.ReplicatedLevelDB; r != nil {
		segment = r.LogSize
	}
	switch s := c.SystemUsage.StoreUsage; {
	case s == 0:
		k.fail("systemUsage.storeUsage", "is zero: nothing could be stored")
	case s/2 < segment:
		k.fail("systemUsage.storeUsage", "%s: storeUsage is less than two segments (logSize) of %s: raise it, or lower logSize", s, segment)
	}
}

func (k *checker) logSize(path string, s Size) {
	if s < minLogSize || s > maxLogSize {
		k.fail(path, "%s is not between %s and %s", s, Size(minLogSize), Size(maxLogSize))
	}
}

func (k *checker) replicated(path string, r *ReplicatedLevelDB, c *Config) {
	if r.Replicas < 1 || r.Replicas > 99 {
		k.fail(path+"replicas", "%d is not between 1 and 99", r.Replicas)
	}
	if r.Weight < 0 {
		k.fail(path+"weight", "%d is negative", r.Weight)
	}
	switch r.Sync {
	case SyncDisk, SyncTrue, SyncFalse:
		k.fail(path+"sync", "%q is levelDB's word for one node: write quorum_disk or another level", r.Sync)
	}
	if r.ZkSessionTimeout < Duration(time.Second) {
		k.fail(path+"zkSessionTimeout", "%s is too short: at least 1s, better 6s; a number without a unit is milliseconds", time.Duration(r.ZkSessionTimeout))
	}
	for _, a := range strings.Split(r.ZkAddress, ",") {
		if _, port, err := net.SplitHostPort(strings.TrimSpace(a)); err != nil || !isPort(port) {
			k.fail(path+"zkAddress", "%q is not a host:port: write the ZooKeeper servers as host:2181,host:2181", a)
		}
	}
	if !strings.HasPrefix(r.ZkPath, "/") || strings.HasSuffix(r.ZkPath, "/") || strings.Contains(r.ZkPath, "//") {
		k.fail(path+"zkPath", "%q is not a ZooKeeper path: write it like /activemq/leveldb-stores", r.ZkPath)
	}
	k.replication(path, r, c)
}

// replication checks where replicas are accepted, and what the others dial.
func (k *checker) replication(path string, r *ReplicatedLevelDB, c *Config) {
	if strings.ContainsAny(r.Hostname, ":/ ") && net.ParseIP(r.Hostname) == nil {
		k.fail(path+"hostname", "%q is no host name: write the name alone that the other nodes dial; the port is bind's", r.Hostname)
	}
	if r.ConnectURL != "" {
		if u, err := url.Parse(r.ConnectURL); err != nil || u.Scheme != "tcp" || u.Hostname() == "" || !isPort(u.Port()) || u.Port() == "0" {
			k.fail(path+"connectUrl", "%q is not a replication address: write it like tcp://zabbix:61619, or leave it out and set hostname", r.ConnectURL)
		}
	}
	u, err := url.Parse(r.Bind)
	if err != nil || u.Scheme != "tcp" || !isPort(u.Port()) {
		k.fail(path+"bind", "%q is not a replication address: write it like tcp://0.0.0.0:61619", r.Bind)
		return
	}
	if !isLoopback(u.Hostname()) && r.SecurityToken == "" && (c.TLS == nil || c.TLS.ClientCA == "") && !c.AllowAnonymous {
		k.fail(path+"bind", "%s is reachable from other machines and replication has neither securityToken nor tls with a clientCA: "+
			"set one of them, the same on all nodes, or allowAnonymous: true to run without", r.Bind)
	}
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n <= 65535
}

func (k *checker) connectors(c *Config) {
	if !slices.ContainsFunc(c.TransportConnectors, func(t Connector) bool { return t.URI.text == "" || t.URI.Served() }) {
		k.fail("transportConnectors", "holds no connector that is supported: add one, such as amqp://127.0.0.1:5672")
	}
	names, addresses := map[string]bool{}, map[string]string{}
	for i, t := range c.TransportConnectors {
		path := fmt.Sprintf("transportConnectors.%d", i)
		if t.URI.text == "" {
			k.fail(path, "has no uri: write one such as amqp://127.0.0.1:5672")
			continue
		}
		if names[t.Name] {
			k.fail(path+".name", "%q is the name of another connector too", t.Name)
		}
		names[t.Name] = true
		address := t.URI.Address()
		if other, taken := addresses[address]; taken && t.URI.Port != 0 {
			k.fail(path+".uri", "%s is the address of connector %q too", address, other)
		}
		addresses[address] = t.Name
		if !t.URI.Loopback() && c.Users == "" && !c.AllowAnonymous {
			k.fail(path+".uri", "%s is reachable from other machines and nobody has to log in: "+
				"set allowAnonymous: true, or listen on 127.0.0.1", t.URI.URL())
		}
	}
}

func (k *checker) admin(c *Config) {
	a := c.Admin.Address
	if a == "" {
		return
	}
	if _, port, err := net.SplitHostPort(a); err != nil || !isPort(port) {
		k.fail("admin.address", "%q is not a host:port: write it like %s", a, DefaultAdmin)
		return
	}
	// The users file is for clients; the API has no log-in of its own yet.
	if !hostLoopback(a) && !c.AllowAnonymous {
		k.fail("admin.address", "%s is reachable from other machines and has no log-in: listen on 127.0.0.1, or set allowAnonymous: true", a)
	}
}

func (k *checker) policies(c *Config) {
	for i, e := range c.DestinationPolicy.PolicyEntries {
		path := fmt.Sprintf("destinationPolicy.policyEntries.%d", i)
		if e.Topic == "" {
			k.fail(path, "names no topic: write topic: \">\" for all of them")
		}
		if l := e.PendingMessageLimitStrategy.Constant; l != nil && l.Limit < 1 {
			k.fail(path+".pendingMessageLimitStrategy.constantPendingMessageLimitStrategy.limit", "%d is not at least 1", l.Limit)
		}
	}
}

// warnings says what is allowed and may surprise.
func warnings(c *Config) (w []string) {
	for _, t := range c.TransportConnectors {
		if !t.URI.Served() {
			w = append(w, fmt.Sprintf("connector %s (%s) is not supported yet and is not listened on", t.Name, t.URI.URL()))
		}
	}
	switch {
	case c.TLS != nil && c.PersistenceAdapter.ReplicatedLevelDB != nil:
		w = append(w, "tls is used for replication alone: TLS connectors are not supported yet, and what clients connect to is not encrypted")
	case c.TLS != nil:
		w = append(w, "tls is not used: TLS connectors are not supported yet, and what is listened on is not encrypted")
	}
	if l := c.PersistenceAdapter.LevelDB; l != nil && !l.Sync.Safe() {
		w = append(w, fmt.Sprintf("sync is %s: messages that were confirmed can be lost when the machine crashes; disk is the safe level", l.Sync))
	}
	if r := c.PersistenceAdapter.ReplicatedLevelDB; r != nil {
		w = append(w, r.warnings()...)
	}
	return w
}

func (r *ReplicatedLevelDB) warnings() (w []string) {
	if r.Replicas%2 == 0 {
		w = append(w, fmt.Sprintf("replicas is %d: an even number bears no more failures than %d does", r.Replicas, r.Replicas-1))
	}
	if r.ZkSessionTimeout < Duration(4*time.Second) {
		w = append(w, fmt.Sprintf("zkSessionTimeout is %s: a short pause may look like a dead node; 6s is steady", time.Duration(r.ZkSessionTimeout)))
	}
	switch s := string(r.Sync); {
	case !strings.Contains(s, "quorum"):
		w = append(w, fmt.Sprintf("sync is %s: a failover can lose messages that were confirmed; quorum_disk is the safe level", s))
	case !strings.Contains(s, "quorum_disk"):
		w = append(w, fmt.Sprintf("sync is %s: confirmed messages are in the memory of a quorum; they outlive any failover, and are lost when the power of most nodes fails at once", s))
	}
	if r.Hostname == "" && r.ConnectURL == "" {
		w = append(w, "hostname is not set: this machine's own name is what the other nodes dial; they must be able to resolve it")
	}
	return w
}

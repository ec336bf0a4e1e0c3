package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Node is one member of a cluster. One goroutine uses it.
type Node struct {
	process
	Host   string // an address of the loopback
	Dir    string // of configuration, log and data
	Config string // its configuration file

	c *Cluster
}

// Status is what a node's admin address tells.
type Status struct {
	Role  string `json:"role"`
	Epoch uint64 `json:"epoch"`
	Ready bool   `json:"ready"`
	Store struct {
		LogStart  uint64 `json:"logStart"`
		LogEnd    uint64 `json:"logEnd"`
		Committed uint64 `json:"committed"`
		Full      bool   `json:"full"`
	} `json:"store"`
	Cluster struct {
		State     string `json:"state"`
		Voter     bool   `json:"voter"`
		Connected bool   `json:"connected"`
		Paused    bool   `json:"paused"`
		DiskFull  bool   `json:"diskFull"`
		Elections uint64 `json:"elections"`
		Peers     []Peer `json:"peers"`
	} `json:"cluster"`
}

// Peer is another member, as a master sees it.
type Peer struct {
	Addr     string `json:"replicationAddress"`
	State    string `json:"state"`
	Attached bool   `json:"attached"`
	Voter    bool   `json:"voter"`
	LagBytes uint64 `json:"lagBytes"`
}

func (n *Node) configure(o Options) error {
	text := fmt.Sprintf(`brokerName: mqHa
dataDirectory: %[2]s/data
persistenceAdapter:
  replicatedLevelDB:
    replicas: 3
    bind: tcp://%[1]s:61619
    hostname: %[1]s
    zkAddress: %[3]s
    zkPath: /havenmq
    sync: %[4]s
    logSize: %[5]s
transportConnectors:
  - {name: amqp, uri: "amqp://%[1]s:5672"}
  - {name: mqtt, uri: "mqtt://%[1]s:1883"}
  - {name: stomp, uri: "stomp://%[1]s:61613"}
admin: {address: "%[1]s:8161"}
%[6]s`, n.Host, n.Dir, n.c.ZooKeeper.Addr, o.Sync, o.LogSize, o.Config)
	return os.WriteFile(n.Config, []byte(text), 0o644)
}

// Start starts the node and does not wait.
func (n *Node) Start() error { return n.start(n.c.o.Binary, "serve", "--config", n.Config) }

// LogFile holds what the node has printed.
func (n *Node) LogFile() string { return n.log }

// Printed is all that the node has printed.
func (n *Node) Printed() string {
	text, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Store is the directory of its log.
func (n *Node) Store() string { return filepath.Join(n.Dir, "data", "levelDB") }

// URL is what a client of a transport dials.
func (n *Node) URL(scheme string) string { return scheme + "://" + n.Addr(scheme) }

// Addr is host:port of a transport, or of "admin".
func (n *Node) Addr(scheme string) string { return net.JoinHostPort(n.Host, ports[scheme]) }

// Admin is the URL of its admin address.
func (n *Node) Admin() string { return "http://" + n.Addr("admin") }

// watcher keeps no connection: a node's descriptors are counted, and it is to stop at once.
var watcher = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// API reads a path of the admin address, such as "/api/v1/queues", into v.
func (n *Node) API(path string, v any) error {
	resp, err := watcher.Get(n.Admin() + path)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read only
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s of %s: %s: %s", path, n.Host, resp.Status, text)
	}
	return json.Unmarshal(text, v)
}

// Status asks the node how it stands; ok is false when it does not answer.
func (n *Node) Status() (s Status, ok bool) {
	return s, n.API("/api/v1/node", &s) == nil
}

// Command runs a havenmq command to its end and returns what it printed.
func (c *Cluster) Command(args ...string) (string, error) {
	cmd := exec.Command(c.o.Binary, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("havenmq %v: %w: %s", args, err, out.String())
	}
	return out.String(), nil
}

// Stop runs `havenmq stop` on the node and returns when it has ended.
func (n *Node) Stop() error {
	if !n.Running() {
		return nil
	}
	if _, err := n.c.Command("stop", "--config", n.Config); err != nil {
		return err
	}
	return n.Ended(stopTimeout)
}

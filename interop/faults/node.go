package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	clients "github.com/havenmq/havenmq/interop/cluster"
)

// node is one havenmq and the machine it runs on. One goroutine uses it.
type node struct {
	*host
	process
	id     int
	dir    string // configuration, log and data
	binary string
	volume *volume // of the data directory; a stranger has none
	boots  int     // of the machine
}

// status is what a node's admin address tells.
type status = clients.Status

// nodeOptions are what differs from cluster to cluster.
type nodeOptions struct {
	zk       string // zkAddress
	zkPath   string
	sync     string // "" is quorum_disk
	token    string // "" is the cluster's
	logSize  string // "" is 2mb
	weight   int    // 0 is 1
	replicas int    // 0 is 3
	memory   string // "" is 1gb
	volume   volumeKind
}

// clusterToken is the securityToken that all members know.
const clusterToken = "a word that all nodes know"

func (n *node) configure(o nodeOptions) error {
	def := func(v, d string) string {
		if v == "" {
			return d
		}
		return v
	}
	replicas := o.replicas
	if replicas == 0 {
		replicas = 3
	}
	return writeFile(filepath.Join(n.dir, "havenmq.yaml"), fmt.Sprintf(`brokerName: faults
dataDirectory: %[2]s/data
persistenceAdapter:
  replicatedLevelDB:
    replicas: %[9]d
    bind: tcp://%[1]s:61619
    hostname: %[1]s
    zkAddress: %[3]s
    zkPath: %[4]s
    sync: %[5]s
    securityToken: %[6]s
    logSize: %[7]s
    weight: %[8]d
transportConnectors:
  - {name: amqp, uri: "amqp://%[1]s:5672"}
  - {name: mqtt, uri: "mqtt://%[1]s:1883"}
  - {name: stomp, uri: "stomp://%[1]s:61613"}
admin: {address: "%[1]s:8161"}
allowAnonymous: true
systemUsage: {memoryUsage: %[10]s}
`, n.addr, n.dir, o.zk, o.zkPath, def(o.sync, "quorum_disk"), def(o.token, clusterToken), def(o.logSize, "2mb"), max(1, o.weight), replicas, def(o.memory, "1gb")))
}

// boot starts the program; wrap are words in front of it, such as strace's.
func (n *node) boot(wrap ...string) error {
	n.args = []string{"nsenter", "--net=/run/netns/" + n.host.name}
	if n.volume != nil && n.volume.kind == forgetfulVolume {
		n.args = append(n.args, n.bootNamed()...)
	}
	n.args = append(append(n.args, wrap...), n.binary, "serve", "--config", filepath.Join(n.dir, "havenmq.yaml"))
	n.log = filepath.Join(n.dir, "havenmq.log")
	return n.process.start()
}

// store is the directory of the log.
func (n *node) store() string { return filepath.Join(n.dir, "data", "levelDB") }

// watcher asks from the watcher's address, which is never cut off. No connection is kept: a node's descriptors are counted.
var watcher = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
	DialContext: (&net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(watcherAddr)}}).DialContext}}

// get reads a path of the admin address.
func (n *node) get(ctx context.Context, path string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+":8161"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := watcher.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, text, err
}

// status asks the node; ok is false when nobody answers.
func (n *node) status() (s status, ok bool) {
	if !n.running() {
		return s, false
	}
	code, text, err := n.get(context.Background(), "/api/v1/node")
	if err != nil || code != http.StatusOK {
		return s, false
	}
	return s, json.Unmarshal(text, &s) == nil
}

// printed is what the node has logged from an offset on.
func (n *node) printed(from int64) string {
	text, err := os.ReadFile(filepath.Join(n.dir, "havenmq.log"))
	if err != nil || int64(len(text)) < from {
		return ""
	}
	return string(text[from:])
}

// logOffset is the end of what the node has logged.
func (n *node) logOffset() int64 {
	info, err := os.Stat(filepath.Join(n.dir, "havenmq.log"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// sockets counts the process's sockets, and deleted says which files it holds that are no longer in a directory.
func (n *node) descriptors() (sockets int, deleted []string, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", n.realPID())
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0, nil, err
	}
	for _, f := range list {
		target, err := os.Readlink(filepath.Join(dir, f.Name()))
		switch {
		case os.IsNotExist(err):
			continue // closed meanwhile
		case err != nil:
			return 0, nil, err
		case strings.HasPrefix(target, "socket:"):
			sockets++
		case strings.HasSuffix(target, " (deleted)"):
			deleted = append(deleted, target)
		}
	}
	return sockets, deleted, nil
}

// realPID is the process of havenmq itself, which strace, when it stands in front, has for a child.
func (n *node) realPID() int {
	pid := n.pid()
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || bytes.HasPrefix(comm, []byte("havenmq")) {
		return pid
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return pid
	}
	for _, c := range strings.Fields(string(children)) {
		if id, err := strconv.Atoi(c); err == nil {
			return id
		}
	}
	return pid
}

func (n *node) freeze() { n.signal(syscall.SIGSTOP) }
func (n *node) thaw()   { n.signal(syscall.SIGCONT) }

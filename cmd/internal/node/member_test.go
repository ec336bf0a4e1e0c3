package node

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/havenmq/havenmq/cmd/internal/config"
	"github.com/havenmq/havenmq/ha/memory"
	"github.com/havenmq/havenmq/protocols/admin"
)

// firstPort and lastPort lie below the range that the kernel hands out for outgoing connections: a member gives its port up
// while it is a replica, and takes it again.
const firstPort, lastPort = 20000, 32000

var nextPort = firstPort + os.Getpid()*37%(lastPort-firstPort)

// free is an address that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	for range lastPort - firstPort {
		if nextPort++; nextPort >= lastPort {
			nextPort = firstPort
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", nextPort))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return l.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}

// join starts a member whose clients connect at the address that all members share.
func join(t *testing.T, tree *memory.Tree, clients string) (*Node, *lines) {
	t.Helper()
	return joinAt(t, tree, clients, free(t), t.TempDir())
}

// joinAt is join with a replication address and a directory.
func joinAt(t *testing.T, tree *memory.Tree, clients, bind, dir string) (*Node, *lines) {
	t.Helper()
	l, err := config.Parse(config.Source{File: "test"}, []byte(fmt.Sprintf(`
transportConnectors: [{uri: 'amqp://%s'}]
persistenceAdapter: {replicatedLevelDB: {bind: 'tcp://%s', hostname: 127.0.0.1, directory: %s/store, logSize: 1mb}}
admin: {address: '127.0.0.1:0'}
dataDirectory: %s`, clients, bind, dir, dir)))
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	return start(t, Options{Config: l.Config, Version: "test", Log: zerolog.New(log), elector: tree.Join()}), log
}

// until waits for what is seen again and again; it fails the test after some seconds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// settled waits until one of the nodes is master and the others are attached, as they and it see it, and tells them apart.
func settled(t *testing.T, nodes []*Node) (master *Node, replicas []*Node) {
	t.Helper()
	until(t, "a master and its replicas", func() bool {
		master, replicas = nil, nil
		for _, n := range nodes {
			switch i := n.Info(); {
			case !i.Ready:
				return false
			case i.Role == admin.RoleMaster:
				master = n
			default:
				replicas = append(replicas, n)
			}
		}
		return master != nil && len(replicas) == len(nodes)-1 && followers(master) == len(replicas)
	})
	return master, replicas
}

// followers is how many replicas are attached, as the master sees it.
func followers(master *Node) (count int) {
	for _, p := range master.Info().Cluster.Peers {
		if p.Attached {
			count++
		}
	}
	return count
}

func TestCluster(t *testing.T) {
	tree, clients := memory.New(), free(t)
	var nodes []*Node
	logs := map[*Node]*lines{}
	for range 3 {
		n, log := join(t, tree, clients)
		nodes, logs[n] = append(nodes, n), log
	}
	first, replicas := settled(t, nodes)
	c, err := net.Dial("tcp", clients) // the master listens for all of them, and keeps this silent client
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, r := range replicas {
		i := r.Info()
		if i.Master != first.adminURL || len(i.Transports) != 0 || i.Cluster == nil || len(i.Cluster.Peers) != 2 || i.Cluster.State != "replica" {
			t.Errorf("a replica: %+v", i)
		}
		answer, err := http.Get(r.adminURL + "/api/v1/queues")
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusConflict {
			t.Errorf("queues of a replica: %s", answer.Status)
		}
	}
	if err := first.Promote("nobody:1"); err == nil || !strings.Contains(err.Error(), "no other member") {
		t.Error(err)
	}
	if err := first.Promote("127.0.0.1"); err == nil || !strings.Contains(err.Error(), "several members") {
		t.Error(err)
	}
	began := time.Now()
	if err := first.Promote(replicas[1].addr); err != nil {
		t.Fatal(err)
	}
	until(t, "the promoted node is master", func() bool { i := replicas[1].Info(); return i.Role == admin.RoleMaster && i.Ready })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("handing over took %v, with a client that does not read", took)
	}
	second, _ := settled(t, nodes)
	if i := second.Info(); second != replicas[1] || i.Epoch != 2 || i.Cluster.Elections != 1 || len(i.Transports) != 1 {
		t.Errorf("the second master: %+v", i)
	}
	stopAll(t, clients, second, nodes)
	for n, log := range logs {
		text := strings.Join(log.messages(t, "info", "warn", "error"), "\n")
		if got, want := strings.Count(text, "Master started"), int(n.elections.Load()); got != want {
			t.Errorf("%d times master, and its log says so %d times:\n%s", want, got, text)
		}
		for _, line := range []string{"Attaching to master", "Attached", "Replica started"} {
			if n != first && n != second && !strings.Contains(text, line) {
				t.Errorf("the log of a replica lacks %q:\n%s", line, text)
			}
		}
	}
}

// stopAll stops the master, which hands over, and then the others.
func stopAll(t *testing.T, clients string, master *Node, nodes []*Node) {
	t.Helper()
	if err := stop(t, master); err != nil {
		t.Error(err)
	}
	var rest []*Node
	for _, n := range nodes {
		if n != master {
			rest = append(rest, n)
		}
	}
	third, replicas := settled(t, rest)
	for _, n := range append(replicas, third) {
		if err := stop(t, n); err != nil {
			t.Error(err)
		}
	}
	if c, err := net.Dial("tcp", clients); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after all: %v, %v", c, err)
	}
}

// A master whose client port another program has steps down, and says why.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tree := memory.New()
	a, log := join(t, tree, l.Addr().String())
	b, _ := join(t, tree, l.Addr().String())
	c, _ := join(t, tree, l.Addr().String())
	until(t, "somebody cannot serve", func() bool {
		for _, n := range []*Node{a, b, c} {
			if n.Info().Ready && n.Info().Role == admin.RoleMaster {
				t.Fatal("it serves on a port that it has not got")
			}
		}
		return strings.Contains(strings.Join(log.messages(t, "error"), "\n"), "This node cannot serve clients") || b.Info().Epoch > 1
	})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	nodes := []*Node{a, b, c}
	master, _ := settled(t, nodes)
	stopAll(t, l.Addr().String(), master, nodes)
}

func TestDialable(t *testing.T) {
	for in, want := range map[string]string{"http://0.0.0.0:8161": "http://zabbix:8161", "http://[::]:8161": "http://zabbix:8161",
		"http://10.0.0.1:8161": "http://10.0.0.1:8161", "": ""} {
		if got := dialable(in, "zabbix:61619"); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

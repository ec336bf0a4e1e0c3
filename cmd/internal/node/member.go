package node

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/havenmq/havenmq/cmd/internal/config"
	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/rim"
	"github.com/havenmq/havenmq/ha/zookeeper"
	"github.com/havenmq/havenmq/persist"
)

// goodbyeTime is how long clients have to take their goodbye when another node takes over: they are to go there at once.
const goodbyeTime = 80 * time.Millisecond

// bindTime is how long a new master tries to get a client port that is taken.
const bindTime = time.Second

// startMember joins the cluster. It returns when the node takes part, whatever its role.
func (n *Node) startMember(ctx context.Context) error {
	o, err := n.memberOptions()
	if err != nil {
		return err
	}
	n.addr = o.Node.Addr
	if err := n.serveAdmin(ctx, n.life); err != nil {
		return err
	}
	o.Node.Admin = n.adminURL
	r := n.o.Config.PersistenceAdapter.ReplicatedLevelDB
	if o.Elector = n.o.elector; o.Elector == nil {
		o.Elector, err = zookeeper.Connect(zookeeper.Options{Servers: zkServers(r.ZkAddress), Path: path.Join(r.ZkPath, n.o.Config.BrokerName),
			Password: string(r.ZkPassword), SessionTimeout: time.Duration(r.ZkSessionTimeout), Logf: n.log.zookeeperf})
		if err != nil {
			return err
		}
	}
	m, err := rim.Start(ctx, o)
	if err != nil {
		return err
	}
	n.member.Store(m)
	for _, w := range n.warnings() {
		n.log.Warn().Msg(w)
	}
	n.running.Go(func() {
		select {
		case <-m.Done():
			n.failed <- m.Exit()
		case <-n.life.Done():
		}
	})
	return nil
}

// settings are those that should be the same on all nodes, as ha.Options.Settings has them.
func settings(c *config.Config) string {
	r := c.PersistenceAdapter.ReplicatedLevelDB
	return fmt.Sprintf("sync=%s logSize=%d storeUsage=%d", r.Sync, r.LogSize, c.SystemUsage.StoreUsage)
}

func zkServers(list string) (out []string) {
	for _, a := range strings.Split(list, ",") {
		out = append(out, strings.TrimSpace(a))
	}
	return out
}

// memberOptions are what the configuration says about this node's part in the cluster.
func (n *Node) memberOptions() (o rim.Options, err error) {
	c := n.o.Config
	r := c.PersistenceAdapter.ReplicatedLevelDB
	level, err := persist.ParseSync(strings.Join(r.Sync.Levels(), ","))
	if err != nil {
		return o, fmt.Errorf("persistenceAdapter.replicatedLevelDB.sync: %w", err)
	}
	bind, err := url.Parse(r.Bind)
	if err != nil {
		return o, fmt.Errorf("persistenceAdapter.replicatedLevelDB.bind: %w", err)
	}
	addr, err := advertised(r, bind)
	if err != nil {
		return o, err
	}
	security, err := replicationTLS(c.TLS)
	if err != nil {
		return o, err
	}
	return rim.Options{
		Store: persist.Options{Dir: r.Directory, FS: n.o.fs, Sync: level, LogSize: int64(r.LogSize), StoreUsage: uint64(c.SystemUsage.StoreUsage),
			MemoryBytes: int64(c.SystemUsage.MemoryUsage), Logf: n.log.storef},
		Node: ha.Options{Replicas: r.Replicas, Addr: addr, Weight: r.Weight, Sync: level, Settings: settings(c), ArbiterAddr: r.ZkAddress, ArbiterPath: path.Join(r.ZkPath, c.BrokerName),
			RetentionBytes: ha.DefaultRetentionBytes,
			Incarnation:    randomNumber(), NewID: randomID, NewNonce: randomNumber, Timing: ha.DefaultTiming()},
		Roles: (*part)(n), Bind: bind.Host, Token: string(r.SecurityToken), TLS: security, Tell: n.log.cluster,
	}, nil
}

// advertised is what the other nodes dial.
func advertised(r *config.ReplicatedLevelDB, bind *url.URL) (string, error) {
	if r.ConnectURL != "" {
		u, err := url.Parse(r.ConnectURL)
		if err != nil {
			return "", fmt.Errorf("persistenceAdapter.replicatedLevelDB.connectUrl: %w", err)
		}
		return u.Host, nil
	}
	host := r.Hostname
	if host == "" {
		own, err := os.Hostname()
		if err != nil {
			return "", fmt.Errorf("persistenceAdapter.replicatedLevelDB.hostname is not set, and this machine's cannot be found: %w", err)
		}
		host = own
	}
	return net.JoinHostPort(host, bind.Port()), nil
}

// dialable is the admin URL that others are told: a node that listens on all addresses is reached at its replication host.
func dialable(adminURL, addr string) string {
	u, err := url.Parse(adminURL)
	if err != nil || adminURL == "" {
		return adminURL
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsUnspecified() {
		return adminURL
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return adminURL
	}
	u.Host = net.JoinHostPort(host, u.Port())
	return u.String()
}

func randomNumber() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

func randomID() (id persist.ID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// replicationTLS makes replication's TLS of the node's certificate: both ends show one, if there is a clientCA to check it.
func replicationTLS(t *config.TLS) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	o := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	if t.ClientCA != "" {
		pem, err := os.ReadFile(t.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("tls.clientCA: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.clientCA: %s holds no certificate", filepath.Base(t.ClientCA))
		}
		o.RootCAs, o.ClientCAs, o.ClientAuth = pool, pool, tls.RequireAndVerifyClientCert
	}
	return o, nil
}

// part is a Node as rim.Roles: what it does when its role changes.
type part Node

// Serve opens broker and transports.
func (p *part) Serve(store *persist.Store, epoch uint64) error {
	n := (*Node)(p)
	if err := n.openStage(n.life, store, bindTime); err != nil {
		n.log.Error().Err(err).Msg("This node cannot serve clients")
		return err
	}
	s := n.stage.Load()
	s.serve()
	n.elections.Add(1)
	line := n.log.Info().Uint64("epoch", epoch).Uint64("position", uint64(store.Usage().End))
	for _, l := range s.listeners {
		line = line.Str(l.name, l.url)
	}
	line.Msg("Clients are served")
	return nil
}

// Pause is for a master that no quorum hears for a moment: its broker is suspended.
func (p *part) Pause(on bool) {
	if s := (*Node)(p).stage.Load(); s != nil {
		s.broker.Suspend(on)
	}
	if on {
		(*Node)(p).log.Warn().Msg("Paused: no quorum of replicas answers, and nothing is confirmed until one does")
		return
	}
	(*Node)(p).log.Info().Msg("A quorum of replicas answers again: this master goes on")
}

// StopServing sends all clients away, to the next master if it is known. Of that one nobody knows more than its replication
// address: clients are told its host, and the port that they came to here.
func (p *part) StopServing(_ string, next *ha.Announcement) {
	n := (*Node)(p)
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	var host string
	if next != nil {
		host, _, _ = net.SplitHostPort(next.Addr) // what is no address names no host
	}
	n.closeStage(ctx, host)
}

// handOverTime is how long a master that stops waits for replicas to hand over to, before it just goes.
const handOverTime = 3 * time.Second

func (n *Node) stopMember(ctx context.Context) error {
	if n.hurry.Load() {
		return orderly(n.member.Load().Stop(ctx, true))
	}
	patient, cancel := context.WithTimeout(ctx, handOverTime)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- n.member.Load().Stop(context.WithoutCancel(ctx), false) }()
	select {
	case err := <-stopped:
		return orderly(err)
	case <-patient.Done():
	}
	n.log.Warn().Msg("There is no quorum of replicas to hand over to: this master just goes")
	err := n.member.Load().Stop(ctx, true)
	<-stopped
	return orderly(err)
}

// orderly is nil for a node that had ended by itself: Failed has said so.
func orderly(err error) error {
	var e rim.Exit
	if errors.As(err, &e) {
		return nil
	}
	return err
}

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
const goodbyeTime = 500 * time.Millisecond

// startMember joins the cluster. It returns when the node takes part, whatever its role.
func (n *Node) startMember(ctx context.Context) error {
	if err := n.serveAdmin(ctx, n.life); err != nil {
		return err
	}
	o, err := n.memberOptions()
	if err != nil {
		return err
	}
	r := n.o.Config.PersistenceAdapter.ReplicatedLevelDB
	e, err := zookeeper.Connect(zookeeper.Options{Servers: zkServers(r.ZkAddress), Path: path.Join(r.ZkPath, n.o.Config.BrokerName),
		Password: string(r.ZkPassword), SessionTimeout: time.Duration(r.ZkSessionTimeout), Logf: n.log.zookeeperf})
	if err != nil {
		return err
	}
	o.Elector = e
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
	host := r.Hostname
	if host == "" {
		if host, err = os.Hostname(); err != nil {
			return o, fmt.Errorf("persistenceAdapter.replicatedLevelDB.hostname is not set, and this machine's cannot be found: %w", err)
		}
	}
	security, err := replicationTLS(c.TLS)
	if err != nil {
		return o, err
	}
	return rim.Options{
		Store: persist.Options{Dir: r.Directory, FS: n.o.fs, Sync: level, LogSize: int64(r.LogSize), StoreUsage: uint64(c.SystemUsage.StoreUsage),
			MemoryBytes: int64(c.SystemUsage.MemoryUsage), Logf: n.log.storef},
		Node: ha.Options{Replicas: r.Replicas, Addr: net.JoinHostPort(host, bind.Port()), Admin: n.adminURL, Weight: r.Weight, Sync: level,
			Incarnation: randomNumber(), NewID: randomID, NewNonce: randomNumber, Timing: ha.DefaultTiming()},
		Roles: (*part)(n), Bind: bind.Host, Token: string(r.SecurityToken), TLS: security, Tell: n.log.cluster,
	}, nil
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
	if err := n.openStage(n.life, store); err != nil {
		p.StopServing(err.Error(), nil)
		return err
	}
	n.stage.Load().serve()
	i := n.Info()
	i.Epoch = epoch
	n.log.started(i)
	return nil
}

// Pause is for a master that no quorum hears for a moment. What it appends is not confirmed and what it would deliver is
// not committed, so that there is nothing to stop but what was committed before.
func (p *part) Pause(on bool) {
	(*Node)(p).log.Info().Bool("paused", on).Msg("Replicas")
}

// StopServing sends all clients away.
func (p *part) StopServing(string, *ha.Announcement) {
	n := (*Node)(p)
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	n.closeStage(ctx)
}

// handOverTime is how long a node that stops tries to hand over, before it just goes.
const handOverTime = 3 * time.Second

func (n *Node) stopMember(ctx context.Context) error {
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

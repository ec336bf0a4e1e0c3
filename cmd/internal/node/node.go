package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/havenmq/havenmq/cmd/internal/config"
	"github.com/havenmq/havenmq/cmd/internal/pidfile"
	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/persist"
	"github.com/havenmq/havenmq/protocols/admin"
	"github.com/havenmq/havenmq/protocols/peer"
)

// Options are what a node is started with.
type Options struct {
	Config   *config.Config
	Warnings []string // of the configuration: `status` shows them
	Version  string
	Log      zerolog.Logger

	fs persist.FS // of the store; nil: the machine's
}

// Node is a running node. Its methods may be called from any goroutine; Stop is called once.
type Node struct {
	o       Options
	log     *journal
	started time.Time
	dir     string // of data, absolute
	failed  chan error

	pid       *pidfile.File
	store     *persist.Store
	epoch     uint64
	broker    *core.Broker
	listeners []*listener
	adminURL  string
	ready     atomic.Bool
	quit      context.CancelFunc // ends admin and ticks
	background
}

// background counts goroutines that end when quit is called.
type background struct{ running sync.WaitGroup }

// listener is a connector that is listened on.
type listener struct {
	*peer.Listener
	name, url string
	most      int
	served    chan struct{}
}

// tickPause is how often the broker is told the time.
const tickPause = 100 * time.Millisecond

// Start makes a node of its configuration and returns when it serves. ctx may end the start, not the node.
func Start(ctx context.Context, o Options) (_ *Node, err error) {
	if err := Supported(o.Config); err != nil {
		return nil, err
	}
	n := &Node{o: o, log: newJournal(o.Log), started: time.Now(), failed: make(chan error, 1)}
	var life context.Context
	life, n.quit = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, n.takeDown(ctx), n.release())
		}
	}()
	if err := n.openStore(ctx); err != nil {
		return nil, err
	}
	if err := n.openBroker(); err != nil {
		return nil, err
	}
	n.running.Go(func() { n.tick(life) })
	n.running.Go(n.log.run(life))
	if err := n.listen(ctx); err != nil {
		return nil, err
	}
	if err := n.serveAdmin(ctx, life); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	for _, l := range n.listeners {
		go func() {
			defer close(l.served)
			l.Serve()
		}()
	}
	n.ready.Store(true)
	n.log.started(n.Info())
	return n, nil
}

// openStore takes the data directory, recovers what is in it, and leads.
func (n *Node) openStore(ctx context.Context) (err error) {
	c := n.o.Config
	if n.dir, err = filepath.Abs(c.DataDirectory); err != nil {
		return fmt.Errorf("dataDirectory %s: %w", c.DataDirectory, err)
	}
	if err := os.MkdirAll(n.dir, 0o750); err != nil {
		return fmt.Errorf("dataDirectory: %w", err)
	}
	if n.pid, err = pidfile.Take(n.dir); err != nil {
		return err
	}
	o, err := storeOptions(c)
	if err != nil {
		return err
	}
	o.FS, o.Logf, o.Fatal = n.o.fs, n.log.storef, n.fail
	if n.store, err = persist.Open(o); err != nil {
		return err
	}
	n.log.recovered(n.store.Recovery())
	n.epoch = n.store.NextEpoch()
	barrier, err := n.store.Lead(n.epoch)
	if err != nil {
		return fmt.Errorf("leading: %w", err)
	}
	return n.await(ctx, barrier)
}

// fail is told once that the store has failed.
func (n *Node) fail(err error) {
	n.ready.Store(false)
	n.failed <- err
}

// Failed gives why the node cannot go on: the store has failed. It must be stopped then.
func (n *Node) Failed() <-chan error { return n.failed }

// arrival is a persist.Waiter.
type arrival chan struct{}

func (a arrival) Advanced() {
	select {
	case a <- struct{}{}:
	default:
	}
}

// await returns when everything below p is committed, applied and confirmed.
func (n *Node) await(ctx context.Context, p persist.Pos) error {
	for a := make(arrival, 1); n.store.Committed() < p || n.store.Confirmed() < p; {
		n.store.Await(p, a)
		select {
		case <-a:
		case err := <-n.failed:
			return fmt.Errorf("the store: %w", err)
		case <-ctx.Done():
			return interrupted(ctx)
		}
	}
	return nil
}

func interrupted(ctx context.Context) error {
	return fmt.Errorf("the start was interrupted: %w", context.Cause(ctx))
}

func (n *Node) openBroker() (err error) {
	n.broker, err = core.Open(core.Options{
		Store: n.store, NowMs: time.Now().UnixMilli(), Formats: formats, Policies: policies(n.o.Config),
		Limits: core.Limits{MemoryBytes: int64(n.o.Config.SystemUsage.MemoryUsage)}, Events: n.log.event,
	})
	return err
}

func (n *Node) tick(life context.Context) {
	t := time.NewTicker(tickPause)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			n.broker.Tick(now.UnixMilli())
		case <-life.Done():
			return
		}
	}
}

// listen binds every connector that this build serves.
func (n *Node) listen(ctx context.Context) error {
	bytes := allowanceBytes(n.o.Config)
	allowance, unread := peer.NewAllowance(bytes), peer.NewAllowance(bytes)
	files, err := openFiles()
	if err != nil {
		return err
	}
	connections, warning, err := fitConnections(n.o.Config.TransportConnectors, files)
	if err != nil {
		return err
	}
	if warning != "" {
		n.o.Warnings = append(slices.Clip(n.o.Warnings), warning)
	}
	for i, c := range n.o.Config.TransportConnectors {
		if !c.URI.Served() {
			continue
		}
		h := handler(c.URI.Scheme, n.o.Config.BrokerName, n.o.Version, peer.Options{
			Limits:    peer.Limits{MaxConnections: connections[i], MaxFrameBytes: c.URI.MaxFrameBytes},
			Allowance: allowance, Unread: unread,
			Attach: func(s core.Sink, remote string) peer.Client { return n.broker.Attach(s, remote) },
			Report: n.log.peer,
		})
		if h == nil {
			n.log.Warn().Msgf("Connector %s (%s) is not supported yet and is not listened on", c.Name, c.URI.URL())
			continue
		}
		socket, err := peer.Listen(ctx, c.URI.Address())
		if err != nil {
			return fmt.Errorf("connector %s: %w: stop what uses the port, or name another with --transport %s://127.0.0.1:PORT", c.Name, err, c.URI.Scheme)
		}
		n.listeners = append(n.listeners, &listener{
			Listener: peer.NewListener(socket, h, connections[i], n.log.peer), name: c.Name,
			url: c.URI.Scheme + "://" + bound(c.URI.Host, socket), most: connections[i], served: make(chan struct{}),
		})
	}
	return nil
}

// bound is host:port of a listening socket, with the host as it was configured and the port as the kernel gave it.
func bound(host string, l net.Listener) string {
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}
	return net.JoinHostPort(host, port)
}

func (n *Node) serveAdmin(ctx, life context.Context) error {
	address := n.o.Config.Admin.Address
	if address == "" {
		return nil
	}
	socket, err := peer.Listen(ctx, address)
	if err != nil {
		return fmt.Errorf("admin: %w: stop what uses the port, or name another with --admin 127.0.0.1:PORT", err)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return errors.Join(fmt.Errorf("admin: %w", err), socket.Close())
	}
	n.adminURL = "http://" + bound(host, socket)
	s := admin.New(n.broker, n.Info, isLoopback(socket))
	n.running.Go(func() {
		if err := s.Serve(life, socket); err != nil {
			n.log.Error().Err(err).Msg("Admin ended")
		}
	})
	return nil
}

func isLoopback(l net.Listener) bool {
	a, ok := l.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// Stop says goodbye to all clients, closes the store and gives the data directory up. When ctx ends, clients that have
// not gone are cut. It returns what could not be closed cleanly.
func (n *Node) Stop(ctx context.Context) error {
	n.log.Info().Msg("Stopping")
	err := n.takeDown(ctx)
	if err == nil {
		n.log.Info().Msg("Stopped")
	}
	return errors.Join(err, n.release()) // whoever waits for the pid file finds all said and done
}

// release gives the data directory up.
func (n *Node) release() error {
	if n.pid == nil {
		return nil
	}
	return n.pid.Release()
}

// takeDown undoes what was begun, last things first.
func (n *Node) takeDown(ctx context.Context) error {
	serving := n.ready.Swap(false)
	for _, l := range n.listeners {
		l.StopAccepting()
	}
	if n.broker != nil {
		n.broker.Shutdown() // before connections end: wills and deadlines are left to the next master
	}
	var clients sync.WaitGroup
	for _, l := range n.listeners {
		clients.Go(func() {
			l.Stop(ctx)
			if serving {
				<-l.served
			}
		})
	}
	clients.Wait()
	n.quit()
	n.running.Wait()
	if n.store == nil {
		return nil
	}
	return n.store.Close()
}

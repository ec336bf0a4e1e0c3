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
	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/rim"
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

	fs      persist.FS // of the store; nil: the machine's
	elector ha.Elector // nil: ZooKeeper
}

// Node is a running node. Its methods may be called from any goroutine; Stop is called once.
type Node struct {
	o       Options
	log     *journal
	started time.Time
	dir     string // of data, absolute
	failed  chan error

	pid       *pidfile.File
	store     *persist.Store          // of a node alone
	epoch     uint64                  // of a node alone
	member    atomic.Pointer[rim.Rim] // of a node in a cluster, once it takes part
	desk      desk
	stage     atomic.Pointer[stage] // nil: no client is served
	adminURL  string
	addr      string             // advertised for replication
	elections atomic.Uint64      // times that it began to serve as master
	ready     atomic.Bool        // of a node alone
	hurry     atomic.Bool        // Hurry
	life      context.Context    // ends when admin is to end
	quit      context.CancelFunc // ends it
	background

	warned sync.Mutex // guards o.Warnings
}

// warn adds a warning for status, once.
func (n *Node) warn(text string) {
	n.warned.Lock()
	defer n.warned.Unlock()
	if !slices.Contains(n.o.Warnings, text) {
		n.o.Warnings = append(slices.Clip(n.o.Warnings), text)
	}
}

func (n *Node) warnings() []string {
	n.warned.Lock()
	defer n.warned.Unlock()
	return n.o.Warnings
}

// background counts goroutines that end when quit is called.
type background struct{ running sync.WaitGroup }

// Start makes a node of its configuration and returns when it serves. ctx may end the start, not the node.
func Start(ctx context.Context, o Options) (_ *Node, err error) {
	if err := Supported(o.Config); err != nil {
		return nil, err
	}
	n := &Node{o: o, log: newJournal(o.Log), started: time.Now(), failed: make(chan error, 1)}
	n.life, n.quit = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, n.takeDown(ctx), n.release())
		}
	}()
	if err := n.takeDirectory(); err != nil {
		return nil, err
	}
	n.running.Go(n.log.run(n.life))
	if n.o.Config.PersistenceAdapter.ReplicatedLevelDB != nil {
		return n, n.startMember(ctx)
	}
	return n, n.startAlone(ctx)
}

// takeDirectory makes the data directory this process's own.
func (n *Node) takeDirectory() (err error) {
	c := n.o.Config
	if n.dir, err = filepath.Abs(c.DataDirectory); err != nil {
		return fmt.Errorf("dataDirectory %s: %w", c.DataDirectory, err)
	}
	if err := os.MkdirAll(n.dir, 0o750); err != nil {
		return fmt.Errorf("dataDirectory: %w", err)
	}
	n.pid, err = pidfile.Take(n.dir)
	return err
}

// startAlone serves on a store of its own.
func (n *Node) startAlone(ctx context.Context) error {
	if err := n.openStore(ctx); err != nil {
		return err
	}
	if err := n.openStage(ctx, n.store, 0); err != nil {
		return err
	}
	if err := n.serveAdmin(ctx, n.life); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	n.stage.Load().serve()
	n.ready.Store(true)
	n.log.started(n.Info())
	return nil
}

// openStore recovers what is in the store's directory, and leads.
func (n *Node) openStore(ctx context.Context) error {
	c := n.o.Config
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
	n.adminURL = dialable("http://"+bound(host, socket), n.addr)
	s := admin.New(&n.desk, n.Info, isLoopback(socket))
	if n.o.Config.PersistenceAdapter.ReplicatedLevelDB != nil {
		s.Join(n)
	}
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

// Hurry has a Stop that follows not wait for replicas to hand over to. It hands over to those that there are.
func (n *Node) Hurry() { n.hurry.Store(true) }

// release gives the data directory up.
func (n *Node) release() error {
	if n.pid == nil {
		return nil
	}
	return n.pid.Release()
}

// takeDown undoes what was begun, last things first.
func (n *Node) takeDown(ctx context.Context) error {
	n.ready.Store(false)
	var err error
	if n.member.Load() != nil {
		err = n.stopMember(ctx)
	}
	n.closeStage(ctx, "")
	n.quit()
	n.running.Wait()
	if n.store == nil {
		return err
	}
	return errors.Join(err, n.store.Close())
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/havenmq/havenmq/cmd/internal/config"
	"github.com/havenmq/havenmq/cmd/internal/node"
	"github.com/havenmq/havenmq/protocols/admin"
)

// serveCommand is `havenmq serve`.
type serveCommand struct {
	serveFlags
	ReadyFD int `name:"ready-fd" hidden:"" help:"Descriptor to write a line to when the node serves."`
}

func (serveCommand) Help() string {
	return "Without a file: a standalone master on an embedded store in ./data, all transports on loopback.\n\n" +
		"Example: havenmq serve --data /var/lib/havenmq --transport amqp://127.0.0.1:5672"
}

// goodbyeTimeout is how long clients have to take their goodbye.
const goodbyeTimeout = 10 * time.Second

// signalForce is SIGTERM for a master that is not to wait for replicas to hand over to: `havenmq stop --force`.
const signalForce = syscall.SIGUSR1

func (c *serveCommand) Run(ctx context.Context, s *streams) error {
	loaded, err := c.load(s)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	forced := make(chan os.Signal, 1)
	signal.Notify(forced, signalForce)
	defer signal.Stop(forced)
	life, end := context.WithCancel(ctx)
	defer end()
	if _, set := lookup(s.environ, "GOGC"); !set {
		node.TuneHeap(life)
	}
	log := logger(s.err, c.LogLevel)
	n, err := node.Start(ctx, node.Options{Config: loaded.Config, Warnings: loaded.Warnings, Version: version, Log: log})
	if err != nil {
		return err
	}
	if f, ok := s.out.(*os.File); ok && !term.IsTerminal(int(f.Fd())) {
		announce(log, loaded.Config, n.Info())
	} else {
		banner(s.out, loaded.Config, n.Info())
	}
	failure := c.attend(ctx, s, n, forced)
	if failure != nil && loaded.Config.PersistenceAdapter.ReplicatedLevelDB == nil {
		failure = fmt.Errorf("the store has failed and the node ends: %w: see to the disk, then start it again", failure)
	}
	stop() // a second signal ends the process at once
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTimeout)
	defer cancel()
	if err := n.Stop(grace); failure == nil {
		return err
	}
	return failure
}

// attend waits until the node is to stop, and tells the process that started this one when it has joined its cluster, or why it
// has not yet. Its error is the node's failure.
func (c *serveCommand) attend(ctx context.Context, s *streams, n *node.Node, forced <-chan os.Signal) error {
	joined := n.Joined()
	for {
		select {
		case why := <-joined:
			joined = nil
			if err := c.tellReady(why); err != nil {
				fmt.Fprintf(s.err, "havenmq: --ready-fd: %v\n", err)
			}
		case <-ctx.Done():
			return nil
		case <-forced:
			n.Hurry()
			return nil
		case err := <-n.Failed():
			return err
		}
	}
}

// tellReady tells the process that started this one that the node runs, and what it still waits for, if anything.
func (c *serveCommand) tellReady(why string) error {
	if c.ReadyFD <= 2 {
		return nil
	}
	f := os.NewFile(uintptr(c.ReadyFD), "ready")
	if f == nil {
		return fmt.Errorf("%d is no descriptor", c.ReadyFD)
	}
	if _, err := f.WriteString(readyWord + why + "\n"); err != nil {
		return err
	}
	return f.Close()
}

// banner says where everything is.
func banner(w io.Writer, c *config.Config, i admin.NodeInfo) {
	role := fmt.Sprintf("%s of epoch %d", i.Role, i.Epoch)
	if r := c.PersistenceAdapter.ReplicatedLevelDB; r != nil { // the log says what becomes of it
		role = fmt.Sprintf("one of %d nodes, joins at ZooKeeper %s", r.Replicas, r.ZkAddress)
	}
	fmt.Fprintf(w, "HavenMQ %s, broker %s: %s, sync %s, data in %s\n", version, i.BrokerName, role, i.Sync, i.DataDirectory)
	for _, t := range i.Transports {
		fmt.Fprintf(w, "  %-8s %s\n", t.Name, t.URL)
	}
	if i.Admin != "" {
		fmt.Fprintf(w, "  %-8s %s\n", "admin", i.Admin)
	}
	if off := offLoopback(c); len(off) > 0 {
		fmt.Fprintf(w, "Anybody who can reach this machine may use %s: nobody has to log in.\n", strings.Join(off, ", "))
	}
}

// announce is the banner as log records: what is not a terminal is read by programs.
func announce(log zerolog.Logger, c *config.Config, i admin.NodeInfo) {
	line := log.Info().Str("version", version).Str("broker", i.BrokerName).Str("role", i.Role).Uint64("epoch", i.Epoch).Str("sync", i.Sync).Str("data", i.DataDirectory)
	urls := make([]string, 0, len(i.Transports))
	for _, t := range i.Transports {
		urls = append(urls, t.URL)
	}
	what := "Serving"
	if i.Role != admin.RoleMaster {
		what = "Joining the cluster" // clients are served when this node is master
	}
	line.Strs("transports", urls).Str("admin", i.Admin).Msg(what)
	if off := offLoopback(c); len(off) > 0 {
		log.Warn().Strs("transports", off).Msg("Anybody who can reach this machine may use these: nobody has to log in")
	}
}

func offLoopback(c *config.Config) (list []string) {
	for _, t := range c.TransportConnectors {
		if t.URI.Served() && !t.URI.Loopback() {
			list = append(list, t.URI.URL())
		}
	}
	return list
}

// logger writes lines for people to a terminal, JSON elsewhere.
func logger(w io.Writer, level string) zerolog.Logger {
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		l = zerolog.InfoLevel
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		w = zerolog.ConsoleWriter{Out: f, TimeFormat: "2006-01-02 15:04:05.000"}
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/signal"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/cmd/internal/client"
	"github.com/havenmq/havenmq/cmd/internal/config"
	"github.com/havenmq/havenmq/cmd/internal/pidfile"
)

// stopCommand is `havenmq stop`.
type stopCommand struct {
	configFlags
	Node    string        `help:"Admin URL of the node to stop, on this machine; without it the data directory's pid file says which." placeholder:"URL" variable:"HAVENMQ_NODE"`
	Timeout time.Duration `help:"How long to wait for its end." default:"60s"`
	Force   bool          `help:"Stop a cluster's node even if the others cannot go on without it."`
}

func (stopCommand) Help() string {
	return "A cluster's master hands over first.\n\nExample: havenmq stop --data /var/lib/havenmq"
}

func (c *stopCommand) Run(ctx context.Context, s *streams) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	dir, address, err := c.directory(ctx, s)
	if err != nil {
		return err
	}
	pid, ok, err := pidfile.Running(dir)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("no node serves %s, it is not running: name another data directory with --data, or the node's admin URL with --node", dir)
	}
	if !c.Force {
		if why := stopRefusal(ctx, address, pid); why != "" {
			return errors.New(why)
		}
	}
	how := syscall.SIGTERM
	if c.Force {
		how = signalForce
	}
	if err := syscall.Kill(pid, how); err != nil {
		return fmt.Errorf("stopping process %d: %w", pid, err)
	}
	if err := c.wait(ctx, dir, pid); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Process %d has stopped.\n", pid)
	return err
}

// askTime is how long a node that is to stop may take to say how it stands.
const askTime = 2 * time.Second

// directory is the data directory of the node to stop, and its admin address.
func (c *stopCommand) directory(ctx context.Context, s *streams) (dir, address string, err error) {
	if c.Node != "" && c.Data == "" && c.Config == "" {
		node, err := client.New(c.Node)
		if err != nil {
			return "", "", usageError{err}
		}
		if !onThisMachine(node.Hostname()) {
			return "", "", fmt.Errorf("%s is another machine's node: run `havenmq stop` there", c.Node)
		}
		i, err := node.Node(ctx)
		return i.DataDirectory, c.Node, err
	}
	l, err := config.Load(c.source(s))
	if err != nil {
		return "", "", err
	}
	return l.DataDirectory, l.Admin.Address, nil
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// stopPause is how often the pid file is looked at.
const stopPause = 50 * time.Millisecond

func (c *stopCommand) wait(ctx context.Context, dir string, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	for {
		now, ok, err := pidfile.Running(dir)
		if err != nil {
			return err
		}
		if !ok || now != pid {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("process %d has not stopped within %v: look at its log; `kill -9 %d` ends it, and nothing that was confirmed is lost", pid, c.Timeout, pid)
			}
			return ctx.Err()
		case <-time.After(stopPause):
		}
	}
}

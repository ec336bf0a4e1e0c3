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
}

func (stopCommand) Help() string { return "Example: havenmq stop --data /var/lib/havenmq" }

func (c *stopCommand) Run(ctx context.Context, s *streams) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	dir, err := c.directory(ctx, s)
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
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping process %d: %w", pid, err)
	}
	if err := c.wait(ctx, dir, pid); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Process %d has stopped.\n", pid)
	return err
}

// directory is the data directory of the node to stop.
func (c *stopCommand) directory(ctx context.Context, s *streams) (string, error) {
	if c.Node != "" && c.Data == "" && c.Config == "" {
		node, err := client.New(c.Node)
		if err != nil {
			return "", usageError{err}
		}
		if !onThisMachine(node.Hostname()) {
			return "", fmt.Errorf("%s is another machine's node: run `havenmq stop` there", c.Node)
		}
		i, err := node.Node(ctx)
		return i.DataDirectory, err
	}
	l, err := config.Load(c.source(s))
	if err != nil {
		return "", err
	}
	return l.DataDirectory, nil
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

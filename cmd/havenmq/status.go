package main

import (
	"bytes"
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/cmd/internal/client"
	"github.com/havenmq/havenmq/protocols/admin"
)

// statusCommand is `havenmq status`.
type statusCommand struct {
	Watch bool `help:"Print again whenever something changes, until interrupted."`
	nodeFlag
	outputFlag
}

func (statusCommand) Help() string {
	return "Exit code: 0 master, 3 replica, 4 electing, 1 unreachable.\n\nExample: havenmq status --node http://127.0.0.1:8161 || echo not the master"
}

// exitOf are the exit codes of roles.
var exitOf = map[string]exit{admin.RoleMaster: 0, admin.RoleReplica: 3, admin.RoleElecting: 4}

func (c *statusCommand) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	if c.Watch {
		return c.watch(ctx, s, node)
	}
	i, err := node.Node(ctx)
	if err != nil {
		return err
	}
	if err := c.show(s, i); err != nil {
		return err
	}
	code, known := exitOf[i.Role]
	switch {
	case !known:
		return fmt.Errorf("role %q is unknown: this program is older than the node", i.Role)
	case code == 0:
		return nil
	}
	return code
}

func (c *statusCommand) show(s *streams, i admin.NodeInfo) error {
	return c.print(s.out, i, func() [][]string {
		rows := [][]string{
			{"Role", i.Role}, {"Epoch", number(i.Epoch)}, {"Broker", i.BrokerName}, {"Version", i.Version}, {"Master", i.Master}, {"Ready", yesNo(i.Ready)},
			{"Process", fmt.Sprintf("%d, since %s", i.PID, time.UnixMilli(i.StartedMs).Format(time.DateTime))}, {"Data", i.DataDirectory}, {"Sync", i.Sync},
			{"Log", fmt.Sprintf("%d to %d, committed to %d", i.Store.LogStart, i.Store.LogEnd, i.Store.Committed)},
			{"Disk", fmt.Sprintf("%s of at most %s", bytesText(i.Store.DiskBytes), bytesText(i.Store.DiskLimitBytes))},
		}
		if i.Store.Full {
			rows = append(rows, []string{"Full", "new messages are refused: consume, or raise systemUsage.storeUsage"})
		}
		for _, t := range i.Transports {
			rows = append(rows, []string{"Transport", t.URL})
		}
		rows = append(rows, clusterRows(i.Cluster)...)
		for _, w := range i.Warnings {
			rows = append(rows, []string{"Warning", w})
		}
		return rows
	})
}

// clusterRows says how the node stands in its cluster, and how the others do.
func clusterRows(c *admin.ClusterInfo) (rows [][]string) {
	if c == nil {
		return nil
	}
	rows = append(rows, []string{"Cluster", c.State + ", votes: " + yesNo(c.Voter) + ", ZooKeeper: " + yesNo(c.Connected)})
	for _, p := range c.Peers {
		text := p.Addr + " " + p.State
		switch {
		case p.State == "":
			text += "away"
		case p.Attached:
			text += fmt.Sprintf(", attached at %d, behind by %s", p.Position, bytesText(p.LagBytes))
		}
		rows = append(rows, []string{"Member", text})
	}
	return rows
}

// watchPause is how often the node is asked.
const watchPause = time.Second

// watch prints what changes, positions aside: those always do.
func (c *statusCommand) watch(ctx context.Context, s *streams, node *client.Client) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	last := ""
	for {
		var text bytes.Buffer
		i, err := node.Node(ctx)
		if ctx.Err() != nil {
			return nil
		}
		now := fmt.Sprint(i.Role, i.Epoch, i.Master, i.Ready, i.PID, i.Store.Full, err)
		if err != nil {
			fmt.Fprintf(&text, "havenmq: %v\n", err)
		} else if err := c.show(&streams{out: &text}, i); err != nil {
			return err
		}
		if now != last {
			if _, err := fmt.Fprintf(s.out, "%s\n%s\n", time.Now().Format(time.DateTime), strings.TrimRight(text.String(), "\n")); err != nil {
				return err
			}
			last = now
		}
		select {
		case <-time.After(watchPause):
		case <-ctx.Done():
			return nil
		}
	}
}

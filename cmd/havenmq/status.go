package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/havenmq/havenmq/cmd/internal/client"
	"github.com/havenmq/havenmq/protocols/admin"
)

// statusCommand is `havenmq status`.
type statusCommand struct {
	Watch bool `help:"Show how it changes until interrupted: live on a terminal, elsewhere a new picture for each change."`
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
		switch {
		case i.Store.Full && i.Cluster != nil && i.Cluster.DiskFull:
			rows = append(rows, []string{"Full", "new messages are refused: the disk is full: consume, or free disk space"})
		case i.Store.Full:
			rows = append(rows, []string{"Full", "new messages are refused: consume, or raise systemUsage.storeUsage"})
		}
		for _, t := range i.Transports {
			rows = append(rows, []string{"Transport", t.URL})
		}
		rows = append(rows, clusterRows(&i)...)
		for _, w := range i.Warnings {
			rows = append(rows, []string{"Warning", w})
		}
		return rows
	})
}

// clusterRows says how the node stands in its cluster, and how the others do.
func clusterRows(i *admin.NodeInfo) (rows [][]string) {
	c := i.Cluster
	if c == nil {
		return nil
	}
	text := c.State
	if c.Paused {
		text += ", paused: no quorum of replicas answers"
	}
	if c.Drained {
		text += ", drained: it leads only while no other member can"
	}
	if c.DiskFull {
		text += ", its disk is full"
	}
	rows = append(rows, []string{"Cluster", text + ", votes: " + yesNo(c.Voter) + ", ZooKeeper: " + yesNo(c.Connected)})
	if a := c.Attach; a != nil {
		rows = append(rows, []string{"Attaching", progressBar(a)})
	}
	for _, p := range c.Peers {
		rows = append(rows, []string{"Member", p.Addr + " " + memberText(i, &p)})
	}
	return rows
}

// memberText says how another member stands, as far as this node knows.
func memberText(i *admin.NodeInfo, p *admin.PeerInfo) string {
	switch {
	case p.State == "":
		return "away: start it, or see `havenmq cluster replace`"
	case p.Attached && p.DiskFull:
		return fmt.Sprintf("its disk is full: it stopped at %d, behind by %s", p.Position, bytesText(p.LagBytes))
	case p.Attached:
		text := fmt.Sprintf("attached at %d, behind by %s", p.Position, bytesText(p.LagBytes))
		if p.Drained {
			text += ", drained"
		}
		return text
	case i.Role == admin.RoleMaster && p.SilentMs >= 0:
		return "attaching, behind by " + bytesText(p.LagBytes)
	case unheard(i, p):
		return "no longer heard: it is away once its ZooKeeper session has ended"
	}
	text, known := map[string]string{"MASTER": "master", "FOLLOWING": "replica", "SYNCING": "not attached", "FROZEN": "electing", "IDLE": "electing",
		"ERROR": "not attached: its disk is full"}[p.State]
	if !known {
		text = p.State
	}
	if p.Drained {
		text += ", drained"
	}
	return text
}

// unheard says whether a member's row is what a process left that has died: it says that it leads or follows, and does not.
func unheard(i *admin.NodeInfo, p *admin.PeerInfo) bool {
	switch p.State {
	case "MASTER":
		return i.Cluster.MasterAddr != "" && i.Cluster.MasterAddr != p.Addr
	case "FOLLOWING":
		return i.Role == admin.RoleMaster && !p.Attached && p.SilentMs < 0
	}
	return false
}

// barCells is how wide a progress bar is.
const barCells = 30

// progressBar draws how far a replica has caught up.
func progressBar(a *admin.Attach) string {
	done := int(a.Share() * barCells)
	at := min(max(a.At, a.From), max(a.To, a.From))
	return fmt.Sprintf("[%s%s] %3.0f%%, %s of %s", strings.Repeat("#", done), strings.Repeat("-", barCells-done), 100*a.Share(),
		bytesText(at-a.From), bytesText(max(a.To, a.From)-a.From))
}

// watchPause is how often the node is asked.
const watchPause = time.Second

// watch shows the node until it is interrupted: live on a terminal, elsewhere whenever something but positions changes.
func (c *statusCommand) watch(ctx context.Context, s *streams, node *client.Client) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	f, ok := s.out.(*os.File)
	live := ok && c.Output == "table" && term.IsTerminal(int(f.Fd()))
	last := ""
	for {
		i, err := node.Node(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if now := gist(&i, err); live || now != last {
			if err := c.picture(s.out, live, i, err); err != nil {
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

// picture prints one picture; a live one takes the last one's place.
func (c *statusCommand) picture(out io.Writer, live bool, i admin.NodeInfo, failure error) error {
	var text bytes.Buffer
	if live {
		text.WriteString("\x1b[H\x1b[2J")
	}
	if c.Output == "table" {
		fmt.Fprintln(&text, time.Now().Format(time.DateTime))
	}
	if failure != nil {
		fmt.Fprintf(&text, "havenmq: %v\n", failure)
	} else if err := c.show(&streams{out: &text}, i); err != nil {
		return err
	}
	_, err := out.Write(text.Bytes())
	return err
}

// gist is what a picture shows but for what always moves: positions, sizes, and an attaching replica's last few percent.
func gist(i *admin.NodeInfo, err error) string {
	text := fmt.Sprint(i.Role, i.Epoch, i.Master, i.Ready, i.PID, i.Store.Full, i.Warnings, err)
	if c := i.Cluster; c != nil {
		text += fmt.Sprint(c.State, c.Voter, c.Connected, c.Paused, c.DiskFull)
		if c.Attach != nil {
			text += fmt.Sprint(int(10 * c.Attach.Share()))
		}
		for _, p := range c.Peers {
			text += fmt.Sprint(p.Addr, p.State, p.Attached)
		}
	}
	return text
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/cmd/internal/client"
	"github.com/havenmq/havenmq/protocols/admin"
)

// clusterCommands are `havenmq cluster …`.
type clusterCommands struct {
	Ls      clusterLs      `cmd:"" help:"List the members and how they stand."`
	Promote clusterPromote `cmd:"" help:"Have the master hand over to MEMBER, or to the one that is best."`
	Drain   clusterDrain   `cmd:"" help:"Have the asked node leave leading to others, until it is undrained."`
	Undrain clusterUndrain `cmd:"" help:"Let a drained node lead again."`
	Replace clusterReplace `cmd:"" help:"Say how a new machine takes a dead member's seat."`
	Adopt   clusterAdopt   `cmd:"" help:"Give ZooKeeper back what it has lost of the cluster."`
	Recover clusterRecover `cmd:"" help:"Have the asked node lead though a quorum is gone for ever."`
}

// clusterNode asks a node that must be a member of a cluster.
func clusterNode(ctx context.Context, f nodeFlag) (*client.Client, admin.NodeInfo, error) {
	node, err := f.client()
	if err != nil {
		return nil, admin.NodeInfo{}, err
	}
	i, err := node.Node(ctx)
	if err == nil && i.Cluster == nil {
		err = errors.New("this node is in no cluster: it runs alone on persistenceAdapter.levelDB, or it has not joined yet; see docs/operations.md")
	}
	return node, i, err
}

type clusterLs struct {
	nodeFlag
	outputFlag
}

func (clusterLs) Help() string {
	return "The master knows all positions; a replica knows what the others say of themselves.\n\nExample: havenmq cluster ls --node http://127.0.0.1:8161"
}

func (c *clusterLs) Run(ctx context.Context, s *streams) error {
	_, i, err := clusterNode(ctx, c.nodeFlag)
	if err != nil {
		return err
	}
	return c.print(s.out, i.Cluster, func() [][]string {
		rows := [][]string{{"MEMBER", "STATE", "VOTES", "ADMIN", "NODE ID"},
			{i.Cluster.Addr + " (asked)", i.Cluster.State, yesNo(i.Cluster.Voter), i.Admin, i.Cluster.NodeID}}
		for _, p := range i.Cluster.Peers {
			votes := yesNo(p.Voter)
			if p.State == "" {
				votes = "-"
			}
			rows = append(rows, []string{p.Addr, memberText(&i, &p), votes, p.Admin, p.NodeID})
		}
		return rows
	})
}

type clusterPromote struct {
	Member  string        `arg:"" optional:"" help:"Replication address, host, admin URL or node id of an attached replica."`
	Timeout time.Duration `help:"How long to wait for the new master." default:"10s"`
	nodeFlag
}

func (clusterPromote) Help() string {
	return "Any node of the cluster may be asked. Clients are sent away in good order and find the new master by their failover list.\n\n" +
		"Example: havenmq cluster promote agent133:61619"
}

func (c *clusterPromote) Run(ctx context.Context, s *streams) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	node, i, err := clusterNode(ctx, c.nodeFlag)
	if err != nil {
		return err
	}
	if i.Role != admin.RoleMaster {
		if i.Master == "" {
			return errors.New("nobody is master now: wait until one is elected; `havenmq status` tells")
		}
		if node, err = client.New(i.Master); err != nil {
			return err
		}
		if i, err = node.Node(ctx); err != nil {
			return fmt.Errorf("the master must be asked: %w", err)
		}
	}
	if named(i.Cluster, i.Admin, c.Member) {
		_, err := fmt.Fprintf(s.out, "%s is the master already, of epoch %d.\n", i.Cluster.Addr, i.Epoch)
		return err
	}
	began := time.Now()
	if err := node.Promote(ctx, c.Member); err != nil {
		return err
	}
	return handedOver(ctx, s, node, &i, began, c.Timeout)
}

// named says whether a word means the asked node itself.
func named(c *admin.ClusterInfo, own, word string) bool {
	return word != "" && c != nil && (word == c.Addr || word == c.NodeID || word == own)
}

// handedOver waits for the next master, which the old one learns as a replica.
func handedOver(ctx context.Context, s *streams, node *client.Client, old *admin.NodeInfo, began time.Time, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		i, err := node.Node(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("no new master is known after %v: see `havenmq status` and the nodes' logs", time.Since(began).Round(time.Millisecond))
		case err != nil:
			return err
		case i.Epoch > old.Epoch && i.Role == admin.RoleMaster:
			return errors.New("the old master was elected again: look at its replicas with `havenmq cluster ls`")
		case i.Epoch > old.Epoch && i.Master != "" && i.Cluster != nil && i.Cluster.MasterAddr != old.Cluster.Addr:
			_, err := fmt.Fprintf(s.out, "%s is master of epoch %d, after %v.\n", i.Cluster.MasterAddr, i.Epoch, time.Since(began).Round(time.Millisecond))
			return err
		}
		select {
		case <-time.After(handOverPause):
		case <-ctx.Done():
		}
	}
}

// handOverPause is how often the old master is asked who the new one is.
const handOverPause = 20 * time.Millisecond

type clusterDrain struct {
	Timeout time.Duration `help:"How long to wait for the new master." default:"10s"`
	nodeFlag
}

func (clusterDrain) Help() string {
	return "The node stays a member: it follows and votes, and restarts as drained. It leads only while no other member can.\n\n" +
		"Example: havenmq cluster drain && havenmq stop"
}

func (c *clusterDrain) Run(ctx context.Context, s *streams) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	node, i, err := clusterNode(ctx, c.nodeFlag)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := node.Drain(ctx, true); err != nil {
		return err
	}
	if i.Role != admin.RoleMaster {
		_, err := fmt.Fprintf(s.out, "This node is drained now (role: %s): it can be stopped. `havenmq cluster undrain` lets it lead again.\n", i.Role)
		return err
	}
	if !othersFollow(i.Cluster) {
		_, err := fmt.Fprintln(s.out, "This node is drained, and leads until another member follows it that can take over: `havenmq cluster ls` shows them.")
		return err
	}
	return handedOver(ctx, s, node, &i, began, c.Timeout)
}

// othersFollow says whether somebody can take over.
func othersFollow(c *admin.ClusterInfo) bool {
	return slices.ContainsFunc(c.Peers, func(p admin.PeerInfo) bool { return p.Attached && p.Voter && !p.Drained })
}

type clusterUndrain struct{ nodeFlag }

func (clusterUndrain) Help() string {
	return "It does not take over by that: see `havenmq cluster promote`.\n\nExample: havenmq cluster undrain --node http://127.0.0.1:8161"
}

func (c *clusterUndrain) Run(ctx context.Context, s *streams) error {
	node, _, err := clusterNode(ctx, c.nodeFlag)
	if err == nil {
		err = node.Drain(ctx, false)
	}
	if err == nil {
		_, err = fmt.Fprintln(s.out, "This node may lead again.")
	}
	return err
}

type clusterReplace struct {
	Member string `arg:"" optional:"" help:"Replication address of the dead member; without it, all that are away."`
	nodeFlag
}

func (clusterReplace) Help() string {
	return "Nothing is changed: a seat goes to the node that comes with its address and an empty directory, while its holder is away.\n\n" +
		"Example: havenmq cluster replace agent138:61619"
}

func (c *clusterReplace) Run(ctx context.Context, s *streams) error {
	_, i, err := clusterNode(ctx, c.nodeFlag)
	if err != nil {
		return err
	}
	found, told := c.Member == "", false
	for _, p := range i.Cluster.Peers {
		if c.Member != "" && c.Member != p.Addr && c.Member != p.NodeID {
			continue
		}
		found = true
		if p.State != "" {
			if c.Member != "" && unheard(&i, &p) {
				return fmt.Errorf("%s is no longer heard, and its ZooKeeper session has not ended: ask again in some seconds", p.Addr)
			}
			if c.Member != "" {
				return fmt.Errorf("%s is alive: stop it first, or it would be refused to the new machine", p.Addr)
			}
			continue
		}
		told = true
		if _, err := fmt.Fprintf(s.out, replaceText, p.Addr, p.Addr); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s is no other member of this cluster: `havenmq cluster ls` lists them", c.Member)
	}
	if !told {
		_, err = fmt.Fprintln(s.out, "No member is away: there is nothing to replace. One that has just died is away once its ZooKeeper session has ended: ask again then.")
	}
	return err
}

const replaceText = `%s is away. To give its seat to a new machine:
  1. See to it that the old machine does not come back: should it, it ends by itself when it reaches ZooKeeper.
  2. Let the name in %s lead to the new machine, and give that the old one's configuration: the same hostname, bind,
     brokerName, replicas, zkPath and securityToken.
  3. Leave its data directory empty and run ` + "`havenmq start`" + `: it takes the seat, fetches the log and votes when it has caught up.
  4. ` + "`havenmq status --watch`" + ` on it shows how far it is.
`

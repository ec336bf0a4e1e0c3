package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/cmd/internal/client"
	"github.com/havenmq/havenmq/protocols/admin"
)

// confirmFlag lets a script do what a person confirms.
type confirmFlag struct {
	Yes bool `help:"Do it without asking for the cluster's name."`
}

// confirm has the operator type the cluster's name.
func (f confirmFlag) confirm(s *streams, name string) error {
	if f.Yes {
		return nil
	}
	if _, err := fmt.Fprintf(s.out, "Type the cluster's name, %s, to go on: ", name); err != nil {
		return err
	}
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != name {
		return errors.New("nothing was done: that is not its name")
	}
	return nil
}

type clusterAdopt struct {
	Timeout time.Duration `help:"How long to wait for a master." default:"20s"`
	confirmFlag
	nodeFlag
}

func (clusterAdopt) Help() string {
	return "For when ZooKeeper's data was deleted or set back while the nodes' directories are whole. Start all members and ask one of them: " +
		"it writes the members that it knows, in an epoch that nobody has had, and a master is elected. A node that knows of later members is named. " +
		"On a node whose directory was a standalone broker's, it begins the cluster with that store.\n\n" +
		"Example: havenmq cluster adopt --node http://127.0.0.1:8161"
}

func (c *clusterAdopt) Run(ctx context.Context, s *streams) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	node, i, err := clusterNode(ctx, c.nodeFlag)
	if err != nil {
		return err
	}
	e, err := node.Emergency(ctx)
	if err != nil {
		return err
	}
	if e.Adopt != "" {
		return errors.New(e.Adopt)
	}
	if e.Begins {
		return c.begin(ctx, s, node, &i)
	}
	if _, err := fmt.Fprintf(s.out, "ZooKeeper lacks what this node knows of the cluster. It would be given:\n  this node, %s%s\nand a master is elected anew. "+
		"A member that was replaced while this node was away must not be running.\n", i.Cluster.Addr, addresses(i.Cluster.Peers)); err != nil {
		return err
	}
	if err := c.confirm(s, i.BrokerName); err != nil {
		return err
	}
	if err := node.Order(ctx, "adopt", i.BrokerName); err != nil {
		return err
	}
	return elected(ctx, s, node, i.Epoch, c.Timeout)
}

// begin begins a cluster with a store that was a standalone broker's.
func (c *clusterAdopt) begin(ctx context.Context, s *streams, node *client.Client, i *admin.NodeInfo) error {
	if _, err := fmt.Fprintf(s.out, "This node's store belongs to no cluster: its log ends at position %d. A cluster would begin with it, and this node, %s, be its first member. "+
		"Every other member must come with an empty directory.\n", i.Store.LogEnd, i.Cluster.Addr); err != nil {
		return err
	}
	if err := c.confirm(s, i.BrokerName); err != nil {
		return err
	}
	if err := node.Order(ctx, "adopt", i.BrokerName); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "It was ordered: start the other members now. This node serves when enough of them hold its log: `havenmq status --watch` shows it.")
	return err
}

func addresses(peers []admin.PeerInfo) (text string) {
	for _, p := range peers {
		state := "runs"
		if p.State == "" {
			state = "away"
		}
		text += fmt.Sprintf("\n  %s, %s", p.Addr, state)
	}
	return text
}

// elected waits until a master of a later epoch is known.
func elected(ctx context.Context, s *streams, node *client.Client, before uint64, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		i, err := node.Node(ctx)
		if err == nil && i.Epoch > before && i.Ready && i.Master != "" {
			_, err := fmt.Fprintf(s.out, "%s is master of epoch %d.\n", i.Master, i.Epoch)
			return err
		}
		select {
		case <-time.After(handOverPause):
		case <-ctx.Done():
			return fmt.Errorf("it was ordered, and no master is known after %v: see `havenmq status` and the nodes' logs", timeout)
		}
	}
}

type clusterRecover struct {
	AcceptLoss bool `help:"Needed: what was confirmed and only the others held is lost."`
	confirmFlag
	nodeFlag
}

func (clusterRecover) Help() string {
	return "For when so many members are gone for ever, or lost what they had acknowledged, that no master can be elected. Ask the node whose log goes " +
		"furthest; make sure that the others are off. Their seats are vacated: start new members with empty directories, and this node leads when enough hold its log.\n\n" +
		"Example: havenmq cluster recover --accept-loss --node http://127.0.0.1:8161"
}

func (c *clusterRecover) Run(ctx context.Context, s *streams) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	node, i, err := clusterNode(ctx, c.nodeFlag)
	if err != nil {
		return err
	}
	e, err := node.Emergency(ctx)
	switch {
	case err != nil:
		return err
	case e.Recover != "":
		return errors.New(e.Recover)
	}
	if _, err := fmt.Fprintln(s.out, e.Loss); err != nil {
		return err
	}
	if !c.AcceptLoss {
		return errors.New("nothing was done: it needs --accept-loss")
	}
	if err := c.confirm(s, i.BrokerName); err != nil {
		return err
	}
	if err := node.Order(ctx, "recover", i.BrokerName); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "This node leads as soon as %d of %d members hold its log. Start new ones with empty directories; `havenmq status --watch` shows how they come.\n",
		i.Cluster.Replicas/2+1, i.Cluster.Replicas)
	return err
}

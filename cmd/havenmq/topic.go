package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/havenmq/havenmq/core"
)

// topicCommands are `havenmq topic …`.
type topicCommands struct {
	Ls topicLs `cmd:"" help:"List topics that are in use."`
}

type topicLs struct {
	Filter string `arg:"" optional:"" help:"Part of the names to list."`
	nodeFlag
	outputFlag
}

func (topicLs) Help() string { return "Example: havenmq topic ls sensors" }

func (c *topicLs) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	list, err := node.Topics(ctx, c.Filter)
	if err != nil {
		return err
	}
	return c.print(s.out, list, func() [][]string {
		rows := [][]string{{"TOPIC", "SUBSCRIPTIONS", "ENQUEUED", "DEQUEUED"}}
		for _, t := range list {
			rows = append(rows, []string{t.Name, number(t.Subscriptions), number(t.Enqueued), number(t.Dequeued)})
		}
		return rows
	})
}

// subscriptionCommands are `havenmq subscription …`.
type subscriptionCommands struct {
	Ls     subscriptionLs     `cmd:"" help:"List subscriptions of topics: durable, MQTT sessions, and live ones."`
	Delete subscriptionDelete `cmd:"" help:"End a durable subscription, or without NAME a client's MQTT session, and throw away what it holds."`
}

type subscriptionLs struct {
	Filter string `arg:"" optional:"" help:"Part of the client ids and names to list."`
	nodeFlag
	outputFlag
}

func (subscriptionLs) Help() string { return "Example: havenmq subscription ls pump-7" }

func (c *subscriptionLs) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	list, err := node.Subscriptions(ctx, c.Filter)
	if err != nil {
		return err
	}
	return c.print(s.out, list, func() [][]string {
		rows := [][]string{{"CLIENT", "NAME", "KIND", "TOPICS", "CONNECTED", "DEPTH", "IN FLIGHT"}}
		for _, i := range list {
			rows = append(rows, []string{i.ClientID, i.Name, i.Kind, strings.Join(i.Topics, " "), yesNo(i.Active), number(i.Queue.Depth), number(i.Queue.InFlight)})
		}
		return rows
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

type subscriptionDelete struct {
	Client string `arg:"" help:"The client id."`
	Name   string `arg:"" optional:"" help:"The subscription's name."`
	nodeFlag
}

func (subscriptionDelete) Help() string { return "Example: havenmq subscription delete pump-7 alarms" }

func (c *subscriptionDelete) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	if err := node.DeleteSubscription(ctx, c.Client, c.Name); err != nil {
		return err
	}
	what := "The session of client " + c.Client
	if c.Name != "" {
		what = "Subscription " + c.Name + " of client " + c.Client
	}
	_, err = fmt.Fprintf(s.out, "%s is deleted.\n", printable(what))
	return err
}

// queryCommand is `havenmq query -QQueue=NAME`.
type queryCommand struct {
	Query []string `short:"Q" name:"query" required:"" help:"What to print: Queue=NAME or Topic=NAME; '*' in a name stands for anything." placeholder:"TYPE=NAME" sep:"none"`
	nodeFlag
}

func (queryCommand) Help() string { return "Example: havenmq query -QQueue=orders | grep EnqueueCount" }

func (c *queryCommand) Run(ctx context.Context, s *streams) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	found := false
	for _, q := range c.Query {
		kind, name, ok := strings.Cut(q, "=")
		switch {
		case ok && strings.EqualFold(kind, "Queue"):
			list, err := node.Queues(ctx, literal(name))
			if err != nil {
				return err
			}
			for _, q := range list {
				if matches(name, q.Name) {
					found = true
					printQueue(s, q)
				}
			}
		case ok && strings.EqualFold(kind, "Topic"):
			list, err := node.Topics(ctx, literal(name))
			if err != nil {
				return err
			}
			for _, t := range list {
				if matches(name, t.Name) {
					found = true
					printTopic(s, t)
				}
			}
		default:
			return usageError{fmt.Errorf("-Q%s: write -QQueue=NAME or -QTopic=NAME", q)}
		}
	}
	if !found {
		return fmt.Errorf("nothing is named so: `havenmq queue ls` and `havenmq topic ls` list what there is")
	}
	return nil
}

// literal is the longest part of a pattern without '*': the server looks for it.
func literal(pattern string) (longest string) {
	for _, part := range strings.Split(pattern, "*") {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}

// matches says whether a name fits a pattern in which '*' stands for anything.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		var i int
		if i = strings.Index(rest, part); i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return ok && strings.HasSuffix(rest, parts[len(parts)-1])
}

func attributes(s *streams, rows [][2]string) {
	for _, r := range rows {
		fmt.Fprintf(s.out, "%s = %s\n", r[0], printable(r[1]))
	}
	fmt.Fprintln(s.out)
}

func printQueue(s *streams, q core.QueueInfo) {
	attributes(s, [][2]string{{"Name", q.Name}, {"destinationName", q.Name}, {"destinationType", "Queue"}, {"QueueSize", number(q.Depth)},
		{"EnqueueCount", number(q.Enqueued)}, {"DequeueCount", number(q.Dequeued)}, {"InFlightCount", number(q.InFlight)}, {"ConsumerCount", number(q.Consumers)},
		{"ExpiredCount", number(q.Expired)}, {"StoreMessageSize", number(q.Bytes)}, {"Paused", fmt.Sprint(q.Paused)}})
}

func printTopic(s *streams, t core.TopicInfo) {
	attributes(s, [][2]string{{"Name", t.Name}, {"destinationName", t.Name}, {"destinationType", "Topic"}, {"EnqueueCount", number(t.Enqueued)},
		{"DequeueCount", number(t.Dequeued)}, {"ConsumerCount", number(t.Subscriptions)}})
}

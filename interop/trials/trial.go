package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/havenmq/havenmq/interop/cluster"
)

const (
	retry        = 50 * time.Millisecond // of the clients, as the targets say
	pace         = 5 * time.Millisecond
	serviceLimit = 30 * time.Second // far above what a failover takes
	drainLimit   = 2 * time.Minute
	flowing      = 20 // confirmations of each protocol that show that messages flow
)

// fault takes a master away and returns when it has gone.
type fault func(*cluster.Node) error

func kill(n *cluster.Node) error { n.Kill(); return nil }
func halt(n *cluster.Node) error { return n.Stop() }

// measure does one fault many times under load and adds a row for each protocol.
func (r *report) measure(ctx context.Context, c *cluster.Cluster, title string, trials int, f fault, t target) error {
	if trials == 0 {
		return nil
	}
	began := time.Now()
	l := cluster.StartLoad(ctx, cluster.LoadOptions{Name: fmt.Sprintf("trial%d", len(r.rows)), Hosts: c.Hosts(), Pace: pace, Retry: retry})
	defer l.Stop()
	gaps := map[string][]time.Duration{}
	for i := range trials {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := trial(c, l, f, gaps); err != nil {
			return fmt.Errorf("%s, trial %d: %w", title, i+1, err)
		}
		fmt.Printf("%s, trial %d of %d: AMQP %s, MQTT %s, STOMP %s\n", title, i+1, trials, ms(last(gaps["amqp"])), ms(last(gaps["mqtt"])), ms(last(gaps["stomp"])))
	}
	if err := l.Drain(drainLimit); err != nil {
		return err
	}
	compared, err := c.SameLogs()
	if err != nil {
		return err
	}
	confirmed, _ := l.Counts()
	r.notes = append(r.notes, fmt.Sprintf("%s: %d trials in %s, %d messages confirmed, 0 lost, %d bytes of log the same on all three nodes.",
		title, trials, time.Since(began).Round(time.Second), confirmed, compared))
	for _, proto := range []string{"amqp", "mqtt", "stomp"} {
		row := newRow(title, proto, gaps[proto], t.times(r.slack))
		r.rows = append(r.rows, row)
		fmt.Println(row.line())
	}
	return nil
}

func last(gaps []time.Duration) time.Duration { return gaps[len(gaps)-1] }

// trial takes the master of a whole cluster away once, and gives it back.
func trial(c *cluster.Cluster, l *cluster.Load, f fault, gaps map[string][]time.Duration) error {
	master, err := c.Whole()
	if err != nil {
		return err
	}
	l.Forget()
	if err := l.Flows(time.Now(), flowing, serviceLimit); err != nil {
		return err
	}
	time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond) // the load goes on; this is the random moment
	before := time.Now()
	if err := f(master); err != nil {
		return err
	}
	gone := time.Now().Add(10 * time.Millisecond) // what it had sent is read by then
	if err := l.Flows(gone, flowing, serviceLimit); err != nil {
		return err
	}
	for proto := range cluster.Protocols {
		gaps[proto] = append(gaps[proto], l.Gap(proto, before))
	}
	return master.Start()
}

// withoutZooKeeper ends ZooKeeper for a time: nobody is to notice.
func (r *report) withoutZooKeeper(ctx context.Context, c *cluster.Cluster) error {
	master, err := c.Whole()
	if err != nil {
		return err
	}
	was, _ := master.Status()
	l := cluster.StartLoad(ctx, cluster.LoadOptions{Name: "outage", Hosts: c.Hosts(), Pace: pace, Retry: retry})
	defer l.Stop()
	if err := l.Flows(time.Now(), flowing, serviceLimit); err != nil {
		return err
	}
	began := time.Now()
	c.ZooKeeper.Kill()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(r.outage):
	}
	if err := c.ZooKeeper.Start(); err != nil {
		return err
	}
	if err := l.Flows(time.Now(), flowing, serviceLimit); err != nil {
		return err
	}
	title := fmt.Sprintf("ZooKeeper is away for %s", r.outage)
	for _, proto := range []string{"amqp", "mqtt", "stomp"} {
		row := newRow(title, proto, []time.Duration{l.Gap(proto, began)}, target{cuts: true})
		row.cuts = l.Cuts()
		r.rows = append(r.rows, row)
		fmt.Println(row.line())
	}
	if err := l.Drain(drainLimit); err != nil {
		return err
	}
	if m, err := c.Whole(); err != nil || m != master {
		return fmt.Errorf("%s: the master changed, or is none: %w", title, err)
	}
	if is, _ := master.Status(); is.Epoch != was.Epoch {
		return fmt.Errorf("%s: epoch %d became %d", title, was.Epoch, is.Epoch)
	}
	confirmed, _ := l.Counts()
	r.notes = append(r.notes, fmt.Sprintf("%s: %d messages confirmed meanwhile, 0 lost, %d connections ended, the same master and epoch after it.", title, confirmed, l.Cuts()))
	return nil
}

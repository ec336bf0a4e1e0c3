package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/interop/cluster"
)

// plan is how much of what to do.
type plan struct {
	kills, stops int           // trials with nothing in the cluster but their load
	stateKills   int           // trials on the state below; 0 leaves it out
	queues       int           // with a message of 1 KiB each
	sessions     int           // durable MQTT sessions
	backlogBytes int           // in one queue, of messages of 1 KiB
	outage       time.Duration // of ZooKeeper; 0 leaves it out
	tick         time.Duration // ZooKeeper's
	slack        int           // targets are multiplied by it; 1 where they are measured
}

func main() {
	p := plan{tick: 2 * time.Second, slack: 1}
	out := flag.String("out", "", "the file to write the table into; none")
	flag.IntVar(&p.kills, "kills", 200, "trials of kill -9")
	flag.IntVar(&p.stops, "stops", 60, "trials of havenmq stop")
	flag.IntVar(&p.stateKills, "state", 50, "trials of kill -9 with much in the cluster")
	flag.IntVar(&p.queues, "queues", 100_000, "queues of those")
	flag.IntVar(&p.sessions, "sessions", 10_000, "durable MQTT sessions of those")
	flag.IntVar(&p.backlogBytes, "backlog", 1<<30, "bytes of backlog of those")
	flag.DurationVar(&p.outage, "outage", 5*time.Minute, "how long ZooKeeper is away")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := do(ctx, p, *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// do runs a plan in a directory that it makes, and writes its table.
func do(ctx context.Context, p plan, out string) error {
	dir, err := os.MkdirTemp("", "havenmq-trials-")
	if err != nil {
		return err
	}
	r, err := run(ctx, p, dir)
	if err != nil {
		return fmt.Errorf("%w; the nodes' logs are in %s", err, dir)
	}
	if out != "" {
		if err := os.WriteFile(out, []byte(r.table()), 0o644); err != nil {
			return err
		}
	}
	if missed := r.missed(); len(missed) > 0 {
		return fmt.Errorf("missed: %w; the nodes' logs are in %s", errors.Join(missed...), dir)
	}
	return os.RemoveAll(dir)
}

// report is what a run has measured.
type report struct {
	plan
	rows  []row
	notes []string
}

// run runs a plan.
func run(ctx context.Context, p plan, dir string) (*report, error) {
	r := &report{plan: p}
	if err := r.small(ctx, dir+"/small"); err != nil {
		return nil, err
	}
	if p.stateKills == 0 {
		return r, nil
	}
	return r, r.much(ctx, dir+"/state")
}

// small measures on a cluster with little in it.
func (r *report) small(ctx context.Context, dir string) error {
	return r.on(dir, func(c *cluster.Cluster) error {
		if err := r.measure(ctx, c, "kill -9 of the master", r.kills, kill, target{p50: 150 * time.Millisecond, p99: 400 * time.Millisecond}); err != nil {
			return err
		}
		if err := r.measure(ctx, c, "`havenmq stop` of the master", r.stops, halt, target{p99: 300 * time.Millisecond}); err != nil {
			return err
		}
		if r.outage == 0 {
			return nil
		}
		return r.withoutZooKeeper(ctx, c)
	})
}

// on starts a cluster in a directory, and ends it after what is done with it.
func (r *report) on(dir string, f func(*cluster.Cluster) error) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	c, err := cluster.New(cluster.Options{Dir: dir, Tick: r.tick})
	if err != nil {
		return err
	}
	defer c.End()
	if _, err := c.Start(); err != nil {
		return err
	}
	if err := f(c); err != nil {
		return err
	}
	if problems := c.Problems(); len(problems) > 0 {
		return errors.New(problems[0])
	}
	return nil
}

// Command bench measures what a message costs the broker: it starts havenmq on loopback with its data in a temporary
// directory, sends messages in and takes them out again over each protocol, and prints a table.
//
// Each job is one producer and one consumer. It runs twice: as fast as it goes, for throughput and cost, and at a third of that
// rate, for the time from a message's sending to its receipt. With -cluster it compares one node with clusters of
// three instead, with -catchup it has replicas miss much of the log and come back.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
	"github.com/havenmq/havenmq/interop/wire"
)

type settings struct {
	count, warmUp  int
	size           int
	window, credit int
	binary         string
	only           string
	rounds         int           // of a comparison
	paced, slow    time.Duration // of a round at pacedRate, and at each of lowRates
	missed         int           // bytes of messages that a replica misses
	usual          time.Duration // of measuring before and while it is away
}

func main() {
	var s settings
	flag.IntVar(&s.count, "count", 200_000, "messages that are measured")
	flag.IntVar(&s.warmUp, "warmup", 50_000, "messages before those")
	flag.IntVar(&s.size, "size", 100, "bytes of a body, at least 8")
	flag.IntVar(&s.window, "window", 500, "messages that a producer leaves unconfirmed")
	flag.IntVar(&s.credit, "credit", 1000, "messages that a consumer takes unacknowledged")
	flag.StringVar(&s.binary, "binary", "", "the program (default bin/havenmq)")
	flag.StringVar(&s.only, "only", "", "run only the job of this name")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds of a comparison")
	flag.DurationVar(&s.paced, "paced", 5*time.Second, "a comparison's time at 5,000 messages a second, a round")
	flag.DurationVar(&s.slow, "slow", 3*time.Second, "a comparison's time at each low rate, a round")
	flag.IntVar(&s.missed, "missed", 2_000_000_000, "bytes of messages that a replica misses")
	flag.DurationVar(&s.usual, "usual", 10*time.Second, "how long is measured before a replica goes, and while it is away")
	away := flag.Bool("catchup", false, "measure how a replica catches up")
	against := flag.Bool("cluster", false, "compare one node with clusters of three")
	out := flag.String("out", "", "the document that a comparison is written into; none")
	flag.Parse()
	var err error
	switch {
	case *against:
		err = compareReplication(&s, *out)
	case *away:
		err = catchUp(&s, *out)
	default:
		err = run(&s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// job is one line of the table.
type job struct {
	name               string
	in, out            string // schemes of the producer and the consumer
	sendTo, subscribe  string
	durable            bool // the consumer's subscription outlives its connection
	send               func(wire.Options) (wire.Sender, error)
	receive            func(wire.Options) (wire.Receiver, error)
	targetCPUPerMsgMic float64 // microseconds that a message may cost, 0 for no target
}

var jobs = []job{
	{"AMQP durable queue", "amqp", "amqp", "queue://bench.amqp", "queue://bench.amqp", false, wire.SendAMQP, wire.ReceiveAMQP, 15},
	{"STOMP durable queue", "stomp", "stomp", "/queue/bench.stomp", "/queue/bench.stomp", false, wire.SendSTOMP, wire.ReceiveSTOMP, 18},
	{"MQTT QoS 1, durable session", "mqtt", "mqtt", "bench/durable", "bench/durable", true, wire.SendMQTT, wire.ReceiveMQTT, 15},
	{"MQTT QoS 1, clean session", "mqtt", "mqtt", "bench/clean", "bench/clean", false, wire.SendMQTT, wire.ReceiveMQTT, 10},
	{"MQTT QoS 1 to AMQP queue", "mqtt", "amqp", "$queue/bench/cross", "queue://bench.cross", false, wire.SendMQTT, wire.ReceiveAMQP, 0},
}

func run(s *settings) (err error) {
	dir, err := os.MkdirTemp("", "havenmq-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b, err := broker.New(broker.Options{Binary: s.binary, Dir: dir})
	if err != nil {
		return err
	}
	if err := b.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Stop()) }()
	fmt.Printf("%d messages of %d bytes after %d to warm up, window %d, credit %d; CPU is the broker's user and system time\n\n",
		s.count, s.size, s.warmUp, s.window, s.credit)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "job\tmsg/s\tCPU µs/msg\tat most\tallocs/msg\tsyncs\tmsg/sync\tat msg/s\tp50 ms\tp99 ms\tp99.9 ms\tCPU µs/msg\t")
	for i := range jobs {
		if s.only != "" && s.only != jobs[i].name {
			continue
		}
		if err := measure(w, b, s, &jobs[i]); err != nil {
			return fmt.Errorf("%s: %w", jobs[i].name, err)
		}
	}
	return w.Flush()
}

// measure runs a job at full speed and at a third of it, and prints its line.
func measure(w *tabwriter.Writer, b *broker.Broker, s *settings, j *job) error {
	p, err := connect(alone{b}, s, j)
	if err != nil {
		return err
	}
	defer p.close()
	if _, err := p.run(s.warmUp, 0); err != nil {
		return err
	}
	full, err := p.run(s.count, 0)
	if err != nil {
		return err
	}
	rate := full.perSecond() / 3
	paced, err := p.run(min(s.count, int(rate*5)), rate)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\t%.0f\t%.1f\t%s\t%.1f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.1f\t\n", j.name,
		full.perSecond(), full.cpuPerMessage(), target(j), full.allocs/float64(full.n), full.syncs, float64(full.n)/max(1, full.syncs),
		rate, ms(paced.percentile(50)), ms(paced.percentile(99)), ms(paced.percentile(99.9)), paced.cpuPerMessage())
	return err
}

func target(j *job) string {
	if j.targetCPUPerMsgMic == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f", j.targetCPUPerMsgMic)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

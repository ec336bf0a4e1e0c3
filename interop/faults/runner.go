package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// scenario is one row of the table: a fault and what is expected of the cluster.
type scenario struct {
	number   int
	title    string
	expected string
	short    bool        // part of the shorter half
	fresh    bool        // it wants a cluster that nothing has happened to
	options  nodeOptions // of the cluster; one with other options is not reused
	run      func(*stage)
}

// runner runs scenarios, one behind the other, on one ensemble and three machines.
type runner struct {
	settings
	dir      string
	binary   string
	began    time.Time
	network  *network
	ensemble *ensemble
	fourth   *host    // nil: no scenario has asked for one yet
	cluster  *cluster // nil: the next scenario makes one
	probe    *probe
	clusters int // made so far
	rows     []row
}

// row is what came of a scenario.
type row struct {
	*scenario
	seen       []string
	problems   []string
	confirmed  int
	lost       int
	duplicated int
	elections  int
	gap        time.Duration // longest time without a confirmation
	compared   uint64        // bytes of the logs
	took       time.Duration
}

// stage is one scenario as it runs. One goroutine uses it.
type stage struct {
	*runner
	ctx      context.Context
	c        *cluster
	master   *node
	loads    []*load // that are not drained yet
	made     int     // loads so far
	problems []string
	gaps     []time.Duration // without service, of each failover that replaced saw
	row      *row
	began    time.Time // of the fault
}

// abort ends a scenario from within; what it says is the last problem.
type abort string

func (r *runner) all(ctx context.Context) error {
	var err error
	if r.network, err = newNetwork(); err != nil {
		return err
	}
	if r.ensemble, err = newEnsemble(r.network, r.dir); err != nil {
		return err
	}
	if r.probe, err = startProbe(r.dir); err != nil {
		return err
	}
	defer func() { _ = r.probe.close() }() // nothing that anybody needs is written there
	hosts := make([]*host, 3)
	for i := range hosts {
		if hosts[i], err = r.network.add(fmt.Sprintf("n%d", i+1), fmt.Sprintf("10.77.0.%d", i+1)); err != nil {
			return err
		}
	}
	failed := 0
	for _, sc := range scenarios {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if r.short && !sc.short && r.only == nil || r.only != nil && !r.only[sc.number] {
			continue
		}
		row := r.one(ctx, sc, hosts)
		r.rows = append(r.rows, row)
		fmt.Print(row.line())
		if len(row.problems) > 0 {
			failed++
		}
	}
	fmt.Printf("%d scenarios in %s, %d failed\n", len(r.rows), time.Since(r.began).Round(time.Second), failed)
	if err := r.write(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d scenarios failed", failed, len(r.rows))
	}
	return nil
}

// one runs a scenario and its checks.
func (r *runner) one(ctx context.Context, sc *scenario, hosts []*host) (out row) {
	out.scenario = sc
	began := time.Now()
	s := &stage{runner: r, ctx: ctx, row: &out, began: began}
	defer func() {
		if a := recover(); a != nil {
			text, ok := a.(abort)
			if !ok {
				panic(a)
			}
			s.problems = append(s.problems, string(text))
		}
		for _, l := range s.loads {
			l.stop()
		}
		out.problems = s.problems
		out.took = time.Since(began)
		if len(s.problems) > 0 {
			s.keepLogs()
			s.must(s.recoverAll())
		}
	}()
	s.must(s.prepare(hosts))
	s.c.mark()
	sc.run(s)
	s.settle()
	return out
}

// prepare makes a cluster, or takes the last one's.
func (s *stage) prepare(hosts []*host) error {
	sc := s.row.scenario
	if s.cluster != nil && (sc.fresh || s.cluster.options != s.withDefaults(sc.options)) {
		if err := s.cluster.end(); err != nil {
			return err
		}
		s.cluster = nil
	}
	if s.cluster == nil {
		if err := s.makeCluster(hosts); err != nil {
			return err
		}
	}
	s.c = s.cluster
	var err error
	s.master, err = s.c.whole()
	return err
}

func (s *stage) withDefaults(o nodeOptions) nodeOptions {
	o.zk = s.ensemble.addresses()
	return o
}

func (s *stage) makeCluster(hosts []*host) error {
	s.clusters++
	c := &cluster{options: s.withDefaults(s.row.options)}
	for i, h := range hosts {
		n := &node{host: h, id: i + 1, dir: filepath.Join(s.dir, fmt.Sprintf("cluster%d", s.clusters), h.name), binary: s.binary}
		if err := n.prepare(c.options.volume); err != nil {
			return err
		}
		c.zkPath = fmt.Sprintf("/faults/%d", s.clusters)
		if err := n.configure(c.settings()); err != nil {
			return err
		}
		if err := n.boot(); err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	s.cluster = c
	return nil
}

// recoverAll makes the next scenario independent of what went wrong in this one.
func (s *stage) recoverAll() error {
	if s.cluster != nil {
		for _, n := range s.cluster.nodes {
			n.thaw()
		}
		if err := s.cluster.end(); err != nil {
			return err
		}
		s.cluster = nil
	}
	return s.mend()
}

// mend ends all faults: cuts, stopped and dead processes.
func (s *stage) mend() error {
	for _, h := range append([]*host{s.network.clients}, s.ensemble.hosts...) {
		if err := h.mend(); err != nil {
			return err
		}
	}
	for _, p := range s.ensemble.servers {
		p.signal(syscall.SIGCONT)
	}
	if err := s.ensemble.start(); err != nil || s.cluster == nil {
		return err
	}
	return s.cluster.mend()
}

// keepLogs shows the end of each node's log since the scenario began.
func (s *stage) keepLogs() {
	if s.cluster == nil {
		return
	}
	for _, n := range s.cluster.nodes {
		text := n.printed(s.cluster.offsets[n])
		lines := strings.Split(strings.TrimSpace(text), "\n")
		fmt.Printf("  %s, the last of %d lines:\n", n.host.name, len(lines))
		for _, l := range lines[max(0, len(lines)-25):] {
			fmt.Println("    " + l)
		}
	}
}

func (s *stage) must(err error) {
	if err != nil {
		panic(abort(err.Error()))
	}
}

func (s *stage) fail(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// check notes an error and goes on; detail, if any, is asked only then.
func (s *stage) check(err error, detail func() string) {
	switch {
	case err == nil:
	case detail != nil:
		s.fail("%v: %s", err, detail())
	default:
		s.fail("%v", err)
	}
}

// saw adds to what the table says was seen.
func (s *stage) saw(format string, args ...any) {
	s.row.seen = append(s.row.seen, fmt.Sprintf(format, args...))
}

// load starts clients and waits until they run.
func (s *stage) load() *load { return s.loadOf(bodyBytes) }

// Sizes of bodies: of the usual ones, and of those that soon fill a segment.
const (
	bodyBytes  = 100
	largeBytes = 4000
	hugeBytes  = 16000
	bulkBytes  = 64000
)

// loadOf starts clients that send bodies of a size.
func (s *stage) loadOf(size int) *load {
	var addrs []string
	for _, n := range s.c.nodes {
		addrs = append(addrs, n.addr)
	}
	l := startLoad(s.ctx, fmt.Sprintf("s%d-%d", s.row.number, s.made), addrs, size)
	s.loads = append(s.loads, l)
	s.made++
	s.must(until(20*time.Second, "every protocol's messages are confirmed and received", func() bool {
		confirmed, received := l.counts()
		return confirmed > 150 && received > 50
	}))
	return l
}

// fault starts the clock of the time without service.
func (s *stage) fault() { s.began = time.Now() }

// service waits until messages are confirmed again, more than one by chance, and takes the gap since fault.
func (s *stage) service(l *load, limit time.Duration) time.Duration {
	from := time.Now()
	s.must(until(limit, "messages are confirmed again", func() bool { return l.confirmedBetween(from, time.Now()) >= 100 }))
	now := time.Now()
	g := l.gap(s.began, now)
	s.row.gap = max(s.row.gap, g)
	return g
}

// within fails the scenario when something took longer than it may. For as long as the whole machine stood still meanwhile, that is excused.
func (s *stage) within(what string, took, limit time.Duration) {
	still := s.probe.longest(s.began)
	switch {
	case took <= limit:
	case took <= limit+still:
		s.saw("%s took %s, of which the machine stood still for %s", what, ms(took), ms(still))
	default:
		s.fail("%s took %s, at most %s; the machine stood still for %s at most", what, ms(took), ms(limit), ms(still))
	}
}

// elections fails the scenario when another number of masters was elected since it began.
func (s *stage) elections(least, most int) {
	byEpoch, _ := s.c.elected()
	if n := len(byEpoch); n < least || n > most {
		s.fail("%d elections, expected %d to %d", n, least, most)
	}
}

func ms(d time.Duration) string { return d.Round(time.Millisecond).String() }

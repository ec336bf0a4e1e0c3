package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/havenmq/havenmq/cmd/internal/config"
	"github.com/havenmq/havenmq/cmd/internal/pidfile"
	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/persist"
	"github.com/havenmq/havenmq/protocols/peer"
)

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// messages are the messages of the lines written, at the levels given.
func (l *lines) messages(t *testing.T, levels ...string) (list []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range strings.Split(strings.TrimSpace(l.b.String()), "\n") {
		var line struct{ Level, Message string }
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("line %q: %v", text, err)
		}
		for _, level := range levels {
			if line.Level == level {
				list = append(list, line.Message)
			}
		}
	}
	return list
}

func options(t *testing.T, fs persist.FS) (Options, *lines) {
	t.Helper()
	l, err := config.Parse(config.Source{File: "test"}, []byte(`
transportConnectors: [{uri: 'amqp://127.0.0.1:0?maximumConnections=7'}]
persistenceAdapter: {levelDB: {directory: store, logSize: 1mb}}
admin: {address: '127.0.0.1:0'}
dataDirectory: `+t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	return Options{Config: l.Config, Version: "test", Log: zerolog.New(log).Level(zerolog.InfoLevel), fs: fs}, log
}

func start(t *testing.T, o Options) *Node {
	t.Helper()
	n, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func stop(t *testing.T, n *Node) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return n.Stop(ctx)
}

func TestStartsAndStops(t *testing.T) {
	o, log := options(t, persist.NewMemFS())
	n := start(t, o)
	i := n.Info()
	if i.Role != "master" || i.Epoch != 1 || !i.Ready || len(i.Transports) != 1 || i.Transports[0].MaxConnections != 7 || i.Store.Committed == 0 {
		t.Errorf("%+v", i)
	}
	address := strings.TrimPrefix(i.Transports[0].URL, "amqp://")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { _, _ = io.Copy(io.Discard, c) }() // until it is told goodbye
	if err := stop(t, n); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the port still answers: %v", err)
	}
	if _, ok, err := pidfile.Running(i.DataDirectory); ok || err != nil {
		t.Errorf("the pid file is still held: %v", err)
	}
	if got := log.messages(t, "info"); strings.Join(got, ", ") != "Master started, Stopping, Stopped" {
		t.Errorf("logged %q", got)
	}
}

// A disk that fails ends the node, with a reason.
func TestStoreFails(t *testing.T) {
	disk := persist.NewFaultFS(persist.NewMemFS())
	o, _ := options(t, disk)
	n := start(t, o)
	disk.Break(persist.Fault{Op: persist.FaultSync, Pattern: "*", Err: syscall.EIO})
	if err := n.stage.Load().broker.CreateQueue(core.Destination{Kind: core.Queue, Name: "q"}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-n.Failed():
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("failed with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
	if n.Info().Ready {
		t.Error("it says that it is ready")
	}
	if err := stop(t, n); err == nil {
		t.Error("it says that all was closed cleanly")
	}
}

// What an operator was told is made outlives a crash at once.
func TestChangesAreWritten(t *testing.T) {
	disk := persist.NewMemFS()
	o, _ := options(t, disk)
	n := start(t, o)
	q := core.Destination{Kind: core.Queue, Name: "made.and.empty"}
	if err := errors.Join(n.desk.CreateQueue(q), n.desk.Pause(q)); err != nil {
		t.Fatal(err)
	}
	o, _ = options(t, disk.Kill())
	again := start(t, o)
	if i, err := again.desk.Queue(q); err != nil || !i.Paused {
		t.Errorf("after a crash: %+v, %v", i, err)
	}
	if err := again.desk.DeleteQueue(q); err != nil {
		t.Error(err)
	}
	for _, n := range []*Node{n, again} {
		_ = stop(t, n) // the first has no disk any more
	}
}

func TestStartIsInterrupted(t *testing.T) {
	o, _ := options(t, persist.NewMemFS())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, o); err == nil {
		t.Error("it started")
	}
	if _, ok, err := pidfile.Running(o.Config.DataDirectory); ok || err != nil {
		t.Errorf("the pid file is still held: %v", err)
	}
	if err := stop(t, start(t, o)); err != nil {
		t.Error(err)
	}
}

func TestPolicies(t *testing.T) {
	l, err := config.Parse(config.Source{}, []byte(`destinationPolicy: {policyEntries: [
  {topic: 'a.>', pendingMessageLimitStrategy: {constantPendingMessageLimitStrategy: {limit: 5}}}, {topic: '>'}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := policies(l.Config)
	if len(got) != 2 || got[0] != (core.Policy{Pattern: core.Destination{Kind: core.Topic, Name: "a.>"}, PendingLimit: 5}) || got[1].Pattern.Name != ">" {
		t.Errorf("%+v", got)
	}
	o, err := storeOptions(l.Config)
	if err != nil || o.Dir != filepath.Join("data", "levelDB") || o.Sync != persist.QuorumDisk || o.StoreUsage != 100<<30 {
		t.Errorf("%+v, %v", o, err)
	}
}

// What the network can cause does not fill the log.
func TestLogIsBounded(t *testing.T) {
	log := &lines{}
	j := newJournal(zerolog.New(log))
	for range 1000 {
		j.peer(peer.Report{Kind: peer.ReportEnded, Protocol: "amqp", Err: errors.New("bad frame")})
		j.event(core.Event{Kind: core.EventRefused, Subject: "client at x"})
	}
	if got := log.messages(t, "warn"); len(got) != 2*maxLines {
		t.Errorf("%d lines", len(got))
	}
	j.second()
	if got := log.messages(t, "warn"); len(got) != 2*maxLines+2 {
		t.Errorf("%d lines", len(got))
	}
	j.peer(peer.Report{Kind: peer.ReportFault, Err: errors.New("panic"), Stack: []byte("stack")})
	if got := log.messages(t, "error"); len(got) != 1 || got[0] != "Fault in a session" {
		t.Errorf("faults: %q", got)
	}
}

func TestWhatIsLoggedHow(t *testing.T) {
	for _, c := range []struct {
		report peer.Report
		level  string
	}{
		{peer.Report{Kind: peer.ReportEnded, Err: peer.ErrGoodbye}, "debug"},
		{peer.Report{Kind: peer.ReportEnded, Err: io.EOF}, "debug"},
		{peer.Report{Kind: peer.ReportEnded, Err: core.ErrShutdown}, "debug"},
		{peer.Report{Kind: peer.ReportEnded, Err: core.ErrTakenOver}, "debug"},
		{peer.Report{Kind: peer.ReportEnded, Err: peer.ErrHandshake}, "warn"},
		{peer.Report{Kind: peer.ReportRefused, Err: core.ErrFull}, "warn"},
		{peer.Report{Kind: peer.ReportAccept, Err: syscall.EMFILE}, "error"},
	} {
		log := &lines{}
		newJournal(zerolog.New(log)).peer(c.report)
		if got := log.messages(t, c.level); len(got) != 1 {
			t.Errorf("%+v is not logged as %s", c.report, c.level)
		}
	}
}

func TestSmallHeapsAreCollectedSeldom(t *testing.T) {
	for live, want := range map[uint64]int{0: 800, 1 << 20: 800, 8 << 20: 800, 10 << 20: 600, 32 << 20: 200, 64 << 20: 100, 1 << 30: 100} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d MiB live: GOGC %d, want %d", live>>20, got, want)
		}
	}
}

// TestHeapIsTunedByEachCollection fills a heap at once: the very next collection must bring GOGC down.
func TestHeapIsTunedByEachCollection(t *testing.T) {
	life, end := context.WithCancel(t.Context())
	before := debug.SetGCPercent(123)
	defer debug.SetGCPercent(before)
	percent := func() int { p := debug.SetGCPercent(100); debug.SetGCPercent(p); return p }
	TuneHeap(life)
	live := make([]byte, 2*roomBytes)
	await := func(want int) {
		t.Helper()
		for range 1000 {
			runtime.GC()
			if percent() == want {
				return
			}
		}
		t.Fatalf("GOGC is %d, want %d", percent(), want)
	}
	await(minPercent)
	runtime.KeepAlive(live)
	end()
	await(123)
}

package interop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
	"github.com/havenmq/havenmq/interop/wire"
)

// How much a broker can hold, and what that costs. `make test` runs these with a twentieth of the load and smaller limits;
// `make scale` runs them whole.

type scale struct {
	messages     int   // in a backlog, 1 KiB each
	logSizeBytes int64 // of a segment
	memoryUsage  string
	storeUsage   string // for the subscriber that is gone: a tenth of it is its limit
	limitBytes   int64
	subscribers  int // of the fan-out
	queues       int // with one message each
}

var (
	smallScale = scale{100_000, 4 << 20, "32mb", "200mb", 20 << 20, 200, 5_000}
	wholeScale = scale{2_000_000, 100 << 20, "256mb", "1gb", 103 << 20, 1_000, 100_000}
)

func theScale() scale {
	if os.Getenv("HAVENMQ_SCALE") != "" {
		return wholeScale
	}
	return smallScale
}

const (
	backlogBodyBytes = 1024
	backlogRSSMax    = 700 << 20
	restartMax       = 5 * time.Second
	emptyDirMore     = 100 << 20 // beside two segments
	scaleTimeout     = 20 * time.Minute
)

func (s *scale) start(t *testing.T, config string) *broker.Broker {
	t.Helper()
	config = fmt.Sprintf("systemUsage: {memoryUsage: %s, storeUsage: %s}\npersistenceAdapter: {levelDB: {logSize: %d}}\n",
		s.memoryUsage, config, s.logSizeBytes)
	b, err := broker.New(broker.Options{Dir: t.TempDir(), Config: config, Connections: 5000})
	if err != nil {
		t.Fatal(err)
	}
	launch(t, b)
	return b
}

// numbered is a body that knows its place.
func numbered(body []byte, i int) []byte {
	binary.BigEndian.PutUint64(body, uint64(i))
	return body
}

// produce sends n numbered messages and returns when they are confirmed.
func produce(o wire.Options, from, n int) error {
	s, err := wire.SendAMQP(o)
	if err != nil {
		return err
	}
	body := make([]byte, backlogBodyBytes)
	for i := range n {
		if err := s.Send(numbered(body, from+i)); err != nil {
			return errors.Join(fmt.Errorf("message %d: %w", from+i, err), s.Close())
		}
	}
	return errors.Join(s.Wait(), s.Close())
}

// consume takes n messages and checks that they come in order.
func consume(o wire.Options, from, n int) error {
	r, err := wire.ReceiveAMQP(o)
	if err != nil {
		return err
	}
	err = r.SetDeadline(time.Now().Add(scaleTimeout))
	for i := 0; i < n && err == nil; i++ {
		var body []byte
		if body, err = r.Next(); err != nil {
			err = fmt.Errorf("message %d: %w", from+i, err)
		} else if got := binary.BigEndian.Uint64(body); got != uint64(from+i) {
			err = fmt.Errorf("want message %d, got %d", from+i, got)
		}
	}
	if err == nil {
		err = r.Ack()
	}
	return errors.Join(err, r.Close())
}

func queueOptions(b *broker.Broker, id, destination string) wire.Options {
	return wire.Options{Addr: b.Addr("amqp"), ID: id, Destination: destination, Window: 500, Credit: 1000, Persistent: true}
}

// watchRSS looks at a broker's memory until it is stopped, and returns the most it saw.
func watchRSS(b *broker.Broker) (stop func() int64) {
	end, ended := make(chan struct{}), make(chan struct{})
	var most atomic.Int64
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				if rss, err := b.RSSBytes(); err == nil { // between two processes there is none
					most.Store(max(most.Load(), rss))
				}
			}
		}
	}()
	return func() int64 { close(end); <-ended; return most.Load() }
}

func checkRSS(t *testing.T, rss, limit int64) {
	t.Helper()
	t.Logf("resident memory: at most %d MB", rss>>20)
	if rss > limit {
		t.Errorf("resident memory reached %d MB; at most %d MB are allowed", rss>>20, limit>>20)
	}
}

// checkDirShrinks waits for the data directory to be as small as an idle broker's.
func checkDirShrinks(t *testing.T, b *broker.Broker, limit int64) {
	t.Helper()
	var size int64
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var err error
		if size, err = b.DiskBytes(); err != nil {
			t.Fatal(err)
		}
		if size < limit {
			t.Logf("data directory: %d MB", size>>20)
			return
		}
	}
	t.Errorf("the data directory has %d MB; at most %d MB are allowed", size>>20, limit>>20)
}

// crashAndRestart kills the broker and measures how long it takes to serve again.
func crashAndRestart(t *testing.T, b *broker.Broker) {
	t.Helper()
	b.Kill()
	began := time.Now()
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("restart: serves after %s", took.Round(time.Millisecond))
	if took > restartMax {
		t.Errorf("the restart took %s; at most %s are allowed", took, restartMax)
	}
}

// TestScaleBacklog fills a queue, kills the broker, and drains the queue in order.
func TestScaleBacklog(t *testing.T) {
	s := theScale()
	b := s.start(t, "100gb")
	stop := watchRSS(b)
	timed(t, "fill", func() error { return produce(queueOptions(b, "producer", "queue://backlog"), 0, s.messages) })
	checkRSS(t, stop(), backlogRSSMax)
	crashAndRestart(t, b)
	stop = watchRSS(b)
	timed(t, "drain", func() error { return consume(queueOptions(b, "consumer", "queue://backlog"), 0, s.messages) })
	checkRSS(t, stop(), backlogRSSMax)
	checkDirShrinks(t, b, 2*s.logSizeBytes+emptyDirMore)
}

// timed runs a step and says how long it took.
func timed(t *testing.T, what string, step func() error) {
	t.Helper()
	began := time.Now()
	if err := step(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Logf("%s: %s", what, time.Since(began).Round(time.Millisecond))
}

// TestScaleOneLeft lets a backlog's worth of messages pass while one is never consumed: it pins nothing.
func TestScaleOneLeft(t *testing.T) {
	s := theScale()
	b := s.start(t, "100gb")
	if err := produce(queueOptions(b, "producer", "queue://left"), 7, 1); err != nil {
		t.Fatal(err)
	}
	// And one in the very queue: its consumer takes it and says nothing.
	if err := produce(queueOptions(b, "producer", "queue://passing"), 8, 1); err != nil {
		t.Fatal(err)
	}
	holding := queueOptions(b, "holder", "queue://passing")
	holding.Credit = 1
	holder, err := wire.ReceiveAMQP(holding)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Next(); err != nil {
		t.Fatal(err)
	}
	stop := watchRSS(b)
	timed(t, "pass", func() error { return pass(b, "queue://passing", s.messages) })
	checkRSS(t, stop(), backlogRSSMax)
	checkDirShrinks(t, b, 2*s.logSizeBytes+emptyDirMore)
	crashAndRestart(t, b)
	_ = holder.Close() // its broker was killed
	for queue, number := range map[string]int{"queue://left": 7, "queue://passing": 8} {
		if err := consume(queueOptions(b, "consumer", queue), number, 1); err != nil {
			t.Errorf("%s: %v", queue, err)
		}
	}
}

// pass sends n messages while they are consumed.
func pass(b *broker.Broker, destination string, n int) error {
	done := make(chan error, 1)
	go func() { done <- consume(queueOptions(b, "consumer", destination), 0, n) }()
	err := produce(queueOptions(b, "producer", destination), 0, n)
	return errors.Join(err, <-done)
}

package interop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
	"go.uber.org/goleak"
)

// The crash test: load on all protocols at once, kill -9 at a random moment, and then a comparison of what was confirmed with
// what is there. A round's seed decides what the clients do and when the broker dies; data lives on from round to round.

// crashConfig has small segments, so that the rounds cross many of them and space is freed under the load.
const crashConfig = `persistenceAdapter:
  levelDB: {logSize: 2mb}
`

// crashJob is one kind of load, with its ledger.
type crashJob interface {
	// prepare connects, and sends what must be there before.
	prepare(ctx context.Context, b *broker.Broker) error
	// run makes load until the connection ends; that is how it learns of the crash.
	run(ctx context.Context)
	// verify reads what the broker holds now and says what is wrong with it.
	verify(ctx context.Context, b *broker.Broker) []string
}

func crashJobs(seed uint64) []crashJob {
	name := func(kind string) string { return fmt.Sprintf("crash.%d.%s", seed, kind) }
	return []crashJob{
		&amqpCrash{queue: name("amqp"), ledger: newLedger(), rand: newRand(seed, 1)},
		&stompCrash{queue: name("stomp"), ledger: newLedger(), rand: newRand(seed, 2)},
		&txCrash{queue: name("tx"), groups: map[string]*txGroup{}, rand: newRand(seed, 3)},
		&moveCrash{from: name("from"), to: name("to"), ledger: newLedger()},
		&mqttCrash{name: name("qos1"), qos: 1, ledger: newLedger(), rand: newRand(seed, 4)},
		&mqttCrash{name: name("qos2"), qos: 2, ledger: newLedger(), rand: newRand(seed, 5)},
		&mqttCrash{name: name("qos2queue"), qos: 2, queue: true, ledger: newLedger(), rand: newRand(seed, 6)},
	}
}

func newRand(seed, job uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, job)) }

// crashRounds is how many rounds to run, and from which seed on.
func crashRounds(t *testing.T) (rounds int, seed uint64) {
	t.Helper()
	rounds, seed = 10, 1
	if s := os.Getenv("HAVENMQ_CRASH_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("HAVENMQ_CRASH_ROUNDS: %v", err)
		}
		rounds = n
	}
	if s := os.Getenv("HAVENMQ_CRASH_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("HAVENMQ_CRASH_SEED: %v", err)
		}
		seed = n
	}
	return rounds, seed
}

func TestCrash(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	rounds, seed := crashRounds(t)
	b, err := broker.New(broker.Options{Dir: t.TempDir(), Config: crashConfig})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Kill()
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(rounds) {
		for _, problem := range crashRound(t, b, seed+i) {
			t.Errorf("seed %d: %s", seed+i, problem)
		}
		if t.Failed() {
			t.Logf("run it again with HAVENMQ_CRASH_ROUNDS=1 HAVENMQ_CRASH_SEED=%d; havenmq printed:\n%s", seed+i, b.Tail(4096))
			return
		}
	}
}

// crashRound makes load, kills, starts again and verifies.
func crashRound(t *testing.T, b *broker.Broker, seed uint64) (problems []string) {
	t.Helper()
	r := newRand(seed, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	jobs := crashJobs(seed)
	for _, j := range jobs {
		if err := j.prepare(ctx, b); err != nil {
			return []string{fmt.Sprintf("%T: prepare: %v", j, err)}
		}
	}
	var running sync.WaitGroup
	for _, j := range jobs {
		running.Go(func() { j.run(ctx) })
	}
	time.Sleep(time.Duration(20+r.IntN(800)) * time.Millisecond) // the load goes on; this is the random moment
	b.Kill()
	running.Wait()
	if err := restart(b, r); err != nil {
		return []string{err.Error()}
	}
	found := make([][]string, len(jobs))
	for i, j := range jobs {
		running.Go(func() { found[i] = j.verify(ctx, b) })
	}
	running.Wait()
	for _, f := range found {
		problems = append(problems, f...)
	}
	for _, j := range jobs {
		t.Logf("seed %d: %s", seed, j)
	}
	return problems
}

// restart starts the broker, and sometimes kills it again while it recovers.
func restart(b *broker.Broker, r *rand.Rand) error {
	for range r.IntN(3) {
		if err := b.Spawn(); err != nil {
			return err
		}
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond) // somewhere in the recovery
		b.Kill()
	}
	return b.Start()
}

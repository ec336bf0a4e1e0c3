package interop

import (
	"context"
	"fmt"
	"github.com/havenmq/havenmq/interop/wire"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// ledger is what a job's clients know for sure. Its methods may be called by any goroutine.
type ledger struct {
	mu        sync.Mutex
	sent      map[string]bool
	confirmed map[string]bool
	received  map[string]int // by consumers, before and after the crash
	settled   map[string]bool
}

func newLedger() *ledger {
	return &ledger{sent: map[string]bool{}, confirmed: map[string]bool{}, received: map[string]int{}, settled: map[string]bool{}}
}

func (l *ledger) mark(set map[string]bool, id string) {
	l.mu.Lock()
	set[id] = true
	l.mu.Unlock()
}

func (l *ledger) receive(body []byte) string {
	id := idOf(body)
	l.mu.Lock()
	l.received[id]++
	l.mu.Unlock()
	return id
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d sent, %d confirmed, %d received, %d settled", len(l.sent), len(l.confirmed), len(l.received), len(l.settled))
}

// problemsShown bounds what one job reports.
const problemsShown = 5

// checkQueue compares a queue's rest with the ledger: a confirmed message that nobody has settled is there, a settled one
// is not, nothing is there twice, nothing is there that was not sent.
func (l *ledger) checkQueue(queue string, rest map[string]int) []string {
	var p problems
	for id := range l.confirmed {
		if l.received[id] == 0 && rest[id] == 0 {
			p.add("%s: %s was confirmed and is lost", queue, id)
		}
	}
	for id, n := range rest {
		switch {
		case n > 1:
			p.add("%s: %s is there %d times", queue, id, n)
		case l.settled[id]:
			p.add("%s: %s was settled and is back", queue, id)
		case !l.sent[id]:
			p.add("%s: %q was never sent", queue, id)
		}
	}
	return p.list()
}

// checkReceived compares what subscribers received; exactly allows nothing twice.
func (l *ledger) checkReceived(name string, exactly bool) []string {
	var p problems
	for id := range l.confirmed {
		if l.received[id] == 0 {
			p.add("%s: %s was confirmed and is lost", name, id)
		}
	}
	for id, n := range l.received {
		switch {
		case n > 1 && exactly:
			p.add("%s: %s came %d times", name, id, n)
		case !l.sent[id]:
			p.add("%s: %q was never sent", name, id)
		}
	}
	return p.list()
}

type problems struct {
	all []string
}

func (p *problems) add(format string, args ...any) {
	p.all = append(p.all, fmt.Sprintf(format, args...))
}

func (p *problems) list() []string {
	slices.Sort(p.all)
	if more := len(p.all) - problemsShown; more > 0 {
		return append(p.all[:problemsShown], fmt.Sprintf("… and %d more like that", more))
	}
	return p.all
}

// bodyFor makes a body of an id and some padding; one in sixteen is larger than a page.
func bodyFor(id string, size int) []byte {
	n := size % 300
	if size%16 == 0 {
		n = 5000 + size%5000
	}
	return append([]byte(id+" "), make([]byte, n)...)
}

func idOf(body []byte) string {
	id, _, _ := strings.Cut(string(body), " ")
	return id
}

// lockedRand may be used by several goroutines.
type lockedRand struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (l *lockedRand) IntN(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.IntN(n)
}

const lastMessage = "the-last"

// drainTimeout bounds how long the rest of a queue may take.
const drainTimeout = time.Minute

// addressed is a node, alone or in a cluster, that says where a transport of it is reached.
type addressed interface{ Addr(scheme string) string }

// drain reads what is in a queue: a mark is put behind it, and all that comes before the mark is counted.
func drain(ctx context.Context, b addressed, queue string) (map[string]int, error) {
	o := wire.Options{Addr: b.Addr("amqp"), ID: "drain-" + queue, Destination: "queue://" + queue, Window: 1, Credit: 500, Persistent: true}
	s, err := wire.SendAMQP(o)
	if err != nil {
		return nil, fmt.Errorf("drain %s: %w", queue, err)
	}
	defer func() { _ = s.Close() }() // all it had to do is confirmed
	if err := s.Send(bodyFor(lastMessage, 1)); err != nil {
		return nil, err
	}
	if err := s.Wait(); err != nil {
		return nil, fmt.Errorf("drain %s: send the mark: %w", queue, err)
	}
	o.ID += "-receiver"
	r, err := wire.ReceiveAMQP(o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // what it did not acknowledge stays
	if err := r.SetDeadline(time.Now().Add(drainTimeout)); err != nil {
		return nil, err
	}
	rest := map[string]int{}
	for ctx.Err() == nil {
		body, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("drain %s after %d messages: %w", queue, len(rest), err)
		}
		id := idOf(body)
		if id == lastMessage {
			return rest, r.Ack()
		}
		rest[id]++
	}
	return nil, ctx.Err()
}

package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// World is a cluster in a run.
type World struct {
	Trace func(line string) // is told each event, if set

	rng      *rand.Rand
	now      time.Duration
	queue    events
	order    uint64
	arbiter  *arbiter
	nodes    []*node
	replicas int
	weaken   map[string]bool
	blocked  map[[2]int]bool // links between these carry nothing, and none can be made
	late     map[[2]int]bool // links between these carry nothing, but can be made
	plan     *plan           // the schedule under way
	ghost    *node           // a process that goes on though another has its seat and its address
	plans    []int           // that are still to come, as the seed has shuffled them
	nextID   uint64
	nextLnk  ha.Link

	clients clients
	wins    map[uint64]win
	newest  uint64 // of the epochs that were won
	prefix  prefix
	hashes  map[persist.Pos]string // of indexes, by the position that they are at
	serves  int
	faults  tally
	storage storageTally
	trace   uint64 // a hash of all that was stepped, and when
	broken  string // the first invariant that did not hold
	unseen  string // what fails so is not looked at: another check is to notice

	level  persist.Sync
	calm   bool        // faults have ended
	window persist.Pos // of streams
	buf    []byte      // of logs that are read
	marks  []persist.Mark
	body   []byte // messages have parts of it
}

type event struct {
	at    time.Duration
	order uint64
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// New makes a cluster of n nodes. weaken names rules of ha that are left out.
func New(seed uint64, n int, weaken ...string) *World {
	w := &World{rng: rand.New(rand.NewPCG(seed, 1)), arbiter: newArbiter(), replicas: n, weaken: map[string]bool{}, blocked: map[[2]int]bool{}, late: map[[2]int]bool{},
		wins: map[uint64]win{}, prefix: prefix{sums: map[persist.Pos]uint32{}}, hashes: map[persist.Pos]string{}}
	w.clients = clients{w: w, names: map[persist.Pos]uint64{}}
	w.level = persist.QuorumDisk
	if w.rng.IntN(5) == 0 {
		w.level = persist.QuorumMem
	}
	w.window = persist.Pos(16 << (10 + w.rng.IntN(3)))
	w.body = make([]byte, 256<<w.rng.IntN(4))
	_, _ = w.Read(w.body)
	for _, rule := range weaken {
		w.weaken[rule] = true
	}
	for i := range n {
		x := &node{w: w, no: i}
		x.wipe()
		w.nodes = append(w.nodes, x)
		x.start()
	}
	return w
}

// after does f in d. Those of one instant are done in the order in which they were asked for.
func (w *World) after(d time.Duration, f func()) {
	w.order++
	heap.Push(&w.queue, event{w.now + d, w.order, f})
}

// delay draws a time up to most, mostly short.
func (w *World) delay(most time.Duration) time.Duration {
	d := time.Duration(w.rng.Int64N(int64(most)))
	if w.rng.IntN(4) > 0 {
		d /= 10
	}
	return d
}

// Run goes on for d of the world's time, or until an invariant is broken: it says which.
func (w *World) Run(d time.Duration) error { return w.RunUntil(d, func() bool { return false }) }

// RunUntil does so until over says so, which is asked after each event.
func (w *World) RunUntil(d time.Duration, over func() bool) error {
	for end := w.now + d; len(w.queue) > 0 && w.queue[0].at <= end && w.broken == ""; {
		e := heap.Pop(&w.queue).(event)
		w.now = max(w.now, e.at)
		e.do()
		if over() {
			break
		}
	}
	if w.broken != "" {
		return fmt.Errorf("after %v: %s", w.now, w.broken)
	}
	return nil
}

// noteStep mixes an event into the trace: two runs of a seed have the same.
func (w *World) noteStep(n *node, e ha.Event) {
	w.faults.steps++
	w.steps(n, e)
	w.mix(uint64(w.now))
	w.mix(uint64(n.no))
	for _, c := range []byte(reflect.TypeOf(e).Name()) {
		w.mix(uint64(c))
	}
	if n.store != nil {
		w.mix(uint64(n.store.Received()))
		w.mix(uint64(n.store.Synced()))
	}
	w.note(n, e)
}

func (w *World) mix(x uint64) { w.trace = (w.trace ^ x) * 0x100000001b3 }

func (w *World) fail(format string, args ...any) {
	if why := fmt.Sprintf(format, args...); w.broken == "" && (w.unseen == "" || !strings.HasPrefix(why, w.unseen)) {
		w.broken = why
	}
}

// Confirmed is how many messages were, Served how often a master began to serve.
func (w *World) Confirmed() int { return w.clients.confirmed }

// Served counts masters.
func (w *World) Served() int { return w.serves }

// changed tells all nodes that are connected what the arbiter holds, each in its own time.
func (w *World) changed() {
	for _, n := range w.nodes {
		n.look()
	}
}

func (w *World) cut(a, b int) bool { return w.blocked[[2]int{a, b}] || w.blocked[[2]int{b, a}] }

// Read fills b for a store that wants an id.
func (w *World) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(w.rng.Uint32())
	}
	return len(b), nil
}

// wall is what the world's clock says; all its nodes have the same.
func (w *World) wall() time.Time { return time.UnixMilli(w.now.Milliseconds() + 1) }

// Settle goes on until one node serves and the others hold all that it holds, d at most.
func (w *World) Settle(d time.Duration) error {
	w.calm = true
	for end := w.now + d; w.now < end; {
		if err := w.Run(500 * time.Millisecond); err != nil {
			return err
		}
		if w.settled() == nil {
			return nil
		}
	}
	return nil
}

package rim

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/wire"
	"github.com/havenmq/havenmq/persist"
)

// Rim is one node of a cluster at work. Any goroutine may call its methods.
type Rim struct {
	o     Options
	began time.Time

	mu        sync.Mutex // guards what follows; held while the machine steps
	node      machine
	closed    bool // nothing is stepped any more
	armed     time.Duration
	exit      Exit
	leading   bool   // Led, and not reopened since
	serving   uint64 // the epoch whose Serve was asked for; 0 none
	commit    persist.Pos
	confirm   persist.Pos
	applied   persist.Pos   // last told
	start     persist.Pos   // last told
	full      bool          // last told: the disk has no room
	roomyAt   time.Duration // since when it has had room
	damagedAt time.Duration // when a replica could not be sent the log last; 0 never
	awaiting  bool          // a waiter for the index is with the store
	peers     map[ha.Link]*peer
	lastLink  ha.Link
	lent      *buffer // of the APPEND that is being stepped: its Writes keep it
	answering bool    // within Progress.Advanced: what it returns makes Store.Advance needless
	dialing   *dialing
	listener  *wire.Listener
	binding   context.CancelFunc // of the goroutine that tries to listen

	store    atomic.Pointer[persist.Store] // nil while it is being opened anew
	incoming atomic.Pointer[persist.Store] // the log in incoming/, nil if there is none
	streams  atomic.Pointer[[]*peer]       // those that stream; replaced, never changed
	commitAt atomic.Uint64                 // commit, for streams
	timer    *time.Timer
	disk     *queue[diskWork]
	asks     *queue[ha.Transact]
	roles    *queue[func()]
	tells    *queue[ha.Tell]
	intake   *intake
	refusals refusals
	epoch    uint64         // the disk goroutine's: of the log whose history was told last,
	epochIn  bool           // and whether that was incoming/
	working  sync.WaitGroup // clock, disk, arbiter, roles
	telling  sync.WaitGroup // the teller
	linked   sync.WaitGroup // those of links, listener and dialer
	ending   sync.Once
	ctx      context.Context // ends when the rim does
	cancel   context.CancelFunc
	done     chan struct{} // closed when all has ended
}

// Exit is why a node ended.
type Exit struct {
	Code   int // for the process: 0 after a stop that was asked for
	Reason string
}

func (e Exit) Error() string { return e.Reason }

// machine is ha.Node.
type machine interface {
	Step(now time.Duration, e ha.Event) []ha.Action
	Wake() time.Duration
	Status(now time.Duration) ha.Status
	Emergency() ha.Emergency
}

const never = time.Duration(math.MaxInt64)

// Start opens the store, which may take as long as its log is to be replayed, and starts the node. It waits for no other node.
// ctx ends the start alone.
func Start(ctx context.Context, o Options) (*Rim, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	r := &Rim{o: o, began: time.Now(), armed: never, peers: map[ha.Link]*peer{}, disk: newQueue[diskWork](), asks: newQueue[ha.Transact](),
		roles: newQueue[func()](), tells: newQueue[ha.Tell](), intake: newIntake(2 * o.WindowBytes), done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.setStreams(nil)
	r.timer = time.NewTimer(time.Hour)
	boot, err := r.openStore()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		r.cancel()
		return nil, errors.Join(err, r.closeStore(), o.Elector.Close())
	}
	r.node = o.machine(o.Node, boot)
	for _, run := range []func(){r.runClock, r.runDisk, r.runArbiter, r.runRoles} {
		r.working.Go(run)
	}
	r.telling.Go(r.runTeller)
	r.step(ha.Tick{})
	o.Elector.Watch(func(v ha.View) { r.step(ha.Seen{View: v}) })
	return r, nil
}

func (r *Rim) now() time.Duration { return time.Since(r.began) }

// step gives the machine an event and sees to what it wants done. It blocks for other steps alone.
func (r *Rim) step(e ha.Event) {
	r.mu.Lock()
	r.stepLocked(e)
	r.mu.Unlock()
}

func (r *Rim) stepLocked(e ha.Event) {
	if r.closed {
		return
	}
	for _, a := range r.node.Step(r.now(), e) {
		r.act(a)
	}
	r.arm()
}

// arm sets the timer, if the machine wants a Tick before it rings. When it rings too early it is set again then: that is
// cheaper than to set it at each step.
func (r *Rim) arm() {
	if at := r.node.Wake(); at < r.armed {
		r.armed = at
		r.timer.Reset(max(at-r.now(), 0))
	}
}

// runClock steps Tick when it is due.
func (r *Rim) runClock() {
	defer r.timer.Stop()
	for {
		select {
		case <-r.timer.C:
			r.tick()
		case <-r.ctx.Done():
			return
		}
	}
}

func (r *Rim) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = never
	r.tellApplied()
	r.tellRoom()
	if r.closed || r.node.Wake() > r.now() {
		r.arm()
		return
	}
	r.stepLocked(ha.Tick{})
}

// Status is the node's own view.
func (r *Rim) Status() ha.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.node.Status(r.now())
}

// Store is the node's store, nil while it is being opened anew. It is for looking at: only Roles appends.
func (r *Rim) Store() *persist.Store { return r.store.Load() }

// Promote has a master hand over to a member; a zero id: to whoever is best. It returns at once; Status shows what comes of it.
func (r *Rim) Promote(to persist.ID) { r.step(ha.PromoteAsked{To: to}) }

// Drain has the node leave leading to others, or lead again. It returns at once; Status shows what comes of it.
func (r *Rim) Drain(on bool) { r.step(ha.DrainAsked{On: on}) }

// Emergency is what may be ordered now.
func (r *Rim) Emergency() ha.Emergency {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.node.Emergency()
}

// Adopt has the arbiter given back what it lacks of the cluster. An error says why that cannot be; what comes of it shows in Status.
func (r *Rim) Adopt() error {
	return r.order(ha.AdoptAsked{}, func(e ha.Emergency) string { return e.Adopt })
}

// Recover has this node lead by its vote alone. An error says why that cannot be; what comes of it shows in Status.
func (r *Rim) Recover() error {
	return r.order(ha.RecoverAsked{}, func(e ha.Emergency) string { return e.Recover })
}

func (r *Rim) order(e ha.Event, refusal func(ha.Emergency) string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why := refusal(r.node.Emergency()); why != "" {
		return errors.New(why)
	}
	r.stepLocked(e)
	return nil
}

// Done is closed when the node has ended and everything of it is closed. Exit says why.
func (r *Rim) Done() <-chan struct{} { return r.done }

// Exit is why the node ended; meaningless before Done.
func (r *Rim) Exit() Exit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.exit
}

// Stop leaves the cluster: a master hands over first, and waits for replicas to hand over to unless force. It returns when everything is closed. When ctx ends
// before, the node is ended without ceremony, and that is the error.
func (r *Rim) Stop(ctx context.Context, force bool) error {
	r.step(ha.StopAsked{Force: force})
	select {
	case <-r.done:
	case <-ctx.Done():
		r.end(Exit{Code: 1, Reason: fmt.Sprintf("stopping took too long: %v", ctx.Err())})
		<-r.done
	}
	if e := r.Exit(); e.Code != 0 {
		return e
	}
	return nil
}

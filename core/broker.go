package core

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/havenmq/havenmq/persist"
)

// Broker is the only door to queues, topics and subscriptions. Its exported methods may be called from any goroutine.
type Broker struct {
	store      Store                  // never changes
	limits     Limits                 // never changes
	auth       Authenticator          // never changes
	access     Authorizer             // never changes
	policies   []Policy               // never changes
	formats    [256]Format            // never changes
	pager      pager                  // has its own lock
	news       news                   // has its own lock
	counts     counts                 // has its own lock
	retained   retainedRows           // has its own lock
	duplicates duplicates             // has its own lock
	writers    sync.Pool              // of *writer
	now        atomic.Int64           // ms since epoch
	memory     atomic.Int64           // bytes of bodies, entries and open transactions in memory
	txBytes    atomic.Int64           // of them, of open transactions
	tail       atomic.Uint64          // where the last unit that was appended ends
	version    atomic.Uint64          // of who subscribes to what: a route of an older one is stale
	suspended  atomic.Bool            // nothing is handed over or answered for now
	nextHost   atomic.Pointer[string] // of the next master; nil is not known
	shut       atomic.Bool            // nothing reaches the store any more
	full       atomic.Bool            // the store refused a unit, and has taken none since
	ended      atomic.Bool            // the store takes nothing any more
	throttle   atomic.Uint64          // how often a client was told not to be read
	timed      timedQueues            // has its own lock
	wakeful    sync.Mutex             // one Tick at a time
	unswept    []*queue               // guarded by wakeful
	sweepAtMs  int64                  // never changes: the first sweeps begin then

	mu         sync.RWMutex // guards what follows
	queues     map[Destination]*queue
	list       queueList // of queues, in order
	byID       map[persist.QueueID]*queue
	topics     map[Destination]*topicCount
	router     router // of topics
	temps      router // of temporary topics
	durables   map[subscriptionKey]*durable
	inboxes    map[string]*inbox
	live       map[*subscription]struct{} // live subscriptions of topics
	clients    map[uint64]*Client
	holders    map[string]*Client      // of client ids that were taken exclusively
	wills      map[string]pendingWill  // of clients that are away
	willRows   map[string]*Will        // whose wills the store holds
	tempTops   map[Destination]*Client // temporary topics, and whose they are
	deadlines  map[string]*inbox       // inboxes without their client, that end one day
	queueNames int64                   // what the names of queues and inboxes cost
	topicNames int                     // bytes of the keys of topics
	lastID     persist.QueueID         // highest ever given out
	lastRank   uint64
	lastKey    uint64
	lastTemp   uint64
}

// Defaults of Limits and Policy.
const (
	defaultMemoryBytes      = 1 << 30
	defaultUncommittedBytes = 64 << 20
	defaultWindowMessages   = 4096
	defaultWindowBytes      = 8 << 20
	defaultInFlight         = 100_000
	defaultTxBytes          = 64 << 20
	defaultTxOps            = 100_000
	defaultDelayed          = 100_000
	defaultQueues           = 1_000_000
	leastNameBytes          = 64 << 20
	defaultMaxRedeliveries  = 6
	defaultPendingLimit     = 1000
	defaultInboxLimit       = 100_000
	defaultPagers           = 2
	defaultDeadLetter       = "ActiveMQ.DLQ"
	entryBytes              = 256 // what an entry costs in memory, beside its message
)

// Open makes a broker of what the store holds. The store must have applied all that it has committed.
func Open(o Options) (*Broker, error) {
	if o.Store == nil {
		return nil, errors.New("opening a broker: Options.Store is nil")
	}
	b := &Broker{store: o.Store, auth: o.Auth, access: o.Access, limits: o.Limits.withDefaults(),
		queues: map[Destination]*queue{}, byID: map[persist.QueueID]*queue{}, topics: map[Destination]*topicCount{},
		durables: map[subscriptionKey]*durable{}, inboxes: map[string]*inbox{}, live: map[*subscription]struct{}{},
		clients: map[uint64]*Client{}, holders: map[string]*Client{}, wills: map[string]pendingWill{}, willRows: map[string]*Will{},
		tempTops: map[Destination]*Client{}, deadlines: map[string]*inbox{}}
	if b.auth == nil {
		b.auth = AllowAll{}
	}
	if b.access == nil {
		b.access = AllowAll{}
	}
	b.formats[FormatContent] = contentFormat{}
	for _, f := range o.Formats {
		b.formats[f.ID()] = f
	}
	b.duplicates.limit = b.limits.DuplicateIDs
	b.writers.New = func() any { return &writer{} }
	b.news.listener = o.Events
	b.counts.init()
	b.version.Store(1) // a route of version 0 is always stale
	b.now.Store(o.NowMs)
	b.tail.Store(uint64(o.Store.Committed()))
	b.policies = fillPolicies(o.Policies, o.Store.Usage().LimitBytes)
	if err := b.boot(); err != nil {
		return nil, err
	}
	if o.Pagers == 0 {
		o.Pagers = defaultPagers
	}
	b.pager.start(o.Pagers)
	return b, nil
}

func (l Limits) withDefaults() Limits {
	fill(&l.MemoryBytes, defaultMemoryBytes)
	fill(&l.UncommittedBytes, defaultUncommittedBytes)
	fill(&l.WindowMessages, defaultWindowMessages)
	fill(&l.WindowBytes, defaultWindowBytes)
	fill(&l.InFlight, defaultInFlight)
	fill(&l.TxBytes, defaultTxBytes)
	fill(&l.TxOps, defaultTxOps)
	fill(&l.Delayed, defaultDelayed)
	fill(&l.Queues, defaultQueues)
	fill(&l.NameBytes, max(l.MemoryBytes/4, leastNameBytes))
	fill(&l.DuplicateIDs, int(min(max(l.MemoryBytes/4096, 2*dupWindow), math.MaxInt32)))
	return l
}

func fill[T int | int64 | uint64](to *T, otherwise T) {
	if *to == 0 {
		*to = otherwise
	}
}

// fillPolicies puts defaults into the zero fields, and one that matches all queues and one for all topics behind them.
func fillPolicies(given []Policy, storeLimit uint64) []Policy {
	list := append(append([]Policy(nil), given...), Policy{Pattern: Destination{Queue, ">"}}, Policy{Pattern: Destination{Topic, ">"}})
	for i := range list {
		p := &list[i]
		if p.DeadLetter.IsZero() {
			p.DeadLetter = Destination{Queue, defaultDeadLetter}
		}
		fill(&p.MaxRedeliveries, defaultMaxRedeliveries)
		fill(&p.PendingLimit, defaultPendingLimit)
		fill(&p.InboxLimit, defaultInboxLimit)
		fill(&p.DurableLimit, math.MaxInt64)
		if p.DurableLimitBytes == 0 {
			p.DurableLimitBytes = math.MaxInt64
			if storeLimit > 0 {
				p.DurableLimitBytes = int64(min(storeLimit/10, math.MaxInt64))
			}
		}
	}
	return list
}

// policyFor is the first policy whose pattern takes in d; d may be a pattern itself.
func (b *Broker) policyFor(d Destination) *Policy {
	kind := Queue
	if d.Kind == Topic || d.Kind == TempTopic {
		kind = Topic
	}
	for i := range b.policies {
		p := &b.policies[i]
		if p.Pattern.Matches(Destination{kind, d.Name}) || p.Pattern == (Destination{kind, d.Name}) {
			return p
		}
	}
	last := len(b.policies) - 1 // a name that begins with '$', which no wildcard takes in
	if kind == Queue {
		last--
	}
	return &b.policies[last]
}

func (b *Broker) nowMs() int64 { return b.now.Load() }

// setNow moves the time on; it never goes back.
func (b *Broker) setNow(ms int64) {
	for {
		now := b.now.Load()
		if ms <= now || b.now.CompareAndSwap(now, ms) {
			return
		}
	}
}

// Tick brings the time up to date: expiry, delays, wills, inboxes that end, events. The rim calls it each 100 ms to 1 s.
func (b *Broker) Tick(nowMs int64) {
	b.setNow(nowMs)
	if b.shut.Load() {
		b.news.tell()
		return
	}
	b.wakeful.Lock()
	defer b.wakeful.Unlock()
	for _, q := range b.timed.due(nowMs) {
		q.onTime()
	}
	b.sweepUntouched(nowMs)
	b.fireWills(nowMs)
	b.endInboxes(nowMs)
	b.pager.runAlone()
	b.counts.tell(b)
	b.news.tell()
}

// Shutdown is HandOver to nobody that is known.
func (b *Broker) Shutdown() { b.HandOver("") }

// HandOver evicts every client with ErrShutdown, with Moved if the host of the next master is known, and changes nothing
// in the store from then on: wills and deadlines are left to the next master. It returns when nothing of the broker runs
// any more.
func (b *Broker) HandOver(nextHost string) {
	if nextHost != "" {
		b.nextHost.Store(&nextHost)
	}
	b.shut.Store(true)
	b.mu.Lock()
	clients := make([]*Client, 0, len(b.clients))
	for _, c := range b.clients {
		clients = append(clients, c)
	}
	b.mu.Unlock()
	for _, c := range clients {
		c.evict(errStops)
	}
	b.pager.stop()
	b.wakeful.Lock() // a Tick that runs ends first
	defer b.wakeful.Unlock()
	b.news.tell()
}

var errStops = &Error{CodeShutdown, "broker", "it stops, or is no longer master: connect again, to another node if you know one"}

// Goodbye is what a connection is told when the broker stops, whether it is a client's already or not: ErrShutdown, or Moved if
// HandOver knew the next master. Any goroutine.
func (b *Broker) Goodbye() error { return b.goodbye(errStops) }

// goodbye is what a client is told that was evicted because of why.
func (b *Broker) goodbye(why *Error) error {
	if host := b.nextHost.Load(); host != nil && why.Code == CodeShutdown {
		return &Moved{Err: why, Host: *host}
	}
	return why
}

// append puts u into the log and empties it. An empty unit ends nowhere: 0. A queue's lock may be held.
func (b *Broker) append(u *persist.Unit) (base, end persist.Pos, err error) {
	if u.Empty() {
		return 0, 0, nil
	}
	defer u.Reset()
	if b.shut.Load() {
		return 0, 0, &Error{CodeShutdown, "broker", "it stops, or is no longer master"}
	}
	base, end, err = b.store.Append(u)
	if err != nil {
		return 0, 0, b.storeError(err)
	}
	if b.full.Load() {
		b.full.Store(false)
	}
	for {
		tail := b.tail.Load()
		if uint64(end) <= tail || b.tail.CompareAndSwap(tail, uint64(end)) {
			return base, end, nil
		}
	}
}

// storeError is what a client is told of what the store answered.
func (b *Broker) storeError(err error) error {
	switch {
	case errors.Is(err, persist.ErrFull):
		if b.full.CompareAndSwap(false, true) {
			b.news.add(Event{Kind: EventStoreFull, AtMs: b.nowMs(), Subject: "store", Detail: err.Error()})
		}
		return &Error{CodeFull, "store", err.Error()}
	case errors.Is(err, persist.ErrTooLarge):
		return &Error{CodeTooLarge, "message", err.Error()}
	case errors.Is(err, persist.ErrClosed):
		b.ended.Store(true)
		return &Error{CodeShutdown, "store", err.Error()}
	}
	return &Error{CodeInternal, "store", err.Error()}
}

// fault is for what should not happen: the disk could not be read, or holds what cannot be understood.
func (b *Broker) fault(subject string, err error) {
	b.news.add(Event{Kind: EventFault, AtMs: b.nowMs(), Subject: subject, Detail: err.Error(), Count: 1})
}

// uncommitted is how much was appended and is not committed.
func (b *Broker) uncommitted() uint64 {
	if tail, committed := b.tail.Load(), uint64(b.store.Committed()); tail > committed {
		return tail - committed
	}
	return 0
}

// charge counts what e costs in memory; discharge is its inverse. e's queue is locked.
func (b *Broker) charge(e *entry) {
	if e.cost == 0 {
		e.cost = entryBytes
		if e.msg != nil {
			e.cost += e.share
		}
		b.memory.Add(int64(e.cost))
	}
}

func (b *Broker) discharge(e *entry) {
	if e.cost != 0 {
		b.memory.Add(-int64(e.cost))
		e.cost = 0
	}
}

// tight says that memory is short.
func (b *Broker) tight() bool { return b.memory.Load() > b.limits.MemoryBytes }

// writer is what one goroutine builds units with.
type writer struct {
	unit     persist.Unit
	header   []byte
	targets  []persist.Target
	ranges   []persist.Range
	places   []placement
	retains  []string   // topics whose retained messages the unit changes
	ids      []stagedID // of messages in the unit that have one
	producer uint64     // whose they are
	key      []byte
	value    []byte

	funerals []funeral
}

func (b *Broker) borrow() *writer { return b.writers.Get().(*writer) }

func (b *Broker) giveBack(w *writer) {
	w.unit.Reset()
	w.retains = w.retains[:0]
	b.writers.Put(w)
}

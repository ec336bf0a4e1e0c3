package ha

import (
	"math"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// phase is what a node is about.
type phase uint8

const (
	seeking   phase = iota // looks for a master, follows one, or waits for a quorum that has lost it
	freezing               // the promise is on its way to the disk
	frozen                 // promised; its vote stands, or is being published
	taking                 // has won an epoch and begins it: Lead is under way
	leading                // the epoch has begun
	yielding               // steps down: StopServing, then Reopen
	switching              // incoming/ takes the store's place
	gone                   // Exit was asked for
)

// Node is one member of a cluster: a pure machine for all roles. One goroutine steps it.
type Node struct {
	o       Options
	now     time.Duration
	out     []Action
	phase   phase
	disk    holdings
	view    View    // what is believed
	shown   View    // what the arbiter shows: it may have been set back
	known   *Config // the newest that was ever seen of this node's cluster; nil none
	behind  bool    // the arbiter lacks what this node knows
	order   order
	asked   *asked // the Transact under way
	lastID  uint64
	seat    int    // in view.Config; -1 none
	gen     uint64 // of the seat
	orderAt time.Duration
	unsure  *asked // an election of which it is not known how it ended
	look    bool   // the arbiter is to be asked how things stand, not before lookAt
	lookAt  time.Duration

	remembered bool          // the meta says what the claim says
	claiming   bool          // Remember is under way
	former     string        // the address that the directory had before, until this node has its seat; "" the same
	showed     bool          // a row of its own was seen
	mySeq      int64         // of the last of them
	twin       uint64        // the incarnation of another process of this node's id, that was seen
	twinAt     time.Duration // until then an earlier one may say that it lives; 0 there is none
	joined     bool          // the promise that the seat asks for is on disk
	promise    uint64

	up        uplink      // a replica's link to its master
	pending   persist.Pos // the disk has been asked to write up to here, of incoming/ if pendingIn; 0 nothing is under way
	pendingIn bool
	suspect   uint64 // the epoch whose master is lost; meaningful with suspects
	suspects  bool
	handed    bool       // by a HandOver: no grace
	ousted    bool       // it was master, and has followed nobody since
	heir      persist.ID // preferred by it
	frozenAt  time.Duration
	lead      leadership
	leave     leaving
	full      bool          // the disk has no room for another segment
	voteFull  bool          // what the vote says of that: a vote stays as it is
	beatAt    time.Duration // when heartbeats are due
	retryAt   time.Duration // when to look again at what only time changes
	said      [8]said       // lines that are not written again for a while
	exitCode  int
	knowsTree bool // a view has come
}

// holdings is what is on this node's disk, as far as is known.
type holdings struct {
	meta             persist.Meta
	damaged          bool // until it has caught up
	unclean          bool // so too
	start            persist.Pos
	received, synced persist.Pos
	applied          persist.Pos
	history          []persist.EpochStart
	incoming         *Boot
}

// NewNode makes the machine of a node whose store holds boot.
func NewNode(o Options, boot Boot) *Node {
	n := &Node{o: o, seat: -1}
	n.takeBoot(boot)
	n.promise = boot.Meta.Promised
	n.known = decodeConfig(boot.Meta.Config)
	n.comeAnew()
	return n
}

func (n *Node) takeBoot(b Boot) {
	n.disk = holdings{meta: b.Meta, damaged: b.Damaged, unclean: b.Unclean && !b.Meta.Voter, start: b.Start, received: b.Received, synced: b.Synced, applied: b.Committed,
		history: b.History, incoming: b.Incoming}
	n.promise = max(n.promise, b.Meta.Promised)
}

// blank says that the log has never held anything.
func (d *holdings) blank() bool { return d.received == 0 && len(d.history) == 0 }

// end is that of the log that a HELLO tells of.
func (d *holdings) end() persist.Pos {
	if d.incoming != nil {
		return d.incoming.Received
	}
	return d.received
}

// lastEpoch is that of the log's last batch.
func (d *holdings) lastEpoch() uint64 {
	if len(d.history) == 0 {
		return 0
	}
	return d.history[len(d.history)-1].Epoch
}

func (n *Node) do(a ...Action) { n.out = append(n.out, a...) }

// Step takes in an event and answers with what is to be done. now never goes back. The slice is good until the next Step.
func (n *Node) Step(now time.Duration, e Event) []Action {
	clear(n.out)
	n.now, n.out = max(now, n.now), n.out[:0]
	if n.phase == gone {
		return nil
	}
	switch e := e.(type) {
	case Got:
		n.got(e)
		return n.out // the arbiter is asked for nothing because of a frame, but by what follows it
	case Advanced:
		n.advanced(e)
		return n.out
	case Applied:
		n.appliedTo(e)
	case Wrote:
		n.wrote(e)
		return n.out
	case Synced:
		n.synced(e)
	case Tick:
		n.tick()
	case Seen:
		n.see(e.View)
	case Answered:
		n.answered(e)
	default:
		n.stepRare(e)
	}
	n.consider()
	return n.out
}

func (n *Node) stepRare(e Event) {
	switch e := e.(type) {
	case Promised:
		n.promisedTo(e.Epoch)
	case Remembered:
		n.rememberedAs(e.ID)
	case Truncated:
		n.truncated(e)
	case IncomingStarted:
		n.incomingStarted(e)
	case IncomingDropped: // it is forgotten already
	case Opened:
		n.opened(e.Boot)
	case DiskFull:
		n.diskFull(e.On)
	case Led:
		n.led(e)
	case Dialed:
		n.dialed(e)
	case DialFailed:
		n.dialFailed(e)
	case Lost:
		n.lost(e)
	case Served:
		n.served(e.Epoch)
	case Withdrawn:
		n.withdrawn()
	case StopAsked:
		n.stopAsked(e.Force)
	case PromoteAsked:
		n.promoteAsked(e.To)
	case DrainAsked:
		n.drainAsked(e.On)
	case AdoptAsked:
		n.ordered(adopting)
	case RecoverAsked:
		n.ordered(recovering)
	}
}

// Wake says when a Tick is due at the latest.
func (n *Node) Wake() time.Duration {
	if n.phase == gone {
		return math.MaxInt64
	}
	return min(n.beatAt, n.retryAt)
}

// again has the machine look again in d at the latest.
func (n *Node) again(d time.Duration) { n.retryAt = min(n.retryAt, n.now+max(d, time.Millisecond)) }

func (n *Node) tick() {
	n.retryAt = math.MaxInt64
	if n.now >= n.beatAt {
		n.beatAt = n.now + n.o.Timing.Heartbeat
		n.beat()
	}
	n.followTime()
	n.thaw()
	n.leadTime()
	n.leaveTime()
}

// beat sends heartbeats on all links.
func (n *Node) beat() {
	n.upBeat()
	n.leadBeat()
}

// exit ends the process.
func (n *Node) exit(code int, reason string) {
	if n.phase == gone {
		return
	}
	n.phase, n.exitCode = gone, code
	if code != 0 {
		n.do(Tell{Alarm, reason})
	}
	n.do(Exit{Code: code, Reason: reason})
}

// tell writes a line.
func (n *Node) tell(l Level, text string) { n.do(Tell{l, text}) }

func (n *Node) weak(rule string) bool { return n.o.Weaken[rule] }

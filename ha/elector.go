package ha

import (
	"context"

	"github.com/havenmq/havenmq/persist"
)

// Elector is the arbiter of epochs: a small replicated tree of rows that change only if their versions are as expected.
// ZooKeeper is one (ha/zookeeper); a simulation has its own. It is neither the failure detector nor the fence.
// Any goroutine may call.
type Elector interface {
	// Do applies t, all or nothing, and answers with a view that was read after it. It blocks until ctx ends at most;
	// then, and when the connection broke under way, the outcome is Unknown and the view may be an older one.
	Do(ctx context.Context, t Txn) (Outcome, View)
	// Watch has f called with every newer view, and when the connection comes or goes, from a goroutine of the elector's,
	// one call at a time. What changed between two calls shows in the second. Call it once.
	Watch(f func(View))
	// Close gives the session back, so that the node's ephemeral rows vanish at once.
	Close() error
}

// Outcome of a Txn.
type Outcome uint8

const (
	Done     Outcome = iota
	Conflict         // a version was not as expected: nothing happened
	Unknown          // it may have happened or not: look
	Refused          // never will: authentication, a malformed row
)

// View is what the arbiter holds, as this node read it: the newest rows are at least as new as the node's last own
// write. Rows are shared and never changed.
type View struct {
	Connected bool
	Session   uint64 // a new number means that the ephemeral rows of the old session are gone, or will be
	Config    *Config
	Mandate   *Mandate
	Members   []Member // in order of Seq
	Master    *Announcement
	// Serial counts the views that this elector has made, from 1: a lower one is older. 0: it does not count, and hands
	// them out in order.
	Serial uint64
	// Versions to be checked; meaningless where the row is missing.
	ConfigVersion, MandateVersion int32
}

// Config is what a cluster's members agree on. It changes by versioned writes alone.
type Config struct {
	ClusterID   persist.ID
	Replicas    int  // seats, N; a quorum is N/2+1
	Initialized bool // something may have been committed: a blank log is no longer worth a vote
	Seats       []Seat
	// Sole is a member whose vote alone elects it, by an operator's word, until a quorum holds its log. Zero: nobody.
	Sole persist.ID
}

// Seat is a member's place. At most Replicas of them are taken.
type Seat struct {
	NodeID     persist.ID // zero: an operator has vacated it
	Generation uint64     // counts the seat's holders; what an older one said counts no more
	Addr       string     // what the others dial for replication, and the seat's name to operators
	Weight     int
}

// Mandate is the newest epoch and who won it. It is only ever replaced by one of a higher epoch.
type Mandate struct {
	Epoch     uint64
	Leader    persist.ID
	Addr      string      // for replication
	Nonce     uint64      // of the attempt: whether an Unknown outcome was ours
	LastEpoch uint64      // of the winner's log,
	Start     persist.Pos // and its end: the epoch begins there
}

// Member is a node that has a session: one ephemeral, sequential row.
type Member struct {
	Name    string // of the row
	Seq     int64
	Version int32
	Mine    bool // owned by this node's present session
	Row     MemberRow
}

// MemberState says what a node is doing, for others to see.
type MemberState string

// States of members.
const (
	StateIdle      MemberState = "IDLE"
	StateSyncing   MemberState = "SYNCING"   // attaching, or looking for a master
	StateFollowing MemberState = "FOLLOWING" // attached
	StateFrozen    MemberState = "FROZEN"    // promised; its vote stands
	StateMaster    MemberState = "MASTER"
	StateError     MemberState = "ERROR" // its disk is full: it takes nothing of the master's log
)

// MemberRow is what a node says of itself. While FROZEN it is the node's vote, and equals what is on its disk.
type MemberRow struct {
	NodeID       persist.ID
	Generation   uint64 // of its seat
	Incarnation  uint64 // of its process
	State        MemberState
	SuspectEpoch uint64 // it has lost the master of this epoch; 0 none
	Promised     uint64 // it accepts nothing of a lower epoch
	LastEpoch    uint64 // of its log; said while it stands still
	End          persist.Pos
	Claims       uint64 // of seats that it knows of
	Twin         uint64 // the incarnation of another process of its id, which has started later; 0 none
	Voter        bool
	Drained      bool // others are to lead
	Full         bool // its disk has no room for another segment: others are to lead
	Blank        bool // its log has never held anything
	Weight       int
	Addr         string // for replication
	Admin        string // its admin URL
	Settings     string // Options.Settings
}

// Announcement is the master's own, ephemeral row for clients, scripts and load balancers.
type Announcement struct {
	NodeID persist.ID
	Epoch  uint64
	Addr   string // for replication
	Admin  string // its admin URL
}

// Txn is what a node asks of the arbiter: if all conditions hold, all effects happen.
type Txn struct {
	// Conditions. IfConfig and IfMandate are the versions that must stand, or Absent; nil asks nothing.
	IfConfig, IfMandate *int32
	IfMembers           []MemberVersion

	// Effects; zero values do nothing.
	SetConfig  *Config       // needs IfConfig
	SetMandate *Mandate      // needs IfMandate
	PutMember  *MemberRow    // this node's row: made, if Member is empty
	Member     MemberVersion // of the row that PutMember replaces
	Drop       []string      // rows of Members to delete
	Announce   *Announcement // replaces whatever announcement there is
	Withdraw   bool          // deletes the announcement, if it is this node's
}

// MemberVersion names one version of a member's row.
type MemberVersion struct {
	Name    string
	Version int32
}

// Absent is the version of a row that does not exist.
const Absent int32 = -1

// Seat returns the place of a node, -1 if it has none.
func (c *Config) Seat(node persist.ID) int {
	for i, s := range c.Seats {
		if s.NodeID == node {
			return i
		}
	}
	return -1
}

// Quorum is N/2+1, of the configured number and never of who is present.
func (c *Config) Quorum() int { return c.Replicas/2 + 1 }

// begun says whether anything may be committed: elections ask for a quorum of voters from then on.
func (c *Config) begun() bool { return c.Initialized && c.Sole.IsZero() }

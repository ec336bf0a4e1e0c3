package ha

import "github.com/havenmq/havenmq/persist"

// Role of a node.
type Role string

// Roles.
const (
	RoleMaster     Role = "master"     // serves clients
	RoleRecovering Role = "recovering" // won an epoch, and waits for a quorum to hold its beginning
	RoleReplica    Role = "replica"    // attached
	RoleAttaching  Role = "attaching"  // a master is known and its log is being caught up with
	RoleElecting   Role = "electing"   // no master is known
	RoleError      Role = "error"      // its disk is full: it takes nothing of the master's log
)

// Status is how a node sees itself and its cluster.
type Status struct {
	Role             Role
	Epoch            uint64 // led, followed, or promised
	NodeID           persist.ID
	ClusterID        persist.ID
	Voter            bool
	Drained          bool
	Paused           bool
	Full             bool // the disk has no room
	Received, Synced persist.Pos
	Committed        persist.Pos
	Master           Announcement // as far as known
	Connected        bool         // to the arbiter
	Listed           bool         // this process's row is among the members': it has a seat, and no twin
	Progress         Progress     // of attaching
	Peers            []PeerStatus // of a master: one for each taken seat but its own; of others: what the arbiter shows
	Warnings         []string
}

// Progress of a replica that attaches.
type Progress struct{ From, At, To persist.Pos }

// PeerStatus is another member, as this node sees it.
type PeerStatus struct {
	NodeID           persist.ID
	Addr, Admin      string
	Generation       uint64
	Attached         bool // following: its acknowledgements count
	Voter            bool
	Drained          bool
	Full             bool // its disk has no room
	State            MemberState
	Received, Synced persist.Pos
	LagBytes         uint64
	SilentMs         int64 // since its last heartbeat; -1 without a link
}

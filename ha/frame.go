package ha

import "github.com/havenmq/havenmq/persist"

// Frame is what two nodes say to each other; ha/wire has the bytes. Every frame names the epoch it belongs to.
type Frame interface{ frame() }

// Hello is a replica's first frame, after the challenge: who it is and what it holds.
type Hello struct {
	ClusterID   persist.ID
	NodeID      persist.ID
	Generation  uint64
	Incarnation uint64
	Addr        string // its own, for replication
	Admin       string
	Promised    uint64
	Incoming    bool // History and End are those of incoming/, not of the live store
	Voter       bool
	History     []persist.EpochStart // at most persist.MaxHistory, oldest first
	Start, End  persist.Pos          // Start is the log_start
}

// Attach answers a Hello: the replica cuts its log to Cut and is sent what follows.
type Attach struct {
	Epoch   uint64
	Cut     persist.Pos
	VoterAt persist.Pos // whoever has synced up to here holds all that was committed when it attached
	Commit  persist.Pos
	Files   uint32 // segments that it has behind Cut, for the operator; the master's rim puts it in
	// Restart says that Cut is the master's log_start, and that the log goes into an empty incoming/, whose first
	// segment has Header (persist's raw segment header; the master's rim puts it in).
	Restart bool
	Header  []byte
}

// Append carries whole batches as they stand in the log, from Base on.
type Append struct {
	Epoch   uint64
	Base    persist.Pos
	Commit  persist.Pos // as the master knows it now
	Batches []byte      // good until the Step that takes it returns, unless a Write action holds it
}

// Ack says how far a replica holds the log.
type Ack struct {
	Epoch            uint64
	Received, Synced persist.Pos
	Applied          persist.Pos // its index
	Voter            bool
	Incoming         bool // positions are those of incoming/: they count for nothing but progress
	Full             bool // its disk is full: it takes no more for now
}

// Heartbeat is sent by both ends each Timing.Heartbeat. A peer whose heartbeats come but whose Heard stands still does
// not receive: the link is one-way.
type Heartbeat struct {
	Epoch  uint64
	Seq    uint64      // of the sender, from 1
	Heard  uint64      // the highest Seq that came from the other end
	Commit persist.Pos // of the master; a replica's is what it has applied
}

// Reject ends a link: the sender has promised more, or does not take this peer.
type Reject struct {
	Epoch    uint64 // of what is rejected
	Promised uint64
	Reason   string // for the operator; at most 256 bytes
	Fatal    bool   // trying again is of no use: wrong cluster, no seat, seat taken over
}

// HandOver is a master's last frame: all that it holds is committed, elect another without waiting.
type HandOver struct {
	Epoch uint64
	To    persist.ID // preferred successor; zero whoever is best
}

func (Hello) frame()     {}
func (Attach) frame()    {}
func (Append) frame()    {}
func (Ack) frame()       {}
func (Heartbeat) frame() {}
func (Reject) frame()    {}
func (HandOver) frame()  {}

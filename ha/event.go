package ha

import "github.com/havenmq/havenmq/persist"

// Link numbers a connection between two nodes. The rim gives it out, from 1, and never twice in a process's life.
type Link uint64

// Event is what happened: the input of Node.Step.
type Event interface{ event() }

// Boot is what a store turned out to hold when it was opened, or opened again.
type Boot struct {
	Meta             persist.Meta
	Damaged          bool // its log cannot be used: it is as if blank, but never votes
	Unclean          bool
	Start            persist.Pos
	Received, Synced persist.Pos // its end; both are equal after an opening
	Committed        persist.Pos // known to be, and applied
	History          []persist.EpochStart
	Incoming         *Boot // what incoming/ holds; nil if there is none. Its Meta says nothing
}

// Time and the arbiter.
type (
	// Tick says that time has passed: the rim steps one no later than Node.Wake says.
	Tick struct{}
	// Seen is a newer view.
	Seen struct{ View View }
	// Answered is the end of a Transact.
	Answered struct {
		ID      uint64
		Outcome Outcome
		View    View
	}
)

// The disk: each says that an action was done. Actions on the disk are done in the order in which they were given.
type (
	// Promised says that the promise is on disk.
	Promised struct{ Epoch uint64 }
	// Remembered says that the meta is on disk.
	Remembered struct{ ID uint64 }
	// Wrote says that batches were appended, up to Received, and are not synced yet. Full: the disk had no room and
	// nothing was appended. Misfit: they do not continue this log.
	Wrote struct {
		Incoming bool
		Received persist.Pos
		Files    int // segments of the log
		Full     bool
		Misfit   bool
	}
	// Synced says how far the log is on disk. History is there if an epoch has begun in what was written since the last.
	Synced struct {
		Incoming bool
		Synced   persist.Pos
		History  []persist.EpochStart
	}
	// Truncated says that the log ends at Cut now.
	Truncated struct {
		Incoming bool
		Cut      persist.Pos
		Files    int // segments of the log
		History  []persist.EpochStart
	}
	// Applied says how far the index is, and where the log begins. A hint: it comes now and then, and at once to a master
	// that has committed its epoch's beginning.
	Applied struct {
		Incoming bool
		Applied  persist.Pos
		Start    persist.Pos
	}
	// IncomingStarted says that incoming/ is empty and begins at Start. Full: the disk had no room for it, and there is none.
	IncomingStarted struct {
		Start persist.Pos
		Full  bool
	}
	// IncomingDropped says that it is gone.
	IncomingDropped struct{}
	// Opened says that the store was opened anew, after Reopen or Switch.
	Opened struct{ Boot Boot }
	// DiskFull says whether the disk has no room for another segment. A log may go on for a while all the same.
	DiskFull struct{ On bool }
	// Led says that the epoch's beginning is synced on this disk, and ends at Barrier.
	Led struct {
		Epoch   uint64
		Barrier persist.Pos
	}
	// Advanced says how far the master's own log is.
	Advanced struct{ Received, Synced persist.Pos }
)

// The network.
type (
	// Dialed says that the link to the address of the last Dial stands, and that the challenge was passed.
	Dialed struct {
		Link Link
		Addr string
	}
	// DialFailed says that it could not be made. Refused: the host answered that nobody listens.
	DialFailed struct {
		Addr    string
		Refused bool
		Reason  string
	}
	// Got is a frame of a link. The first of an accepted link is a Hello.
	Got struct {
		Link  Link
		Frame Frame
	}
	// Lost says that a link is gone, whoever ended it. It comes once for each link that was dialed or got anything.
	Lost struct {
		Link   Link
		Reason string
	}
)

// The node itself.
type (
	// Served says that the client transports are open.
	Served struct{ Epoch uint64 }
	// Withdrawn says that no client is connected any more, and that nothing appends.
	Withdrawn struct{}
	// StopAsked asks to leave: a master hands over first, and waits for a quorum of replicas to hand over to unless Force.
	StopAsked struct{ Force bool }
	// PromoteAsked asks the master to hand over to a member; zero: to whoever is best.
	PromoteAsked struct{ To persist.ID }
	// DrainAsked has this node leave leading to others, until it is told otherwise.
	DrainAsked struct{ On bool }
	// AdoptAsked gives the arbiter back what it lacks of this node's cluster, if Emergency says that it can be done.
	AdoptAsked struct{}
	// RecoverAsked has this node lead by its vote alone, if Emergency says that it may.
	RecoverAsked struct{}
)

func (Tick) event()            {}
func (Seen) event()            {}
func (Answered) event()        {}
func (Promised) event()        {}
func (Remembered) event()      {}
func (Wrote) event()           {}
func (Synced) event()          {}
func (Truncated) event()       {}
func (Applied) event()         {}
func (IncomingStarted) event() {}
func (IncomingDropped) event() {}
func (Opened) event()          {}
func (DiskFull) event()        {}
func (Led) event()             {}
func (Advanced) event()        {}
func (Dialed) event()          {}
func (DialFailed) event()      {}
func (Got) event()             {}
func (Lost) event()            {}
func (Served) event()          {}
func (Withdrawn) event()       {}
func (StopAsked) event()       {}
func (PromoteAsked) event()    {}
func (DrainAsked) event()      {}
func (AdoptAsked) event()      {}
func (RecoverAsked) event()    {}

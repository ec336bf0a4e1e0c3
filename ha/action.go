package ha

import "github.com/havenmq/havenmq/persist"

// Action is what the rim must do: the output of Node.Step. Those of one kind (disk, arbiter, each link) are done in
// order; the kinds run beside one another.
type Action interface{ action() }

// For the disk. An error of the disk ends the process: the machine is not told.
type (
	// Promise writes meta.promised and syncs it. → Promised
	Promise struct{ Epoch uint64 }
	// Remember changes the meta and syncs it; nil and zero fields stay. → Remembered
	Remember struct {
		ID         uint64
		ClusterID  persist.ID
		NodeID     persist.ID
		Addr       string // advertised
		MasterAddr string
		Voter      *bool
		Drained    *bool
		Config     []byte
	}
	// Write appends batches of a master. → Wrote
	Write struct {
		Incoming bool
		Base     persist.Pos
		Batches  []byte
	}
	// Sync makes what was written durable. Several that follow one another may be done as one. → Synced
	Sync struct{ Incoming bool }
	// Truncate cuts the log. → Truncated
	Truncate struct {
		Incoming bool
		Cut      persist.Pos
	}
	// Commit says what may be applied and answered. It waits for nothing: not for what is before it in the order either.
	// Nothing comes back but Applied now and then.
	Commit struct {
		Incoming        bool
		Commit, Confirm persist.Pos
	}
	// StartIncoming makes an empty incoming/, dropping one that is there. Header is that of its first segment. → IncomingStarted
	StartIncoming struct{ Header []byte }
	// DropIncoming removes incoming/. → IncomingDropped
	DropIncoming struct{}
	// Switch puts incoming/ in the place of the store and opens it. → Opened
	Switch struct{}
	// Lead begins an epoch in the log. → Led, and Advanced from then on
	Lead struct{ Epoch uint64 }
	// Reopen closes the store, without waiting for anything that is not committed, and opens it again. → Opened
	Reopen struct{}
)

// For the network.
type (
	// Listen accepts replicas on the bind address; doing it twice does no harm.
	Listen struct{}
	// Unlisten closes it and all links that were accepted.
	Unlisten struct{}
	// Dial connects to a master. → Dialed or DialFailed. One at a time: a second gives the first up.
	Dial struct{ Addr string }
	// Send puts a frame on a link.
	Send struct {
		Link  Link
		Frame Frame
	}
	// Stream sends Appends of the log from From on, as it grows, ahead of the acknowledged position by no more than the
	// window, until the link is gone. The log from From on is pinned against trimming meanwhile.
	Stream struct {
		Link  Link
		Epoch uint64
		From  persist.Pos
	}
	// Unstream ends a stream, and lets go of its pin; the link stays. Nothing of it is sent behind what is sent from now on.
	Unstream struct{ Link Link }
	// Acked moves a stream's window, and its pin.
	Acked struct {
		Link Link
		Pos  persist.Pos
	}
	// Hang ends a link. What was sent before it is sent, if that takes no time. → Lost
	Hang struct{ Link Link }
)

// Transact asks the arbiter. One at a time: the machine waits for the answer. → Answered
type Transact struct {
	ID  uint64
	Txn Txn
}

// For the node.
type (
	// Serve opens the client transports. → Served
	Serve struct{ Epoch uint64 }
	// Pause stops dispatch to consumers and reading from producers, as long as On.
	Pause struct{ On bool }
	// StopServing closes the client transports at once, with each protocol's goodbye, which may name where to go. → Withdrawn
	StopServing struct {
		Reason string
		Next   *Announcement // the next master, if known
	}
	// Exit ends the process: Code 0 after a stop that was asked for.
	Exit struct {
		Code   int
		Reason string
	}
	// Tell writes a line of the node's log.
	Tell struct {
		Level Level
		Text  string
	}
)

// Level of a line.
type Level uint8

// Levels.
const (
	Debug Level = iota
	Info
	Warn
	Alarm
)

func (Promise) action()       {}
func (Remember) action()      {}
func (Write) action()         {}
func (Sync) action()          {}
func (Truncate) action()      {}
func (Commit) action()        {}
func (StartIncoming) action() {}
func (DropIncoming) action()  {}
func (Switch) action()        {}
func (Lead) action()          {}
func (Reopen) action()        {}
func (Listen) action()        {}
func (Unlisten) action()      {}
func (Dial) action()          {}
func (Send) action()          {}
func (Stream) action()        {}
func (Unstream) action()      {}
func (Acked) action()         {}
func (Hang) action()          {}
func (Transact) action()      {}
func (Serve) action()         {}
func (Pause) action()         {}
func (StopServing) action()   {}
func (Exit) action()          {}
func (Tell) action()          {}

// Change makes of the meta what is to be remembered.
func (r Remember) Change(m *persist.Meta) {
	if !r.ClusterID.IsZero() {
		m.ClusterID = r.ClusterID
	}
	if !r.NodeID.IsZero() {
		m.NodeID = r.NodeID
	}
	if r.Addr != "" {
		m.ReplAddr = r.Addr
	}
	if r.MasterAddr != "" {
		m.MasterAddr = r.MasterAddr
	}
	if r.Voter != nil {
		m.Voter = *r.Voter
	}
	if r.Drained != nil {
		m.Drained = *r.Drained
	}
	if r.Config != nil {
		m.Config = r.Config
	}
}

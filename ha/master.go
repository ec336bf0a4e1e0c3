package ha

import (
	"slices"

	"github.com/havenmq/havenmq/persist"
)

// Master is the master's side of replication: it knows how far each seat holds the log, and from that how far the
// cluster does. It is pure: facts in, positions out. One goroutine at a time.
type Master struct {
	sync    persist.Sync
	seats   []held
	self    int
	barrier persist.Pos
	commit  persist.Pos
	confirm persist.Pos
	scratch []persist.Pos // for order statistics; one per seat
}

// held is what one seat has of the log: everything below these positions.
type held struct{ received, synced persist.Pos }

// NewMaster leads a cluster of seats seats (at least 1) from seat self. commit is what is known to be committed
// already; nothing more is until a quorum holds barrier, the end of the epoch's first batch.
func NewMaster(seats, self int, sync persist.Sync, commit, barrier persist.Pos) *Master {
	return &Master{
		sync: sync, seats: make([]held, seats), self: self,
		commit: commit, confirm: commit, barrier: barrier,
		scratch: make([]persist.Pos, 0, seats),
	}
}

// Quorum is the number of seats that must hold a record before it is committed.
func (m *Master) Quorum() int { return len(m.seats)/2 + 1 }

// Held records that a seat holds the log up to received, and has synced it up to synced. Positions that lie behind
// what is known are ignored: acknowledgements may arrive out of order.
func (m *Master) Held(seat int, received, synced persist.Pos) {
	h := &m.seats[seat]
	h.received = max(h.received, received, synced)
	h.synced = max(h.synced, synced)
	m.advance()
}

// Commit is the position up to which a quorum holds the log. It never moves back.
func (m *Master) Commit() persist.Pos { return m.commit }

// Confirm is the position up to which senders may be answered, as `sync` says. It never moves back.
func (m *Master) Confirm() persist.Pos { return m.confirm }

func (m *Master) advance() {
	if quorum := m.nth(m.Quorum(), m.sync.Disk(), false); quorum >= m.barrier {
		m.commit = max(m.commit, quorum)
	}
	m.confirm = max(m.confirm, m.allowed())
}

// allowed is the lowest of the positions that the levels of `sync` ask for; a list of levels means all of them.
func (m *Master) allowed() persist.Pos {
	own := m.seats[m.self]
	remote := len(m.seats) / 2
	low := ^persist.Pos(0)
	if m.sync&(persist.QuorumMem|persist.QuorumDisk) != 0 {
		low = min(low, m.commit)
	}
	if m.sync&persist.LocalMem != 0 {
		low = min(low, own.received)
	}
	if m.sync&persist.LocalDisk != 0 {
		low = min(low, own.synced)
	}
	if m.sync&persist.RemoteMem != 0 && remote > 0 {
		low = min(low, m.nth(remote, false, true))
	}
	if m.sync&persist.RemoteDisk != 0 && remote > 0 {
		low = min(low, m.nth(remote, true, true))
	}
	if low == ^persist.Pos(0) { // remote levels of a cluster of one ask for nobody; being appended is all that is left
		low = own.received
	}
	return low
}

// nth is the n-th largest end among the seats, without our own where othersOnly says so.
func (m *Master) nth(n int, synced, othersOnly bool) persist.Pos {
	ends := m.scratch[:0]
	for i, h := range m.seats {
		switch {
		case othersOnly && i == m.self:
		case synced:
			ends = append(ends, h.synced)
		default:
			ends = append(ends, h.received)
		}
	}
	slices.Sort(ends)
	return ends[len(ends)-n]
}

// Forget drops what a seat is known to hold: another node has taken it. What is committed stays so.
func (m *Master) Forget(seat int) { m.seats[seat] = held{} }

package core

import "github.com/havenmq/havenmq/persist"

// Store is what core needs from below; persist.Store is one, alone or replicated. All methods may be called from any
// goroutine and none blocks on the disk, except Entries, Message and Scan, which read it.
type Store interface {
	// Append puts one all-or-nothing unit at the log's tail. base is the position that the unit's own offsets count
	// from (a Unit's MessageRef r names the message base+r), end the position behind it. ErrFull, ErrTooLarge and
	// ErrClosed refuse it; nothing was appended then. The unit may be reset and reused at once. What nobody awaits is
	// written a few milliseconds later, or together with what somebody does.
	Append(u *persist.Unit) (base, end persist.Pos, err error)

	// Committed is the position up to which a quorum holds the log and the index has applied it: what it covers may
	// be shown to consumers. Confirmed is the position up to which senders may be answered, as `sync` says.
	Committed() persist.Pos
	Confirmed() persist.Pos

	// Await calls w.Advanced once, from the store's own goroutine and never from within Await, when Committed and
	// Confirmed have both been looked at again and either has reached pos. Call it again if that was not enough.
	Await(pos persist.Pos, w Waiter)

	Queue(q persist.QueueID) persist.QueueState
	// Entries appends to dst up to max live entries of q with seq >= from, in order, committed and applied.
	Entries(q persist.QueueID, from persist.Seq, max int, dst []persist.Entry) ([]persist.Entry, error)
	// Entry looks up one.
	Entry(q persist.QueueID, s persist.Seq) (persist.Entry, bool, error)
	// Message reads a message's record by its first position; the slices are the caller's.
	Message(p persist.Pos) (id, header, body []byte, err error)

	Get(t persist.Table, key []byte) (value []byte, ok bool, err error)
	// Scan calls f for each row whose key starts with prefix, in key order, until f says false. Committed rows only.
	Scan(t persist.Table, prefix []byte, f func(key, value []byte) bool) error

	Usage() persist.Usage
}

// Waiter is told that the store's positions moved. Advanced must be quick: it runs between two commits.
type Waiter = persist.Waiter

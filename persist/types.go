package persist

import "fmt"

// Pos is a byte position in the log's whole life. It only ever grows; a segment file's header takes no positions.
type Pos uint64

// QueueID names a queue, a durable subscription's queue or an inbox. Zero is no queue; ids are never used twice.
type QueueID uint64

// Seq is an entry's place in its queue. Its top byte is the inverted priority and its other 56 bits count up within
// that priority, so that the numeric order of a queue's sequence numbers is its order of dispatch.
type Seq uint64

// Classes is the number of priorities; class 0 is priority 9 and is dispatched first.
const Classes = 10

const classShift = 56

// MakeSeq returns the n-th place (from 1) among a queue's messages of one priority (0 to 9).
func MakeSeq(priority uint8, n uint64) Seq {
	return Seq(uint64(Classes-1-min(priority, Classes-1))<<classShift | n)
}

// Class is the index of the priority's counter: 0 for priority 9, 9 for priority 0.
func (s Seq) Class() int { return int(s >> classShift) }

// Priority is the message's priority, 0 to 9.
func (s Seq) Priority() uint8 { return uint8(Classes - 1 - s.Class()) }

// Counter is the place within the priority, from 1.
func (s Seq) Counter() uint64 { return uint64(s) & (1<<classShift - 1) }

func (s Seq) String() string { return fmt.Sprintf("p%d/%d", s.Priority(), s.Counter()) }

// Range is an inclusive run of places in one class of one queue.
type Range struct{ First, Last Seq }

// Target is one queue that takes a message, and the place that it takes there. Note is the sender of the record's own
// remark on this entry (core: what an inbox's filters granted); it is opaque here, at most MaxNoteBytes.
type Target struct {
	Queue QueueID
	Seq   Seq
	Note  []byte
}

// Assignment says which delivery of an entry a session has been promised; the zero value is none.
type Assignment struct {
	Session  []byte // opaque, at most MaxKeyBytes
	PacketID uint16
	State    uint8 // opaque
}

// Entry is a queue's claim on a message, as the index holds it: everything about it but the body.
type Entry struct {
	Seq         Seq
	Message     Pos    // first position of its MESSAGE record, its name for ever
	SizeBytes   uint32 // header and body
	ShareBytes  uint32 // of the log, that this entry keeps alive: the record's size over its fan-out
	ExpiryMs    int64  // absolute; 0 never
	NotBeforeMs int64  // absolute; 0 at once
	Attempts    uint32 // failed deliveries
	Note        []byte
	Assign      Assignment
}

// QueueState is a queue's row in the index: what is committed and applied.
type QueueState struct {
	Tails      [Classes]uint64 // highest counter ever given out in each class; 0 none
	Heads      [Classes]uint64 // no live entry of the class has a lower counter; 0 when it has none
	Depth      uint64
	DepthBytes uint64
}

// Table names one of the key-value tables that share the log with the queues. Keys and values are opaque here.
type Table uint8

const (
	TableDestinations  Table = 1 + iota // queue id → kind and name
	TableSubscriptions                  // durable subscriptions
	TableSessions                       // inboxes, their wills and deadlines
	TableFilters                        // an inbox's filters
	TableRetained                       // topic → message
	TableInbound                        // QoS 2 packet ids that were received and not released
	TableDuplicates                     // duplicate detection
	TableSchedules                      // what fires later
	TableSettings                       // everything small: counters of ids, pause flags
	tableEnd
)

// Bounds of what one record may carry. A unit that passes one is refused by Append with ErrTooLarge.
const (
	MaxNoteBytes  = 4 << 10
	MaxKeyBytes   = 64 << 10
	MaxValueBytes = 256 << 20
	MaxUnitBytes  = 1 << 30
)

// Usage is what the store holds and what it may hold, in bytes.
type Usage struct {
	LogStart, End   Pos
	Committed       Pos
	LiveBytes       uint64 // of the log, that entries and rows keep alive
	UncommittedSize uint64
	DiskBytes       uint64 // of files, log and index
	LimitBytes      uint64 // storeUsage; 0 none
	Full            bool   // new messages are refused; settles still pass
}

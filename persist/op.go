package persist

// Code is an operation of the log's vocabulary. The numbers are the format: never reuse one.
type Code uint8

const (
	CodeEpochBegin      Code = 1 + iota // Epoch
	CodeConfig                          // Value: opaque seats
	CodeTrim                            // LogStart
	CodeMessage                         // ID, Header, Body, Sum; its record's position is the message's name
	CodeEnqueue                         // Message, SizeBytes, Targets, ExpiryMs, NotBeforeMs
	CodeSettle                          // Queue, Ranges
	CodeAttempt                         // Queue, Seq, Attempts, NotBeforeMs, Note
	CodeMove                            // Queue, Seq → Targets[0]; Value: reason
	CodePurge                           // Queue, UpTo per class, Gone
	CodeAssign                          // Queue, Seq, Assign
	CodePut                             // Table, Key, Value
	CodeDelete                          // Table, Key
	CodeTxPrepare                       // Key: transaction id; the rest of the unit is its content
	CodeTxCommit                        // Key
	CodeTxRollback                      // Key
	CodeRelocateMessage                 // Message (first position), ID, Header, Body, Sum, Entries
	CodeRelocateRow                     // Table, Key, Value
	CodeRelocateTails                   // Queue, UpTo: the counters given out so far
	codeEnd
)

// Op is one decoded operation. Which fields mean something is said beside its Code. Slices alias the log's bytes and
// the decoder's own arrays: they are good until the next call to Decoder.Next.
type Op struct {
	Code        Code
	Pos         Pos // of this record
	Epoch       uint64
	LogStart    Pos
	ID          []byte
	Header      []byte
	Body        []byte
	Sum         uint32 // CRC-32C of ID, Header and Body; who reads a record without its batch checks it
	Message     Pos
	SizeBytes   uint32
	Targets     []Target
	Queue       QueueID
	Seq         Seq
	Ranges      []Range
	UpTo        [Classes]uint64
	Gone        bool // PURGE: the queue's row goes too
	Attempts    uint32
	ExpiryMs    int64
	NotBeforeMs int64
	Note        []byte
	Assign      Assignment
	Table       Table
	Key         []byte
	Value       []byte
	Entries     []PlacedEntry
}

// PlacedEntry is an entry with the queue that it stands in, as RELOCATE carries it.
type PlacedEntry struct {
	Queue QueueID
	Entry
}

// Package persist keeps everything that must survive: one log of what was decided, and one index of what the log says.
// It knows queues, entries and tables; messages, keys and values are opaque to it.
//
//	core ── Append(unit) ──► tail in memory ──► committer ──► segment files      (log half)
//	                              │                 │ written, synced
//	                              │            Progress (ha) ──► commit, confirm
//	                              └──────────────► applier ──► index             (index half)
//	core ◄── Waiter.Advanced() ◄─────────────────────┘
//
// # Files of a store's directory
//
//	lock                    held while a process has the store
//	meta                    two slots of what the node remembers (below)
//	0000000000000179.log    a segment: the log from position 0x179 on
//	next.N.tmp              a segment being made ready; removed by the next start
//	reserve                 room kept aside for acks and trims on a full disk
//	index/                  goleveldb; may be deleted, it is built anew from the log
//	incoming/               a store that a replica fetches anew; it takes this one's place when it is whole (incoming.go)
//	damaged/                segments that could not be read, set aside (Options.Tolerant)
//
// # Positions
//
// A position counts the bytes of all batches from the cluster's first on. The log is one contiguous range of positions
// [log_start, end). Segment headers, and what is left of a segment behind its last batch, take no positions. All
// integers of fixed size are little-endian. uvarint and varint (zigzag) are those of encoding/binary. CRC is CRC-32C.
//
// # Segment
//
// A file of preallocated zeros, named by the position of its first batch: 16 hex digits. Its header is 4096 bytes, all
// of which follow from the log, so that the file is the same on every node:
//
//	 0  8  "HavenLog"
//	 8  4  version, 1
//	12  4  number n of epochs, at most MaxHistory
//	16 16  cluster id, zero if there is none yet
//	32  8  position of the first batch
//	40  4  CRC of the batch before it, 0 before the first
//	44  4  zero
//	48 16n  epoch (8), position of its first batch (8): the newest epochs before this segment, oldest first
//	   …   zero
//	4092 4  CRC of all before
//
// Then batches, one behind the other, and zeros up to the end of the file.
//
// # Batch
//
// One atomic write of the committer: a header of 56 bytes, then units.
//
//	 0  4  0x514d7648, "HvMQ"
//	 4  1  version, 1
//	 5  1  zero
//	 6  2  flags: the master's Sync in bits 0-5, bit 8 on the first batch of a segment
//	 8  8  epoch
//	16  8  base: the position of this header
//	24  8  commit position that the master knew; at most base
//	32  8  time, ms since 1970
//	40  4  length, header included
//	44  4  number of units, at least 1
//	48  4  CRC of the batch before, 0 in the very first
//	52  4  CRC of bytes 0-51 and of all units
//	56  …  units
//
// # Unit
//
// All-or-nothing for whoever applies it: its length (uvarint), then records. A unit never spans batches.
//
// # Records
//
// A record is its code (1 byte), the length of the rest (uvarint), the rest. Any other code, and any byte left over
// behind a record's fields, is refused: a newer vocabulary fails closed. id, key, value and the like that stand last take
// what is left; others are preceded by their length (uvarint). queue, counts and positions are uvarints, times varints.
//
//	 1 EPOCH_BEGIN      epoch
//	 2 CONFIG           seats
//	 3 TRIM             log_start
//	 4 MESSAGE          len(id) len(header) len(body) CRC(4) id header body
//	 5 ENQUEUE          name, size of header and body, expiry, notBefore, target…
//	 6 SETTLE           queue, run…
//	 7 ATTEMPT          queue, place, attempts, notBefore, note
//	 8 MOVE             queue, place, target, reason
//	 9 PURGE            queue, gone (0 or 1), counters
//	10 ASSIGN           queue, place, packet id, state (1 byte), session
//	11 PUT              table (1 byte), len(key) key, value
//	12 DELETE           table (1 byte), key
//	13 TX_PREPARE       id; must be the first of its unit, whose other records wait for
//	14 TX_COMMIT        id; what the transaction does to entries and rows of before stands behind it again
//	15 TX_ROLLBACK      id
//	16 RELOCATE_MESSAGE first position, then as MESSAGE but id, header and body are followed by entry…
//	17 RELOCATE_ROW     as PUT
//	18 RELOCATE_TAILS   queue, counters
//
//	place     1 byte: the class in its low four bits, flags above; counter (uvarint)
//	run       place; with flag 0x10, how many places follow it (uvarint)
//	target    queue, place; with flag 0x20, len(note) note
//	entry     queue, place, size, share, expiry, notBefore, attempts; with flag 0x20 len(note) note; with flag 0x40
//	          len(session) session, packet id, state (1 byte)
//	counters  mask of classes (uvarint), one uvarint for each bit set
//	name      of a message: in this unit, twice the distance back from this record's first byte to the MESSAGE's;
//	          elsewhere, twice its position plus one
//
// A message's CRC covers id, header and body: it is read alone, without its batch.
//
// # Meta
//
// A file of two slots of 4096 bytes, written in turn and synced each time; the valid slot of the higher number counts.
//
//	 0  8  "HavenMta"
//	 8  4  version, 1
//	12  4  flags: 1 voter, 2 clean, 4 mem_acked, 8 drained
//	16  8  number of the write
//	24 16  cluster id      40 16  node id
//	56  8  promised epoch  64  8  commit hint  72  8  log_start  80  8  trim_at
//	88  …  advertised address, boot id, master's address, config: each a length (2) and bytes
//	4092 4  CRC of all before
//
// # Index
//
// Everything in it follows from the log. Keys of LevelDB, numbers in them big-endian, and what stands behind them. A key
// begins with one letter; its parts follow without separators.
//
//	x 2                         the state: position (uvarint), live bytes, TRIM's log_start, TRIM's own position, segments.
//	                            An index without this key is empty, or of another version
//	q queue(8)                  a queue: depth, bytes, lane…
//	b queue(8) class(1) no(8)   a block: the entries that live of the counters [no*256, no*256+256), in order; a block of
//	                            which nothing lives has no key
//	t table(1) key              a row: position of its record (8), value
//	p id                        a prepared transaction: position of its unit (8), the unit
//	c                           the seats: position of their record (8), value
//	l name(8)                   where a relocated message lies (8), how many entries claim it (uvarint). No entry, no key
//	s name(8) queue(8) seq(8)   a stray, 1: an entry of this message whose record does not stand with it, because it was
//	                            moved or enqueued later
//
//	segments  count (uvarint); for each: its first position (uvarint, from the one before), how many things live in it
//	lane      class (1), tail (highest counter given out), position of the record that says so, head (no live entry is
//	          lower; 0 without any), depth
//	entry     low byte of the counter (1), flags (1), message (varint, from the entry before), size, share; with flag 0x10
//	          expiry, notBefore, attempts; with 0x20 a note (length, bytes); with 0x40 session (length, bytes), packet id,
//	          state (1). Flag 0x02: a stray. Flag 0x04: its message was relocated
//
// A class of a queue has the keys of its blocks side by side, so that reading goes through them from the head on.
//
//	apply ─► now ──freeze, between two batches──► frozen ──one batch, synced──► LevelDB
//	          │ overlay: rows and blocks that changed     │ never changed            │
//	readers ◄─┴───────────────────────────────────────────┴──────────────────────────┘
//
// # Goroutines
//
//	committer   owns writer: headers, writes, syncs, rotation; then tells Progress
//	applier     applies committed batches to the index, publishes positions, wakes waiters; when the committer has
//	            nothing else to do it does that itself, in place (applier.turn says whose turn it is)
//	preparer    makes the next segment's file, keeps the reserve, cuts sealed segments to size
//	hint        writes the commit hint to meta twice a second, if it moved
//	keep        has the index flush, relocate and trim, ten times a second; it looks at a few numbers if there is nothing
//	syncer      at *_mem levels alone: bounds how long bytes stay unsynced
//
// Append copies into the open batch under mu. Await wakes the committer if that is idle; what nobody awaits waits a little
// (lazy.go). While the committer syncs, the next batch fills: that is the group commit. When messages come in a stream, the
// committer lets it fill a little longer (pace.go).
//
// # Following a master
//
// A store that does not lead takes a master's batches raw: Write, Sync and Truncate (follow.go), from one goroutine of the
// caller's, which owns writer meanwhile; the committer is idle then. Advance says what is committed, and the applier reads
// it from the file. ReadBatches and Pin (ship.go) are the other end: any goroutine reads whole batches from the files of a
// store that leads, and holds them against trimming. Segments begin where the master's do, whatever their files' sizes.
//
// # Invariants
//
//   - start ≤ committed ≤ received ≤ end; synced ≤ received. committed counts what is applied too; none moves back.
//   - At disk levels nothing counts before it is synced; at *_mem levels meta says mem_acked before anything counts.
//   - A batch's bytes never change once it is sealed, but for its header, which the committer fills in. Bytes on disk
//     are never rewritten; what was never whole is cleared at the next start.
//   - A segment is synced before its successor's header is written, and the successor's name before its first batch
//     counts: so only the last segment can be torn.
//   - What follows a tear is zero, and synced, before the next append: nothing of an earlier tail can be read as new.
//   - A failed write or sync ends the store. A second fsync after a failed one would succeed without having written.
//   - The index never holds what is not committed, and never flushes past the log's synced end.
//   - Replaying the log from log_start makes the index that is there: IndexHash equals ReplayHash. So whatever a record
//     needs in order to be applied lies at or behind log_start, or needs no applying.
//   - liveCounts counts, at a batch's end, exactly what lives in each segment. TRIM passes none that counts anything.
//   - What is frozen, and every block, row and slotMore in it, is not changed: a copy is.
//   - meta's log_start is synced before a segment below it is unlinked.
//
// # Lock order
//
//	Log.mu → waitList.mu
//	Log.mu → segmentSet.mu
//	applier.turn → Log.mu, and whatever the index locks
//	Store.keeping → Index.flushing → Index.mu
//	applier.turn → Index.flushing (an overlay that is too large) and Index.mu
//	reportMu → whatever Progress locks
//	metaFile.write → metaFile.mu
//	applier.turn → Log.mu (Truncate, which holds it over I/O: nothing is applied meanwhile)
//
// Index.mu is let go of while the applier reads LevelDB: nobody else changes what it is changing. Index.flushing is held
// over the write of what is frozen; Log.mu is never taken under Index.mu.
//
// None is held over I/O or over a call upwards, but for those two, metaFile.write, which orders the writers of meta, reportMu over
// Progress, and applier.turn, which is a turn rather than a lock: nobody but the applier's goroutine waits for it. appendAgainst calls its two functions under Log.mu: they may not call the log.
package persist

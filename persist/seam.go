package persist

// The two halves of this package meet here: the log half calls index, the index half calls indexLog.

// index is what the log half asks of the index half. *Index is one.
//
// beginUnit, apply, applied run on the applier's goroutine alone (on Open's while it recovers): for each batch, for each
// of its units, beginUnit once and apply for each operation; then applied once for the batch. What they do becomes
// visible to readers no later than applied returns. unit and op are good until apply returns. An error is one of the
// disk and ends the store; an operation on something unknown is no error.
type index interface {
	beginUnit(unit []byte, base Pos)
	apply(op *Op) error
	applied(end Pos) error // a batch's end: positions below end are applied; never called past the log's commit

	position() Pos // applied up to here (memory included); after open: what the flushed index holds
	flush() error  // to disk, as far as it is applied and the log is synced
	reset() error  // drop everything: position() is 0 then, and the log will be replayed from log_start
	close() error  // without a flush
	// keep is called ten times a second by a goroutine of its own, while the store is open: it flushes what is due,
	// deletes trimmed segments, and, if this node leads, relocates and trims. An error of the disk ends the store.
	keep(leading bool) error
	// distrust has the next open begin with an empty index, so that all of the log is read then. Any goroutine.
	distrust() error
	sizes() (live, disk uint64) // live: of the log, that entries and rows keep alive; disk: the index's files

	// The rest may be called from any goroutine.
	locate(first Pos) Pos // where the message named first lies now; first itself if it was never relocated
	queue(q QueueID) QueueState
	entries(q QueueID, from Seq, max int, dst []Entry) ([]Entry, error)
	entry(q QueueID, s Seq) (Entry, bool, error)
	get(t Table, key []byte) ([]byte, bool, error)
	scan(t Table, prefix []byte, f func(key, value []byte) bool) error
}

// indexOpener opens the index in dir of fs: openIndex, or a test's own.
type indexOpener func(fs FS, dir string, l indexLog, o *Options) (index, error)

// indexLog is what the index half asks of the log half. *Log is one. Any goroutine may call; none may hold the index's
// lock while calling Append or appendAgainst.
type indexLog interface {
	// readRecord decodes the MESSAGE or RELOCATE_MESSAGE record at p, from memory or file, into op, whose slices alias
	// the returned buffer (buf, grown if need be).
	readRecord(p Pos, op *Op, buf []byte) ([]byte, error)
	// scanSegment decodes, in order, the operations of the segment that starts at first, from the batch at from on,
	// until f says false. It answers where that batch begins, or the last one ends. It reads the file: synced or not,
	// committed or not.
	scanSegment(first, from Pos, f func(op *Op) bool) (stopped Pos, err error)
	// segmentOf is the first position of the segment that p lies in.
	segmentOf(p Pos) Pos
	// head is the oldest segment: its positions are [first, end). sealed is false when it is the one being written.
	head() (first, end Pos, sealed bool)
	// end is the position behind what was appended; syncedEnd the one behind what is known to be on this disk.
	end() Pos
	syncedEnd() Pos

	// holdTail keeps in memory all that is appended but not yet applied, from its result on, until releaseTail. One
	// holder at a time: the relocator. Look at the index after holdTail, then call appendAgainst: whatever was applied
	// since, or is not applied yet, is shown to see.
	holdTail() (from Pos)
	releaseTail()
	// appendAgainst calls see for each operation appended since holdTail, then build, then appends its unit (none if it
	// is empty), all under the append lock: nothing is appended in between. Neither may do I/O or call the log.
	appendAgainst(see func(op *Op), build func() *Unit) (base, end Pos, err error)

	// dropSegmentsBelow syncs meta.log_start = p, then unlinks the segments that end at or below p. The caller has made
	// sure that the TRIM is committed, the log synced and the index flushed past it. p is a segment's first position.
	dropSegmentsBelow(p Pos) error
	logStart() Pos

	// withRoom does f, which may be done again where it stopped when there was no room on the disk. Then the reserve is
	// given up for it, and while the store is open it waits until there is room, or the store closes or fails. The index
	// may hold a lock that only flushes take.
	withRoom(f func() error) error

	// fail ends the store at once: nothing is appended from here on. For an error of the disk that the caller has no way
	// to return.
	fail(err error)
}

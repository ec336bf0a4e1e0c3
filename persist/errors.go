package persist

import (
	"errors"
	"fmt"
)

// What Append answers; compare with errors.Is.
var (
	// ErrFull refuses a unit that would make the store grow: storeUsage is reached or the disk is full. Units that
	// only settle, move, purge or delete still pass, so that consumers can drain.
	ErrFull = errors.New("the store is full: raise systemUsage.storeUsage, free disk space, or consume what is stored")
	// ErrTooLarge refuses a unit that passes one of the Max bounds.
	ErrTooLarge = errors.New("the unit is larger than the store allows")
	// ErrInvalid refuses a unit that holds what the log's vocabulary has no room for: a fault of the caller's.
	ErrInvalid = errors.New("the unit holds an operation that cannot be")
	// ErrClosed refuses everything: the store was closed, has failed, or does not lead.
	ErrClosed = errors.New("the store is closed for appends")
	// ErrMisfit refuses batches of a master that do not continue this log.
	ErrMisfit = errors.New("the batches do not continue this log")
	// ErrNotFound says that the log holds no such record.
	ErrNotFound = errors.New("the log holds no such record")
)

// DamageError says that bytes which were once synced and committed cannot be read back as they were written. Its node
// must not vote or lead; the files are left as they are.
type DamageError struct {
	File     string
	Offset   int64 // in File
	Pos      Pos   // in the log; zero when the damage is not in a segment
	Expected string
	Advice   string // what to do
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at offset %d (position %d): expected %s: %s", e.File, e.Offset, e.Pos, e.Expected, e.Advice)
}

const damageAdvice = "a node alone needs the file restored; in a cluster a start sets the log aside and fetches it anew"

// damageAt says that the file of the segment that starts at first does not hold at position p what it should.
func damageAt(file string, first, p Pos, expected string) *DamageError {
	return &DamageError{File: file, Offset: segmentHeaderBytes + int64(p-first), Pos: p, Expected: expected, Advice: damageAdvice}
}

// formatError says why bytes are not a record, unit, batch or header of ours.
type formatError struct {
	what string
	at   Pos
}

func (e *formatError) Error() string { return fmt.Sprintf("%s at position %d", e.what, e.at) }

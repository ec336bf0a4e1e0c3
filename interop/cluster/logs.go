package cluster

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The log as persist/doc.go draws it: segments named by the position of their first batch, a header of 4096 bytes, batches
// one behind the other, zeros. It is read here by hand: code of the broker's own would share its misreadings.
const (
	segmentHeaderBytes = 4096
	batchHeaderBytes   = 56
	batchMagic         = 0x514d7648
)

// CompareLogs reads the logs in some directories from one position to another and says where they part. The nodes may run: what
// is committed does not change.
func CompareLogs(dirs []string, from, to uint64) error {
	var first []byte
	for i, dir := range dirs {
		log, err := readLog(dir, from, to)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		if i == 0 {
			first = log
			continue
		}
		if !bytes.Equal(first, log) {
			at := 0
			for at < len(log) && first[at] == log[at] {
				at++
			}
			return fmt.Errorf("the logs in %s and %s part at position %d", dirs[0], dir, from+uint64(at))
		}
	}
	return nil
}

// readLog returns the bytes of a log in [from, to); all of them must be there, in whole batches.
func readLog(dir string, from, to uint64) ([]byte, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, err
	}
	log := make([]byte, 0, to-from)
	at := from
	for _, name := range names { // Glob sorts
		base, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".log"), 16, 64)
		if err != nil {
			return nil, err
		}
		if base >= to {
			break
		}
		file, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // trimmed at this moment; if it was needed, the position below tells
		} else if err != nil {
			return nil, err
		}
		if at, err = appendBatches(&log, file, base, at, to); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	if at != to {
		return nil, fmt.Errorf("the log has [%d, %d) and not up to %d", from, at, to)
	}
	return log, nil
}

// appendBatches appends a segment's batches from position at on and returns the position behind them.
func appendBatches(log *[]byte, file []byte, base, at, to uint64) (uint64, error) {
	if len(file) < segmentHeaderBytes {
		return at, fmt.Errorf("it has %d bytes", len(file))
	}
	for rest, pos := file[segmentHeaderBytes:], base; pos < to; {
		if len(rest) < batchHeaderBytes || binary.LittleEndian.Uint32(rest) != batchMagic {
			return at, nil // zeros: the segment ends
		}
		size := binary.LittleEndian.Uint32(rest[40:])
		if got := binary.LittleEndian.Uint64(rest[8+8:]); got != pos {
			return at, fmt.Errorf("a batch at %d says that it is at %d", pos, got)
		}
		if size < batchHeaderBytes || int(size) > len(rest) {
			return at, fmt.Errorf("the batch at %d has %d bytes", pos, size)
		}
		if pos == at {
			*log = append(*log, rest[:size]...)
			at += uint64(size)
		}
		rest, pos = rest[size:], pos+uint64(size)
	}
	return at, nil
}

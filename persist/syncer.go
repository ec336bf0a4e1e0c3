package persist

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// backgroundSync is how long bytes stay unsynced at the *_mem levels, at most.
const backgroundSync = 200 * time.Millisecond

// runBackgroundSync bounds how long bytes that count already stay unsynced, at the *_mem levels.
func (l *Log) runBackgroundSync() {
	defer close(l.write.bgDone)
	tick := time.NewTicker(backgroundSync)
	defer tick.Stop()
	for {
		select {
		case <-l.write.bgStop:
			return
		case <-l.failed:
			return
		case <-tick.C:
			if err := l.syncBehind(); err != nil {
				l.fail(fmt.Errorf("syncing %s in the background: %w", l.dir, err))
				return
			}
		}
	}
}

// syncBehind syncs what was received. Whatever lies in earlier segments was synced when they were left. It has a file of
// its own: the kernel reports a failed write-back once to each open file, and the committer must hear of it too.
func (l *Log) syncBehind() error {
	end := Pos(l.received.Load())
	if end <= l.syncedEnd() {
		return nil
	}
	first, _, _ := l.segs.around(end - 1)
	f, err := l.fs.OpenReadWrite(l.segs.name(first))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // trimmed away meanwhile, and so synced when it was left
	}
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return err
	}
	l.stats.syncs.Add(1)
	if raise(&l.synced, end) {
		l.report()
		l.apply.kick()
	}
	return nil
}

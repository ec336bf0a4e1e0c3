package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Syncs of a disk that are timed: so many, each of so many bytes, within a file that has its size already, as a log's has.
const (
	diskSyncs     = 500
	diskSyncBytes = 300
)

// diskTimes are a disk's syncs while nothing is measured, sorted: what a durable message cannot be faster than. Above all
// their p99 says whether somebody else uses the disk.
func diskTimes(dir string) (_ *result, err error) {
	f, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, diskSyncs*diskSyncBytes)); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	r := &result{n: diskSyncs}
	for i := range diskSyncs {
		if _, err := f.WriteAt(make([]byte, diskSyncBytes), int64(i*diskSyncBytes)); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		r.latencies = append(r.latencies, time.Since(began))
	}
	slices.Sort(r.latencies)
	return r, nil
}

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Where things stand in the files, as persist/doc.go draws them.
const (
	segmentHeaderBytes = 4096
	metaSlotBytes      = 4096
	metaSeqOffset      = 16
	metaHintOffset     = 64
)

// segment is a file of a node's log.
type segment struct {
	path  string
	first uint64 // position of its first batch
}

// segments are a node's, oldest first.
func (n *node) segments() (all []segment, err error) {
	names, err := filepath.Glob(filepath.Join(n.store(), "*.log"))
	if err != nil {
		return nil, err
	}
	for _, name := range names { // Glob sorts
		first, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".log"), 16, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, segment{name, first})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no log", n.host.name)
	}
	return all, nil
}

// commitHint is the position up to which the node's meta says that its log is committed and synced.
func (n *node) commitHint() (hint uint64, err error) {
	b, err := os.ReadFile(filepath.Join(n.store(), "meta"))
	if err != nil || len(b) < 2*metaSlotBytes {
		return 0, fmt.Errorf("%s's meta of %d bytes: %w", n.host.name, len(b), err)
	}
	newest := uint64(0)
	for _, slot := range [][]byte{b[:metaSlotBytes], b[metaSlotBytes:]} {
		if seq := binary.LittleEndian.Uint64(slot[metaSeqOffset:]); seq > newest {
			newest, hint = seq, binary.LittleEndian.Uint64(slot[metaHintOffset:])
		}
	}
	return hint, nil
}

// backlogSegments is how much a scenario stores before it damages something that no node holds in memory: 96 MB.
const backlogSegments = 96

// rotten is scenario 24: a bit flips in a sealed segment, of a replica that is down, then of the master under its consumers.
func rotten(s *stage) {
	l := s.loadOf(bulkBytes)
	l.stopConsuming()
	s.must(until(startTimeout, "there is a backlog", func() bool {
		all, err := s.master.segments()
		return err == nil && len(all) > backlogSegments
	}))
	replica := s.c.others(s.master)[0]
	s.fault()
	replica.kill()
	all, err := replica.segments()
	s.must(err)
	s.must(flip(all[len(all)-2].path)) // the index does not hold it yet: the start reads it
	s.must(replica.boot())
	s.mended(replica)
	s.mustSay(replica, "is damaged at offset")
	s.mustSay(replica, "this node has no vote until")
	s.elections(0, 0)
	_, err = s.c.whole()
	s.must(err)

	s.master.kill() // the next one has the backlog in its log alone
	s.service(l, startTimeout)
	s.must(s.master.boot())
	old, err := s.c.whole()
	s.must(err)
	all, err = old.segments()
	s.must(err)
	s.must(flip(all[backlogSegments*3/4].path))
	l.consume(s.ctx)
	s.must(old.wait(startTimeout))
	s.mustSay(old, "is damaged at offset")
	s.service(l, startTimeout)
	s.must(old.boot())
	s.mended(old)
	s.elections(2, 2)
	s.saw("%s: found at its start, fetched anew; %s, the master: found by a consumer, it ended, %s took over, fetched anew", replica.host.name, old.host.name, s.now().host.name)
}

// flip turns a bit in the middle of a file.
func flip(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	b := make([]byte, 1)
	if err == nil {
		_, err = f.ReadAt(b, info.Size()/2)
	}
	if err == nil {
		b[0] ^= 0x10
		_, err = f.WriteAt(b, info.Size()/2)
	}
	return errors.Join(err, f.Close())
}

// truncateReplica is scenario 25. The damaged node and the master alone are no quorum: only one of them has a vote.
func truncateReplica(s *stage) {
	l := s.load()
	replicas := s.c.others(s.master)
	damaged, sound := replicas[0], replicas[1]
	s.must(until(startTimeout, "the last segment holds what the meta knows to be committed", func() bool {
		hint, err := damaged.commitHint()
		all, err2 := damaged.segments()
		return err == nil && err2 == nil && hint > all[len(all)-1].first+segmentHeaderBytes
	}))
	s.fault()
	for _, n := range s.c.nodes {
		n.kill()
	}
	all, err := damaged.segments()
	s.must(err)
	hint, err := damaged.commitHint()
	s.must(err)
	last := all[len(all)-1]
	if hint <= last.first {
		s.must(fmt.Errorf("the log went on to another segment at %d, its hint is %d", last.first, hint))
	}
	s.must(os.Truncate(last.path, segmentHeaderBytes+int64(hint-last.first)/2))
	s.c.mark()
	s.must(damaged.boot())
	s.must(s.master.boot())
	s.nobody(wipedWait)
	s.mustSay(damaged, "is damaged at offset")
	s.mustSay(damaged, "this node has no vote until")
	began := time.Now()
	s.must(sound.boot())
	s.row.gap = s.service(l, startTimeout)
	s.mended(damaged)
	s.saw("%s cut %d bytes short: set aside, no vote, nobody served in %s; %s after the third came %s did, and it was fetched anew",
		damaged.host.name, (hint-last.first+1)/2, wipedWait, ms(time.Since(began)), s.now().host.name)
}

// mended waits until a node that was damaged votes again.
func (s *stage) mended(n *node) {
	s.must(until(wholeTimeout, n.host.name+" has fetched the log and votes", func() bool {
		st, ok := n.status()
		return ok && st.Cluster.Voter && st.Ready
	}))
}

// wipeReplica is scenario 26: the row of the node that was wiped still stands when the master dies.
func wipeReplica(s *stage) {
	l := s.load()
	replicas := s.c.others(s.master)
	wiped, sound := replicas[0], replicas[1]
	s.fault()
	wiped.kill()
	s.master.kill()
	s.must(os.RemoveAll(wiped.store()))
	s.c.mark()
	s.must(wiped.boot())
	s.nobody(wipedWait)
	s.mustSay(sound, "Not enough cluster members")
	s.mustSay(wiped, "Not enough cluster members")
	began := time.Now()
	s.must(s.master.boot())
	s.row.gap = s.service(l, startTimeout)
	s.saw("%s's old vote elected nobody in %s; %s after the master came back %s served", wiped.host.name, wipedWait, ms(time.Since(began)), s.now().host.name)
}

package ha

import (
	"fmt"
	"strings"
)

// Sync is a set of levels that must all hold before a sender is answered.
type Sync uint8

// The levels, in ActiveMQ's words. The quorum levels mean: when committed.
const (
	LocalMem   Sync = 1 << iota // this node has it in memory
	LocalDisk                   // on this node's disk
	RemoteMem                   // N/2 replicas have it in memory
	RemoteDisk                  // on N/2 replicas' disks
	QuorumMem                   // committed, counting what nodes have in memory
	QuorumDisk                  // committed, counting what is on disks
)

const memoryLevels = LocalMem | RemoteMem | QuorumMem

var syncNames = []struct {
	level Sync
	name  string
}{
	{LocalMem, "local_mem"}, {LocalDisk, "local_disk"}, {RemoteMem, "remote_mem"},
	{RemoteDisk, "remote_disk"}, {QuorumMem, "quorum_mem"}, {QuorumDisk, "quorum_disk"},
}

// ParseSync reads a list of level names.
func ParseSync(names []string) (Sync, error) {
	var s Sync
	for _, name := range names {
		level, ok := levelOf(name)
		if !ok {
			return 0, fmt.Errorf("%q is no sync level", name)
		}
		s |= level
	}
	if s == 0 {
		return 0, fmt.Errorf("no sync level given")
	}
	return s, nil
}

func levelOf(name string) (Sync, bool) {
	for _, n := range syncNames {
		if n.name == name {
			return n.level, true
		}
	}
	return 0, false
}

func (s Sync) String() string {
	var names []string
	for _, n := range syncNames {
		if s&n.level != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ",")
}

// Memory says that ends which were received, and not yet synced, count for the commit.
func (s Sync) Memory() bool { return s&^memoryLevels == 0 }

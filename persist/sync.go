package persist

import (
	"fmt"
	"strings"
)

// Sync says what a sender's confirmation waits for: a set of ActiveMQ's levels, all of which must hold.
type Sync uint8

const (
	LocalMem Sync = 1 << iota
	LocalDisk
	RemoteMem
	RemoteDisk
	QuorumMem
	QuorumDisk

	syncAll = 1<<iota - 1
)

var syncNames = []string{"local_mem", "local_disk", "remote_mem", "remote_disk", "quorum_mem", "quorum_disk"}

// ParseSync reads a comma list of levels; true and disk mean local_disk, false and mem local_mem, as levelDB's `sync` has it.
func ParseSync(s string) (Sync, error) {
	var out Sync
next:
	for _, word := range strings.Split(s, ",") {
		switch word = strings.TrimSpace(word); word {
		case "true", "disk":
			out |= LocalDisk
			continue
		case "false", "mem":
			out |= LocalMem
			continue
		}
		for i, name := range syncNames {
			if word == name {
				out |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("sync: %q is no level; use %s, or a comma list of them", word, strings.Join(syncNames, ", "))
	}
	return out, nil
}

// Disk says that bytes count once they are synced; without it they count once they are received.
func (s Sync) Disk() bool { return s&(LocalDisk|RemoteDisk|QuorumDisk) != 0 }

func (s Sync) String() string {
	var words []string
	for i, name := range syncNames {
		if s&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	return strings.Join(words, ",")
}

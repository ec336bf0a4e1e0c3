package node

import (
	"fmt"
	"syscall"

	"github.com/havenmq/havenmq/cmd/internal/config"
)

// A connection is an open file, and so are segments, the index's tables and their successors: a process that spent them
// all on connections could not go on writing its log.
const (
	storeFiles   = 192 // open segments and tables, those that are being made, the log, pipes
	refusedFiles = 33  // of a connector: connections that are only told that there are too many, and its socket
	adminFiles   = 65  // HTTP connections, and the socket
)

// openFiles is how many files the process may have open.
func openFiles() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("RLIMIT_NOFILE: %w", err)
	}
	return int(min(l.Cur, 1<<30)), nil
}

// fitConnections gives each served connector the connections that files leave for it: what it asks for, or its share.
// A warning says that it is less.
func fitConnections(list []config.Connector, files int) (most []int, warning string, err error) {
	asked, served, own := 0, 0, storeFiles+adminFiles
	for _, c := range list {
		if c.URI.Served() {
			asked += c.URI.MaxConnections
			served++
			own += refusedFiles
		}
	}
	room := files - own
	if served > 0 && room < served {
		return nil, "", fmt.Errorf("the process may open %d files and needs %d before its first connection: raise it with ulimit -n, or LimitNOFILE in its unit", files, own+served)
	}
	for _, c := range list {
		n := c.URI.MaxConnections
		if asked > room {
			n = max(1, n*room/asked)
		}
		most = append(most, n)
	}
	if asked > room {
		warning = fmt.Sprintf("The process may open %d files: connectors take %d connections in all, where maximumConnections asks for %d; raise it with ulimit -n, or LimitNOFILE in its unit", files, room, asked)
	}
	return most, warning, nil
}

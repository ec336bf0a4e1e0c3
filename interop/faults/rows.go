package main

import (
	"errors"
	"path"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

// rows is an operator's session with ZooKeeper: what a cluster has there, read and written by hand. One goroutine uses it.
type rows struct {
	conn *zk.Conn
	path string // zkPath/brokerName
}

// mute keeps the client's lines out of the report.
type mute struct{}

func (mute) Printf(string, ...any) {}

// openRows begins a session on the cluster's rows. Close it.
func (s *stage) openRows() *rows {
	conn, _, err := zk.Connect(strings.Split(s.ensemble.addresses(), ","), 6*time.Second, zk.WithLogger(mute{}), zk.WithLogInfo(false))
	s.must(err)
	r := &rows{conn: conn, path: s.c.zkPath + "/faults"}
	if err := until(startTimeout, "a session with ZooKeeper", func() bool { return conn.State() == zk.StateHasSession }); err != nil {
		r.close()
		s.must(err)
	}
	return r
}

func (r *rows) close() { r.conn.Close() }

// deleteAll removes the rows, as `deleteall` of zkCli.sh does. The nodes write theirs again meanwhile.
func (r *rows) deleteAll() error {
	return until(startTimeout, "the rows can be deleted", func() bool { return r.deleteBelow(r.path) == nil })
}

func (r *rows) deleteBelow(p string) error {
	names, _, err := r.conn.Children(p)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := r.deleteBelow(path.Join(p, name)); err != nil && !errors.Is(err, zk.ErrNoNode) {
			return err
		}
	}
	return r.conn.Delete(p, -1)
}

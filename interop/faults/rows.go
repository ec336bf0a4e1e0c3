package main

import (
	"encoding/json"
	"errors"
	"fmt"
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

// epochRow is the newest epoch.
type epochRow struct {
	Epoch uint64 `json:"epoch"`
	Addr  string `json:"repl_addr"`
}

// memberRow is what a node says of itself.
type memberRow struct {
	Addr  string `json:"repl_addr"`
	State string `json:"state"`
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

// changed returns a channel that tells the next change of a row, and what it is now.
func (r *rows) changed(name string) (text []byte, next <-chan zk.Event, err error) {
	text, _, next, err = r.conn.GetW(r.path + "/" + name)
	return text, next, err
}

// member is the name of a node's row.
func (r *rows) member(n *node) (string, error) {
	names, _, err := r.conn.Children(r.path + "/members")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		text, _, err := r.conn.Get(path.Join(r.path, "members", name))
		if err != nil {
			return "", err
		}
		var row memberRow
		if err := json.Unmarshal(text, &row); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if row.Addr == n.addr+":61619" {
			return "members/" + name, nil
		}
	}
	return "", fmt.Errorf("%s has no row", n.host.name)
}

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

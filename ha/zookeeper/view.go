package zookeeper

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-zookeeper/zk"

	"github.com/havenmq/havenmq/ha"
)

// rows is what was read last. Its rows are never changed. Elector.reading guards it.
type rows struct {
	session        int64
	config         *ha.Config
	mandate        *ha.Mandate
	master         *ha.Announcement
	configVersion  int32
	mandateVersion int32
	masterOwner    int64
	members        map[string]member // by name
	known          map[string]bool   // paths that were read in this session
	unreadable     string
}

type member struct {
	row     ha.MemberRow
	version int32
	owner   int64
	seq     int64
}

// refresh reads what is dirty, or everything in a new session. reading is held.
func (e *Elector) refresh() error {
	if s := e.client().SessionID(); e.rows.session != s {
		e.rows = rows{session: s, members: map[string]member{}, known: map[string]bool{}}
		e.ready = false
	}
	if err := e.makeParents(); err != nil {
		return err
	}
	e.rows.unreadable = ""
	for _, name := range []string{configName, mandateName, masterName} {
		if err := e.refreshRow(name); err != nil {
			return err
		}
	}
	if err := e.refreshMembers(); err != nil {
		return err
	}
	if e.rows.unreadable != "" {
		return errors.New(e.rows.unreadable)
	}
	return nil
}

// stale says whether a path must be read, and that it is being read now.
func (e *Elector) stale(p string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.dirty[p] && e.rows.known[p] {
		return false
	}
	delete(e.dirty, p)
	return true
}

// again has a path read once more, as reading it failed.
func (e *Elector) again(p string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dirty[p] = true
}

// get reads a row and watches it, or its coming.
func (e *Elector) get(p string) (data []byte, stat *zk.Stat, err error) {
	for {
		data, stat, _, err = e.client().GetW(p)
		if !errors.Is(err, zk.ErrNoNode) {
			return data, stat, err
		}
		there, _, _, err := e.client().ExistsW(p)
		if err != nil || !there {
			return nil, nil, err
		}
	}
}

func (e *Elector) refreshRow(name string) error {
	p := e.at(name)
	if !e.stale(p) {
		return nil
	}
	data, stat, err := e.get(p)
	if err != nil {
		e.again(p)
		return err
	}
	r := &e.rows
	r.known[p] = true
	switch name {
	case configName:
		r.config = nil
		if stat != nil {
			r.config, err = decodeConfig(data)
			r.configVersion = stat.Version
		}
	case mandateName:
		r.mandate = nil
		if stat != nil {
			r.mandate, err = decodeMandate(data)
			r.mandateVersion = stat.Version
		}
	case masterName:
		r.master, r.masterOwner = nil, 0
		if stat != nil {
			r.masterOwner = stat.EphemeralOwner
			if r.master, err = decodeMaster(data); err != nil { // it decides nothing: whoever leads writes it anew
				e.o.Logf("ZooKeeper: %s is no announcement of a master, and counts as none: %v", p, err)
				r.master, err = &ha.Announcement{}, nil
			}
		}
	}
	if err != nil { // somebody wrote into it by hand: nothing may be decided without it
		r.known[p] = false
		r.unreadable = fmt.Sprintf("%s: %v", p, err)
	}
	return nil
}

func (e *Elector) refreshMembers() error {
	dir := e.at(membersName)
	if e.stale(dir) {
		names, _, _, err := e.client().ChildrenW(dir)
		if err != nil {
			e.ready = e.ready && !errors.Is(err, zk.ErrNoNode) // somebody deleted it: it is made again
			e.again(dir)
			return err
		}
		e.rows.known[dir] = true
		now := map[string]member{}
		for _, name := range names {
			if strings.HasPrefix(name, "m-") {
				now[name] = e.rows.members[name]
			}
		}
		for name := range e.rows.members {
			if _, still := now[name]; !still {
				delete(e.rows.known, path.Join(dir, name))
			}
		}
		e.rows.members = now
	}
	for name := range e.rows.members {
		if err := e.refreshMember(dir, name); err != nil {
			return err
		}
	}
	return nil
}

// refreshMember reads one row. One that cannot be read counts as not there: it is nobody's vote.
func (e *Elector) refreshMember(dir, name string) error {
	p := path.Join(dir, name)
	if !e.stale(p) {
		return nil
	}
	data, stat, _, err := e.client().GetW(p)
	if errors.Is(err, zk.ErrNoNode) {
		delete(e.rows.members, name)
		delete(e.rows.known, p)
		return nil
	}
	if err != nil {
		e.again(p)
		return err
	}
	seq, _ := strconv.ParseInt(strings.TrimPrefix(name, "m-"), 10, 64) // what has no number comes first
	row, err := decodeMember(data)
	if err != nil {
		e.o.Logf("ZooKeeper: %s: %v", p, err)
	}
	e.rows.known[p] = true
	e.rows.members[name] = member{row: row, version: stat.Version, owner: stat.EphemeralOwner, seq: seq}
	return nil
}

// view is what was read last, as ha takes it. reading is held.
func (e *Elector) view(connected bool) ha.View {
	e.serial++
	r := &e.rows
	v := ha.View{Connected: connected, Session: uint64(r.session), Config: r.config, Mandate: r.mandate, Master: r.master, Serial: e.serial,
		ConfigVersion: r.configVersion, MandateVersion: r.mandateVersion}
	for name, m := range r.members {
		if !m.row.NodeID.IsZero() {
			v.Members = append(v.Members, ha.Member{Name: name, Seq: m.seq, Version: m.version, Mine: m.owner == r.session, Row: m.row})
		}
	}
	slices.SortFunc(v.Members, func(a, b ha.Member) int { return int(a.Seq - b.Seq) })
	return v
}

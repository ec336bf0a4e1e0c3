package zookeeper

import (
	"errors"
	"path"
	"strings"

	"github.com/go-zookeeper/zk"

	"github.com/havenmq/havenmq/ha"
)

func (e *Elector) at(name string) string { return e.o.Path + "/" + name }

const (
	configName  = "config"
	mandateName = "epoch"
	membersName = "members"
	masterName  = "master"
)

// multi does t as one Multi, and marks what it touched to be read again.
func (e *Elector) multi(t ha.Txn) ha.Outcome {
	if err := e.prepare(); err != nil {
		return outcomeUnlessDone(err)
	}
	for range 3 { // an announcement that came or went meanwhile is no condition of the caller's
		ops, touched := e.ops(&t)
		results, err := e.client().Multi(ops...)
		if err == nil {
			err = firstError(results)
		}
		e.mu.Lock()
		for _, p := range touched {
			e.dirty[p] = true
		}
		e.mu.Unlock()
		if errors.Is(err, zk.ErrNoNode) { // of the parents too, it may be
			e.reading.Lock()
			e.ready = false
			e.reading.Unlock()
		}
		outcome := outcomeOf(err)
		if outcome != ha.Conflict || t.Announce == nil && !t.Withdraw || !e.announcementMoved() {
			return outcome
		}
	}
	return ha.Conflict
}

// outcomeUnlessDone is for what comes before the Multi: nothing was asked for yet.
func outcomeUnlessDone(err error) ha.Outcome {
	if o := outcomeOf(err); o == ha.Refused {
		return o
	}
	return ha.Unknown
}

// firstError is why a Multi did nothing: of those before it ZooKeeper says no error, of those after it another.
func firstError(results []zk.MultiResponse) error {
	for _, r := range results {
		if r.Error != nil {
			return r.Error
		}
	}
	return nil
}

// announcementMoved reads the announcement again, and says whether it came or went.
func (e *Elector) announcementMoved() bool {
	e.reading.Lock()
	before := e.rows.master != nil
	e.reading.Unlock()
	if _, err := e.look(); err != nil {
		return false
	}
	e.reading.Lock()
	defer e.reading.Unlock()
	return (e.rows.master != nil) != before
}

// prepare makes the paths above the rows, once a session.
func (e *Elector) prepare() error {
	e.reading.Lock()
	defer e.reading.Unlock()
	return e.makeParents()
}

// makeParents makes what is missing. reading is held.
func (e *Elector) makeParents() error {
	if e.ready {
		return nil
	}
	all := strings.Split(e.at(membersName)[1:], "/")
	for i := range all {
		p, acl := "/"+path.Join(all[:i+1]...), zk.WorldACL(zk.PermAll)
		if strings.HasPrefix(p, e.o.Path) {
			acl = e.acl
		}
		if there, _, err := e.client().Exists(p); err != nil {
			return err
		} else if there {
			continue
		}
		if _, err := e.client().Create(p, nil, 0, acl); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
	e.ready = true
	return nil
}

// ops are the checks and writes of t, and the paths that they touch.
func (e *Elector) ops(t *ha.Txn) (ops []any, touched []string) {
	check := func(p string, version int32) { ops = append(ops, &zk.CheckVersionRequest{Path: p, Version: version}) }
	set := func(p string, data []byte, version *int32) {
		touched = append(touched, p)
		if version == nil || *version == ha.Absent {
			ops = append(ops, &zk.CreateRequest{Path: p, Data: data, Acl: e.acl})
			return
		}
		ops = append(ops, &zk.SetDataRequest{Path: p, Data: data, Version: *version})
	}
	check(e.o.Path, -1) // so that an empty question is one too
	switch {
	case t.SetConfig != nil:
		set(e.at(configName), encodeConfig(t.SetConfig), t.IfConfig)
	case t.IfConfig != nil:
		check(e.at(configName), *t.IfConfig)
	}
	switch {
	case t.SetMandate != nil:
		set(e.at(mandateName), encodeMandate(t.SetMandate), t.IfMandate)
	case t.IfMandate != nil:
		check(e.at(mandateName), *t.IfMandate)
	}
	for _, m := range t.IfMembers {
		check(path.Join(e.at(membersName), m.Name), m.Version)
	}
	for _, name := range t.Drop {
		p := path.Join(e.at(membersName), name)
		ops = append(ops, &zk.DeleteRequest{Path: p, Version: -1})
		touched = append(touched, p, e.at(membersName))
	}
	ops, touched = e.memberOps(t, ops, touched)
	return e.masterOps(t, ops, touched)
}

func (e *Elector) memberOps(t *ha.Txn, ops []any, touched []string) ([]any, []string) {
	if t.PutMember == nil {
		return ops, touched
	}
	data := encodeMember(t.PutMember)
	if t.Member.Name == "" {
		return append(ops, &zk.CreateRequest{Path: e.at(membersName) + "/m-", Data: data, Acl: e.acl, Flags: zk.FlagEphemeral | zk.FlagSequence}),
			append(touched, e.at(membersName))
	}
	p := path.Join(e.at(membersName), t.Member.Name)
	return append(ops, &zk.SetDataRequest{Path: p, Data: data, Version: t.Member.Version}), append(touched, p)
}

// masterOps replaces or deletes the announcement, as it is known to be there or not.
func (e *Elector) masterOps(t *ha.Txn, ops []any, touched []string) ([]any, []string) {
	if t.Announce == nil && !t.Withdraw {
		return ops, touched
	}
	e.reading.Lock()
	there, mine := e.rows.master != nil, e.rows.masterOwner == e.client().SessionID()
	e.reading.Unlock()
	p := e.at(masterName)
	touched = append(touched, p)
	if there && (t.Announce != nil || mine) {
		ops = append(ops, &zk.DeleteRequest{Path: p, Version: -1})
	}
	if t.Announce != nil {
		ops = append(ops, &zk.CreateRequest{Path: p, Data: encodeMaster(t.Announce), Acl: e.acl, Flags: zk.FlagEphemeral})
	}
	return ops, touched
}

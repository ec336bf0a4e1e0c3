package persist

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A replica that lacks what its master's log begins with takes the whole log anew, into a store of its own beneath the
// one that it has: incoming/. The old one votes meanwhile. When the new one has caught up it takes the old one's place:
//
//	incoming/ready    it is whole, and closed: from here on it will be the store
//	                  the old segments and the old index go
//	incoming/moving   (the same file, renamed) none of the old ones is left
//	                  index and segments move up, then the meta
//
// A crash anywhere in between is gone on with by the next Open of the directory.
const (
	incomingName = "incoming"
	readyName    = "ready"
	movingName   = "moving"
	damagedName  = "damaged"
)

func incomingDir(o *Options) string { return path.Join(o.Dir, incomingName) }

// StartIncoming makes an empty store in incoming/ of o.Dir, dropping what is there: a log that begins where the segment
// begins whose header (as SegmentHeader gives it) is given. No header: at position 0. It takes Write, Sync and Truncate. ErrFull:
// the disk has no room for it, and nothing is left of it.
func StartIncoming(o Options, header []byte) (*Store, error) {
	if o.FS == nil {
		o.FS = OSFS{}
	}
	if err := DropIncoming(o); err != nil {
		return nil, err
	}
	o.begin = &segmentHeader{}
	if len(header) > 0 {
		h, why := segmentHeader{}, "a header"
		if len(header) == segmentHeaderBytes {
			h, why = decodeSegmentHeader(header)
		}
		if why != "" {
			return nil, fmt.Errorf("starting incoming/: %w: expected %s", ErrMisfit, why)
		}
		o.begin = &h
	}
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return nil, err
	}
	in := o
	in.Dir, in.Tolerant = incomingDir(&o), false
	s, err := Open(in)
	if errors.Is(err, ErrFull) {
		err = errors.Join(err, DropIncoming(o))
	}
	return s, err
}

// ResumeIncoming opens what is in incoming/ of o.Dir; nil if there is nothing. What cannot be used is dropped.
func ResumeIncoming(o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = OSFS{}
	}
	if there, err := exists(o.FS, path.Join(incomingDir(&o), metaName)); err != nil || !there {
		return nil, err
	}
	in := o
	in.Dir, in.Tolerant = incomingDir(&o), false
	s, err := Open(in)
	if err == nil && s.Received() > s.Start() {
		return s, nil
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil && o.Logf != nil {
		o.Logf("what was fetched of the master's log so far is dropped: %v", err)
	}
	return nil, DropIncoming(o)
}

// DropIncoming removes incoming/. Its store must be closed.
func DropIncoming(o Options) error {
	if o.FS == nil {
		o.FS = OSFS{}
	}
	return removeTree(o.FS, incomingDir(&o))
}

// SwitchTo puts incoming/ in the place of the store in o.Dir, which was s; both are closed by it, whatever comes of it. What the
// node remembers stays, but that it votes. Open the directory then. An error is one of the disk.
func (s *Store) SwitchTo(incoming *Store) error {
	own := s.Meta()
	err := incoming.UpdateMeta(func(m *Meta) {
		m.ClusterID, m.NodeID, m.ReplAddr, m.MasterAddr = own.ClusterID, own.NodeID, own.ReplAddr, own.MasterAddr
		m.Promised, m.Config, m.Drained, m.Voter = max(own.Promised, m.Promised), own.Config, own.Drained, false
	})
	dir, fsys := s.dir, s.fs
	err = errors.Join(err, incoming.Close())
	if e := s.Close(); !errors.Is(e, ErrFull) { // else its index was not written: it goes anyhow
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("switching to incoming/: %w", err)
	}
	in := path.Join(dir, incomingName)
	f, err := fsys.Create(path.Join(in, readyName))
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), fsys.SyncDir(in))
	}
	if err == nil {
		err = finishSwitch(fsys, dir, s.weaken["index-kept"])
	}
	if err != nil {
		return fmt.Errorf("switching to incoming/: %w", err)
	}
	return nil
}

func exists(fsys FS, name string) (bool, error) {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, f.Close()
}

// finishSwitch goes on with a switch that has been decided. It may be done again wherever it stopped.
func finishSwitch(fsys FS, dir string, keepIndex bool) error {
	in := path.Join(dir, incomingName)
	ready, err := exists(fsys, path.Join(in, readyName))
	if err != nil {
		return err
	}
	if ready {
		if keepIndex {
			if err := keepOldIndex(fsys, dir); err != nil {
				return err
			}
		}
		if err := dropLog(fsys, dir); err != nil {
			return err
		}
		if err := fsys.Rename(path.Join(in, readyName), path.Join(in, movingName)); err != nil {
			return err
		}
		if err := fsys.SyncDir(in); err != nil {
			return err
		}
	}
	if moving, err := exists(fsys, path.Join(in, movingName)); err != nil || !moving {
		return err
	}
	if err := fsys.MkdirAll(path.Join(dir, indexName)); err != nil {
		return err
	}
	if err := moveFiles(fsys, path.Join(in, indexName), path.Join(dir, indexName), nil); err != nil {
		return err
	}
	if err := moveFiles(fsys, in, dir, []string{lockName, movingName, metaName, reserveName, indexName}); err != nil {
		return err
	}
	if err := moveFiles(fsys, in, dir, []string{lockName, movingName, reserveName, indexName}); err != nil { // the meta is left
		return err
	}
	return removeTree(fsys, in)
}

// keepOldIndex has a switch leave the index as it is: for a simulation that must notice.
func keepOldIndex(fsys FS, dir string) error {
	old, fresh := path.Join(dir, indexName), path.Join(dir, incomingName, indexName)
	return errors.Join(removeTree(fsys, fresh), fsys.MkdirAll(fresh), moveFiles(fsys, old, fresh, nil))
}

// dropLog removes segments and index.
func dropLog(fsys FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for i := len(names) - 1; i >= 0; i-- {
		if _, ok := parseSegmentName(names[i]); ok {
			if err := fsys.Remove(path.Join(dir, names[i])); err != nil {
				return err
			}
		}
	}
	if err := removeTree(fsys, path.Join(dir, indexName)); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// moveFiles moves all files of a directory but some, and returns when that is on disk.
func moveFiles(fsys FS, from, to string, but []string) error {
	names, err := fsys.List(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(but, name) || isNextName(name) {
			continue
		}
		if err := fsys.Rename(path.Join(from, name), path.Join(to, name)); err != nil {
			return err
		}
	}
	return errors.Join(fsys.SyncDir(to), fsys.SyncDir(from))
}

// removeTree removes a directory and what is in it. One that is not there is removed.
func removeTree(fsys FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		at := path.Join(dir, name)
		err := fsys.Remove(at)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = removeTree(fsys, at)
		} else if errors.Is(err, fs.ErrNotExist) { // a directory, to a file system that knows them by what is in them
			err = removeTree(fsys, at)
		}
		if err != nil {
			return err
		}
	}
	if err := fsys.SyncDir(dir); err != nil {
		return err
	}
	if err := fsys.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// setAside moves a damaged log into damaged/, for somebody to look at, and has the node begin with an empty one: it has no
// vote, and remembers what it promised. An earlier damaged/ goes.
func (s *Store) setAside(damage *DamageError) error {
	s.logf("%v", damage)
	s.logf("the log is set aside in %s/%s, and this node has no vote until it has fetched the log from a master", s.dir, damagedName)
	to := path.Join(s.dir, damagedName)
	if err := removeTree(s.fs, to); err != nil {
		return err
	}
	if err := s.fs.MkdirAll(to); err != nil {
		return err
	}
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	if err := s.meta.update(func(m *Meta) { m.Voter = false }); err != nil {
		return err
	}
	for i := len(names) - 1; i >= 0; i-- {
		if strings.HasSuffix(names[i], segmentSuffix) {
			if err := s.fs.Rename(path.Join(s.dir, names[i]), path.Join(to, names[i])); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(s.fs.SyncDir(to), s.fs.SyncDir(s.dir)); err != nil {
		return err
	}
	return s.meta.update(func(m *Meta) { m.LogStart, m.CommitHint, m.TrimAt = 0, 0, 0 })
}

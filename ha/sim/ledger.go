package sim

import (
	"errors"
	"sort"

	"github.com/havenmq/havenmq/persist"
)

// ledger is what the simulation knows of a log: its batches, by their marks. It is read back from the files, each batch once.
type ledger struct {
	start   persist.Pos
	marks   []placed
	checked persist.Pos // up to here it is what others hold
}

// placed is a batch and the file that holds it.
type placed struct {
	persist.Mark
	segment persist.Pos
	file    string
}

func (l *ledger) end() persist.Pos {
	if len(l.marks) == 0 {
		return l.start
	}
	return l.marks[len(l.marks)-1].End
}

// find is the number of the first batch that ends behind p.
func (l *ledger) find(p persist.Pos) int {
	return sort.Search(len(l.marks), func(i int) bool { return l.marks[i].End > p })
}

// at is the mark of the batch that ends at p, if one does.
func (l *ledger) at(p persist.Pos) (persist.Mark, bool) {
	if i := l.find(p) - 1; i >= 0 && l.marks[i].End == p {
		return l.marks[i].Mark, true
	}
	return persist.Mark{End: p}, false
}

func (l *ledger) cut(p persist.Pos) {
	l.marks = l.marks[:l.find(p)]
	l.checked = min(l.checked, p)
}

// extend reads what the store has written since.
func (l *ledger) extend(n *node, s *persist.Store) {
	if err := l.follow(n.w, s); !n.sound(err) {
		return
	}
}

func (l *ledger) follow(w *World, s *persist.Store) error {
	for l.end() < s.Received() {
		b, err := s.ReadBatches(l.end(), readBytes, w.buf[:0])
		if err != nil {
			return err
		}
		w.buf = b[:0]
		if w.marks, err = persist.Marks(l.end(), b, w.marks[:0]); err != nil {
			return err
		}
		if len(w.marks) == 0 {
			return errors.New("the log gives no batch where it goes on")
		}
		for _, m := range w.marks {
			l.add(w, m)
		}
	}
	return nil
}

// readBytes is how much of a log is read at once.
const readBytes = 64 << 10

func (l *ledger) add(w *World, m persist.Mark) {
	p := placed{Mark: m}
	switch n := len(l.marks); {
	case m.Starts:
		name, _ := persist.SegmentFile(m.Base)
		p.segment, p.file = m.Base, storeDir+"/"+name
		w.storage.rotations++
	case n > 0:
		p.segment, p.file = l.marks[n-1].segment, l.marks[n-1].file
	}
	l.marks = append(l.marks, p)
}

// read makes the ledger anew from all that a store holds.
func (l *ledger) read(w *World, s *persist.Store) error {
	*l = ledger{start: s.Start(), marks: l.marks[:0:0], checked: s.Start()}
	rotations := w.storage.rotations
	err := l.follow(w, s)
	w.storage.rotations = rotations
	return err
}

// holds says that the disk has the log up to m, of which [from, m.End) is looked at: at *_disk levels a power loss now would leave it.
func (d *disk) holds(level persist.Sync, from persist.Pos, m persist.Mark) bool {
	own, ok := d.log.at(m.End)
	if ok = ok && own.Sum == m.Sum; !ok || !level.Disk() {
		return ok
	}
	if m.End > d.synced.End {
		return false
	}
	_, offset := persist.SegmentFile(0)
	for i := d.log.find(from); i < len(d.log.marks) && d.log.marks[i].Base < m.End; i++ {
		p := &d.log.marks[i]
		at := offset + int64(p.Base-p.segment)
		if !d.fs.Durable(p.file, at, at+int64(p.End-p.Base)) {
			return false
		}
	}
	return true
}

// found looks at what an opened store holds: whatever was synced must be there.
func (n *node) found() {
	d, s, w := n.disk, n.store, n.w
	was := *d
	if err := d.log.read(w, s); err != nil && d.rot != 0 { // of what rotted it knows already
		d.log = was.log
		d.log.cut(s.Received())
		if err := d.log.follow(w, s); !n.sound(err) {
			return
		}
	} else if !n.sound(err) {
		return
	}
	m := s.Meta()
	if s.Recovery().Unclean {
		w.storage.unclean++
	}
	switch r := s.Recovery(); {
	case r.Damage != nil:
		w.storage.damaged++
		var damage *persist.DamageError
		if errors.As(r.Damage, &damage) && d.rot == 0 && damage.Pos < was.synced.End {
			w.fail("node %d: nothing rotted, its log was synced up to %d, and it finds: %v", n.no, was.synced.End, damage)
		}
		for i := range was.log.marks {
			p := &was.log.marks[i]
			name, _ := persist.SegmentFile(p.segment)
			p.file = storeDir + "/damaged/" + name
		}
		n.lost = append(n.lost, &was)
		d.synced, d.rot = persist.Mark{}, 0
	case was.switching || was.synced.End <= d.log.start:
	case m.CommitHint < was.committed:
		w.fail("I8: node %d knew that its log is committed up to %d, and after a restart up to %d", n.no, was.committed, m.CommitHint)
	default:
		if now, ok := d.log.at(was.synced.End); !ok || now.Sum != was.synced.Sum {
			w.fail("node %d: its log was synced up to %d, and ends at %d after a restart, or is another", n.no, was.synced.End, s.Received())
		}
	}
	if m.Promised < was.promised {
		w.fail("I2: node %d has promised epoch %d, and knows of %d after a restart", n.no, was.promised, m.Promised)
	}
	d.switching = false
	n.noteDisk()
}

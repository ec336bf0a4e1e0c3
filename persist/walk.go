package persist

import "encoding/binary"

const (
	// fewLive is how many things in a segment are looked for in the index rather than in the segment.
	fewLive = 1024
	// walkBytes is how many bytes of a segment can be read in the time of looking at one thing in the index.
	walkBytes = 80
)

// lookInIndex finds what lookThrough finds, by going through all that lives: cheaper where that is little. What passes
// relocateBytes is left for the next look.
func (x *Index) lookInIndex(c *cut, first, end Pos) (*looker, error) {
	l := &looker{cut: c, first: first, end: end, log: x.log, byName: map[Pos]*find{}, stopped: end}
	for _, walk := range []func() error{l.walkRelocated, l.walkBlocks, l.walkRows} {
		if err := walk(); err != nil {
			return nil, err
		}
	}
	return l, l.readFinds()
}

func (l *looker) in(p Pos) bool { return p >= l.first && p < l.end }

// walkRelocated finds the messages that were relocated to the segment.
func (l *looker) walkRelocated() error {
	return l.cut.eachRow([]byte{keyRelocated}, []byte{keyRelocated + 1}, func(key, value []byte) error {
		r, err := decodeRelocated(value)
		if err == nil && l.in(r.at) {
			l.note(Pos(binary.BigEndian.Uint64(key[1:])), r.at)
		}
		return err
	})
}

// walkBlocks finds the entries of those messages, and of those that were not relocated, whether stray or not.
func (l *looker) walkBlocks() error {
	return l.cut.eachRow([]byte{keyBlock}, []byte{keyBlock + 1}, func(key, value []byte) error {
		q, class, no := QueueID(binary.BigEndian.Uint64(key[1:])), key[9], binary.BigEndian.Uint64(key[10:])
		b, err := decodeBlock(no, value)
		if err != nil {
			return err
		}
		for i := range b.slots {
			s := &b.slots[i]
			f := l.byName[s.message]
			if f == nil && s.flags&slotRelocated == 0 && l.in(s.message) {
				f = l.note(s.message, s.message)
			}
			if f != nil {
				f.places = append(f.places, entryKey{q, b.seq(class, s)})
			}
		}
		return nil
	})
}

func (l *looker) walkRows() error {
	for _, kind := range []byte{keyTable, keyPrepared, keyConfig} {
		err := l.cut.eachRow([]byte{kind}, []byte{kind + 1}, func(key, value []byte) error {
			at, _, err := splitPlaced(value)
			if err == nil && l.in(at) {
				l.noteRow(key, at, value)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readFinds reads the messages, as long as all finds together stay below relocateBytes.
func (l *looker) readFinds() (err error) {
	var buf []byte
	l.bytes = 0
	for i, f := range l.finds {
		if l.bytes >= relocateBytes {
			l.finds, l.stopped = l.finds[:i], l.first
			break
		}
		if f.key != "" {
			l.bytes += f.rowBytes
			continue
		}
		var op Op
		if buf, err = l.log.readRecord(f.at, &op, buf); err != nil {
			return err
		}
		l.bytes += f.hold(&op)
	}
	return nil
}

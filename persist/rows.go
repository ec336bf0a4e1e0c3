package persist

import "encoding/binary"

// row is a key's value, nil if there is none. mu is held, and let go of to read LevelDB.
func (x *Index) row(key []byte) ([]byte, error) {
	r, err := x.rowOf(key)
	return r.value, err
}

func (x *Index) rowOf(key []byte) (row, error) {
	if r, ok := x.now.rows[string(key)]; ok {
		return r, nil
	}
	if x.frozen != nil {
		if r, ok := x.frozen.rows[string(key)]; ok {
			return row{r.value, r.value != nil}, nil
		}
	}
	v, err := x.load(key)
	return row{v, v != nil}, err
}

// setRow changes a key; nil deletes it.
func (x *Index) setRow(key, value []byte) error {
	old, err := x.rowOf(key)
	if err != nil {
		return err
	}
	x.live += rowBytes(key, value) - rowBytes(key, old.value)
	x.countRow(key, old.value, -1)
	x.countRow(key, value, 1)
	if _, ok := x.now.rows[string(key)]; ok {
		x.now.bytes -= kvBytes + int64(len(key)+len(old.value))
	}
	if value == nil && !old.stored {
		delete(x.now.rows, string(key))
		return nil
	}
	x.now.rows[string(key)] = row{value, old.stored}
	x.now.bytes += kvBytes + int64(len(key)+len(value))
	return nil
}

// countRow counts what keeps the segment of its record alive.
func (x *Index) countRow(key, value []byte, by int) {
	if value != nil && key[0] != keyStray {
		x.counts.add(Pos(binary.BigEndian.Uint64(value)), by)
	}
}

// rowBytes is what a row keeps alive of the log.
func rowBytes(key, value []byte) uint64 {
	if value == nil || key[0] == keyRelocated || key[0] == keyStray {
		return 0
	}
	return uint64(len(key) + len(value))
}

// name makes an entry known whose record does not stand with its message, or whose message was relocated; unname ends it.
func (x *Index) name(q QueueID, seq Seq, s *slot) error {
	if s.flags&slotStray != 0 {
		if err := x.setRow(strayKey(s.message, q, seq), strayValue); err != nil {
			return err
		}
	}
	if s.flags&slotRelocated != 0 {
		return x.countRelocated(s.message, 1)
	}
	return nil
}

func (x *Index) unname(q QueueID, seq Seq, s *slot) error {
	if s.flags&slotStray != 0 {
		if err := x.setRow(strayKey(s.message, q, seq), nil); err != nil {
			return err
		}
	}
	if s.flags&slotRelocated != 0 {
		return x.countRelocated(s.message, -1)
	}
	return nil
}

// countRelocated changes how many entries claim a relocated message; with none it need not be found any more.
func (x *Index) countRelocated(first Pos, by int) error {
	key := relocatedKey(first)
	v, err := x.row(key)
	if err != nil || v == nil {
		return err
	}
	r, err := decodeRelocated(v)
	if err != nil {
		return err
	}
	if r.entries += uint64(by); r.entries == 0 {
		return x.setRow(key, nil)
	}
	return x.setRow(key, r.encode())
}

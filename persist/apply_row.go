package persist

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
	x.live += uint64(rowBytes(key, value)) - uint64(rowBytes(key, old.value))
	if value == nil && !old.stored {
		if _, ok := x.now.rows[string(key)]; ok {
			delete(x.now.rows, string(key))
			x.now.bytes -= kvBytes + int64(len(key)+len(old.value))
		}
		return nil
	}
	x.now.rows[string(key)] = row{value, old.stored}
	x.now.bytes += kvBytes + int64(len(key)+len(value))
	return nil
}

// rowBytes is what a row keeps alive of the log.
func rowBytes(key, value []byte) int {
	switch {
	case value == nil || key[0] == keyRelocated || key[0] == keyClaim:
		return 0
	case key[0] == keyPrepared:
		return len(value)
	}
	return len(key) + len(value)
}

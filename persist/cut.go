package persist

import (
	"bytes"
	"slices"
	"time"
)

// cutPatience bounds how long a cut waits for the end of the batch under way.
const cutPatience = time.Second

// cut is the index as it was at one moment between two batches. Nothing changes it: it is what was frozen then, and a
// snapshot of LevelDB from before that was written. Release its view.
type cut struct {
	view view
	over *overlay // nil: the view has all
}

// cut makes one, as of a moment after its call. errTailMoved says that it could not be made now.
func (x *Index) cut() (*cut, error) {
	x.flushing.Lock() // so that what is frozen is not written before the view is taken
	defer x.flushing.Unlock()
	select {
	case <-x.boundary: // of an earlier wish
	default:
	}
	x.mu.Lock()
	waited, inBatch := x.frozen != nil, x.inBatch
	switch {
	case waited:
	case inBatch:
		x.wanted = true
	default:
		x.freeze()
	}
	x.mu.Unlock()
	if waited {
		return nil, errTailMoved
	}
	if inBatch {
		select {
		case <-x.boundary:
		case <-time.After(cutPatience):
			return nil, errTailMoved
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	v, err := x.look()
	return &cut{v, x.frozen}, err
}

// block is a block, nil if it is not there. Nobody may change it.
func (c *cut) block(q QueueID, class uint8, no uint64) (*block, error) {
	if l := laneIn(c.over, q, class); l != nil {
		if b := l.find(no); b != nil {
			return b, nil
		}
	}
	value, err := c.view.get(blockKey(nil, q, class, no))
	if err != nil || value == nil {
		return nil, err
	}
	return decodeBlock(no, value)
}

// row is a key's value, nil if there is none.
func (c *cut) row(key []byte) ([]byte, error) {
	if c.over != nil {
		if r, ok := c.over.rows[string(key)]; ok {
			return r.value, nil
		}
	}
	return c.view.get(key)
}

// eachRow calls f for each row whose key is in [from, to), in an order that is the same each time.
func (c *cut) eachRow(from, to []byte, f func(key, value []byte) error) error {
	if c.over != nil {
		var keys []string
		for k, r := range c.over.rows {
			if r.value != nil && k >= string(from) && k < string(to) {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			if err := f([]byte(k), c.over.rows[k].value); err != nil {
				return err
			}
		}
	}
	it := c.view.between(from, to)
	defer it.Release()
	for it.Next() {
		if c.over != nil {
			if _, changed := c.over.rows[string(it.Key())]; changed {
				continue
			}
		}
		if err := f(bytes.Clone(it.Key()), it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}

// strays are the entries whose records do not stand with their messages, by the messages' names, of which there are
// some in [from, to).
func (c *cut) strays(from, to Pos) (map[Pos][]entryKey, error) {
	found := map[Pos][]entryKey{}
	err := c.eachRow(strayPrefix(from), strayPrefix(to), func(key, _ []byte) error {
		name, at, err := splitStray(key)
		found[name] = append(found[name], at)
		return err
	})
	return found, err
}

// entries looks up entries of a cut, many of which are in the same blocks.
type entries struct {
	cut    *cut
	blocks map[blockAt]*block
}

type blockAt struct {
	q     QueueID
	class uint8
	no    uint64
}

const keepBlocks = 1024

func (c *cut) entries() *entries { return &entries{c, map[blockAt]*block{}} }

// get is an entry that lives.
func (e *entries) get(k entryKey) (_ Entry, ok bool, err error) {
	at := blockAt{k.q, uint8(k.s.Class()), k.s.Counter() >> blockShift}
	b, known := e.blocks[at]
	if !known {
		if len(e.blocks) >= keepBlocks {
			clear(e.blocks)
		}
		if b, err = e.cut.block(k.q, at.class, at.no); err != nil {
			return Entry{}, false, err
		}
		e.blocks[at] = b
	}
	if b == nil {
		return Entry{}, false, nil
	}
	s := b.get(uint8(k.s.Counter()))
	if s == nil {
		return Entry{}, false, nil
	}
	return b.entry(at.class, s), true, nil
}

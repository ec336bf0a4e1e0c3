package persist

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"path"
)

// IndexHash is a hash of what the index says, whatever its shape: the same log makes the same hash, after any history of
// flushes, restarts and replays. It reads everything; nothing may be applied meanwhile.
func (s *Store) IndexHash() (string, error) {
	x, ok := s.index.(*Index)
	if !ok {
		return "", ErrNotFound
	}
	return x.hash()
}

// ReplayHash is the IndexHash of an index that is built anew from this store's log, from log_start up to what is
// applied, in memory. Nothing may be appended meanwhile.
func (s *Store) ReplayHash() (string, error) {
	s.keeping.Lock() // no segment is dropped meanwhile
	defer s.keeping.Unlock()
	o := s.o
	fresh, err := openIndex(NewMemFS(), path.Join("replay", indexName), s.Log, &o)
	if err != nil {
		return "", err
	}
	x := fresh.(*Index)
	defer x.close()
	if err := s.replayInto(x); err != nil {
		return "", err
	}
	return x.hash()
}

// replayInto applies the whole log to x.
func (s *Store) replayInto(x *Index) error {
	end := s.Committed()
	for p := s.logStart(); p < end; {
		g, f, err := s.segs.pin(p)
		if err != nil {
			return err
		}
		r := newBatchReader(f, g.first, p, min(end, s.endOf(g)))
		for r.pos < r.limit {
			h, batch, why, err := r.next()
			if why != "" {
				s.segs.unpin(g)
				if err == nil || err == io.EOF {
					err = damageAt(s.segs.name(g.first), g.first, r.pos, why)
				}
				return err
			}
			if err := applyUnits(x, batch[batchHeaderBytes:], h.base+batchHeaderBytes, h.end()); err != nil {
				s.segs.unpin(g)
				return err
			}
		}
		p = r.pos
		s.segs.unpin(g)
	}
	return nil
}

func applyUnits(x *Index, units []byte, p, end Pos) error {
	for it := (unitReader{rest: units}); len(it.rest) > 0; {
		if !it.next() {
			return &formatError{"a unit that passes its batch", p}
		}
		base := p + Pos(it.off)
		x.beginUnit(it.unit, base)
		if err := eachOpOf(it.unit, base, x.apply); err != nil {
			return err
		}
	}
	return x.applied(end)
}

// hash goes through queues, then rows.
func (x *Index) hash() (string, error) {
	h := sha256.New()
	err := x.eachQueue(func(q QueueID) error {
		s := x.queue(q)
		if s == (QueueState{}) {
			return nil
		}
		writeNumbers(h, uint64(q), s.Depth, s.DepthBytes)
		writeNumbers(h, s.Tails[:]...)
		var list []Entry
		for from := Seq(0); ; from = list[len(list)-1].Seq + 1 {
			var err error
			if list, err = x.entries(q, from, 1024, list[:0]); err != nil {
				return err
			}
			for i := range list {
				writeEntry(h, &list[i])
			}
			if len(list) < 1024 {
				return nil
			}
		}
	})
	if err != nil {
		return "", err
	}
	for _, kind := range []byte{keyTable, keyPrepared, keyConfig} {
		err := x.eachRow([]byte{kind}, func(key, value []byte) (bool, error) {
			_, v, err := splitPlaced(value)
			writeNumbers(h, uint64(len(key)), uint64(len(v)))
			h.Write(key)
			h.Write(v)
			return true, err
		})
		if err != nil {
			return "", err
		}
	}
	live, _ := x.sizes()
	writeNumbers(h, live)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// eachQueue calls f for each queue that has a row, in order.
func (x *Index) eachQueue(f func(q QueueID) error) error {
	ids, err := x.queueIDs()
	if err != nil {
		return err
	}
	for _, q := range ids {
		if err := f(q); err != nil {
			return err
		}
	}
	return nil
}

func writeNumbers(h hash.Hash, list ...uint64) {
	for _, n := range list {
		h.Write(binary.BigEndian.AppendUint64(nil, n))
	}
}

func writeEntry(h hash.Hash, e *Entry) {
	writeNumbers(h, uint64(e.Seq), uint64(e.Message), uint64(e.SizeBytes), uint64(e.ShareBytes), uint64(e.ExpiryMs),
		uint64(e.NotBeforeMs), uint64(e.Attempts), uint64(len(e.Note)), uint64(len(e.Assign.Session)),
		uint64(e.Assign.PacketID), uint64(e.Assign.State))
	h.Write(e.Note)
	h.Write(e.Assign.Session)
}

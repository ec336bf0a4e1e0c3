package persist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"sort"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/iterator"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

const (
	tableName    = "table"
	tableTmpName = "table.new"
)

// table is a stepped store's keyValues: sorted pairs in memory, and one file that is written anew with each Write. It starts
// no goroutine, and is for indexes of some hundred keys. Pairs are replaced, never changed: a snapshot is the slice.
type table struct {
	fs    FS
	dir   string
	pairs tablePairs
	gone  bool
}

type pair struct{ key, value []byte }

// tablePairs are sorted by key.
type tablePairs []pair

func (t tablePairs) Len() int                      { return len(t) }
func (t tablePairs) Index(i int) (key, val []byte) { return t[i].key, t[i].value }

// Search is the index of the first key that is not below the given one.
func (t tablePairs) Search(key []byte) int {
	return sort.Search(len(t), func(i int) bool { return bytes.Compare(t[i].key, key) >= 0 })
}

func (t tablePairs) Get(key []byte, _ *opt.ReadOptions) ([]byte, error) {
	if i := t.Search(key); i < len(t) && bytes.Equal(t[i].key, key) {
		return t[i].value, nil
	}
	return nil, leveldb.ErrNotFound
}

func (t tablePairs) NewIterator(r *util.Range, _ *opt.ReadOptions) iterator.Iterator {
	if r != nil {
		from, to := t.Search(r.Start), len(t)
		if r.Limit != nil {
			to = max(t.Search(r.Limit), from)
		}
		t = t[from:to]
	}
	return iterator.NewArrayIterator(t)
}

// Release does nothing: nothing is held.
func (t tablePairs) Release() {}

// openTable reads what the last Write left.
func openTable(fsys FS, dir string) (*table, error) {
	t := &table{fs: fsys, dir: dir}
	f, err := fsys.Open(path.Join(dir, tableName))
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	b := make([]byte, size)
	if err == nil && size > 0 {
		if _, err = f.ReadAt(b, 0); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = t.decode(b)
	}
	return t, err
}

func (t *table) encode() []byte {
	b := make([]byte, 4, 4096)
	for _, p := range t.pairs {
		b = binary.AppendUvarint(b, uint64(len(p.key)))
		b = append(b, p.key...)
		b = binary.AppendUvarint(b, uint64(len(p.value)))
		b = append(b, p.value...)
	}
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

func (t *table) decode(b []byte) error {
	if len(b) < 4 || binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return fmt.Errorf("%s/%s: its checksum does not hold", t.dir, tableName)
	}
	f := fields{b: b[4:]}
	for len(f.b) > 0 && f.err == "" {
		t.pairs = append(t.pairs, pair{f.bytes(math.MaxUint32), f.bytes(math.MaxUint32)})
	}
	if f.err != "" {
		return fmt.Errorf("%s/%s: %s", t.dir, tableName, f.err)
	}
	return nil
}

func (t *table) Get(key []byte, ro *opt.ReadOptions) ([]byte, error) {
	if t.gone {
		return nil, leveldb.ErrClosed
	}
	return t.pairs.Get(key, ro)
}

func (t *table) NewIterator(r *util.Range, ro *opt.ReadOptions) iterator.Iterator {
	return t.pairs.NewIterator(r, ro)
}

func (t *table) snapshot() (snapshot, error) {
	if t.gone {
		return nil, leveldb.ErrClosed
	}
	return t.pairs, nil
}

// Write replaces the file. ErrFull: the disk has no room, and nothing has changed.
func (t *table) Write(b *leveldb.Batch, _ *opt.WriteOptions) error {
	if t.gone {
		return leveldb.ErrClosed
	}
	var c tableChanges
	if err := b.Replay(&c); err != nil {
		return err
	}
	next := &table{dir: t.dir, pairs: c.mergeInto(t.pairs)}
	tmp := path.Join(t.dir, tableTmpName)
	f, err := t.fs.Create(tmp)
	if err != nil {
		return orFull(err)
	}
	_, err = f.WriteAt(next.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return orFull(errors.Join(err, t.fs.Remove(tmp)))
	}
	if err := t.fs.Rename(tmp, path.Join(t.dir, tableName)); err != nil {
		return err
	}
	if err := t.fs.SyncDir(t.dir); err != nil {
		return err
	}
	t.pairs = next.pairs
	return nil
}

func (t *table) Close() error {
	t.gone = true
	return nil
}

// tableChanges are a batch's: a nil value deletes. The last of one key counts.
type tableChanges struct{ list []pair }

// Put is leveldb.BatchReplay, as Delete is.
func (c *tableChanges) Put(key, value []byte) {
	c.list = append(c.list, pair{bytes.Clone(key), append([]byte{}, value...)})
}

func (c *tableChanges) Delete(key []byte) { c.list = append(c.list, pair{bytes.Clone(key), nil}) }

func (c *tableChanges) mergeInto(old tablePairs) tablePairs {
	slices.SortStableFunc(c.list, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	out := make(tablePairs, 0, len(old)+len(c.list))
	for i, p := range c.list {
		if i+1 < len(c.list) && bytes.Equal(c.list[i+1].key, p.key) {
			continue
		}
		n := old.Search(p.key)
		out = append(out, old[:n]...)
		if old = old[n:]; len(old) > 0 && bytes.Equal(old[0].key, p.key) {
			old = old[1:]
		}
		if p.value != nil {
			out = append(out, p)
		}
	}
	return append(out, old...)
}

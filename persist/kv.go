package persist

import (
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/iterator"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// keyValues is what the index is written to: LevelDB, or a stepped store's table. Get answers leveldb.ErrNotFound for a key
// that is not there. Write is all or nothing, and synced. Any goroutine.
type keyValues interface {
	Get(key []byte, ro *opt.ReadOptions) ([]byte, error)
	NewIterator(slice *util.Range, ro *opt.ReadOptions) iterator.Iterator
	Write(b *leveldb.Batch, wo *opt.WriteOptions) error
	Close() error
	snapshot() (snapshot, error)
}

// snapshot is keyValues as it was at one moment; release it.
type snapshot interface {
	Get(key []byte, ro *opt.ReadOptions) ([]byte, error)
	NewIterator(slice *util.Range, ro *opt.ReadOptions) iterator.Iterator
	Release()
}

type levelDB struct{ *leveldb.DB }

func (d levelDB) snapshot() (snapshot, error) { return d.GetSnapshot() }

package persist

import "encoding/binary"

// Keys of LevelDB; doc.go draws them and what stands behind them. Numbers in them are big-endian, so that they sort.
const (
	keyState     = 'x'
	keyQueue     = 'q'
	keyBlock     = 'b'
	keyTable     = 't'
	keyRelocated = 'l'
	keyStray     = 's'
	keyPrepared  = 'p'
	keyConfig    = 'c'
)

// indexVersion stands in the state's key: an index of another version has no state, and is built anew.
const indexVersion = 2

var stateKey = []byte{keyState, indexVersion}

func queueRowKey(dst []byte, q QueueID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, keyQueue), uint64(q))
}

func laneKey(dst []byte, q QueueID, class uint8) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, keyBlock), uint64(q)), class)
}

func blockKey(dst []byte, q QueueID, class uint8, no uint64) []byte {
	return binary.BigEndian.AppendUint64(laneKey(dst, q, class), no)
}

func tableKey(dst []byte, t Table, key []byte) []byte {
	return append(append(dst, keyTable, byte(t)), key...)
}

func preparedKey(id []byte) []byte { return append([]byte{keyPrepared}, id...) }

func relocatedKey(first Pos) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyRelocated}, uint64(first))
}

func strayPrefix(name Pos) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyStray}, uint64(name))
}

// strayValue says nothing; an empty one could not be told from none.
var strayValue = []byte{1}

// strayKey names an entry whose record does not stand with its message.
func strayKey(name Pos, q QueueID, s Seq) []byte {
	k := make([]byte, 0, 25)
	k = binary.BigEndian.AppendUint64(append(k, keyStray), uint64(name))
	k = binary.BigEndian.AppendUint64(k, uint64(q))
	return binary.BigEndian.AppendUint64(k, uint64(s))
}

// splitStray is the inverse of strayKey.
func splitStray(k []byte) (name Pos, at entryKey, err error) {
	if len(k) != 25 {
		return 0, at, errBlock
	}
	be := binary.BigEndian
	return Pos(be.Uint64(k[1:])), entryKey{QueueID(be.Uint64(k[9:])), Seq(be.Uint64(k[17:]))}, nil
}

// placed is the value of a table's row, a prepared transaction and the seats: it stands behind its record's position.
func placed(p Pos, value []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(value)), uint64(p)), value...)
}

func splitPlaced(v []byte) (Pos, []byte, error) {
	if len(v) < 8 {
		return 0, nil, errBlock
	}
	return Pos(binary.BigEndian.Uint64(v)), v[8:], nil
}

// relocated is where a message lies that was relocated, and how many entries claim it.
type relocated struct {
	at      Pos
	entries uint64
}

func (r relocated) encode() []byte {
	return binary.AppendUvarint(binary.BigEndian.AppendUint64(nil, uint64(r.at)), r.entries)
}

func decodeRelocated(v []byte) (relocated, error) {
	at, rest, err := splitPlaced(v)
	if err != nil {
		return relocated{}, err
	}
	f := fields{b: rest}
	r := relocated{at, f.uvarint()}
	if f.err != "" || len(f.b) != 0 {
		return relocated{}, errBlock
	}
	return r, nil
}

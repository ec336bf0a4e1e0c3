package sim

import (
	"encoding/binary"

	"github.com/havenmq/havenmq/persist"
)

// entryBytes is how long an entry is, in positions.
const entryBytes = 16

// entry is a batch: an epoch's beginning (id 0) or a message.
type entry struct{ epoch, id uint64 }

// disk is a node's log and meta. What is not synced may be lost.
type disk struct {
	log    []entry
	synced int // entries
	meta   persist.Meta
	commit int // known to be committed: what a restart finds
}

func pos(n int) persist.Pos   { return persist.Pos(n * entryBytes) }
func count(p persist.Pos) int { return int(p) / entryBytes }

func (d *disk) history() (h []persist.EpochStart) {
	for i, e := range d.log {
		if len(h) == 0 || h[len(h)-1].Epoch != e.epoch {
			h = append(h, persist.EpochStart{Epoch: e.epoch, Start: pos(i)})
		}
	}
	return h
}

func encode(list []entry) (b []byte) {
	for _, e := range list {
		b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, e.epoch), e.id)
	}
	return b
}

func decode(b []byte) (list []entry) {
	for ; len(b) >= entryBytes; b = b[entryBytes:] {
		list = append(list, entry{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])})
	}
	return list
}

package core

import (
	"encoding/binary"

	"github.com/havenmq/havenmq/persist"
)

// grant is what an entry's note says: what an inbox's filters granted, or why it is a dead letter. It is shared by
// entries and never changed.
//
//	note: 0x01 flags id…    flags: QoS in bits 0–1, bit 2 asRetain, bit 3 retained; ids as uvarints
//	      0x02 reason…
//	      0x03 kind name(string) reason…    where it died: a queue, or a durable subscription's topic
type grant struct {
	qos      uint8
	asRetain bool
	retained bool
	ids      []uint32
	reason   string
	origin   Destination
	note     []byte
}

const (
	noteGrant  = 1
	noteReason = 2 // of an origin whose name is too long
	noteOrigin = 3
)

// maxFilterIDs bounds the identifiers of one grant, so that its note fits.
const maxFilterIDs = (persist.MaxNoteBytes - 2) / binary.MaxVarintLen32

// plainGrants are those without identifiers: QoS, asRetain, retained.
var plainGrants = func() (g [16]grant) {
	for i := range g {
		g[i] = grant{qos: uint8(i & 3), asRetain: i&4 != 0, retained: i&8 != 0, note: []byte{noteGrant, byte(i)}}
	}
	return g
}()

func makeGrant(qos uint8, asRetain, retained bool, ids []uint32) *grant {
	flags := qos & 3
	if asRetain {
		flags |= 4
	}
	if retained {
		flags |= 8
	}
	if len(ids) == 0 {
		return &plainGrants[flags]
	}
	ids = ids[:min(len(ids), maxFilterIDs)]
	g := &grant{qos: qos & 3, asRetain: asRetain, retained: retained, ids: ids, note: []byte{noteGrant, flags}}
	for _, id := range ids {
		g.note = binary.AppendUvarint(g.note, uint64(id))
	}
	return g
}

func makeReason(reason string, origin Destination) *grant {
	reason = reason[:min(len(reason), persist.MaxNoteBytes-1)]
	note := append(appendString([]byte{noteOrigin, byte(origin.Kind)}, origin.Name), reason...)
	if origin.IsZero() || len(note) > persist.MaxNoteBytes {
		return &grant{reason: reason, note: append([]byte{noteReason}, reason...)}
	}
	return &grant{reason: reason, origin: origin, note: note}
}

// readReason reads a noteOrigin behind its first byte; nil is none.
func readReason(b []byte) *grant {
	r := reader{b: b}
	origin := Destination{Kind(r.byte()), r.string(persist.MaxNoteBytes)}
	if r.bad || origin.IsZero() || origin.Kind > TempTopic {
		return nil
	}
	return makeReason(string(r.b), origin)
}

// why says that it is a dead letter's: nil is nobody's.
func (g *grant) why() (reason string, origin Destination) {
	if g == nil {
		return "", Destination{}
	}
	return g.reason, g.origin
}

// readNote is the inverse; what it does not know is no grant.
func readNote(note []byte) *grant {
	if len(note) >= 1 && note[0] == noteReason {
		return makeReason(string(note[1:]), Destination{})
	}
	if len(note) >= 1 && note[0] == noteOrigin {
		return readReason(note[1:])
	}
	if len(note) < 2 || note[0] != noteGrant || note[1] > 15 {
		return nil
	}
	flags, rest := note[1], note[2:]
	var ids []uint32
	for len(rest) > 0 {
		id, n := binary.Uvarint(rest)
		if n <= 0 || id > 1<<32-1 {
			return nil
		}
		ids, rest = append(ids, uint32(id)), rest[n:]
	}
	return makeGrant(flags&3, flags&4 != 0, flags&8 != 0, ids)
}

func (g *grant) bytes() []byte {
	if g == nil {
		return nil
	}
	return g.note
}

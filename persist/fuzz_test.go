package persist

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzSegmentHeader(f *testing.F) {
	f.Add((&segmentHeader{first: 5}).encode(), true)
	f.Add((&segmentHeader{cluster: ID{1}, first: 500, prevCRC: 7, history: []EpochStart{{1, 0}, {3, 100}}}).encode(), false)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if len(b) < segmentHeaderBytes {
			b = append(b, make([]byte, segmentHeaderBytes-len(b))...)
		}
		b = b[:segmentHeaderBytes]
		if seal {
			sealHeader(b)
		}
		h, why := decodeSegmentHeader(b)
		if why != "" {
			return
		}
		again, why := decodeSegmentHeader(h.encode())
		if d := cmp.Diff(h, again, cmp.AllowUnexported(segmentHeader{})); why != "" || d != "" {
			t.Fatal(why, d)
		}
	})
}

func FuzzBatch(f *testing.F) {
	u, _ := wholeUnit()
	batch := append(make([]byte, batchHeaderBytes), appendUvarint(nil, uint64(u.Len()))...)
	batch = append(batch, u.buf...)
	h := batchHeader{epoch: 1, base: 100, length: uint32(len(batch)), units: 1}
	h.seal(batch)
	f.Add(batch, uint64(100), true)
	f.Add(batch, uint64(100), false)
	f.Fuzz(func(t *testing.T, b []byte, p uint64, seal bool) {
		if len(b) < batchHeaderBytes {
			return
		}
		h, why := parseBatchHeader(b, Pos(p))
		if why != "" || int(h.length) > len(b) {
			return
		}
		b = bytes.Clone(b[:h.length])
		if seal {
			h.seal(b)
		}
		if checkBatch(&h, b) != "" {
			return
		}
		again := h
		if crc := again.seal(bytes.Clone(b)); crc != h.crc || again != h {
			t.Fatalf("%+v, then %+v", h, again)
		}
		n := uint32(0)
		for it := (unitReader{rest: b[batchHeaderBytes:]}); len(it.rest) > 0; n++ {
			if !it.next() || len(it.unit) == 0 || !bytes.Equal(b[batchHeaderBytes+it.off:][:len(it.unit)], it.unit) {
				t.Fatal("a unit is not where it says")
			}
		}
		if n != h.units {
			t.Fatalf("%d units of %d", n, h.units)
		}
	})
}

func FuzzMeta(f *testing.F) {
	m := Meta{ClusterID: ID{1}, NodeID: ID{2}, ReplAddr: "a", BootID: "b", MasterAddr: "c", Promised: 3, Voter: true, CommitHint: 4, Config: []byte("d")}
	b, err := m.encode(9)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		slot := make([]byte, metaSlotBytes)
		copy(slot, b)
		sealMeta(slot)
		m, seq, ok := decodeMeta(slot)
		if !ok {
			return
		}
		out, err := m.encode(seq)
		if err != nil {
			t.Fatal(err)
		}
		again, seq2, ok := decodeMeta(out)
		if d := cmp.Diff(m, again); !ok || seq2 != seq || d != "" {
			t.Fatal(d)
		}
	})
}

// Whatever stands in the files, recovery answers: damage, or a log that stays as it is when it is recovered again. Check
// says the same, and changes nothing.
func FuzzRecovery(f *testing.F) {
	for _, size := range []int{5, 300} {
		w := writeLog(f, 4, size)
		body := w.fs.names[w.segments(f)[0]].data[segmentHeaderBytes:]
		body = body[:min(int(w.end), len(body))]
		f.Add(body, uint64(0), uint16(0), byte(0), false)
		f.Add(body, uint64(w.end), uint16(100), byte(1), false)
		f.Add(body, uint64(0), uint16(w.base[2]), byte(0), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, hint uint64, at uint16, with byte, torn bool) {
		if len(body) > 0 {
			body = bytes.Clone(body)
			body[int(at)%len(body)] ^= with
		}
		fs := NewMemFS()
		fs.MkdirAll("d")
		m := Meta{NodeID: ID{1}, CommitHint: Pos(hint)}
		mf, err := createMeta(fs, "d", m)
		if err != nil {
			t.Fatal(err)
		}
		mf.close()
		file, err := fs.Create("d/" + segmentName(0))
		if err != nil {
			t.Fatal(err)
		}
		if !torn {
			file.WriteAt((&segmentHeader{}).encode(), 0)
		}
		file.WriteAt(body, segmentHeaderBytes)
		report, err := Check(fs, "d", nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := recoverLog(fs, "d", m, false, 0)
		var damage *DamageError
		if err != nil {
			if !errors.As(err, &damage) || len(report.Damage) == 0 {
				t.Fatalf("%v; Check found %v", err, report.Damage)
			}
			return
		}
		if report.End != r.pos && len(report.Damage) == 0 || report.TornBytes != r.cut && !torn {
			t.Fatalf("recovered to %d, cut %d; Check: %+v", r.pos, r.cut, report)
		}
		again, err := recoverLog(fs, "d", m, false, 0)
		if err != nil || again.pos != r.pos || again.cut != 0 || again.crc != r.crc {
			t.Fatalf("recovered to %d, then to %d, cut %d: %v", r.pos, again.pos, again.cut, err)
		}
	})
}

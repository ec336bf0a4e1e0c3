package persist

import (
	"strings"
	"testing"
)

// checked runs Check on the files, and wants them as they were.
func (w *written) checked(t *testing.T) Report {
	t.Helper()
	before := w.content()
	var steps, done, total int64
	r, err := Check(w.fs, "d", func(d, all int64) {
		if d < done || d > all || total != 0 && all != total {
			t.Errorf("progress went from %d of %d to %d of %d", done, total, d, all)
		}
		steps, done, total = steps+1, d, all
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Segments) > 0 && (done != total || steps == 0) {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	for name, b := range w.content() {
		if string(before[name]) != string(b) {
			t.Errorf("%s was changed", name)
		}
	}
	return r
}

func TestCheckOfASoundLog(t *testing.T) {
	w := writeLog(t, 40, 600)
	r := w.checked(t)
	if len(r.Damage) != 0 || r.LogStart != 0 || r.End != w.end || r.Committed != w.end || r.TornBytes != 0 {
		t.Errorf("%+v", r)
	}
	if len(r.Segments) != len(w.segments(t)) || r.Segments[0].File != w.segments(t)[0] || r.Segments[0].End != r.Segments[1].First {
		t.Errorf("segments %+v", r.Segments)
	}
	if r.Batches != 41 || r.Units != 41 || r.Operations[CodeMessage] != 40 || r.Operations[CodeEpochBegin] != 1 {
		t.Errorf("%d batches, %d units, %v", r.Batches, r.Units, r.Operations)
	}
	if len(r.Epochs) != 1 || r.Epochs[0].Epoch != 1 || r.Meta.NodeID.IsZero() || !r.Meta.Clean {
		t.Errorf("epochs %v, meta %+v", r.Epochs, r.Meta)
	}
}

func TestCheckFindsEachDamage(t *testing.T) {
	w := writeLog(t, 60, 600)
	segs := w.segments(t)
	var want []Pos
	for _, i := range []int{3, 30, 58} { // in segments of their own
		w.patchAt(t, w.base[i]+70, flip)
		want = append(want, w.base[i])
	}
	r := w.checked(t)
	if len(r.Damage) != 3 {
		t.Fatalf("%v", r.Damage)
	}
	for i, d := range r.Damage {
		if file, off := w.place(t, want[i]); d.Pos != want[i] || d.File != file || d.Offset != off {
			t.Errorf("want damage of %s at %d: %v", file, want[i], d)
		}
	}
	if len(r.Segments) != len(segs) {
		t.Errorf("%d segments of %d were looked at", len(r.Segments), len(segs))
	}
}

func TestCheckOfATornTail(t *testing.T) {
	w := writeLog(t, 6, 100)
	w.forget(t)
	w.patchAt(t, w.base[6]+70, flip)
	r := w.checked(t)
	if len(r.Damage) != 0 || r.End != w.base[6] || r.TornBytes != int64(w.end-w.base[6]) || r.Committed != w.base[5] {
		t.Errorf("%+v", r)
	}
	w.forget(t, func(m *Meta) { m.MemAcked, m.BootID = true, "before" })
	w.patchAt(t, w.base[3]+70, flip)
	if r = w.checked(t); len(r.Damage) != 0 || r.End != w.base[3] {
		t.Errorf("a power loss at a *_mem level: %+v", r)
	}
	w = writeLog(t, 40, 600)
	segs := w.segments(t)
	w.forget(t)
	w.patch(t, segs[len(segs)-1], 0, func(b []byte) { clear(b) })
	if r = w.checked(t); len(r.Damage) != 0 || len(r.Segments) != len(segs)-1 || r.TornBytes == 0 {
		t.Errorf("%+v", r)
	}
}

func TestCheckOfFilesThatAreNone(t *testing.T) {
	w := writeLog(t, 40, 600)
	segs := w.segments(t)
	delete(w.fs.names, segs[1])
	if r := w.checked(t); len(r.Damage) == 0 || !strings.Contains(r.Damage[0].Error(), segs[1][2:]) {
		t.Errorf("%+v", r.Damage)
	}
	delete(w.fs.names, segs[0])
	if r := w.checked(t); len(r.Damage) != 1 || r.Damage[0].File != segs[0] {
		t.Errorf("%+v", r.Damage)
	}
	w.patch(t, "d/meta", 0, func(b []byte) { clear(b) })
	if r := w.checked(t); len(r.Damage) != 1 || r.Damage[0].File != "d/meta" {
		t.Errorf("%+v", r.Damage)
	}
	if _, err := Check(NewMemFS(), "d", nil); err == nil {
		t.Error("no directory, and no error")
	}
}

// A store that is open is not looked at.
func TestCheckOfAnOpenStore(t *testing.T) {
	fs, disk := NewMemFS(), &fakeDisk{}
	s := openTest(t, testOptions(fs, disk), disk)
	if _, err := Check(fs, "d", nil); err == nil {
		t.Error("no error")
	}
	s.close()
	if r, err := Check(fs, "d", nil); err != nil || len(r.Damage) != 0 || r.End != 0 {
		t.Errorf("a store without a log: %+v, %v", r, err)
	}
}

// A message that rotted before its batch was sealed: the batch holds, the message does not.
func TestMessageChecksum(t *testing.T) {
	w := writeLog(t, 3, 100)
	p := w.base[2]
	w.patchAt(t, p, func(b []byte) {
		h, _ := parseBatchHeader(b, p)
		b[h.length-20] ^= 1
		h.seal(b[:h.length])
		next, _ := parseBatchHeader(b[h.length:], h.end())
		next.prevCRC = h.crc
		next.seal(b[h.length:][:next.length])
	})
	if r := w.checked(t); len(r.Damage) != 1 || r.Damage[0].Pos != p {
		t.Errorf("%+v", r.Damage)
	}
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, _, _, err = s.Message(p + batchHeaderBytes + 1)
	if err == nil || !strings.Contains(err.Error(), "checksum") || !strings.Contains(err.Error(), w.segments(t)[0]) {
		t.Errorf("read: %v", err)
	}
}

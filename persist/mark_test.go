package persist

import "testing"

// Marks name each batch as it stands in the file; what is no batch is none.
func TestMarks(t *testing.T) {
	l := newSteppedLife(t, 4)
	for range 200 {
		l.step()
	}
	l.drain()
	var all []Mark
	for p := l.s.Start(); p < l.s.Received(); p = all[len(all)-1].End {
		b, err := l.s.ReadBatches(p, 1<<20, nil)
		if err != nil {
			t.Fatal(err)
		}
		if all, err = Marks(p, b, all); err != nil {
			t.Fatal(err)
		}
		if _, err := Marks(p+1, b, nil); err == nil {
			t.Errorf("the batches at %d stand at %d too", p, p+1)
		}
		if _, err := Marks(p, b[:len(b)-1], nil); err == nil {
			t.Errorf("half a batch at %d is one", p)
		}
	}
	for i, m := range all {
		if i > 0 && m.Base != all[i-1].End || m.Starts != (l.s.segmentOf(m.Base) == m.Base) {
			t.Errorf("batch %d is said to be %+v, in the segment from %d on", i, m, l.s.segmentOf(m.Base))
		}
		name, offset := SegmentFile(l.s.segmentOf(m.Base))
		from := offset + int64(m.Base-l.s.segmentOf(m.Base))
		if !l.fs.Durable("d/"+name, from, from+int64(m.End-m.Base)) {
			t.Errorf("batch %d is synced and not on the disk", i)
		}
	}
}

// Durable says what a power loss leaves: neither bytes nor names that were not synced.
func TestDurable(t *testing.T) {
	m := NewMemFS()
	if err := m.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	f, err := m.Create("d/f")
	if err != nil {
		t.Fatal(err)
	}
	check := func(want bool, when string) {
		t.Helper()
		if m.Durable("d/f", 0, 3) != want {
			t.Errorf("%s Durable says %v", when, !want)
		}
	}
	write := func(s string) {
		t.Helper()
		if _, err := f.WriteAt([]byte(s), 0); err != nil {
			t.Fatal(err)
		}
	}
	write("abc")
	check(false, "written,")
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	check(false, "without a name")
	if err := m.SyncDir("d"); err != nil {
		t.Fatal(err)
	}
	check(true, "synced,")
	write("xyz")
	check(false, "written again,")
}

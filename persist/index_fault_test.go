package persist

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"syscall"
	"testing"
)

// worked is a store's directory after some work, closed, and the model of it. Its index has tables and a journal.
func worked(t testing.TB, seed uint64) (*MemFS, *model) {
	t.Helper()
	m, fsys := newModel(seed), NewMemFS()
	o := realOptions(fsys)
	for range 3 {
		s := openReal(t, o)
		var end Pos
		for range 200 {
			var err error
			if end, err = m.unit(s); err != nil {
				t.Fatal(err)
			}
		}
		awaitCommit(t, s, end)
		keepOften(t, s, idleTicks+5)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fsys, m
}

// An error of the disk in the index ends the store, says where it was, and leaves the next start a store that is right.
func TestIndexDiskErrorsEndTheStore(t *testing.T) {
	for _, rule := range []Fault{
		{Op: FaultRead, Pattern: "*.ldb"}, {Op: FaultWrite, Pattern: "*.ldb"}, {Op: FaultSync, Pattern: "*.ldb"},
		{Op: FaultCreate, Pattern: "*.ldb"}, {Op: FaultWrite, Pattern: "0*[0-9].log", Short: true}, {Op: FaultSync, Pattern: "0*[0-9].log"},
		{Op: FaultWrite, Pattern: "MANIFEST-*"}, {Op: FaultSync, Pattern: "MANIFEST-*"}, {Op: FaultRename, Pattern: "CURRENT"},
	} {
		t.Run(string(rule.Op)+" "+rule.Pattern, func(t *testing.T) {
			for skip := range 4 {
				base, m := worked(t, uint64(skip))
				rule := rule
				rule.Err, rule.Skip = syscall.EIO, skip
				l := &faultLife{t: t, m: m, o: realOptions(indexFaults(base, rule))}
				l.run()
				s := openReal(t, realOptions(base))
				m.lose(s.Recovery().End)
				m.check(t, s)
				sameAsReplay(t, s)
				audit(t, s.index.(*Index))
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// onlyIndex lets a FaultFS see the index's files alone: the log's look alike.
type onlyIndex struct {
	FS
	faulty *FaultFS
}

func indexFaults(base FS, rule Fault) FS {
	f := NewFaultFS(base)
	f.Break(rule)
	return onlyIndex{base, f}
}

func (o onlyIndex) of(name string) FS {
	if strings.Contains(name, indexName+"/") {
		return o.faulty
	}
	return o.FS
}

func (o onlyIndex) Create(name string) (File, error)        { return o.of(name).Create(name) }
func (o onlyIndex) Open(name string) (File, error)          { return o.of(name).Open(name) }
func (o onlyIndex) OpenReadWrite(name string) (File, error) { return o.of(name).OpenReadWrite(name) }
func (o onlyIndex) Rename(from, to string) error            { return o.of(to).Rename(from, to) }
func (o onlyIndex) Remove(name string) error                { return o.of(name).Remove(name) }

// faultLife works until the store fails, or for a while.
type faultLife struct {
	t *testing.T
	m *model
	o Options
}

func (l *faultLife) run() {
	var told []error
	l.o.Fatal = func(err error) { told = append(told, err) }
	s, err := Open(l.o)
	if err != nil {
		l.judge(err)
		return
	}
	if barrier, err := s.Lead(s.NextEpoch()); err == nil && (&modelLife{t: l.t}).wait(s, barrier) {
		for range 40 {
			end, err := l.m.unit(s)
			if err != nil || !(&modelLife{t: l.t}).wait(s, end) {
				break
			}
			_ = s.Keep() // its error is the store's, or passes
			if err := s.index.flush(); err != nil {
				l.judge(err)
				s.fail(err)
				break
			}
		}
	}
	_ = s.Close()
	for _, err := range told {
		l.judge(err)
	}
}

// judge wants an error that names what failed. LevelDB does not wrap all that it met.
func (l *faultLife) judge(err error) {
	if !strings.Contains(err.Error(), syscall.EIO.Error()) && !errors.Is(err, errIndexDamaged) || !strings.Contains(err.Error(), "index") {
		l.t.Errorf("it says only: %v", err)
	}
}

// A flipped bit anywhere in the index is harmless or has it built anew: what is answered is always right.
func TestIndexFlippedBits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	rebuilt := 0
	for seed := range uint64(4) {
		base, m := worked(t, seed)
		files := readAll(t, base)
		for name := range files {
			for range 12 {
				if path.Base(path.Dir(name)) != indexName || len(files[name]) == 0 {
					continue
				}
				fsys := writeAll(t, files, name, r)
				if answersRight(t, fsys, m) {
					rebuilt++
				}
			}
		}
	}
	if rebuilt == 0 {
		t.Error("nothing was ever built anew")
	}
}

// readAll is what the files of a store hold.
func readAll(t *testing.T, fsys FS) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, dir := range []string{"d", path.Join("d", indexName)} {
		names, err := fsys.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			f, err := fsys.Open(path.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue // a directory
			}
			if err != nil {
				t.Fatal(err)
			}
			size, err := f.Size()
			b := make([]byte, size)
			if _, readErr := f.ReadAt(b, 0); err != nil || size > 0 && readErr != nil {
				t.Fatal(err, readErr)
			}
			files[path.Join(dir, name)] = b
			_ = f.Close()
		}
	}
	return files
}

// writeAll makes a file system of them, with one bit of one of them flipped.
func writeAll(t *testing.T, files map[string][]byte, wrong string, r *rand.Rand) *MemFS {
	t.Helper()
	fsys := NewMemFS()
	if err := fsys.MkdirAll(path.Join("d", indexName)); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if name == wrong {
			b = bytes.Clone(b)
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
		f, err := fsys.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return fsys
}

// answersRight opens the store until it does not fail, and wants right answers. It says whether the index was built anew.
func answersRight(t *testing.T, fsys FS, m *model) (rebuilt bool) {
	t.Helper()
	for range 3 {
		s, err := Open(realOptions(fsys))
		if err != nil {
			t.Fatalf("a damaged index keeps the store from opening: %v", err)
		}
		rebuilt = rebuilt || s.Recovery().IndexRebuilt
		barrier, err := s.Lead(s.NextEpoch())
		if err == nil && (&modelLife{t: t}).wait(s, barrier) {
			err = m.compare(s)
		}
		failed := s.hasFailed()
		_ = s.Close()
		if err == nil && !failed {
			return rebuilt
		}
		if !failed {
			t.Fatalf("wrong answers from a damaged index: %v", err)
		}
	}
	t.Fatal("the store fails again and again")
	return false
}

func FuzzDecodeBlock(f *testing.F) {
	b := &block{no: 3}
	b.put(slot{message: 70, size: 5, share: 6, low: 1})
	b.put(slot{message: 60, size: 7, share: 8, low: 9, flags: slotStray | slotRelocated,
		more: &slotMore{expiryMs: 1, notBeforeMs: 2, attempts: 3, note: []byte("n"), assign: Assignment{[]byte("s"), 4, 5}}})
	f.Add(b.encode(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, row []byte) {
		b, err := decodeBlock(3, row)
		if err != nil {
			return
		}
		again, err := decodeBlock(3, b.encode(nil))
		if err != nil || hex.EncodeToString(again.encode(nil)) != hex.EncodeToString(b.encode(nil)) {
			t.Fatalf("%x: %+v, then %+v %v", row, b, again, err)
		}
	})
}

func FuzzDecodeQueueRow(f *testing.F) {
	c := &queueRow{depth: 3, bytes: 500}
	*c.lane(4) = lane{class: 4, tail: 9, said: 1000, head: 2, depth: 3}
	f.Add(c.encode(nil))
	f.Fuzz(func(t *testing.T, row []byte) {
		c, err := decodeQueueRow(row)
		if err != nil {
			return
		}
		_ = c.state()
		again, err := decodeQueueRow(c.encode(nil))
		if err != nil || !bytes.Equal(again.encode(nil), c.encode(nil)) {
			t.Fatalf("%x: %+v, then %+v %v", row, c, again, err)
		}
	})
}

func FuzzDecodeIndexState(f *testing.F) {
	s := frozenState{pos: 900, live: 70, trim: trimming{100, 800}, counts: liveCounts{{100, 2}, {500, 0}}}
	f.Add(s.encode())
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := decodeFrozenState(value)
		if err != nil {
			return
		}
		again, err := decodeFrozenState(s.encode())
		if err != nil || !bytes.Equal(again.encode(), s.encode()) {
			t.Fatalf("%x: %+v, then %+v %v", value, s, again, err)
		}
	})
}

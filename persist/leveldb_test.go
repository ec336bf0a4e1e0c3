package persist

import (
	"errors"
	"path"
	"strings"
	"syscall"
	"testing"
)

// fill puts messages into the places [from, to) of queue 1 and waits until they are applied.
func fill(t testing.TB, s *Store, from, to uint64) {
	t.Helper()
	var u Unit
	var end Pos
	for i := from; i < to; i++ {
		u.Reset()
		ref := u.Message([]byte("id"), nil, []byte("body"))
		u.Enqueue(ref, []Target{{Queue: 1, Seq: MakeSeq(4, i)}}, 0, 0)
		var err error
		if _, end, err = s.Append(&u); err != nil {
			t.Fatal(err)
		}
	}
	awaitCommit(t, s, end)
}

// An index that lost the file which says what counts is built anew, whatever else is left of it.
func TestIndexWithoutItsBeginningIsBuiltAnew(t *testing.T) {
	for _, drop := range []string{currentName, "MANIFEST-*", "*.log", "*.ldb"} {
		t.Run(drop, func(t *testing.T) {
			fs := NewMemFS()
			o := realOptions(fs)
			s := openReal(t, o)
			fill(t, s, 1, 600)
			if err := s.index.flush(); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openReal(t, o) // turns the journal into a table
			fill(t, s, 600, 701)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			removeMatching(t, fs, path.Join("d", indexName), drop)
			s = openReal(t, o)
			defer s.Close()
			if d := s.Queue(1).Depth; d != 700 {
				t.Errorf("depth %d", d)
			}
			sameAsReplay(t, s)
		})
	}
}

func removeMatching(t testing.TB, fs FS, dir, pattern string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	removed := 0
	for _, name := range names {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			removed++
			if err := fs.Remove(path.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if removed == 0 {
		t.Fatalf("nothing matches %s in %v", pattern, names)
	}
}

// A queue whose row cannot be read must not look like an empty one to somebody who then gives out places in it.
func TestUnreadableRowEndsTheStore(t *testing.T) {
	base := NewMemFS()
	s := openReal(t, realOptions(base))
	fill(t, s, 1, 301)
	var u Unit
	u.Put(TableRetained, []byte("topic"), make([]byte, 8<<10)) // so that the queue's row does not share a block with what Open reads
	if _, end, err := s.Append(&u); err != nil {
		t.Fatal(err)
	} else {
		awaitCommit(t, s, end)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openReal(t, realOptions(base)) // turns the journal into a table
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	faulty := NewFaultFS(base)
	s = openReal(t, realOptions(faulty))
	defer s.Close()
	faulty.Break(Fault{Op: FaultRead, Pattern: "*.ldb", Err: syscall.EIO})
	if q := s.Queue(1); q != (QueueState{}) {
		t.Fatalf("read all the same: %+v", q)
	}
	u.Reset()
	ref := u.Message(nil, nil, []byte("body"))
	u.Enqueue(ref, []Target{{Queue: 1, Seq: MakeSeq(4, 1)}}, 0, 0)
	if _, _, err := s.Append(&u); !errors.Is(err, ErrClosed) {
		t.Errorf("a place that was given out before was taken again: %v", err)
	}
	if err := s.Keep(); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "input/output") {
		t.Errorf("keep: %v", err)
	}
}

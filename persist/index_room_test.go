package persist

import (
	"errors"
	"fmt"
	"path"
	"testing"
	"time"
)

// usedBytes is what all files of a store take.
func usedBytes(t *testing.T, fs FS, dir string) (n int64) {
	t.Helper()
	for _, dir := range []string{dir, path.Join(dir, indexName)} {
		names, err := fs.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			f, err := fs.Open(path.Join(dir, name))
			if err != nil {
				continue // a directory
			}
			size, err := f.Size()
			if err = errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			n += size
		}
	}
	return n
}

func publishTo(s *Store, q QueueID, counter uint64, body string) (Pos, error) {
	var u Unit
	m := u.Message([]byte(fmt.Sprint(counter)), nil, []byte(body))
	u.Enqueue(m, []Target{{Queue: q, Seq: MakeSeq(4, counter)}}, 0, 0)
	_, end, err := s.Append(&u)
	return end, err
}

// The disk fills up, and the index needs room to say what consumers took: it is given the reserve, segments go, and all goes
// on by itself.
func TestFullDiskDrains(t *testing.T) {
	fs := NewMemFS()
	o := realOptions(fs)
	o.ReserveBytes = 48 << 10
	s := openReal(t, o)
	const q = 7
	sent, end := uint64(0), Pos(0)
	publish := func() (err error) {
		var at Pos
		if at, err = publishTo(s, q, sent+1, string(make([]byte, 700))); err == nil {
			sent, end = sent+1, at
		}
		return err
	}
	for range 200 {
		if err := publish(); err != nil {
			t.Fatal(err)
		}
		awaitCommit(t, s, end)
	}
	fs.SetRoom(usedBytes(t, fs, o.Dir)) // somebody else takes the rest
	for n := 0; ; n++ {
		err := publish()
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil || n > 200 {
			t.Fatal(n, err)
		}
		time.Sleep(time.Millisecond) // the segment that was made ready may still be coming
	}
	awaitCommit(t, s, end)
	for n := uint64(1); n <= sent; n++ {
		var u Unit
		u.Settle(q, []Range{{MakeSeq(4, n), MakeSeq(4, n)}})
		_, at, err := s.Append(&u)
		if err != nil {
			t.Fatalf("settle %d of %d: %v", n, sent, err)
		}
		awaitCommit(t, s, at)
	}
	for tries := 0; ; tries++ {
		err := publish()
		if err == nil {
			break
		}
		if !errors.Is(err, ErrFull) || tries > 2000 {
			t.Fatalf("a message after all was drained: %v; %+v", err, s.Usage())
		}
		time.Sleep(5 * time.Millisecond)
	}
	awaitCommit(t, s, end)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Without any room the index waits for some, the store lives, and Close does not wait.
func TestIndexWaitsForRoom(t *testing.T) {
	for _, closes := range []bool{false, true} {
		fs := NewMemFS()
		o := realOptions(fs)
		o.ReserveBytes = -1
		s := openReal(t, o)
		end, err := publishTo(s, 7, 1, "body")
		if err != nil {
			t.Fatal(err)
		}
		awaitCommit(t, s, end)
		fs.SetRoom(1)
		flushed := make(chan error, 1)
		go func() { flushed <- s.index.flush() }()
		select {
		case err := <-flushed:
			t.Fatalf("written without room: %v", err)
		case <-time.After(3 * roomPause):
		}
		if s.hasFailed() {
			t.Fatal("it failed for want of room")
		}
		if closes {
			if err := errors.Join(s.Close(), <-flushed); !isFull(err) {
				t.Errorf("closed as if all were written: %v", err)
			}
			continue
		}
		fs.SetRoom(0)
		if err := errors.Join(<-flushed, s.Close()); err != nil {
			t.Error(err)
		}
	}
}

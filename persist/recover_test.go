package persist

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// stuck is a Progress that confirms what is synced, and commits only up to a position.
type stuck struct{ at Pos }

func (p stuck) Advanced(_, synced Pos) (Pos, Pos) { return min(p.at, synced), synced }

// written is a log of a message a batch.
type written struct {
	fs   *MemFS
	o    Options
	disk *fakeDisk
	base []Pos // of each batch, EPOCH_BEGIN's first
	end  Pos
}

// writeLog makes a log of n messages of size bytes, each in a batch of its own, and stops in good order.
func writeLog(t testing.TB, n, size int, change ...func(*Options)) *written {
	t.Helper()
	w := &written{fs: NewMemFS(), disk: &fakeDisk{}}
	w.o = testOptions(w.fs, w.disk)
	for _, f := range change {
		f(&w.o)
	}
	s := openTest(t, w.o, w.disk).lead()
	w.base, w.end = []Pos{0}, s.end()
	for i := range n {
		w.base = append(w.base, w.end)
		_, w.end = s.send(fmt.Sprint("m", i), size)
		s.confirm(w.end)
	}
	s.Close()
	return w
}

// confirm waits until p is confirmed.
func (s *testStore) confirm(p Pos) {
	s.t.Helper()
	c := make(chanWaiter, 1)
	for s.Confirmed() < p {
		s.Await(p, c)
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			s.t.Fatalf("position %d is not confirmed; %d is", p, s.Confirmed())
		}
	}
}

// forget makes meta know less: nothing of what was committed, and a stop in no good order.
func (w *written) forget(t testing.TB, change ...func(*Meta)) {
	t.Helper()
	m, err := openMeta(w.fs, "d")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.update(func(m *Meta) {
		m.CommitHint, m.Clean = 0, false
		for _, f := range change {
			f(m)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// segments lists the files of the log.
func (w *written) segments(t testing.TB) (out []string) {
	t.Helper()
	names, err := w.fs.List("d")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, ok := parseSegmentName(name); ok {
			out = append(out, "d/"+name)
		}
	}
	return out
}

// place says in which file and where in it a position lies.
func (w *written) place(t testing.TB, p Pos) (string, int64) {
	t.Helper()
	for _, name := range slices.Backward(w.segments(t)) {
		if first, _ := parseSegmentName(strings.TrimPrefix(name, "d/")); first <= p {
			return name, segmentHeaderBytes + int64(p-first)
		}
	}
	t.Fatalf("no segment holds %d", p)
	return "", 0
}

// patch changes bytes of a file, on disk too.
func (w *written) patch(t testing.TB, name string, off int64, change func(b []byte)) {
	t.Helper()
	f, err := w.fs.OpenReadWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	size, _ := f.Size()
	b := make([]byte, size-off)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	change(b)
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func (w *written) patchAt(t testing.TB, p Pos, change func(b []byte)) {
	t.Helper()
	name, off := w.place(t, p)
	w.patch(t, name, off, change)
}

func flip(b []byte) { b[0] ^= 0x10 }

// open opens the store on a copy of the files, with an empty index unless keep says otherwise.
func (w *written) open() (*Store, error) {
	o := w.o
	o.FS = w.fs.Kill()
	w.fs = o.FS.(*MemFS)
	*w.disk = fakeDisk{}
	o.openIndex = w.disk.open
	return Open(o)
}

// mustCut opens the store and wants its log to end at p, and to go on from there.
func (w *written) mustCut(t testing.TB, p Pos) *Store {
	t.Helper()
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Recovery().End; got != p {
		t.Fatalf("the log ends at %d, want %d: %+v", got, p, s.Recovery())
	}
	ts := (&testStore{s, t, w.o, w.disk}).lead()
	_, end := ts.send("more", 10)
	ts.confirm(end)
	ts.Close()
	again, err := w.open()
	if err != nil || again.Recovery().End != end {
		t.Fatalf("opened again: %v, end %d, want %d", err, again.Recovery().End, end)
	}
	again.Close()
	return s
}

// mustRefuse opens the store and wants damage, at p if that is not zero, and all files as they were.
func (w *written) mustRefuse(t testing.TB, file string, p Pos) {
	t.Helper()
	before := w.content()
	s, err := w.open()
	var damage *DamageError
	switch {
	case err == nil:
		s.Close()
		t.Fatalf("opened: %+v", s.Recovery())
	case !errors.As(err, &damage):
		t.Fatalf("refused, but not for damage: %v", err)
	case damage.File != file || damage.Pos != p:
		t.Fatalf("want damage of %s at %d: %v", file, p, err)
	case damage.Advice == "" || !strings.Contains(err.Error(), file):
		t.Fatalf("it does not help: %v", err)
	}
	after := w.content()
	for name, b := range before {
		if !bytes.Equal(b, after[name]) {
			t.Fatalf("%s was changed", name)
		}
	}
	if m, err := openMeta(w.fs, "d"); err != nil || m.get().Voter {
		t.Fatalf("a damaged node may vote: %v", err)
	}
}

// content is that of all segments.
func (w *written) content() map[string][]byte {
	out := map[string][]byte{}
	for name, n := range w.fs.names {
		if strings.HasSuffix(name, segmentSuffix) {
			out[name] = bytes.Clone(n.data)
		}
	}
	return out
}

// A bit that flips anywhere in what was committed is found, wherever it is.
func TestBitFlipsAreFound(t *testing.T) {
	w := writeLog(t, 40, 600)
	if n := len(w.segments(t)); n < 3 {
		t.Fatalf("%d segments", n)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range len(w.base) {
		start, end := w.base[i], w.end
		if i+1 < len(w.base) {
			end = w.base[i+1]
		}
		for _, p := range []Pos{start, start + 6, start + 8, start + 16, start + 24, start + 40, start + 44, start + 48, start + 52,
			start + batchHeaderBytes + Pos(rng.IntN(int(end-start-batchHeaderBytes)))} {
			name, off := w.place(t, p)
			w.patch(t, name, off, flip)
			w.mustRefuse(t, name, start)
			w.patch(t, name, off, flip)
		}
	}
	for _, name := range w.segments(t) {
		first, _ := parseSegmentName(strings.TrimPrefix(name, "d/"))
		for _, off := range []int64{0, 8, 12, 16, 32, 40, 48, 3000, 4095} {
			w.patch(t, name, off, flip)
			w.mustRefuse(t, name, first)
			w.patch(t, name, off, flip)
		}
	}
	w.mustCut(t, w.end)
}

func TestMissingFilesAreDamage(t *testing.T) {
	w := writeLog(t, 60, 600)
	segs := w.segments(t)
	firstOf := func(i int) Pos { p, _ := parseSegmentName(strings.TrimPrefix(segs[i], "d/")); return p }
	for i, name := range segs {
		n := w.fs.names[name]
		delete(w.fs.names, name)
		if i == 0 {
			w.mustRefuse(t, name, 0)
		} else {
			w.mustRefuse(t, segs[i-1], firstOf(i))
		}
		w.fs.names[name] = n
	}
	for _, name := range segs {
		delete(w.fs.names, name)
	}
	w.mustRefuse(t, segs[0], 0)
}

// The last batches of a log that were never committed may be torn in any way.
func TestTornTailIsCut(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		w := writeLog(t, 12, 700, func(o *Options) { o.Progress, o.LogSize = stuck{2000}, 64<<10 })
		k := 4 + rng.IntN(len(w.base)-4)
		p := w.base[k]
		broken := false
		w.patchAt(t, p, func(b []byte) {
			for at := 0; at < int(w.end-p); at += memSector {
				if at == 0 && k == len(w.base)-1 || rng.IntN(2) == 0 {
					clear(b[at:min(at+memSector, int(w.end-p))])
					broken = true
				}
			}
		})
		w.forget(t)
		s, err := w.open()
		if err != nil {
			t.Fatal(seed, err)
		}
		r := s.Recovery()
		s.Close()
		if broken && (r.End < p || r.End >= w.end || !slices.Contains(w.base, r.End)) {
			t.Fatalf("seed %d: torn behind %d: %+v", seed, p, r)
		}
		w.mustCut(t, r.End)
	}
}

// A sector may end anywhere within a batch's header.
func TestTornWithinAHeader(t *testing.T) {
	for n := 1; n < batchHeaderBytes; n++ {
		w := writeLog(t, 6, 100, func(o *Options) { o.Progress = stuck{200} })
		p := w.base[len(w.base)-1]
		w.patchAt(t, p, func(b []byte) { clear(b[n:]) })
		w.forget(t)
		w.mustCut(t, p)
	}
}

// After a cut nothing of the old tail can be read as new, whatever the next power loss does.
func TestCutIsZeroAndSynced(t *testing.T) {
	w := writeLog(t, 12, 700, func(o *Options) { o.Progress, o.LogSize = stuck{2000}, 64<<10 })
	p := w.base[6]
	w.patchAt(t, p+100, flip)
	w.forget(t)
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	w.fs = w.fs.Crash(rand.New(rand.NewPCG(1, 1)))
	s.Close()
	name, off := w.place(t, p)
	if s.Recovery().CutBytes == 0 || !allZero(w.fs.names[name].data[off:]) {
		t.Errorf("what follows the cut at %d is not zero: %+v", p, s.Recovery())
	}
}

// Without a hint, a later whole batch that names a commit position still proves damage.
func TestLaterCommitIsDamage(t *testing.T) {
	w := writeLog(t, 6, 100)
	w.forget(t)
	p := w.base[3]
	name, _ := w.place(t, p)
	w.patchAt(t, p+60, flip)
	w.mustRefuse(t, name, p)
	// A power loss at a *_mem level takes committed bytes, as everybody was told.
	w.forget(t, func(m *Meta) { m.MemAcked, m.BootID, m.Voter = true, "before", true })
	s := w.mustCut(t, p)
	if !s.Recovery().Unclean || s.Meta().Voter {
		t.Errorf("%+v, voter %v", s.Recovery(), s.Meta().Voter)
	}
}

// Bytes in a body that look like a batch with a commit position prove nothing.
func TestForgedBatchesDoNotCount(t *testing.T) {
	w := writeLog(t, 2, 100, func(o *Options) { o.Progress = stuck{70} })
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	ts := (&testStore{s, t, w.o, w.disk}).lead()
	p := ts.end()
	// The body is a run of whole, chained batches, each at its own position.
	var u Unit
	body := make([]byte, 2000)
	ref := u.Message(nil, nil, body)
	bodyAt := p + batchHeaderBytes + 2 + Pos(len(u.buf)-len(body))
	h := batchHeader{epoch: 9, base: bodyAt + 10, commit: bodyAt, length: batchHeaderBytes + 4, units: 1}
	for range 5 {
		fake := body[h.base-bodyAt:][:h.length]
		copy(fake[batchHeaderBytes:], "\x03\x01\x01\x05")
		h.prevCRC = h.seal(fake)
		h.base, h.commit = h.end(), h.base
	}
	u.Reset()
	if u.Message(nil, nil, body) != ref {
		t.Fatal("the message moved")
	}
	_, end, err := ts.Append(&u)
	if err != nil {
		t.Fatal(err)
	}
	ts.confirm(end)
	ts.Close()
	w.forget(t)
	w.patchAt(t, p+batchHeaderBytes+3, flip)
	w.mustCut(t, p)
}

// What another version or another cluster wrote is never taken for a tear and removed.
func TestForeignFilesAreLeftAlone(t *testing.T) {
	reseal := func(b []byte) {
		h, _ := decodeSegmentHeader(b[:segmentHeaderBytes])
		h.cluster = ID{9}
		copy(b, h.encode())
	}
	w := writeLog(t, 20, 600)
	segs := w.segments(t)
	last := segs[len(segs)-1]
	first, _ := parseSegmentName(strings.TrimPrefix(last, "d/"))
	w.forget(t, func(m *Meta) { m.ClusterID = ID{7} })
	w.patch(t, last, 0, reseal)
	w.mustRefuse(t, last, first)

	w = writeLog(t, 20, 600)
	w.forget(t)
	w.patch(t, last, 0, func(b []byte) {
		b[8] = 2
		sealHeader(b[:segmentHeaderBytes])
	})
	w.mustRefuse(t, last, first)

	w = writeLog(t, 20, 600)
	w.forget(t)
	w.fs.names["d/00000000000fffff.log"] = w.fs.names[last]
	delete(w.fs.names, last)
	w.mustRefuse(t, "d/00000000000fffff.log", 0xfffff)

	w = writeLog(t, 6, 100)
	w.forget(t)
	p := w.base[6]
	name, off := w.place(t, p)
	w.patch(t, name, off+4, func(b []byte) { b[0] = 2 })
	w.mustRefuse(t, name, p)
}

// A last segment whose header was torn never had anything synced in it, unless something says so.
func TestTornHeader(t *testing.T) {
	build := func(hint bool) (*written, string, Pos) {
		w := writeLog(t, 40, 600)
		segs := w.segments(t)
		last := segs[len(segs)-1]
		first, _ := parseSegmentName(strings.TrimPrefix(last, "d/"))
		w.forget(t, func(m *Meta) {
			if hint {
				m.CommitHint = first + 1
			}
		})
		w.patch(t, last, 0, func(b []byte) { clear(b[:512]) })
		return w, last, first
	}
	w, last, first := build(true)
	w.mustRefuse(t, last, first)
	w, last, first = build(false) // its second batch says that the first was committed
	w.mustRefuse(t, last, first)
	w, last, first = build(false)
	w.patch(t, last, segmentHeaderBytes, func(b []byte) { clear(b) })
	w.mustCut(t, first)

	w = writeLog(t, 0, 0) // a first segment that never came to be
	w.forget(t)
	w.patch(t, w.segments(t)[0], 0, func(b []byte) { clear(b) })
	w.mustCut(t, 0)
	if s, err := w.open(); err != nil || s.Recovery().Blank {
		t.Errorf("it did not go on: %v", err)
	}
}

// An index that is ahead of the log, or between batches, is not the log's: it is built anew.
func TestIndexThatDoesNotBelong(t *testing.T) {
	for name, at := range map[string]func(w *written) Pos{
		"ahead":   func(w *written) Pos { return w.end + 1 },
		"between": func(w *written) Pos { return w.base[5] + 3 },
	} {
		w := writeLog(t, 20, 600)
		o := w.o
		o.FS = w.fs.Kill()
		*w.disk = fakeDisk{pos: at(w), seen: []string{"wrong"}}
		s := openTest(t, o, w.disk)
		if r := s.Recovery(); !r.IndexRebuilt || w.disk.resets != 1 || len(s.fake().messages()) != 20 {
			t.Errorf("%s: %+v, %d resets, %v", name, r, w.disk.resets, s.fake().messages())
		}
		s.close()
	}
}

func TestMetaSlots(t *testing.T) {
	w := writeLog(t, 3, 10)
	for slot := range int64(2) {
		w.patch(t, "d/meta", slot*metaSlotBytes+100, flip)
		s, err := w.open()
		if err != nil {
			t.Fatalf("one of two slots is enough: %v", err)
		}
		s.Close()
	}
	w.patch(t, "d/meta", 0, func(b []byte) { clear(b) })
	_, err := w.open()
	var damage *DamageError
	if !errors.As(err, &damage) || damage.File != "d/meta" || damage.Advice == "" {
		t.Errorf("%v", err)
	}
	delete(w.fs.names, "d/meta")
	if _, err = w.open(); !errors.As(err, &damage) || damage.File != "d/meta" {
		t.Errorf("a log without its meta: %v", err)
	}
}

package persist

import (
	"fmt"
	"path"
	"testing"
	"time"
)

// benchLog is a log of one endless segment, all of which is synced.
type benchLog struct{ indexLog }

func (benchLog) segmentOf(Pos) Pos { return 0 }
func (benchLog) syncedEnd() Pos    { return maxPos }
func (benchLog) logStart() Pos     { return 0 }

func benchIndex(b *testing.B, fsys FS, dir string) *Index {
	b.Helper()
	o := Options{Dir: dir}
	if err := o.fill(); err != nil {
		b.Fatal(err)
	}
	x, err := openIndex(fsys, path.Join(dir, indexName), benchLog{}, &o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = x.close() })
	return x.(*Index)
}

// feeder applies units to an index as the log would, n to a batch.
type feeder struct {
	x   *Index
	pos Pos
	dec Decoder
	op  Op
	n   int
}

func (f *feeder) unit(b *testing.B, u *Unit) {
	f.x.beginUnit(u.Bytes(), f.pos)
	f.dec.Reset(u.Bytes(), f.pos)
	for {
		more, err := f.dec.Next(&f.op)
		if err != nil {
			b.Fatal(err)
		}
		if !more {
			break
		}
		if err := f.x.apply(&f.op); err != nil {
			b.Fatal(err)
		}
	}
	f.pos += Pos(u.Len())
	if f.n++; f.n%64 == 0 {
		if err := f.x.applied(f.pos); err != nil {
			b.Fatal(err)
		}
	}
}

func enqueueUnit(u *Unit, q QueueID, n uint64, body []byte) {
	u.Reset()
	ref := u.Message([]byte("id-0123456789abcdef"), nil, body)
	u.Enqueue(ref, []Target{{Queue: q, Seq: MakeSeq(4, n)}}, 0, 0)
}

// BenchmarkApplyThrough is a message that is put in and settled, 500 later: what through-traffic costs, decoding included.
func BenchmarkApplyThrough(b *testing.B) {
	f := feeder{x: benchIndex(b, NewMemFS(), "d")}
	var u Unit
	body := make([]byte, 100)
	b.ReportAllocs()
	for n := uint64(1); b.Loop(); n++ {
		enqueueUnit(&u, 1, n, body)
		f.unit(b, &u)
		if n > 500 {
			u.Reset()
			u.Settle(1, []Range{{MakeSeq(4, n-500), MakeSeq(4, n-500)}})
			f.unit(b, &u)
		}
	}
}

// BenchmarkApplyBacklog is a message that stays, with its share of the flushes.
func BenchmarkApplyBacklog(b *testing.B) {
	f := feeder{x: benchIndex(b, OSFS{}, b.TempDir())}
	var u Unit
	body := make([]byte, 100)
	b.ReportAllocs()
	for n := uint64(1); b.Loop(); n++ {
		enqueueUnit(&u, 1, n, body)
		f.unit(b, &u)
		if n%100_000 == 0 {
			if err := f.x.flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkPage reads a queue of a million entries, 256 at a time; the unit is an entry.
func BenchmarkPage(b *testing.B) {
	f := feeder{x: benchIndex(b, OSFS{}, b.TempDir())}
	var u Unit
	for n := uint64(1); n <= 1_000_000; n++ {
		enqueueUnit(&u, 1, n, nil)
		f.unit(b, &u)
	}
	if err := f.x.applied(f.pos); err != nil {
		b.Fatal(err)
	}
	if err := f.x.flush(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var page []Entry
	at := len(page)
	from := Seq(0)
	for b.Loop() {
		if at == len(page) {
			var err error
			if page, err = f.x.entries(1, from, 256, page[:0]); err != nil {
				b.Fatal(err)
			}
			at = 0
			if from = 0; len(page) == 256 {
				from = page[255].Seq + 1
			}
		}
		at++
	}
}

// BenchmarkQueues fills 100,000 queues with one message each, flushes, opens the index anew and looks at each queue.
func BenchmarkQueues(b *testing.B) {
	const queues = 100_000
	for b.Loop() {
		dir := b.TempDir()
		f := feeder{x: benchIndex(b, OSFS{}, dir)}
		var u Unit
		start := time.Now()
		for q := QueueID(1); q <= queues; q++ {
			enqueueUnit(&u, q, 1, nil)
			f.unit(b, &u)
		}
		if err := f.x.applied(f.pos); err != nil {
			b.Fatal(err)
		}
		step(b, &start, "apply")
		if err := f.x.flush(); err != nil {
			b.Fatal(err)
		}
		step(b, &start, "flush")
		if err := f.x.close(); err != nil {
			b.Fatal(err)
		}
		x := benchIndex(b, OSFS{}, dir)
		step(b, &start, "open")
		for q := QueueID(1); q <= queues; q++ {
			if s := x.queue(q); s.Depth != 1 {
				b.Fatal(fmt.Sprint("queue ", q, ": ", s))
			}
		}
		step(b, &start, "queue")
	}
}

func step(b *testing.B, start *time.Time, name string) {
	b.ReportMetric(float64(time.Since(*start).Milliseconds()), name+"-ms")
	*start = time.Now()
}

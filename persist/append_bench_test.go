package persist

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// quietIndex is an index that costs nothing.
type quietIndex struct {
	fakeIndex
	at Pos
}

func (x *quietIndex) apply(*Op) error       { return nil }
func (x *quietIndex) applied(end Pos) error { x.at = end; return nil }
func (x *quietIndex) flush() error          { return nil }

type signal chan struct{}

func (s signal) Advanced() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// appender sends small messages and keeps at most window of them unconfirmed.
func appender(s *Store, n, window int, pause time.Duration) error {
	var u Unit
	body := make([]byte, 100)
	targets := []Target{{Queue: 1, Seq: 1}}
	ends := make([]Pos, window)
	w := make(signal, 1)
	for i := range n {
		for oldest := ends[i%window]; s.Confirmed() < oldest; {
			s.Await(oldest, w)
			<-w
		}
		if pause > 0 {
			spec := unix.NsecToTimespec(int64(pause))
			unix.Nanosleep(&spec, nil) // time.Sleep is too coarse
		}
		u.Reset()
		u.Enqueue(u.Message(nil, body[:30], body), targets, 0, 0)
		_, end, err := s.Append(&u)
		if err != nil {
			return err
		}
		ends[i%window] = end
	}
	for s.Confirmed() < ends[(n-1)%window] {
		s.Await(ends[(n-1)%window], w)
		<-w
	}
	return nil
}

func cpuTime() (time.Duration, int64) {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), r.Nvcsw + r.Nivcsw
}

func benchmarkAppend(b *testing.B, appenders, window int, pause time.Duration, level Sync) {
	s, err := Open(Options{Dir: b.TempDir(), Sync: level, openIndex: func(FS, string, indexLog, *Options) (index, error) {
		return &quietIndex{fakeIndex: fakeIndex{disk: &fakeDisk{}}}, nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Lead(1); err != nil {
		b.Fatal(err)
	}
	if err := appender(s, 100, 10, 0); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := s.Stats()
	cpu, switches := cpuTime()
	done := make(chan error, appenders)
	for range appenders {
		go func() { done <- appender(s, b.N/appenders+1, window, pause) }()
	}
	for range appenders {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	cpu2, switches2 := cpuTime()
	after := s.Stats()
	units := float64(after.Units - before.Units)
	b.StopTimer()
	b.ReportMetric(float64(cpu2-cpu)/units/1000, "µs-cpu/unit")
	b.ReportMetric(float64(switches2-switches)/units, "switches/unit")
	b.ReportMetric(float64(after.Syncs-before.Syncs)/units, "syncs/unit")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, appenders := range []int{1, 4, 64} {
		b.Run(fmt.Sprintf("waiting-%d", appenders), func(b *testing.B) { benchmarkAppend(b, appenders, 1, 0, QuorumDisk) })
	}
	for _, appenders := range []int{1, 4, 64} {
		b.Run(fmt.Sprintf("window-500-%d", appenders), func(b *testing.B) { benchmarkAppend(b, appenders, 500, 0, QuorumDisk) })
	}
	b.Run("40000-a-second", func(b *testing.B) { benchmarkAppend(b, 4, 500, 4*time.Second/40000, QuorumDisk) })
	b.Run("15000-a-second", func(b *testing.B) { benchmarkAppend(b, 1, 500, time.Second/15000, QuorumDisk) })
	b.Run("1000-a-second", func(b *testing.B) { benchmarkAppend(b, 1, 500, time.Second/1000, QuorumDisk) })
	b.Run("mem-window-500", func(b *testing.B) { benchmarkAppend(b, 1, 500, 0, QuorumMem) })
	b.Run("mem-waiting", func(b *testing.B) { benchmarkAppend(b, 1, 1, 0, QuorumMem) })
}

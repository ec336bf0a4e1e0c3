package rim

import (
	"context"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// servant notes when its node serves.
type servant struct {
	store   *persist.Store
	serving chan uint64
}

func (s *servant) Serve(store *persist.Store, epoch uint64) error {
	s.store = store
	s.serving <- epoch
	return nil
}
func (s *servant) Pause(bool)                           {}
func (s *servant) StopServing(string, *ha.Announcement) {}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func standTrio(b testing.TB, level persist.Sync) *persist.Store {
	addr := freeAddr(b)
	tr := newTree()
	sv := &servant{serving: make(chan uint64, 1)}
	for i := range 3 {
		master := addr
		if i == 0 {
			master = ""
		}
		newStand := func(o ha.Options, boot ha.Boot) machine { return &stand{o: o, boot: boot, master: master} }
		r, err := Start(b.Context(), Options{machine: newStand, Store: persist.Options{Dir: filepath.Join(b.TempDir(), "s"), Sync: level, MemoryBytes: 64 << 20}, Node: ha.Options{Replicas: 3, Sync: level},
			Elector: tr.join(), Roles: sv, Bind: addr, Tell: func(l ha.Level, s string) { b.Log(l, s) }})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := r.Stop(context.Background(), true); err != nil {
				b.Error(err)
			}
		})
	}
	select {
	case <-sv.serving:
	case <-time.After(5 * time.Second):
		b.Fatal("nobody serves")
	}
	return sv.store
}

type moved chan struct{}

func (m moved) Advanced() {
	select {
	case m <- struct{}{}:
	default:
	}
}

func cpu() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// benchmarkAppends sends durable messages of 100 bytes, at most window of them unconfirmed, through three nodes in one process.
func benchmarkAppends(b *testing.B, window int, level persist.Sync) {
	s := standTrio(b, level)
	var u persist.Unit
	body := make([]byte, 100)
	ends := make([]persist.Pos, window)
	w := make(moved, 1)
	await := func(p persist.Pos) {
		for s.Confirmed() < p {
			s.Await(p, w)
			<-w
		}
	}
	seq := uint64(0)
	before := cpu()
	for b.Loop() {
		await(ends[int(seq)%window])
		u.Reset()
		u.Enqueue(u.Message(nil, body[:30], body), []persist.Target{{Queue: 1, Seq: persist.MakeSeq(4, seq+1)}}, 0, 0)
		_, end, err := s.Append(&u)
		if err != nil {
			b.Fatal(err)
		}
		ends[int(seq)%window] = end
		seq++
	}
	for _, p := range ends {
		await(p)
	}
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/msg")
}

func BenchmarkReplicated1(b *testing.B)    { benchmarkAppends(b, 1, persist.QuorumDisk) }
func BenchmarkReplicated100(b *testing.B)  { benchmarkAppends(b, 100, persist.QuorumDisk) }
func BenchmarkReplicated2000(b *testing.B) { benchmarkAppends(b, 2000, persist.QuorumDisk) }

package rim

import (
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// firstPort and lastPort lie below the range that the kernel hands out for outgoing connections, and above that of other tests: a
// member gives its port up while it is a replica, and takes it again.
const firstPort, lastPort = 10000, 19999

var lastGiven = firstPort + os.Getpid()*41%(lastPort-firstPort)

// freeAddr is an address that nobody listens at, another one each time.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range lastPort - firstPort {
		if lastGiven++; lastGiven > lastPort {
			lastGiven = firstPort
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lastGiven))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return l.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
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
	c := newCluster(quietly{b}, 3)
	c.level = level
	c.start()
	c.allVote()
	s := c.master().serving()
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

// quietly keeps a benchmark's nodes from telling what they do.
type quietly struct{ testing.TB }

func (quietly) Logf(string, ...any) {}

// BenchmarkReplicatedPaced sends 5,000 messages a second and says how long confirmations take.
func BenchmarkReplicatedPaced(b *testing.B) {
	c := newCluster(quietly{b}, 3)
	c.start()
	c.allVote()
	s := c.master().serving()
	var u persist.Unit
	body := make([]byte, 100)
	type sent struct {
		end persist.Pos
		at  time.Time
	}
	queue := make(chan sent, 100_000)
	took := make(chan []time.Duration)
	go func() {
		var all []time.Duration
		for x := range queue {
			await(s, x.end)
			all = append(all, time.Since(x.at))
		}
		took <- all
	}()
	before, start := cpu(), time.Now()
	for i := 0; b.Loop(); i++ {
		if d := time.Until(start.Add(time.Duration(i) * 200 * time.Microsecond)); d > 0 {
			time.Sleep(d)
		}
		u.Reset()
		u.Enqueue(u.Message(nil, body[:30], body), []persist.Target{{Queue: 1, Seq: persist.MakeSeq(4, uint64(i+1))}}, 0, 0)
		_, end, err := s.Append(&u)
		if err != nil {
			b.Fatal(err)
		}
		queue <- sent{end, time.Now()}
	}
	close(queue)
	all := <-took
	slices.Sort(all)
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/msg")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

func BenchmarkReplicated1(b *testing.B)    { benchmarkAppends(b, 1, persist.QuorumDisk) }
func BenchmarkReplicated100(b *testing.B)  { benchmarkAppends(b, 100, persist.QuorumDisk) }
func BenchmarkReplicated2000(b *testing.B) { benchmarkAppends(b, 2000, persist.QuorumDisk) }

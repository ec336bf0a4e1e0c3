package peer

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/havenmq/havenmq/core"
)

// echoes answers each frame with itself and allocates nothing: what is measured is the rim.
type echoes struct{}

func (echoes) Name() string { return "echo" }

func (echoes) New(Limits, string, time.Time) (Codec[line], Machine[line]) {
	return &lineCodec{}, echoMachine{}
}

type echoMachine struct{}

func (echoMachine) Receive(f line, _ time.Time, out *Out[line])           { out.Send(f) }
func (echoMachine) Malformed(err error, _ time.Time, out *Out[line])      { out.Close = err }
func (echoMachine) Done(*core.Completion, time.Time, *Out[line])          {}
func (echoMachine) Deliver(d *core.Delivery, _ time.Time, out *Out[line]) { out.Send(d.Message.Bare) }
func (echoMachine) Tick(time.Time, *Out[line])                            {}
func (echoMachine) Evict(err error, _ time.Time, out *Out[line])          { out.Close = err }
func (echoMachine) attach(core.Sink, string) Client                       { return idleClient{} }

// idleClient never has anything.
type idleClient struct{}

func (idleClient) Do([]core.Op, int64)         {}
func (idleClient) Poll(*core.Events, int) bool { return false }
func (idleClient) Throttled() bool             { return false }
func (idleClient) Close(int64)                 {}

func benchListener(b *testing.B) net.Addr {
	b.Helper()
	socket, err := Listen(b.Context(), "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	l := NewListener(socket, NewHandler(echoes{}, Options{Attach: echoMachine{}.attach}), 20_000, nil)
	served := make(chan struct{})
	go func() {
		defer close(served)
		l.Serve()
	}()
	b.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		l.Stop(ctx, core.ErrShutdown)
		<-served
	})
	return socket.Addr()
}

// BenchmarkEcho sends frames of 150 bytes in bursts and reads them back.
func BenchmarkEcho(b *testing.B) {
	for _, burst := range []int{1, 100} {
		b.Run(map[int]string{1: "one", 100: "hundred"}[burst], func(b *testing.B) {
			c, err := net.Dial("tcp", benchListener(b).String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			frames := bytes.Repeat(append(bytes.Repeat([]byte("x"), 149), '\n'), burst)
			back := make([]byte, len(frames))
			b.ReportAllocs()
			for n := 0; n < b.N; n += burst {
				if _, err := c.Write(frames); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, back); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIdleConnections says what a connection that has talked and fell silent keeps in memory, both ends.
func BenchmarkIdleConnections(b *testing.B) {
	address := benchListener(b).String()
	const n = 2000
	for range b.N {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		conns := make([]net.Conn, n)
		for i := range conns {
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Fatal(err)
			}
			conns[i] = c
			if _, err := c.Write([]byte("hello\n")); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 6)); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.Sys-before.Sys)/n, "B/conn-sys")
		b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/n, "B/conn-used")
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

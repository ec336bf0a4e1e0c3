package rim

import (
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/wire"
	"github.com/havenmq/havenmq/persist"
)

// besieged is a cluster whose third node is away, and what its nodes have written.
type besieged struct {
	*cluster
	m     *member // the master
	other *member // the replica that follows
	away  persist.ID
	mu    sync.Mutex
	lines []string
}

func besiege(t *testing.T) *besieged {
	b := &besieged{cluster: newCluster(t, 3)}
	b.t = teeing{t, func(s string) { b.mu.Lock(); defer b.mu.Unlock(); b.lines = append(b.lines, s) }}
	b.start()
	b.allVote()
	b.m = b.master()
	away := b.nodes[(b.m.no+1)%3]
	b.other = b.nodes[(b.m.no+2)%3]
	b.away = away.Status().NodeID
	away.abandon()
	b.m.send(0, 10)
	return b
}

// count is how many lines hold some words.
func (b *besieged) count(words string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.lines {
		if strings.Contains(l, words) {
			n++
		}
	}
	return n
}

// unmoved says that nothing has come of it: the same master serves, and confirms.
func (b *besieged) unmoved(what string, from int) {
	b.t.Helper()
	b.m.send(from, from+10)
	if b.m.serving() == nil || len(b.m.epochs) != 1 {
		b.t.Fatalf("%s: the master served %v", what, b.m.epochs)
	}
	if st := b.other.Status(); st.Role != ha.RoleReplica {
		b.t.Fatalf("%s: %+v", what, st)
	}
}

// open connects without proving anything.
func (b *besieged) open() net.Conn {
	b.t.Helper()
	c, err := net.Dial("tcp", b.m.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// ends waits until the other end has hung up.
func (b *besieged) ends(what string, c io.ReadCloser) {
	b.t.Helper()
	if d, ok := c.(net.Conn); ok {
		_ = d.SetReadDeadline(time.Now().Add(patience))
	}
	if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
		b.t.Errorf("%s: the connection stands", what)
	}
	_ = c.Close()
}

// TestStrangersAtTheReplicationPort: bytes that mean nothing, ten thousand connections that say nothing, wrong tokens, and a handshake that is said
// again: the cluster goes on, and its log does not fill.
func TestStrangersAtTheReplicationPort(t *testing.T) {
	b := besiege(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		c := b.open()
		junk := make([]byte, 200)
		for i := range junk {
			junk[i] = byte(rng.Uint32())
		}
		_, _ = c.Write(junk) // it may have hung up already
		b.ends("random bytes", c)
	}
	b.unmoved("random bytes", 10)
	before := runtime.NumGoroutine()
	var open []net.Conn
	for range 10_000 {
		c := b.open()
		_, _ = c.Write([]byte("H")) // and nothing more
		if open = append(open, c); len(open) > 300 {
			_ = open[0].Close()
			open = open[1:]
		}
	}
	if n := runtime.NumGoroutine() - before; n > 4*wire.MaxHandshakes {
		t.Errorf("%d goroutines more", n)
	}
	b.unmoved("many connections", 20)
	for _, c := range open {
		_ = c.Close()
	}
	for range 50 {
		if _, err := wire.Dial(t.Context(), b.m.addr, wire.Options{Token: "guessed"}); err == nil {
			t.Fatal("a wrong token passed")
		}
	}
	b.replay()
	b.unmoved("wrong tokens", 30)
	for _, words := range []string{"another securityToken", "what answers is not"} {
		if n := b.count(words); n < 1 || n > 5 {
			t.Errorf("%d lines say %q", n, words)
		}
	}
	if n := b.count("was refused"); n > 20 {
		t.Errorf("%d lines", n)
	}
}

// replay says an honest node's handshake again.
func (b *besieged) replay() {
	b.t.Helper()
	near, far := net.Pipe()
	said := make(chan []byte, 1)
	go func() {
		preface := make([]byte, 48)
		_, _ = io.ReadFull(far, preface)
		_, _ = far.Write(preface) // any acceptor's will do
		proof := make([]byte, 32)
		_, _ = io.ReadFull(far, proof)
		_ = far.Close()
		said <- append(preface, proof...)
	}()
	_, _ = wire.Accept(b.t.Context(), near, wire.Options{Token: "secret", Handshake: 50 * time.Millisecond}) // what it says is what counts
	_ = near.Close()
	recorded := <-said
	c := b.open()
	_, _ = c.Write(recorded)
	b.ends("a replayed handshake", c)
}

// enter connects as somebody who knows the token.
func (b *besieged) enter() *wire.Conn {
	b.t.Helper()
	c, err := wire.Dial(b.t.Context(), b.m.addr, wire.Options{Token: "secret"})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *besieged) hangsUp(what string, c *wire.Conn) {
	b.t.Helper()
	var m wire.Message
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for {
		if err := c.Read(&m, func(n int) []byte { return make([]byte, n) }); err != nil {
			if strings.Contains(err.Error(), "timeout") {
				b.t.Errorf("%s: the link stands", what)
			}
			break
		}
	}
	_ = c.Close()
}

// TestMembersThatLie know the token: frames of any length, order and content end their link, and nothing else. The one that has taken the place
// of a member that is away cannot have anything committed that is not written.
func TestMembersThatLie(t *testing.T) {
	b := besiege(t)
	id := b.m.Status().ClusterID
	hello := ha.Hello{ClusterID: id, NodeID: b.away, Generation: 1, Incarnation: 66, Addr: strings.Repeat("x", 200), Voter: true}
	huge := binary.LittleEndian.AppendUint32(nil, math.MaxUint32)
	put := func(f ha.Frame) []byte { return wire.Put(nil, f) }
	later, stranger, alien, other := hello, hello, hello, hello
	later.Generation = math.MaxUint64
	stranger.NodeID, stranger.Promised = persist.ID{1, 2, 3}, math.MaxUint64
	alien.ClusterID, alien.Promised = persist.ID{4}, math.MaxUint64
	other.NodeID = b.other.Status().NodeID
	for what, say := range map[string][]byte{
		"a length beyond all bounds":    append(huge, 1, byte(wire.KindHello), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		"another version":               {32, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"an APPEND to a master":         put(ha.Append{Epoch: 1, Batches: make([]byte, 100)}),
		"an ACK before all":             put(ha.Ack{Epoch: 1, Synced: math.MaxUint64, Voter: true}),
		"a HEARTBEAT before all":        put(ha.Heartbeat{Epoch: 1, Seq: math.MaxUint64}),
		"a generation of the future":    put(later),
		"a stranger of a later epoch":   put(stranger),
		"another cluster's, later":      put(alien),
		"a member that is alive":        put(other),
		"ATTACH to a master":            append(put(hello), put(ha.Attach{Epoch: 9})...),
		"HANDOVER to a master":          append(put(hello), put(ha.HandOver{Epoch: 1})...),
		"an ACK beyond the end":         append(put(hello), put(ha.Ack{Epoch: 1, Received: math.MaxUint64, Synced: math.MaxUint64, Voter: true})...),
		"another member over its link":  append(put(hello), put(other)...),
		"REJECT of what was not said":   append(put(hello), put(ha.Reject{Epoch: 1})...),
		"half a frame, and nothing":     put(hello)[:40],
		"an ACK beyond the end, a byte": append(put(hello), put(ha.Ack{Epoch: 1, Synced: b.m.Store().Received() + 1<<20, Voter: true})...),
	} {
		c := b.enter()
		if err := c.Write(say); err != nil {
			t.Fatal(err)
		}
		b.hangsUp(what, c)
	}
	b.unmoved("lies", 10)
	if commit, end := b.m.Store().Committed(), b.m.Store().Received(); commit > end {
		t.Errorf("committed up to %d of %d", commit, end)
	}
	if n := b.count("it acknowledges position"); n == 0 {
		t.Error("nobody says that a replica lies")
	}
	c := b.enter() // an ACK of a later epoch, and of none, counts for nothing
	for _, f := range []ha.Frame{hello, ha.Ack{Epoch: 7, Synced: 60, Voter: true}, ha.Ack{Synced: 60, Voter: true}, ha.Heartbeat{Epoch: 1, Seq: math.MaxUint64, Heard: math.MaxUint64}} {
		if err := c.Write(put(f)); err != nil {
			t.Fatal(err)
		}
	}
	b.unmoved("frames of other epochs", 20)
	_ = c.Close()
}
